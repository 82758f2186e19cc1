//! What may be said of an API, checked before anything is stored.

use dispatch_api::api::ApiInput;
use dispatch_gateway::route;
use dispatch_model::{ErrorCode, api::Spec};

use crate::http::{ApiError, Call};

/// Hosts, paths and methods, of each.
const LIST_MAX: usize = 64;

pub(super) fn spec(call: &Call, input: &ApiInput) -> Result<Spec, ApiError> {
    let function = input.function.as_deref().ok_or_else(|| ApiError::required("function"))?;
    let function = function.parse().map_err(|_| {
        ApiError::new(ErrorCode::Pattern, format!("{function:?} is not the name of a function"))
    })?;
    let list = |field: &str, given: &Option<Vec<String>>| {
        let given = given.clone().unwrap_or_default();
        if given.len() > LIST_MAX {
            let message = format!("{field} in body should have at most {LIST_MAX} items");
            return Err(ApiError::new(ErrorCode::TooLong, message));
        }
        Ok(given)
    };
    let hosts = list("hosts", &input.hosts)?;
    let methods = list("methods", &input.methods)?;
    if let Some(wrong) = methods.iter().find(|method| route::method(method).is_none()) {
        return Err(ApiError::bad_request(format!("{wrong:?} is not an HTTP method")));
    }
    let protocols = list("protocols", &input.protocols)?;
    if let Some(wrong) = protocols.iter().find(|p| !matches!(p.as_str(), "http" | "https")) {
        return Err(ApiError::bad_request(format!("protocol {wrong:?} is not http or https")));
    }
    // What was shown may come back: the organization is in front of it once (contract §0.8 doubled it).
    let organization = call.organization_name.as_str();
    let has_hosts = !hosts.is_empty();
    let uris = list("uris", &input.uris)?
        .iter()
        .map(|uri| {
            let relative = route::relative_uri(organization, has_hosts, uri);
            route::stored_uri(organization, has_hosts, &relative)
        })
        .collect();
    Ok(Spec {
        function,
        hosts,
        uris,
        methods,
        protocols,
        authentication: input.authentication.clone(),
        enabled: input.enabled,
        cors: input.cors,
        tls: input.tls.clone(),
    })
}
