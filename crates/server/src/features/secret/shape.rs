//! What a secret looks like on the wire, and what its values may be.

use std::collections::BTreeMap;

use dispatch_api::secret::Secret as Wire;
use dispatch_model::{ErrorCode, Kind, Object, secret::Secret};
use dispatch_store::{SealedKey, SecretValues};
use zeroize::Zeroizing;

use crate::http::{ApiError, Call};

/// Together, keys and values, in bytes: what Kubernetes allows for a Secret.
pub(super) const VALUES_BYTES_MAX: usize = 1 << 20;

pub(super) async fn to_wire(call: &Call, secret: &Object<Secret>) -> Result<Wire, ApiError> {
    let version = secret.spec.version;
    let values = call.platform.store.secret_values(&call.scope, secret.meta.id, version).await?;
    let values =
        values.ok_or_else(|| ApiError::not_found(Kind::Secret, secret.meta.name.as_str()))?;
    Ok(Wire {
        id: secret.meta.id.uuid(),
        kind: Kind::Secret.as_str().to_owned(),
        name: secret.meta.name.to_string(),
        secrets: values.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        tags: dispatch_api::tag::to_wire(&secret.meta.tags),
    })
}

pub(super) fn values(map: Option<BTreeMap<String, String>>) -> Result<SecretValues, ApiError> {
    let mut values = SecretValues::default();
    let mut bytes = 0;
    for (key, value) in map.unwrap_or_default() {
        bytes += key.len() + value.len();
        values.insert(key, Zeroizing::new(value));
    }
    if bytes > VALUES_BYTES_MAX {
        let message = format!("secrets in body should be at most {VALUES_BYTES_MAX} bytes long");
        return Err(ApiError::new(ErrorCode::TooLong, message));
    }
    Ok(values)
}

pub(super) fn keys(values: &SecretValues) -> Vec<String> {
    values.keys().map(str::to_owned).collect()
}

/// Where the values of the present version are sealed.
pub(super) fn sealed(secret: &Object<Secret>) -> SealedKey {
    SealedKey { owner: secret.meta.id.uuid(), version: secret.spec.version }
}
