//! The token that a service account signs for itself (contract §3.1): RS256, `{iss: "<org>/<name>", iat, exp}`.
//! Tokens that were given are sent as they are and never looked into.

use std::{fs, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::json;

use crate::{error::CliError, files};

/// Valid from a minute ago, so that clocks may differ, for an hour.
pub fn for_service_account(
    organization: &str,
    name: &str,
    key: &Path,
    now: Timestamp,
) -> Result<String, CliError> {
    let pem = fs::read(key).map_err(|e| {
        CliError::input(format!("error reading key file: {}: {}", key.display(), files::why(&e)))
    })?;
    let issuer =
        if name.contains('/') { name.to_owned() } else { format!("{organization}/{name}") };
    sign(&pem, &issuer, now.as_second())
        .map_err(|why| CliError::input(format!("error generating JWT: {}: {why}", key.display())))
}

fn sign(pem: &[u8], issuer: &str, now: i64) -> Result<String, String> {
    let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|e| e.to_string())? {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err("not an RSA key".to_owned()),
    }
    .map_err(|e| format!("not a usable RSA key ({e})"))?;
    let header = json!({"alg": "RS256", "typ": "JWT"}).to_string();
    let claims = json!({"iss": issuer, "iat": now - 60, "exp": now + 3600}).to_string();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .map_err(|_| "signing failed".to_owned())?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_service_account_signs_for_an_hour_with_its_organization_in_front() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), pem).unwrap();
        let now = Timestamp::from_second(10_000).unwrap();
        let token = for_service_account("dispatch", "ci", file.path(), now).unwrap();

        let (message, signature) = token.rsplit_once('.').unwrap();
        let claims = message.split_once('.').unwrap().1;
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(claims, json!({"iss": "dispatch/ci", "iat": 9_940, "exp": 13_600}));
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
            .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "nonsense").unwrap();
        let now = Timestamp::from_second(0).unwrap();
        let error = for_service_account("o", "ci", file.path(), now).unwrap_err();
        assert!(error.text().starts_with("error generating JWT: "), "{}", error.text());
    }
}
