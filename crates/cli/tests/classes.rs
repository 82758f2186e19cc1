//! `dispatch … serviceclass`. What `describe` prints is a table in the sources.

use crate::support::Case;

const CLASS: &str = r#"{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServiceClass","name":"p.mysql / größe","broker":"my\u0007sql","brokerID":"5b1f6c1e-9487-4b36-83ab-320052099d02","bindable":true,"enabled":true,"plans":[{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServicePlan","name":"small","free":true,"schema":{"create":{},"update":{},"bind":{}}},{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServicePlan","name":"large","schema":{"create":{},"update":{},"bind":{}}}],"status":"READY","reason":null,"createdTime":0,"tags":null}"#;

#[test]
fn classes_with_any_name_are_listed_enabled_described_and_disabled() {
    let list = format!("[{CLASS}]");
    Case::new("classes/verbs")
        .answer(200, &list)
        .run("get serviceclasses")
        .answer(200, &list)
        .run("get class --available --broker b -o name")
        .answer(200, CLASS)
        .run("describe serviceclass 'p.mysql / größe' --broker b")
        .answer(201, CLASS)
        .run("create class 'p.mysql / größe' --broker b")
        .answer(201, CLASS)
        .run("create class 'p.mysql / größe' --broker b --default-plan small")
        .answer(200, CLASS)
        .run("update class 'p.mysql / größe' --default-plan small")
        .answer(200, CLASS)
        .run("update serviceclass 'p.mysql / größe' --broker b --default-plan '' -o name")
        .run("update serviceclass 'p.mysql / größe'")
        .answer(404, r#"{"code":404,"message":"service class p.mysq not found"}"#)
        .answer(200, &list)
        .run("update serviceclass p.mysq --default-plan small")
        .answer(200, CLASS)
        .run("delete class 'p.mysql / größe' --broker b")
        .answer(409, r#"{"code":409,"message":"service class x stands for two: brokers a, b"}"#)
        .run("get class x")
        .check();
}

#[test]
fn the_catalog_is_one_page_to_choose_from() {
    let small = r#"{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServicePlan","name":"shared-small","free":true,"description":"a database on a shared server","schema":{"create":{},"update":{},"bind":{}}}"#;
    let large = r#"{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServicePlan","name":"dedicated","description":"a server of your own","metadata":{"costs":[{"amount":{"eur":9.5},"unit":"MONTHLY"}]},"schema":{"create":{},"update":{},"bind":{}}}"#;
    let postgresql = format!(
        r#"{{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServiceClass","name":"postgresql","description":"PostgreSQL 15 with TLS","broker":"pg","brokerID":"5b1f6c1e-9487-4b36-83ab-320052099d02","bindable":true,"enabled":true,"defaultPlan":"shared-small","plans":[{small},{large}],"status":"READY","reason":null,"createdTime":0,"tags":null}}"#
    );
    let bare = CLASS.replace(r#""bindable":true,"#, "");
    let list = format!("[{postgresql},{bare}]");
    Case::new("classes/catalog")
        .answer(200, &list)
        .run("catalog")
        .answer(200, &list)
        .run("catalog -o name")
        .answer(200, "[]")
        .run("catalog --available --broker pg")
        .answer(200, "[]")
        .run("catalog")
        .answer(200, "[]")
        .run("catalog --json")
        .answer(200, &postgresql)
        .answer(200, "[]")
        .run("catalog postgresql")
        .answer(404, r#"{"code":404,"message":"service class postgres not found"}"#)
        .answer(200, &list)
        .run("catalog postgresq")
        .run("catalog a b")
        .check();
}
