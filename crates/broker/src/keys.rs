//! The broker's key and what is derived from it: passwords, and the verifiers under which PostgreSQL
//! stores them.
//!
//! A password is derived from the ids of its binding, so a repeated bind answers the same one and
//! none has to be stored. The key is 32 random bytes in a file of mode 0600, made at the first start.
//! Who has it knows every password: it is kept outside the books, and never shown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// What PostgreSQL itself uses by default. The password has 256 random bits, so more would only
/// make logging in slower.
const SCRAM_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("4096 is not zero");

/// The key of one broker.
pub(crate) struct BrokerKey(hmac::Key);

impl std::fmt::Debug for BrokerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokerKey(<redacted>)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read, made or synced.
    #[error("the key file {} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The file does not hold what this crate wrote.
    #[error("the key file {} has {length} bytes instead of {KEY_BYTES}", path.display())]
    Length { path: PathBuf, length: usize },
    /// Others than the owner may read the file.
    #[error("the key file {} has mode {mode:04o}: others may read it; chmod 600 it", path.display())]
    Mode { path: PathBuf, mode: u32 },
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl BrokerKey {
    /// Reads the key, or makes it where there is no file yet.
    ///
    /// The new file appears complete or not at all: it is written under another name, synced, and
    /// renamed. The caller holds the lock of the directory.
    pub(crate) fn load_or_create(path: &Path, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        match File::open(path) {
            Ok(file) => Self::read(path, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path, random),
            Err(source) => Err(KeyError::File { path: path.to_owned(), source }),
        }
    }

    fn read(path: &Path, file: File) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() != KEY_BYTES {
            return Err(KeyError::Length { path: path.to_owned(), length: bytes.len() });
        }
        Ok(Self::from_bytes(&bytes))
    }

    fn create(path: &Path, random: &dyn SecureRandom) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        random.fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
        write_whole(path, bytes.as_ref())
            .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Ok(Self::from_bytes(bytes.as_ref()))
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The password of a binding: HMAC-SHA256 over its ids, 43 characters that need no escaping in
    /// a URI.
    pub(crate) fn password(&self, instance_id: &str, binding_id: &str) -> Zeroizing<String> {
        self.text("postgresql password", instance_id, binding_id)
    }

    /// The password of the administrator of an instance that has a server of its own.
    pub(crate) fn administrator_password(&self, instance_id: &str) -> Zeroizing<String> {
        self.text("postgresql administrator", instance_id, "")
    }

    /// The verifier of that password.
    pub(crate) fn administrator_verifier(&self, instance_id: &str) -> String {
        let tag = self.derive("postgresql administrator's salt", instance_id, "");
        let salt = tag.as_ref().get(..16).unwrap_or_default();
        scram_verifier(&self.administrator_password(instance_id), salt, SCRAM_ITERATIONS)
    }

    /// The SCRAM-SHA-256 verifier (RFC 5803, as PostgreSQL writes it) of that password. With it
    /// instead of the password, no statement and no log of PostgreSQL ever holds the password.
    pub(crate) fn verifier(&self, instance_id: &str, binding_id: &str) -> String {
        let tag = self.derive("postgresql salt", instance_id, binding_id);
        let salt = tag.as_ref().get(..16).unwrap_or_default();
        scram_verifier(&self.password(instance_id, binding_id), salt, SCRAM_ITERATIONS)
    }

    fn text(&self, purpose: &str, instance_id: &str, binding_id: &str) -> Zeroizing<String> {
        let tag = self.derive(purpose, instance_id, binding_id);
        Zeroizing::new(URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    fn derive(&self, purpose: &str, instance_id: &str, binding_id: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [purpose, instance_id, binding_id] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. The password is ASCII, which SASLprep
/// leaves as it is.
fn scram_verifier(password: &str, salt: &[u8], iterations: NonZeroU32) -> String {
    let mut salted = Zeroizing::new([0_u8; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password.as_bytes(),
        salted.as_mut(),
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref());
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key.as_ref()),
        STANDARD.encode(server_key.as_ref())
    )
}

/// Writes a file of mode 0600 so that it appears complete or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;

    #[test]
    fn the_verifier_is_that_of_rfc_7677() {
        // The example exchange of RFC 7677: user "user", password "pencil". Its proofs were made
        // with these keys, computed from the RFC's salt by two other implementations.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        assert_eq!(
            scram_verifier("pencil", &salt, SCRAM_ITERATIONS),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn the_key_is_made_once_and_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("broker.key");
        let first = BrokerKey::load_or_create(&path, &SystemRandom::new()).expect("made");
        let again = BrokerKey::load_or_create(&path, &SystemRandom::new()).expect("read");
        let other = BrokerKey::from_bytes(&[7; 32]);
        assert_eq!(*first.password("i", "b"), *again.password("i", "b"));
        assert_eq!(first.verifier("i", "b"), again.verifier("i", "b"));
        assert_ne!(*first.password("i", "b"), *other.password("i", "b"));
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn each_binding_has_a_password_of_its_own() {
        let key = BrokerKey::from_bytes(&[7; 32]);
        let mut passwords: Vec<_> = [("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "a"), ("", "abc")]
            .map(|(instance, binding)| key.password(instance, binding).to_string())
            .into();
        assert!(passwords.iter().all(|password| password.len() == 43));
        passwords.sort();
        passwords.dedup();
        assert_eq!(passwords.len(), 5);
    }

    #[test]
    fn a_key_that_is_short_long_or_open_to_others_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("broker.key");
        let load = |length: usize, mode: u32| {
            fs::write(&path, vec![1; length]).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            BrokerKey::load_or_create(&path, &SystemRandom::new())
        };
        assert!(matches!(load(31, 0o600), Err(KeyError::Length { length: 31, .. })));
        assert!(matches!(load(33, 0o600), Err(KeyError::Length { length: 33, .. })));
        assert!(matches!(load(32, 0o640), Err(KeyError::Mode { mode: 0o640, .. })));
        assert!(load(32, 0o600).is_ok());
    }
}
