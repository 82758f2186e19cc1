//! The certificate of an HTTPS listener: one that was given as PEM, or a self-signed one of our own.
//! The host name comes in as an argument; nothing is asked of the machine here.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
pub use rustls::ServerConfig;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// Key and certificate of our own, in one file, so that neither can exist without the other.
const OWN_FILE: &str = "server.pem";
/// The certificate alone, for clients.
const PUBLIC_FILE: &str = "certificate.pem";

/// Our own certificate, ready to be served.
#[derive(Debug, Clone)]
pub struct OwnCertificate {
    pub config: Arc<ServerConfig>,
    /// The certificate without its key, which a client can be told to trust.
    pub certificate: PathBuf,
    /// Whether it was made just now.
    pub created: bool,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{origin} is not PEM")]
    Pem { origin: String, source: pem::Error },
    #[error("{origin} holds no certificate")]
    NoCertificate { origin: String },
    #[error("{origin} holds no private key")]
    NoKey { origin: String },
    #[error("{origin} and its key cannot be used together")]
    Unusable { origin: String, source: rustls::Error },
    #[error("make a certificate")]
    Make { source: rcgen::Error },
}

/// The certificate of our own in `directory` (made with mode 0700 if it is missing): the one that is there, else a
/// new self-signed one (ECDSA P-256) for localhost, 127.0.0.1, ::1 and `names` (host names or addresses).
///
/// The private key is never readable by others. A file that is there but unusable is an error, never replaced.
pub fn load_or_create(directory: &Path, names: &[String]) -> Result<OwnCertificate, TlsError> {
    let path = directory.join(OWN_FILE);
    let (pem, created) = match fs::read(&path) {
        Ok(pem) => (pem, false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pem = make(names).map_err(|source| TlsError::Make { source })?;
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|source| TlsError::Write { path: directory.to_owned(), source })?;
            write_whole(&path, pem.as_bytes(), 0o600)?;
            (pem.into_bytes(), true)
        }
        Err(source) => return Err(TlsError::Read { path, source }),
    };
    fs::set_permissions(&path, Permissions::from_mode(0o600))
        .map_err(|source| TlsError::Write { path: path.clone(), source })?;
    let config = from_pem(&pem, &pem, &path.display().to_string())?;

    let certificate = directory.join(PUBLIC_FILE);
    let public = public_part(&pem);
    if fs::read(&certificate).ok().as_deref() != Some(public.as_bytes()) {
        write_whole(&certificate, public.as_bytes(), 0o644)?;
    }
    Ok(OwnCertificate { config, certificate, created })
}

/// Looks at what [`load_or_create`] would find, and changes nothing. `false` if there is none yet.
pub fn check(directory: &Path) -> Result<bool, TlsError> {
    let path = directory.join(OWN_FILE);
    match fs::read(&path) {
        Ok(pem) => from_pem(&pem, &pem, &path.display().to_string()).map(|_| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // What is above it is somebody else's to tell.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(TlsError::Read { path, source }),
    }
}

/// A certificate (with its chain, leaf first) and its private key from two PEM files, which may be one.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
    };
    from_pem(&read(certificate)?, &read(key)?, &certificate.display().to_string())
}

/// The same from PEM texts; `origin` names them in errors. HTTP/2 and HTTP/1.1 are offered.
pub fn from_pem(
    certificate: &[u8],
    key: &[u8],
    origin: &str,
) -> Result<Arc<ServerConfig>, TlsError> {
    let origin = || origin.to_owned();
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem { origin: origin(), source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { origin: origin() });
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoKey { origin: origin() },
        source => TlsError::Pem { origin: origin(), source },
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| TlsError::Unusable { origin: origin(), source })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Key and certificate as PEM. It has no practical end: nobody but its owner vouches for it, so that an end would
/// only be a day on which clients fail.
fn make(names: &[String]) -> Result<String, rcgen::Error> {
    let mut subjects: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    for name in names {
        if !subjects.contains(name) {
            subjects.push(name.clone());
        }
    }
    let mut params = CertificateParams::new(subjects)?;
    params.distinguished_name.push(DnType::CommonName, "Dispatch");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn public_part(pem: &[u8]) -> String {
    let text = String::from_utf8_lossy(pem);
    let start = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(text.len());
    text.get(start..).unwrap_or_default().to_owned()
}

/// Writes a file that is there whole or not at all, also after a crash.
fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let temporary = path.with_extension("new");
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|source| TlsError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let tls = directory.path().join("tls");
        let first = load_or_create(&tls, &["box.example".to_owned()]).expect("it is made");
        assert!(first.created);
        let key = tls.join(OWN_FILE);
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode();
        assert_eq!(mode(&key) & 0o777, 0o600);
        assert_eq!(mode(&tls) & 0o777, 0o700);
        let public = fs::read_to_string(&first.certificate).expect("it is there");
        assert!(public.starts_with("-----BEGIN CERTIFICATE") && !public.contains("PRIVATE"));

        // A looser mode is tightened, a lost public part is written again, the certificate stays.
        let before = fs::read(&key).expect("it is there");
        fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("ours");
        fs::remove_file(&first.certificate).expect("ours");
        let second = load_or_create(&tls, &[]).expect("it is read");
        assert!(!second.created);
        assert_eq!(fs::read(&key).expect("it is there"), before);
        assert_eq!(mode(&key) & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&second.certificate).expect("written"), public);
        let names = fs::read_dir(&tls).expect("ours").count();
        assert_eq!(names, 2, "no temporary file is left");
    }

    #[test]
    fn a_file_that_cannot_be_served_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(OWN_FILE);
        let one = make(&[]).expect("it is made");
        let other = make(&[]).expect("it is made");
        let check = |content: &str, expect: &str| {
            fs::write(&path, content).expect("ours");
            let error = load_or_create(directory.path(), &[]).expect_err(content);
            let variant = format!("{error:?}");
            assert!(variant.starts_with(expect), "{variant}");
            assert!(error.to_string().contains(OWN_FILE), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("ours"), content, "never replaced");
        };
        let (key, certificate) = one.split_at(one.find("-----BEGIN CERT").expect("it has one"));
        let foreign_key = other.split_at(other.find("-----BEGIN CERT").expect("it has one")).0;
        check("", "NoCertificate");
        check(key, "NoCertificate");
        check(certificate, "NoKey");
        check(&format!("{foreign_key}{certificate}"), "Unusable");
        check("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", "Pem");

        let missing = load(&directory.path().join("nope"), &path).expect_err("it is missing");
        assert!(matches!(missing, TlsError::Read { .. }), "{missing:?}");
    }
}
