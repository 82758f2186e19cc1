//! What a registration may say, checked before anything is stored: all faults at once.

use std::collections::BTreeMap;

use dispatch_api::{
    Fault,
    service_broker::{ClassSelection, ServiceBrokerInput},
};
use dispatch_model::{
    CatalogName, ErrorCode, Name,
    service_broker::{Authentication, Profile, Selection, Spec, Tls},
};
use url::Url;

use crate::http::{ApiError, Call};

/// The wish in a request's body. Secrets that it names must exist.
pub(super) async fn spec(call: &Call, input: ServiceBrokerInput) -> Result<Spec, ApiError> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| {
        faults.push(Fault { path: path.to_owned(), message });
    };
    let url = match &input.url {
        None => return Err(ApiError::required("url")),
        Some(text) => checked_url(text).unwrap_or_else(|why| {
            fault("/url", why);
            String::new()
        }),
    };
    let authentication = authentication(&input).unwrap_or_else(|(path, why)| {
        fault(path, why);
        Authentication::None
    });
    let tls = input.tls.clone().unwrap_or_default();
    if tls.ca_cert.is_some() && tls.skip_verify {
        fault("/tls", "caCert and skipVerify exclude each other".to_owned());
    }
    if input.parameters.as_ref().is_some_and(|value| !value.is_object()) {
        fault("/parameters", "is not a JSON object".to_owned());
    }
    let profile = match input.profile.as_deref() {
        None => Profile::default(),
        Some(text) => Profile::parse(text).unwrap_or_else(|| {
            fault("/profile", format!("{text:?} is not one of dispatch, cloudfoundry, kubernetes"));
            Profile::default()
        }),
    };
    let classes = selection(input.service_classes).unwrap_or_else(|why| {
        fault("/serviceClasses", why);
        Selection::All
    });
    if let Some(secret) = authentication.secret() {
        let found = call.platform.store.get::<dispatch_model::secret::Secret>(&call.scope, secret);
        if found.await?.is_none() {
            fault("/authentication/secret", format!("secret {secret} does not exist"));
        }
    }
    if !faults.is_empty() {
        let message = match faults.as_slice() {
            [one] => format!("{} {}", one.path, one.message),
            several => format!("{} faults in the service broker", several.len()),
        };
        return Err(ApiError::new(ErrorCode::BadRequest, message).with_faults(faults));
    }
    Ok(Spec {
        url,
        parameters: input.parameters,
        authentication,
        tls: Tls { ca_cert: tls.ca_cert, skip_verify: tls.skip_verify },
        profile,
        classes,
        refresh: 0,
        cascade: false,
    })
}

fn checked_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has the scheme {:?}; http or https is needed", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a login in it; put that into a secret and name it in authentication, \
                    or give --username and --password-file"
            .to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment, which a broker's address cannot have".to_owned());
    }
    Ok(text.to_owned())
}

fn authentication(input: &ServiceBrokerInput) -> Result<Authentication, (&'static str, String)> {
    const SECRET: &str = "/authentication/secret";
    let Some(given) = &input.authentication else { return Ok(Authentication::None) };
    let secret = || -> Result<Name, (&'static str, String)> {
        let text = given.secret.as_deref().ok_or((SECRET, "is required".to_owned()))?;
        text.parse().map_err(|_| (SECRET, format!("{text:?} is not the name of a secret")))
    };
    match given.kind.as_str() {
        "none" => Ok(Authentication::None),
        "basic" => Ok(Authentication::Basic { secret: secret()? }),
        "bearer" => Ok(Authentication::Bearer { secret: secret()? }),
        other => {
            Err(("/authentication/type", format!("{other:?} is not one of none, basic, bearer")))
        }
    }
}

fn selection(given: Option<ClassSelection>) -> Result<Selection, String> {
    let name = |text: String| -> Result<CatalogName, String> {
        text.parse().map_err(|_| format!("{text:?} is not the name of a class or plan"))
    };
    let mut chosen = BTreeMap::new();
    match given {
        None => return Ok(Selection::All),
        Some(ClassSelection::Names(names)) => {
            for class in names {
                chosen.insert(name(class)?, None);
            }
        }
        Some(ClassSelection::Plans(classes)) => {
            for (class, selected) in classes {
                let plans = selected
                    .plans
                    .map(|plans| plans.into_iter().map(name).collect::<Result<Vec<_>, _>>());
                chosen.insert(name(class)?, plans.transpose()?);
            }
        }
    }
    Ok(Selection::Only(chosen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_login_a_query_or_another_scheme_is_refused() {
        let check = |url: &str, expect: bool| assert_eq!(checked_url(url).is_ok(), expect, "{url}");
        check("http://127.0.0.1:8080", true);
        check("https://broker.example/prefix/", true);
        check("http://user:pw@broker.example", false);
        check("http://user@broker.example", false);
        check("http://broker.example/?a=b", false);
        check("ftp://broker.example", false);
        check("broker.example", false);
    }

    #[test]
    fn classes_are_selected_by_list_by_map_or_not_at_all() {
        let check = |json: &str, class: bool, plan: bool| {
            let input: ServiceBrokerInput = serde_json::from_str(json).unwrap();
            let selection = selection(input.service_classes).unwrap();
            let found = (selection.has_class("kv"), selection.has_plan("kv", "small"));
            assert_eq!(found, (class, plan), "{json}");
        };
        check("{}", true, true);
        check(r#"{"serviceClasses": []}"#, false, true);
        check(r#"{"serviceClasses": ["kv"]}"#, true, true);
        check(r#"{"serviceClasses": {"kv": {"plans": ["large"]}}}"#, true, false);
        check(r#"{"serviceClasses": {"kv": {}}}"#, true, true);
    }
}
