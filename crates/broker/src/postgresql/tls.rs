//! TLS to PostgreSQL as `sslmode` describes it: encryption only, the certificate's chain
//! (`verify-ca`), or chain and name (`verify-full`), on rustls with aws-lc-rs.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Opens TLS sessions to PostgreSQL.
pub(crate) type Tls = MakeRustlsConnect;

/// Why no TLS session can be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA file holds no certificate.
    #[error("the CA certificate file holds no certificate in PEM form")]
    NoCertificate,
    /// The CA file is not PEM.
    #[error("the CA certificate file is not PEM: {0}")]
    Pem(String),
    /// A certificate that rustls refuses.
    #[error("the CA certificate cannot be used")]
    Certificate(#[source] Error),
    /// The roots make no verifier.
    #[error("the CA certificates cannot be used: {0}")]
    Verifier(String),
}

/// Chain and name of the server's certificate are verified.
pub(crate) fn verify_full(ca_pem: &str) -> Result<Tls, TlsError> {
    let verifier = chain_verifier(ca_pem)?;
    Ok(MakeRustlsConnect::new(config(|builder| builder.with_webpki_verifier(verifier))?))
}

/// The chain is verified, the name may be any.
pub(crate) fn verify_ca(ca_pem: &str) -> Result<Tls, TlsError> {
    let verifier = Arc::new(ChainOnly(chain_verifier(ca_pem)?));
    Ok(MakeRustlsConnect::new(config(|builder| {
        builder.dangerous().with_custom_certificate_verifier(verifier)
    })?))
}

/// Nothing is verified but that the server holds the key of the certificate it shows.
pub(crate) fn encrypt_only() -> Result<Tls, TlsError> {
    let verifier = Arc::new(AnyCertificate(provider()));
    Ok(MakeRustlsConnect::new(config(|builder| {
        builder.dangerous().with_custom_certificate_verifier(verifier)
    })?))
}

type Verifying = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Verified = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn config(verifier: impl FnOnce(Verifying) -> Verified) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Verifier(error.to_string()))?;
    Ok(verifier(builder).with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn chain_verifier(ca_pem: &str) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| TlsError::Pem(error.to_string()))?;
        roots.add(certificate).map_err(TlsError::Certificate)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| TlsError::Verifier(error.to_string()))
}

/// `verify-ca`: everything that webpki checks, except that the name fits.
#[derive(Debug)]
struct ChainOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // webpki looks at the name last, when the chain is already known to be good.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// `prefer`, and `require` without a CA certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
