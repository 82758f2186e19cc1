//! A certificate authority of one's own, and the server certificates that it signs.
//!
//! What it signs is trusted by nobody who was not given its certificate: that travels with the
//! credentials of each binding. Neither expires.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use zeroize::Zeroizing;

use crate::keys;

/// The authority.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate (PEM).
    pub(crate) pem: String,
}

/// A certificate and its key (PEM).
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: Zeroizing<String>,
}

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The authority's key or certificate.
    #[error("{} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    /// No certificate could be made, or the authority's key is none.
    #[error("no certificate could be made")]
    Make(#[from] rcgen::Error),
}

impl Authority {
    /// A new one, which nobody keeps.
    #[cfg(feature = "testing")]
    pub(crate) fn new(name: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let pem = parameters(name).self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(parameters(name), key), pem })
    }

    /// Reads `authority.key` and `authority.pem` in a directory, or makes them. The caller holds its
    /// lock.
    pub(crate) fn load_or_create(directory: &Path, name: &str) -> Result<Self, CertificateError> {
        let (key_path, path) = (directory.join("authority.key"), directory.join("authority.pem"));
        let key = match read(&key_path)? {
            Some(pem) => KeyPair::from_pem(&pem)?,
            None => {
                let key = KeyPair::generate()?;
                let pem = Zeroizing::new(key.serialize_pem());
                write(&key_path, &pem)?;
                key
            }
        };
        let pem = match read(&path)? {
            Some(pem) => pem.to_string(),
            None => {
                let pem = parameters(name).self_signed(&key)?.pem();
                write(&path, &pem)?;
                pem
            }
        };
        Ok(Self { issuer: Issuer::new(parameters(name), key), pem })
    }

    /// A certificate for a server of these names and addresses.
    pub(crate) fn sign(&self, names: &[String]) -> Result<Signed, CertificateError> {
        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if let Some(name) = names.first() {
            server.distinguished_name.push(DnType::CommonName, name);
        }
        let certificate = server.signed_by(&key, &self.issuer)?.pem();
        Ok(Signed { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}

fn parameters(name: &str) -> CertificateParams {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, name);
    authority
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, CertificateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertificateError::File { path: path.to_owned(), source }),
    }
}

fn write(path: &Path, pem: &str) -> Result<(), CertificateError> {
    keys::write_whole(path, pem.as_bytes())
        .map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_authority_is_made_once_and_only_its_owner_reads_the_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = Authority::load_or_create(directory.path(), "us").expect("made");
        let again = Authority::load_or_create(directory.path(), "us").expect("read");
        assert_eq!(first.pem, again.pem);
        assert_eq!(first.issuer.key().public_key_raw(), again.issuer.key().public_key_raw());
        let mode =
            fs::metadata(directory.path().join("authority.key")).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}
