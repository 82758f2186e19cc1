//! What may be said of an API, checked before anything is stored.

use dispatch_api::{Fault, api::ApiInput};
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
    each("hosts", &hosts, is_host, "is not the name of a host")?;
    let methods = list("methods", &input.methods)?;
    each("methods", &methods, |text| route::method(text).is_some(), "is not an HTTP method")?;
    let protocols = list("protocols", &input.protocols)?;
    each("protocols", &protocols, |text| matches!(text, "http" | "https"), "is not http or https")?;
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

/// What cannot be served is not taken: left out, it would make an empty list, which means everything.
fn each(
    field: &str,
    values: &[String],
    fits: impl Fn(&str) -> bool,
    otherwise: &str,
) -> Result<(), ApiError> {
    let wrong = values.iter().enumerate().filter(|(_, value)| !fits(value));
    let fault = |(index, value): (usize, &String)| Fault {
        path: format!("/{field}/{index}"),
        message: format!("{value:?} {otherwise}"),
    };
    let faults: Vec<Fault> = wrong.map(fault).collect();
    let Some(first) = faults.first() else { return Ok(()) };
    let message = format!("{field} in body: {}", first.message);
    Err(ApiError::bad_request(message).with_faults(faults))
}

/// Nothing else ever comes as a request's host. A port is passed over where hosts are compared.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]*".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(plain)
}
