//! Service parameters: the broker's defaults, the user's own, values of secrets; and the plan's schema over all of it.

use dispatch_api::Fault;
use dispatch_model::{ErrorCode, Name, secret::Secret};
use dispatch_osb::types::JsonObject;
use dispatch_store::{OrgScope, ReadError, Stored};
use serde_json::Value;

use crate::{http::ApiError, platform::Platform, schema::Schema};

/// The user's parameters over the broker's defaults, at the top level. Must be JSON objects.
pub fn merged(defaults: Option<&Value>, given: Option<Value>) -> Result<Option<Value>, ApiError> {
    let given = match given {
        None | Some(Value::Null) => None,
        Some(Value::Object(map)) => Some(map),
        Some(_) => {
            return Err(ApiError::new(
                ErrorCode::WrongType,
                "parameters in body must be a JSON object",
            ));
        }
    };
    let Some(Value::Object(defaults)) = defaults else { return Ok(given.map(Value::Object)) };
    let mut all = defaults.clone();
    all.extend(given.unwrap_or_default());
    Ok(Some(Value::Object(all)))
}

/// With the keys and values of the named secrets. `Err` is a fragment for people: what is missing or given twice.
pub async fn merge_secrets(
    platform: &Platform,
    scope: &OrgScope,
    given: Option<Value>,
    names: &[Name],
) -> Result<Result<Option<JsonObject>, String>, ReadError> {
    let mut all = match given {
        Some(Value::Object(map)) => Some(map),
        _ => None,
    };
    for name in names {
        let Some(Stored::Readable(secret)) = platform.store.get::<Secret>(scope, name).await?
        else {
            return Ok(Err(format!("secret {name} does not exist")));
        };
        let values =
            platform.store.secret_values(scope, secret.meta.id, secret.spec.version).await?;
        let all = all.get_or_insert_default();
        for (key, value) in values.unwrap_or_default().iter() {
            if all.insert(key.to_owned(), Value::String(value.to_owned())).is_some() {
                return Ok(Err(format!("parameter {key} is given twice, once by secret {name}")));
            }
        }
    }
    Ok(Ok(all))
}

/// Refuses parameters that do not fit the schema, naming all that is wrong (OSB-043). Nothing was sent to the broker.
/// `given` are those among them that may be quoted; the others are values of secrets.
pub async fn check(
    object: &str,
    offering: &str,
    schema: Option<&Value>,
    given: Option<&Value>,
    parameters: Option<&JsonObject>,
) -> Result<(), ApiError> {
    let Some(schema) = schema else { return Ok(()) };
    // One that cannot be used was a warning when the catalogue was read, and is in no catalogue since.
    let Ok(schema) = Schema::compiled(schema).await else { return Ok(()) };
    let parameters = Value::Object(parameters.cloned().unwrap_or_default());
    let is_secret = |key: &str| given.is_none_or(|given| given.get(key).is_none());
    let faults = schema.faults(&parameters, &is_secret);
    if faults.is_empty() {
        return Ok(());
    }
    Err(refused(object, offering, faults))
}

fn refused(object: &str, offering: &str, faults: Vec<Fault>) -> ApiError {
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        several => format!("{several} faults"),
    };
    let message = format!("{object}: {count} in the parameters for {offering}");
    ApiError::new(ErrorCode::InvalidParameters, message).with_faults(faults)
}
