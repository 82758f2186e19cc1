//! `dispatch … servicebroker`.

use crate::support::Case;

const PG: &str = r#"{"id":"0a0a0a0a-9487-4b36-83ab-32005209047d","kind":"ServiceBroker","name":"pg","url":"http://127.0.0.1:41873","authentication":{"type":"basic","secret":"pg-admin"},"tls":{},"profile":"dispatch","serviceClasses":{"postgresql":{"id":"1a0a0a0a-9487-4b36-83ab-32005209047d","enabled":true,"plans":["shared-small","dedicated"]},"hidden":{"id":"2a0a0a0a-9487-4b36-83ab-32005209047d","enabled":false,"plans":["x"]}},"catalog":{"fetchedTime":1795160033,"apiVersion":"2.17","warnings":[]},"status":"READY","reason":null,"conditions":[],"createdTime":1795160033,"tags":null}"#;
const LOGIN: &str = r#"{"id":"3a0a0a0a-9487-4b36-83ab-32005209047d","kind":"Secret","name":"broker-pg","secrets":{},"tags":null}"#;

/// A plan of it has a schema that checks nothing.
const UNUSABLE: &str = r#""warnings":["service \"postgresql\", plan \"dedicated\": schemas: service_instance: create: parameters cannot be used: $dynamicRef is not supported; parameters are sent without a check (services[0].plans[1].schemas.service_instance.create.parameters)"]"#;

fn failed() -> String {
    PG.replace(
        r#""status":"READY","reason":null"#,
        r#""status":"ERROR","reason":["catalogue: plan id is missing","catalogue: no services"]"#,
    )
}

#[test]
fn a_registered_broker_shows_its_classes() {
    Case::new("brokers/create")
        .answer(201, PG)
        .run("create servicebroker pg http://127.0.0.1:41873")
        .answer(201, PG)
        .run("create broker pg http://127.0.0.1:41873 --json")
        .answer(201, &failed())
        .run("create broker pg http://127.0.0.1:41873")
        .answer(201, PG)
        .run("create broker pg http://h --service-class postgresql:shared-small,dedicated --service-class redis --params '{\"region\": \"west\"}'")
        .check();
}

#[test]
fn a_login_that_is_given_becomes_a_secret_which_goes_when_the_broker_is_refused() {
    let refused =
        r#"{"code":409,"message":"service broker pg already exists","error":"already_exists"}"#;
    Case::new("brokers/login")
        .file("pw", "s3cret\n")
        .file("empty", "")
        .answer(201, LOGIN)
        .answer(201, PG)
        .run("create broker pg http://h --username admin --password-file pw")
        .answer(201, LOGIN)
        .answer(409, refused)
        .answer(204, "")
        .run("create broker pg http://h --token-file pw")
        .answer(201, LOGIN)
        .answer(409, refused)
        .answer(500, "")
        .run("create broker pg http://h --token-file pw")
        .answer(
            409,
            r#"{"code":409,"message":"secret broker-pg already exists","error":"already_exists"}"#,
        )
        .answer(200, PG)
        .run("create broker pg http://h --token-file pw")
        .answer(
            409,
            r#"{"code":409,"message":"secret broker-pg already exists","error":"already_exists"}"#,
        )
        .answer(404, r#"{"code":404,"message":"service broker pg not found"}"#)
        .answer(201, LOGIN)
        .answer(409, refused)
        .run("create broker pg http://h --token-file pw")
        .run("create broker pg http://h --token-file empty")
        .run("create broker pg http://h --username a --password-file nowhere")
        .check();
}

#[test]
fn a_secret_that_is_named_says_by_its_keys_which_login_it_is() {
    let secret = |keys: &str| LOGIN.replace("{}", keys);
    Case::new("brokers/auth_secret")
        .answer(200, &secret(r#"{"username":"u","password":"p"}"#))
        .answer(201, PG)
        .run("create broker pg http://h --auth-secret broker-pg")
        .answer(200, &secret(r#"{"token":"t"}"#))
        .answer(201, PG)
        .run("create broker pg http://h --auth-secret broker-pg")
        .answer(200, &secret(r#"{"passwd":"p"}"#))
        .run("create broker pg http://h --auth-secret broker-pg")
        .check();
}

#[test]
fn brokers_are_listed_refreshed_and_deleted() {
    Case::new("brokers/get_refresh_delete")
        .answer(200, &format!("[{PG}]"))
        .run("get brokers")
        .answer(200, PG)
        .run("get servicebroker pg -o wide")
        .answer(200, PG)
        .run("describe broker pg")
        .answer(200, &PG.replace(r#""warnings":[]"#, UNUSABLE))
        .run("describe broker pg")
        .answer(200, PG)
        .run("refresh broker pg")
        .answer(200, &failed())
        .run("refresh broker pg --wait")
        .answer(
            409,
            r#"{"code":409,"message":"service broker pg has live instances: db","error":"in_use"}"#,
        )
        .run("delete broker pg")
        .answer(200, PG)
        .unsettled(200, &PG.replace("READY", "DELETING"))
        .answer(404, r#"{"code":404,"message":"service broker pg not found"}"#)
        .run("delete servicebroker pg --cascade --wait")
        .run("delete broker pg --cascade --purge")
        .check();
}
