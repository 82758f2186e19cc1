//! `create`, `update`, `apply` and `delete -f`.

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

/// What uses others is below them, as in every file that can be created from.
const ORDER: &str = "\
{kind: Secret, name: pin}
---
{kind: ServiceInstance, name: db}
---
{kind: Image, name: python3}
---
{kind: Function, name: hello}
---
{kind: API, name: hello}
";

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
        .answer(200, INSTANCE)
        .answer(404, gone)
        .answer(204, "")
        .run("delete -f res.yaml --wait")
        .answer(404, gone)
        .answer(200, "[]")
        .run("delete -f res.yaml")
        .file("order.yaml", ORDER)
        .answer(200, "{}")
        .answer(200, "{}")
        .answer(200, "{}")
        .answer(200, INSTANCE)
        .answer(204, "")
        .run("delete -f order.yaml")
        .answer(200, "{}")
        .answer(200, "{}")
        .answer(200, "{}")
        .answer(200, INSTANCE)
        .answer(204, "")
        .run("delete -f order.yaml -o name")
        .check();
}

#[test]
fn what_is_applied_is_created_updated_or_left_alone() {
    let gone = r#"{"code":404,"message":"secret pin not found"}"#;
    let other = SECRET.replace("4711", "1");
    let tagged = SECRET.replace(r#""tags":null"#, r#""tags":[{"key":"role","value":"1"}]"#);
    let with_parameters = INSTANCE
        .replace(r#""secretParameters""#, r#""parameters":{"storage":2},"secretParameters""#);
    let class = r#"{"name":"postgresql","broker":"pg","enabled":false}"#;
    Case::new("documents/apply")
        .file("res.yaml", FILE)
        .file("class.yaml", "kind: ServiceClass\nname: postgresql\nbroker: pg\n")
        .answer(404, gone)
        .answer(201, SECRET)
        .answer(404, gone)
        .answer(201, INSTANCE)
        .answer(200, INSTANCE)
        .run("apply -f res.yaml --wait")
        .answer(200, &other)
        .answer(201, SECRET)
        .answer(200, &with_parameters)
        .run("apply -f res.yaml")
        .answer(200, &tagged)
        .answer(200, &with_parameters)
        .run("apply -f res.yaml -o yaml")
        .answer(200, &tagged)
        .answer(200, &with_parameters)
        .run("apply -f res.yaml -o name")
        .answer(200, &tagged)
        .answer(200, INSTANCE)
        .run("apply -f res.yaml")
        .answer(200, class)
        .answer(201, class)
        .run("apply -f class.yaml")
        .answer(500, r#"{"code":500,"message":"internal"}"#)
        .run("apply -f class.yaml")
        .run("apply")
        .run("apply res.yaml")
        .run("apply -f nowhere.yaml")
        .file("slip.yaml", &FILE.replace("ServiceInstance", "ServiceInstnce"))
        .run("apply -f slip.yaml")
        .answer(201, SECRET)
        .run("create -f slip.yaml")
        .run("apply -f slp.yaml")
        .file("member.yaml", "kind: Secret\nname: pin\nsecret: {pin: 1}\ncolour: red\n")
        .run("apply -f member.yaml")
        .answer(201, SECRET)
        .run("create -f member.yaml")
        .check();
}
