//! `create`, `update` and `delete -f`.

use crate::support::Case;

const FILE: &str = "\
kind: Secret
name: pin
secrets:
  pin: 4711
tags:
- {key: role, value: 1}
---
kind: Application
name: shop
---
kind: ServiceInstance
name: db
serviceClass: postgresql
parameters: {storage: 2}
";
const SECRET: &str = r#"{"id":"039034e0-9487-4b36-83ab-32005209047d","kind":"Secret","name":"pin","secrets":{"pin":"4711"},"tags":null}"#;
const INSTANCE: &str = r#"{"id":"5b1f6c1e-9487-4b36-83ab-320052099d02","kind":"ServiceInstance","name":"db","serviceClass":"postgresql","servicePlan":"small","serviceClassID":"5b1f6c1e-9487-4b36-83ab-320052099d02","planID":"5b1f6c1e-9487-4b36-83ab-320052099d02","broker":"pg","secretParameters":null,"conditions":[],"status":"READY","reason":null,"createdTime":0,"tags":null}"#;

#[test]
fn documents_are_sent_one_after_the_other_until_the_first_error() {
    Case::new("documents/create")
        .file("dir/res.yaml", FILE)
        .file("bad.yaml", "kind: Secret\nsecrets: [1]\n")
        .answer(201, SECRET)
        .answer(201, INSTANCE)
        .run("create -f res.yaml -w dir -a shop")
        .answer(201, SECRET)
        .answer(201, INSTANCE)
        .answer(200, INSTANCE)
        .run("create -f dir/res.yaml --wait --json")
        .answer(
            409,
            r#"{"code":409,"message":"secret pin already exists","error":"already_exists"}"#,
        )
        .run("create -f dir/res.yaml")
        .run("create -f nope.yaml")
        .run("create -f bad.yaml")
        .check();
}

#[test]
fn documents_are_updated_and_deleted() {
    let gone = r#"{"code":404,"message":"service instance db not found"}"#;
    Case::new("documents/update_delete")
        .file("res.yaml", FILE)
        .answer(201, SECRET)
        .run("update -f res.yaml")
        .answer(204, "")
        .answer(200, INSTANCE)
        .answer(404, gone)
        .run("delete -f res.yaml --wait")
        .answer(404, r#"{"code":404,"message":"secret pin not found"}"#)
        .answer(200, "[]")
        .run("delete -f res.yaml")
        .check();
}
