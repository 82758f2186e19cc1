//! What a call is given: secrets, and the credentials of services, decrypted (contract §4.1).

use std::{fmt, sync::Arc};

use dispatch_model::{
    Name, Phase,
    function::ServiceUse,
    secret::{Owner, Secret},
    service_binding::{self, ServiceBinding},
    service_instance::{self, ServiceInstance},
};
use dispatch_runtime::{revision::BindingVersion, spawn::Endpoint};
use dispatch_store::{OrgScope, ReadError, SecretValues, Stored};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::redact;
use crate::{features::service_binding::save::document_key, platform::Platform};

/// Made once for a function, and again whenever something in it changes.
pub struct CallContext {
    /// `"secrets":{…},"serviceBindings":{…},"services":{…}`: the inside of a JSON object.
    pub members: Zeroizing<String>,
    pub bindings: Arc<[BindingVersion]>,
    pub endpoints: Arc<[Endpoint]>,
    /// Values that must not be stored with logs and errors (decision 38).
    pub values: Vec<Zeroizing<String>>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("bindings", &self.bindings).finish_non_exhaustive()
    }
}

/// Why a call cannot be given what it needs: an InputError, in the first Dispatch's words where it had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// Later secrets win over earlier ones, flat (contract §4.1.2).
pub async fn load(
    platform: &Platform,
    scope: &OrgScope,
    secrets: &[Name],
    services: &[ServiceUse],
) -> Result<Result<CallContext, Missing>, ReadError> {
    let mut values = Vec::new();
    let mut flat = Map::new();
    let mut owned = Vec::new();
    for name in secrets {
        let Some(found) = secret(platform, scope, name).await? else {
            return Ok(Err(Missing(format!(
                "error when retrieving secrets from secret store: failed to get secrets: secret {name} not found"
            ))));
        };
        put(&mut flat, &mut values, &found.values);
        owned.extend(found.binding);
    }
    let (mut by_alias, mut documents) = (Map::new(), Map::new());
    // Credentials that come by the name of their secret are retired with the others.
    let (mut bindings, mut endpoints) = (owned, Vec::new());
    for used in services {
        let found = match service_credentials(platform, scope, used).await? {
            Ok(found) => found,
            Err(missing) => return Ok(Err(missing)),
        };
        let mut flat = Map::new();
        put(&mut flat, &mut values, &found.values);
        by_alias.insert(used.alias.to_string(), Value::Object(flat));
        documents.insert(used.alias.to_string(), found.document);
        bindings.push(found.version);
        endpoints.extend(found.endpoints);
    }
    let documents = Value::Object(documents);
    let members = Zeroizing::new(format!(
        "\"secrets\":{},\"serviceBindings\":{},\"services\":{}",
        Value::Object(flat),
        Value::Object(by_alias),
        documents,
    ));
    let values = redact::values(values.iter().map(|value| value.as_str()), &[&documents]);
    Ok(Ok(CallContext { members, bindings: bindings.into(), endpoints: endpoints.into(), values }))
}

fn put(flat: &mut Map<String, Value>, values: &mut Vec<Zeroizing<String>>, found: &SecretValues) {
    for (key, value) in found.iter() {
        flat.insert(key.to_owned(), Value::String(value.to_owned()));
        values.push(Zeroizing::new(value.to_owned()));
    }
}

/// A secret's values, and the binding that they are credentials of.
struct Opened {
    values: SecretValues,
    binding: Option<BindingVersion>,
}

async fn secret(
    platform: &Platform,
    scope: &OrgScope,
    name: &Name,
) -> Result<Option<Opened>, ReadError> {
    for _ in 0..REPLACED_MAX {
        let Some(Stored::Readable(secret)) = platform.store.get::<Secret>(scope, name).await?
        else {
            return Ok(None);
        };
        let version = secret.spec.version;
        let values = platform.store.secret_values(scope, secret.meta.id, version).await?;
        if let Some(values) = values {
            let binding = match secret.spec.owner {
                Owner::Binding(binding) => {
                    Some(BindingVersion { binding: binding.uuid(), version })
                }
                Owner::User | Owner::Broker(_) => None,
            };
            return Ok(Some(Opened { values, binding }));
        }
    }
    Ok(None)
}

/// One binding's credentials.
pub struct ServiceCredentials {
    pub version: BindingVersion,
    pub endpoints: Vec<Endpoint>,
    /// Flat, all text.
    pub values: SecretValues,
    /// As the broker gave them (decision 26).
    pub document: Value,
}

/// Times that a binding is read again because its credentials were replaced between two reads.
const REPLACED_MAX: usize = 5;

/// The credentials of the binding that is meant. `Err`: what is not there or not ready.
pub async fn service_credentials(
    platform: &Platform,
    scope: &OrgScope,
    used: &ServiceUse,
) -> Result<Result<ServiceCredentials, Missing>, ReadError> {
    for _ in 0..REPLACED_MAX {
        if let Some(found) = read_credentials(platform, scope, used).await? {
            return Ok(found);
        }
    }
    Ok(Err(not_ready(used, Phase::Updating)))
}

/// `None`: what the binding refers to was replaced meanwhile.
async fn read_credentials(
    platform: &Platform,
    scope: &OrgScope,
    used: &ServiceUse,
) -> Result<Option<Result<ServiceCredentials, Missing>>, ReadError> {
    let binding = match binding(platform, scope, used).await? {
        Ok(binding) => binding,
        Err(missing) => return Ok(Some(Err(missing))),
    };
    let Some(credentials) = &binding.status.credentials else {
        let (phase, _) = service_binding::phase(&binding);
        return Ok(Some(Err(not_ready(used, phase))));
    };
    let store = &platform.store;
    let values = store.secret_values(scope, credentials.secret, credentials.version).await?;
    let Some(values) = values else { return Ok(None) };
    let id = binding.meta.id.uuid();
    let sealed = store.sealed(scope, document_key(id, credentials.version)).await?;
    let Some(sealed) = sealed else { return Ok(None) };
    let document = serde_json::from_slice::<Value>(&sealed).ok();
    let document = document.and_then(|document| document.get("credentials").cloned());
    let endpoint = |endpoint: &service_binding::Endpoint| Endpoint {
        host: endpoint.host.clone(),
        port: endpoint.port,
    };
    Ok(Some(Ok(ServiceCredentials {
        version: BindingVersion { binding: id, version: credentials.version },
        endpoints: credentials.endpoints.iter().map(endpoint).collect(),
        values,
        document: document.unwrap_or_else(|| json!({})),
    })))
}

async fn binding(
    platform: &Platform,
    scope: &OrgScope,
    used: &ServiceUse,
) -> Result<Result<dispatch_model::Object<ServiceBinding>, Missing>, ReadError> {
    let name = &used.instance;
    let Some(Stored::Readable(instance)) =
        platform.store.get::<ServiceInstance>(scope, name).await?
    else {
        return Ok(Err(Missing(format!(
            "error when retrieving service bindings: failed to get service bindings: service instance {name} not found"
        ))));
    };
    let all =
        platform.store.list_referring::<ServiceBinding>(scope, instance.meta.id.uuid()).await?;
    let mut readable = all.into_iter().filter_map(|stored| stored.readable().ok());
    let meant = |binding: &dispatch_model::Object<ServiceBinding>| match &used.binding {
        Some(wanted) => binding.meta.name == *wanted,
        None => binding.spec.automatic,
    };
    Ok(match (readable.find(meant), &used.binding) {
        (Some(binding), _) => Ok(binding),
        (None, Some(wanted)) => Err(Missing(format!(
            "error when retrieving service bindings: failed to get service bindings: service instance {name} has no service binding {wanted}"
        ))),
        (None, None) => Err(not_ready(used, service_instance::phase(&instance).0)),
    })
}

fn not_ready(used: &ServiceUse, phase: Phase) -> Missing {
    Missing(format!(
        "error when retrieving service bindings: failed to get service bindings current status {}: service instance {}",
        phase.as_str(),
        used.instance
    ))
}
