//! What a registration may say, checked before anything is stored: all faults at once.

use std::collections::BTreeMap;

use dispatch_api::{
    Fault,
    service_broker::{Authentication as WireAuthentication, ClassSelection, ServiceBrokerInput},
};
use dispatch_model::{
    CatalogName, ErrorCode, Name,
    secret::Secret,
    service_broker::{Authentication, Profile, Selection, Spec, Tls},
};
use url::Url;

use super::builtin;
use crate::http::{ApiError, Call};

/// The wish in a request's body. Secrets that it names must exist.
pub(super) async fn spec(
    call: &Call,
    name: &Name,
    input: ServiceBrokerInput,
) -> Result<Spec, ApiError> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| {
        faults.push(Fault { path: path.to_owned(), message });
    };
    let url = match (&input.url, &input.builtin) {
        (None, None) => return Err(ApiError::required("url")),
        (_, Some(_)) => String::new(),
        (Some(text), None) => checked_url(text).unwrap_or_else(|why| {
            fault("/url", why);
            String::new()
        }),
    };
    let authentication = authentication(call, input.authentication.as_ref()).await?;
    let authentication = authentication.unwrap_or_else(|(path, why)| {
        fault(path, why);
        Authentication::None
    });
    let tls = input.tls.clone().unwrap_or_default();
    if tls.ca_cert.is_some() && tls.skip_verify {
        fault("/tls", "caCert and skipVerify exclude each other".to_owned());
    }
    let is_object = input.parameters.as_ref().is_none_or(serde_json::Value::is_object);
    if input.builtin.is_none() && !is_object {
        fault("/parameters", "is not a JSON object".to_owned());
    }
    let profile = match input.profile.as_deref() {
        None => Profile::default(),
        Some(text) => Profile::parse(text).unwrap_or_else(|| {
            fault(
                "/profile",
                format!("is {text:?}, which is not one of dispatch, cloudfoundry, kubernetes"),
            );
            Profile::default()
        }),
    };
    let classes = selection(input.service_classes.clone()).unwrap_or_else(|why| {
        fault("/serviceClasses", why);
        Selection::All
    });
    let builtin = input.builtin.as_deref();
    let builtin =
        builtin.and_then(|kind| builtin::checked(kind, &input, &authentication, &mut faults));
    if !faults.is_empty() {
        let message = match faults.as_slice() {
            [one] => format!("service broker {name}: {} {}", one.path, one.message),
            several => format!("service broker {name}: {} faults", several.len()),
        };
        return Err(ApiError::new(ErrorCode::BadRequest, message).with_faults(faults));
    }
    Ok(Spec {
        url,
        builtin,
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
    // What cannot be understood may hold a password anywhere.
    let url = Url::parse(text).map_err(|error| match text.contains('@') {
        true => format!("is no URL: {error}"),
        false => format!("is {text:?}, which is no URL: {error}"),
    })?;
    if matches!(url.scheme(), "postgresql" | "postgres") {
        return Err("is the address of a PostgreSQL server and not of a broker. The included broker makes databases on \
                    such a server, with the login of a secret: --builtin postgresql --param host=HOST --auth-secret SECRET"
            .to_owned());
    }
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

/// What is wrong with a member of `authentication`, and which one it is.
type Wrong = (&'static str, String);

const SECRET: &str = "/authentication/secret";
const TYPE: &str = "/authentication/type";

/// The login that was asked for. The secret that it names must exist; its keys say what it is if nothing else does.
async fn authentication(
    call: &Call,
    given: Option<&WireAuthentication>,
) -> Result<Result<Authentication, Wrong>, ApiError> {
    let Some(given) = given else { return Ok(Ok(Authentication::None)) };
    let Some(text) = given.secret.as_deref() else { return Ok(login(&given.kind, None)) };
    let Ok(name) = text.parse::<Name>() else {
        return Ok(Err((SECRET, format!("is {text:?}, which is no name of a secret"))));
    };
    let found = call.platform.store.get::<Secret>(&call.scope, &name).await?;
    let Some(stored) = found else {
        return Ok(Err((SECRET, format!("names secret {name}, which does not exist"))));
    };
    let keys = stored.readable().map(|secret| secret.spec.keys).unwrap_or_default();
    Ok(login(&given.kind, Some((name, &keys))))
}

fn login(kind: &str, secret: Option<(Name, &[String])>) -> Result<Authentication, Wrong> {
    let required = || (SECRET, "is required".to_owned());
    match (kind, secret) {
        ("" | "none", None) | ("none", Some(_)) => Ok(Authentication::None),
        ("basic", secret) => {
            let (secret, _) = secret.ok_or_else(required)?;
            Ok(Authentication::Basic { secret })
        }
        ("bearer", secret) => {
            let (secret, _) = secret.ok_or_else(required)?;
            Ok(Authentication::Bearer { secret })
        }
        ("", Some((secret, keys))) => login_of_keys(secret, keys),
        (other, _) => Err((TYPE, format!("is {other:?}, which is not one of none, basic, bearer"))),
    }
}

fn login_of_keys(secret: Name, keys: &[String]) -> Result<Authentication, Wrong> {
    let has = |key: &str| keys.iter().any(|known| known == key);
    match (has("username") && has("password"), has("token")) {
        (true, false) => Ok(Authentication::Basic { secret }),
        (false, true) => Ok(Authentication::Bearer { secret }),
        (true, true) => {
            Err((TYPE, format!("is required: secret {secret} has the keys of basic and of bearer")))
        }
        (false, false) => {
            let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
            Err((
                SECRET,
                format!(
                    "names secret {secret}, which is no login: it has {keys}, not username and password (basic) or token (bearer)"
                ),
            ))
        }
    }
}

fn selection(given: Option<ClassSelection>) -> Result<Selection, String> {
    let name = |text: String| -> Result<CatalogName, String> {
        text.parse().map_err(|_| format!("has {text:?}, which is no name of a class or plan"))
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
    fn whoever_gives_the_address_of_a_database_is_told_the_way_and_no_password_is_quoted() {
        let check = |url: &str, is_told: bool| {
            let why = checked_url(url).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
            assert_eq!(why.contains("--builtin postgresql --param host="), is_told, "{why}");
        };
        check("postgresql://u:s3cret@h/db", true);
        check("postgres://u:s3cret@h/db", true);
        check("http://u:s3cret@:x", false);
        check("u:s3cret@h/db", false);
    }

    #[test]
    fn a_login_without_a_type_is_what_the_secrets_keys_are() {
        let check = |kind: &str, keys: Option<&[&str]>, expect: Result<&str, &str>| {
            let keys: Option<Vec<String>> =
                keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect());
            let secret = keys.as_deref().map(|keys| ("s".parse().unwrap(), keys));
            let found = login(kind, secret);
            let found = found.as_ref().map(|found| match found {
                Authentication::None => "none",
                Authentication::Basic { .. } => "basic",
                Authentication::Bearer { .. } => "bearer",
            });
            assert_eq!(found.map_err(|(path, _)| *path), expect, "{kind} {keys:?}");
        };
        check("", None, Ok("none"));
        check("", Some(&["password", "username"]), Ok("basic"));
        check("", Some(&["more", "password", "username"]), Ok("basic"));
        check("", Some(&["token"]), Ok("bearer"));
        check("", Some(&["token", "username"]), Ok("bearer"));
        check("", Some(&["username"]), Err(SECRET));
        check("", Some(&["Token"]), Err(SECRET));
        check("", Some(&[]), Err(SECRET));
        check("", Some(&["password", "token", "username"]), Err(TYPE));
        check("bearer", Some(&["password", "token", "username"]), Ok("bearer"));
        check("none", Some(&["token"]), Ok("none"));
        // Its keys may come later: they are read at each use.
        check("basic", Some(&[]), Ok("basic"));
        check("basic", None, Err(SECRET));
        check("certificate", Some(&["key"]), Err(TYPE));
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
