//! Sealing: AES-256-GCM with a data key for each item, and the data key under a key-encryption key.
//!
//! Both layers are bound to organization, owner, version and the number of the key-encryption key, so
//! that a row cannot be moved, and a name that is used again cannot decrypt an old row (decision 28).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use dispatch_model::{Id, organization::Organization};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Keyring;

/// What a sealed item is found by: the id that it belongs to (a secret, an instance, …) and a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealedKey {
    pub owner: Uuid,
    pub version: u64,
}

/// A sealed item as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedRow {
    pub(crate) organization: Id<Organization>,
    pub(crate) key: SealedKey,
    pub(crate) kek: u32,
    /// Nonce, then the encrypted data key with its tag.
    pub(crate) wrapped_key: Vec<u8>,
    /// Nonce, then the encrypted item with its tag.
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("there is no key-encryption key to encrypt with")]
    NoKey,
    #[error("encryption failed")]
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsealError {
    KeyMissing,
    Mismatch,
}

pub(crate) fn seal(
    keyring: &Keyring,
    organization: Id<Organization>,
    key: SealedKey,
    plain: &[u8],
) -> Result<SealedRow, SealError> {
    let (kek, kek_bytes) = keyring.newest_key().ok_or(SealError::NoKey)?;
    let bound_to = binding(organization, key, kek);
    let mut data_key = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *data_key).map_err(|_| SealError::Failed)?;
    let body = encrypt(&data_key[..], Purpose::Data, &bound_to, plain);
    let wrapped_key = encrypt(&kek_bytes[..], Purpose::DataKey, &bound_to, &data_key[..]);
    Ok(SealedRow {
        organization,
        key,
        kek,
        wrapped_key: wrapped_key.map_err(|_| SealError::Failed)?,
        body: body.map_err(|_| SealError::Failed)?,
    })
}

pub(crate) fn unseal(keyring: &Keyring, row: SealedRow) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let kek = keyring.key(row.kek).ok_or(UnsealError::KeyMissing)?;
    let bound_to = binding(row.organization, row.key, row.kek);
    let open = |key: &[u8], purpose, boxed| {
        decrypt(key, purpose, &bound_to, boxed).map_err(|_| UnsealError::Mismatch)
    };
    let data_key = open(&**kek, Purpose::DataKey, row.wrapped_key)?;
    open(&data_key, Purpose::Data, row.body)
}

#[derive(Clone, Copy)]
enum Purpose {
    Data = 1,
    DataKey = 2,
}

/// The associated data without its first byte, which is the purpose. All parts have a fixed length.
fn binding(organization: Id<Organization>, key: SealedKey, kek: u32) -> Vec<u8> {
    let mut bound_to = Vec::with_capacity(44);
    bound_to.extend_from_slice(organization.uuid().as_bytes());
    bound_to.extend_from_slice(key.owner.as_bytes());
    bound_to.extend_from_slice(&key.version.to_be_bytes());
    bound_to.extend_from_slice(&kek.to_be_bytes());
    bound_to
}

fn associated(purpose: Purpose, bound_to: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([&[purpose as u8], bound_to].concat())
}

fn encrypt(
    key: &[u8],
    purpose: Purpose,
    bound_to: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key)?;
    // Room for the tag, so that no plain text stays behind in a smaller allocation.
    let mut boxed = Zeroizing::new(Vec::with_capacity(plain.len() + AES_256_GCM.tag_len()));
    boxed.extend_from_slice(plain);
    let nonce = key.seal_in_place_append_tag(associated(purpose, bound_to), &mut *boxed)?;
    Ok([nonce.as_ref(), boxed.as_slice()].concat())
}

fn decrypt(
    key: &[u8],
    purpose: Purpose,
    bound_to: &[u8],
    boxed: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key)?;
    let mut plain = Zeroizing::new(boxed);
    let (nonce, body) = plain.split_at_mut_checked(NONCE_LEN).ok_or(Unspecified)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let length = key.open_in_place(nonce, associated(purpose, bound_to), body)?.len();
    plain.copy_within(NONCE_LEN..NONCE_LEN + length, 0);
    plain.truncate(length);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> (tempfile::TempDir, Keyring) {
        let temp = tempfile::tempdir().unwrap();
        let ring = Keyring::open(temp.path().join("keys")).unwrap().add_key().unwrap();
        (temp, ring)
    }

    fn sample(keyring: &Keyring) -> SealedRow {
        let key = SealedKey { owner: Uuid::from_u128(2), version: 3 };
        seal(keyring, Uuid::from_u128(1).into(), key, b"hunter2").unwrap()
    }

    #[test]
    fn what_was_sealed_is_unsealed() {
        let (_temp, ring) = keyring();
        for length in [0, 1, 15, 16, 17, 100_000] {
            let plain = vec![7; length];
            let key = SealedKey { owner: Uuid::nil(), version: 0 };
            let row = seal(&ring, Uuid::nil().into(), key, &plain).unwrap();
            assert_eq!(*unseal(&ring, row).unwrap(), plain);
        }
    }

    #[test]
    fn a_row_that_was_moved_or_touched_is_refused() {
        let (_temp, ring) = keyring();
        let check = |change: fn(&mut SealedRow)| {
            let mut row = sample(&ring);
            change(&mut row);
            assert_eq!(unseal(&ring, row), Err(UnsealError::Mismatch));
        };
        check(|row| row.organization = Uuid::from_u128(9).into());
        check(|row| row.key.owner = Uuid::from_u128(9));
        check(|row| row.key.version = 4);
        check(|row| row.body[20] ^= 1);
        check(|row| row.wrapped_key[20] ^= 1);
        check(|row| row.body.truncate(11));
        check(|row| row.body.truncate(12));
        check(|row| row.wrapped_key.clear());
        check(|row| std::mem::swap(&mut row.body, &mut row.wrapped_key));
    }

    #[test]
    fn another_key_is_told_from_a_missing_one() {
        let (_temp, ring) = keyring();
        let (_other_temp, other) = keyring();
        assert_eq!(unseal(&other, sample(&ring)), Err(UnsealError::Mismatch));
        let mut row = sample(&ring);
        row.kek = 2;
        assert_eq!(unseal(&ring, row.clone()), Err(UnsealError::KeyMissing));
        // The number of the key is bound as well: the same key under another number does not do.
        let renamed = ring.directory().join("kek-2");
        std::fs::rename(ring.directory().join("kek-1"), renamed).unwrap();
        let ring = Keyring::open(ring.directory()).unwrap();
        assert_eq!(unseal(&ring, row), Err(UnsealError::Mismatch));
    }

    #[test]
    fn equal_items_are_sealed_differently() {
        let (_temp, ring) = keyring();
        let (a, b) = (sample(&ring), sample(&ring));
        assert_ne!(a.body, b.body);
        assert_ne!(a.wrapped_key, b.wrapped_key);
    }
}
