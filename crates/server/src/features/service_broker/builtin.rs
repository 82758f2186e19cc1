//! What a registration of a broker of the server's own (`builtin`) may say, and what it may not. It has no address, and
//! its parameters are its arguments.

use dispatch_api::{Fault, service_broker::ServiceBrokerInput};
use dispatch_model::service_broker::{Authentication, Builtin, Spec};

use crate::{
    http::ApiError,
    included::arguments::{self, LOGIN},
};

/// The kind that is meant, with every fault added to the others.
pub(super) fn checked(
    kind: &str,
    input: &ServiceBrokerInput,
    authentication: &Authentication,
    faults: &mut Vec<Fault>,
) -> Option<Builtin> {
    let mut fault = |path: &str, message: String| {
        faults.push(Fault { path: path.to_owned(), message });
    };
    if input.url.is_some() {
        fault("/url", "and builtin exclude each other".to_owned());
    }
    if input.tls.as_ref().is_some_and(|tls| tls.skip_verify) {
        let message =
            "is not for a broker of the server's own; sslmode=require is what does not verify";
        fault("/tls/skipVerify", message.to_owned());
    }
    let Some(kind) = Builtin::parse(kind) else {
        let known: Vec<&str> = Builtin::ALL.into_iter().map(Builtin::as_str).collect();
        fault("/builtin", format!("is {kind:?}; there is {}", known.join(", ")));
        return None;
    };
    let is_managed = match arguments::check(kind, input.parameters.as_ref()) {
        Ok(arguments) => Some(arguments.managed),
        Err(wrong) => {
            wrong.into_iter().for_each(|wrong| fault(&wrong.path, wrong.message));
            None
        }
    };
    // The secret has a fault of its own if it was named in vain.
    let names_secret = input.authentication.as_ref().is_some_and(|given| given.secret.is_some());
    match (is_managed, authentication) {
        (_, Authentication::Bearer { .. }) => {
            fault(
                "/authentication/type",
                format!("is bearer, which PostgreSQL does not know; {LOGIN}"),
            );
        }
        (Some(true), Authentication::Basic { .. }) => {
            fault(
                "/authentication",
                "is of no use with managed=true: the broker makes the login".to_owned(),
            );
        }
        (Some(false), Authentication::None) if !names_secret => {
            fault("/authentication/secret", format!("is required; {LOGIN}"));
        }
        _ => {}
    }
    Some(kind)
}

/// A change may not leave a process, or a server that it has made, with the instances on it, to nobody.
pub(super) fn unmoved(before: &Spec, after: &Spec) -> Result<(), ApiError> {
    let is_managed = |spec: &Spec| {
        let arguments = |kind| arguments::check(kind, spec.parameters.as_ref()).ok();
        spec.builtin.and_then(arguments).is_some_and(|arguments| arguments.managed)
    };
    let (path, what) = if before.builtin != after.builtin {
        ("/builtin", "cannot be changed")
    } else if is_managed(before) != is_managed(after) {
        ("/parameters/managed", "cannot be changed, because the instances stay where they are")
    } else {
        return Ok(());
    };
    let message = format!("{what}; delete the broker and register it again, or another one");
    let fault = Fault { path: path.to_owned(), message };
    let words = format!("{} {}", fault.path, fault.message);
    Err(ApiError::bad_request(words).with_faults(vec![fault]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    #[tokio::test]
    async fn what_is_wrong_with_a_broker_of_our_own_is_said_all_at_once_and_nothing_is_stored() {
        let server = TestServer::start().await;
        for (name, values) in [
            ("admin", json!({"username": "u", "password": "s3cret"})),
            ("token", json!({"token": "t"})),
        ] {
            server.post("/v1/secret", &json!({"name": name, "secrets": values})).await;
        }
        let check = async |body: serde_json::Value, expect: &[(&str, &str)]| {
            let mut body = body;
            body["name"] = json!("pg");
            let answer = server.post("/v1/servicebroker", &body).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (400, &json!(400)),
                "{}",
                answer.text
            );
            let faults = answer.body["faults"].as_array().unwrap();
            assert_eq!(faults.len(), expect.len(), "{}", answer.text);
            for (fault, (path, part)) in faults.iter().zip(expect) {
                assert_eq!(fault["path"], *path, "{}", answer.text);
                assert!(fault["message"].as_str().unwrap().contains(part), "{}", answer.text);
            }
            assert!(!answer.text.contains("s3cret"), "{}", answer.text);
        };
        let basic = json!({"secret": "admin"});
        let kinds = [("/builtin", "is \"mysql\"; there is postgresql")];
        check(json!({"builtin": "mysql"}), &kinds).await;
        let host = json!({"host": "127.0.0.1"});
        let needs = [("/authentication/secret", "is required; a login belongs into a secret")];
        check(json!({"builtin": "postgresql", "parameters": host}), &needs).await;
        let authentication = json!({"secret": "token"});
        check(
            json!({"builtin": "postgresql", "parameters": host, "authentication": authentication}),
            &[("/authentication/type", "is bearer")],
        )
        .await;
        let managed = json!({"managed": true});
        check(
            json!({"builtin": "postgresql", "parameters": managed, "authentication": basic}),
            &[("/authentication", "is of no use with managed=true")],
        )
        .await;
        let url = json!({"host": "postgresql://postgres:s3cret@127.0.0.1/postgres"});
        check(
            json!({"builtin": "postgresql", "parameters": url, "authentication": basic}),
            &[("/parameters/host", "has a password in it; a login belongs into a secret")],
        )
        .await;
        check(
            json!({
                "builtin": "postgresql", "url": "http://u:s3cret@h", "parameters": {"hots": "h", "host": "h"},
                "authentication": {"secret": "none-such"}, "tls": {"skipVerify": true},
            }),
            &[
                ("/authentication/secret", "does not exist"),
                ("/url", "exclude each other"),
                ("/tls/skipVerify", "sslmode=require"),
                ("/parameters/hots", "is unknown; there are managed"),
            ],
        )
        .await;
        assert_eq!(server.get("/v1/servicebroker").await.body, json!([]));
        server.running.stop().await;
    }
}
