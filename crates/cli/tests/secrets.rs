//! `dispatch … secret`.

use crate::support::Case;

const OPEN_SESAME: &str = r#"{"id":"039034e0-9487-4b36-83ab-32005209047d","kind":"Secret","name":"open-sesame","secrets":{"password":"OpenSesame"},"tags":null}"#;
const NOT_FOUND: &str = r#"{"code":404,"message":"secret open-seasme not found"}"#;

#[test]
fn a_secret_is_created_from_a_file() {
    Case::new("secrets/create")
        .file("secret.json", r#"{"password": "OpenSesame"}"#)
        .file("bad.json", "hunter2")
        .answer(201, OPEN_SESAME)
        .run("create secret open-sesame secret.json")
        .answer(201, OPEN_SESAME)
        .run("create secret open-sesame secret.json -a shop --json")
        .answer(409, r#"{"code":409,"message":"secret open-sesame already exists","error":"already_exists"}"#)
        .run("create secret open-sesame secret.json")
        .run("create secret x missing.json")
        .run("create secret x bad.json")
        .check();
}

#[test]
fn values_are_shown_only_where_they_are_asked_for() {
    let list = format!("[{OPEN_SESAME}]");
    Case::new("secrets/get")
        .answer(200, "[]")
        .run("get secrets")
        .answer(200, &list)
        .run("get secrets")
        .answer(200, OPEN_SESAME)
        .run("get secret open-sesame")
        .answer(200, OPEN_SESAME)
        .run("get secret open-sesame -o wide")
        .answer(200, &list)
        .run("get secret -o name")
        .answer(200, OPEN_SESAME)
        .run("get secret open-sesame --all")
        .answer(200, &list)
        .run("get secret --json")
        .answer(200, &list)
        .run("get secret -o yaml")
        .answer(200, OPEN_SESAME)
        .run("describe secret open-sesame")
        .answer(200, OPEN_SESAME)
        .run("describe secret open-sesame --json")
        .check();
}

#[test]
fn a_name_with_a_slip_is_pointed_out() {
    Case::new("secrets/not_found")
        .answer(404, NOT_FOUND)
        .answer(200, &format!("[{OPEN_SESAME}]"))
        .run("get secret open-seasme")
        .answer(404, NOT_FOUND)
        .answer(500, "")
        .run("get secret open-seasme --json")
        .answer(404, NOT_FOUND)
        .answer(200, &format!("[{OPEN_SESAME}]"))
        .run("delete secret open-seasme")
        .check();
}

#[test]
fn a_secret_is_deleted() {
    Case::new("secrets/delete")
        .answer(204, "")
        .run("delete secret open-sesame")
        .answer(204, "")
        .run("delete secrets open-sesame --json")
        .check();
}
