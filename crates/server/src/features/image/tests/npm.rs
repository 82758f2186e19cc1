//! npm's packages.

use serde_json::{Value, json};

use super::{image, layers};
use crate::{
    packages::{Build, npm},
    testing::{
        TestServer, World,
        functions::{archive, wish},
        index::Index,
    },
};

const MANIFEST: &str = r#"{"dependencies": {"greeting": "^1.0.0"}}"#;

async fn server(build: Build) -> TestServer {
    let server = TestServer::start_in(World::sandboxed(build)).await;
    let base = json!({"name": "b", "dockerUrl": "host:nodejs", "language": "nodejs"});
    let made = server.post("/v1/baseimage?wait=60", &base).await;
    assert_eq!(made.body["status"], "READY", "{}", made.text);
    server
}

fn is_ready(image: &Value) {
    assert_eq!((&image["status"], &image["reason"]), (&json!("READY"), &json!(null)), "{image}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_calls_packages_of_a_plain_registry_that_knows_us() {
    let index = Index::plain().await;
    let server = server(index.build("me:hunter2@")).await;
    let ready = image(&server, "i", MANIFEST).await;
    is_ready(&ready);
    let log = ready["buildLog"].to_string();
    assert!(log.contains("added 1 package") && !log.contains("hunter2"), "{log}");
    assert_eq!(layers(&server).await[0].1, ["node_modules", "package.json"]);
    assert!(index.asked().iter().all(|ask| ask.ends_with(" as me:hunter2")), "{:?}", index.asked());

    let source = "const { greet } = require('greeting');\n\
                  module.exports = async (context, params) => greet(params.name)\n";
    server.function("f", &[("hello.js", source.to_owned())], json!({"image": "i"})).await;
    let done = server.call("f", json!({"name": "you"})).await;
    assert_eq!(done["output"], json!("hello you"), "{done}");

    let asked = index.asked().len();
    is_ready(&image(&server, "j", MANIFEST).await);
    assert_eq!(index.asked().len(), asked, "nobody was asked again");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_registry_is_reached_through_a_tunnel_and_its_certificate_is_checked() {
    let index = Index::tls().await;
    let trusting = server(index.build("")).await;
    is_ready(&image(&trusting, "i", MANIFEST).await);
    trusting.finish().await;
    let build = index.build("");
    let npm = npm::Config { certificates: "".into(), ..build.npm.clone() };
    let untrusting = server(Build { npm, ..build }).await;
    let failed = image(&untrusting, "i", MANIFEST).await;
    assert_eq!(failed["status"], "ERROR", "{failed}");
    assert!(failed["reason"].to_string().contains("self-signed certificate"), "{failed}");
    untrusting.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_installed_fails_with_npms_words_as_the_one_reason() {
    let (index, stranger) = (Index::plain().await, Index::plain().await);
    let server = server(index.build("")).await;
    let check = async |name: &str, manifest: &str, expect: &str| {
        let failed = image(&server, name, manifest).await;
        let reason = failed["reason"][0].as_str().unwrap_or_default();
        assert!(failed["status"] == "ERROR" && reason.contains(expect), "{failed}");
    };
    check("a", r#"{"dependencies": {"nope": "1"}}"#, "404 Not Found").await;
    check("b", r#"{"dependencies": {"greeting": "2"}}"#, "No matching version found").await;
    check("c", "{", "EJSONPARSE").await;
    let url = stranger.build("").npm.registry;
    let place = format!("{url:?}");
    let elsewhere = json!({"dependencies": {"x": format!("{}-/x.tgz", place.trim_matches('"'))}});
    check("d", &elsewhere.to_string(), "is not among the hosts of build.npm").await;
    assert_eq!(stranger.asked(), Vec::<String>::new());
    is_ready(&image(&server, "e", "{}").await);
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_names_packages_gets_them_by_itself() {
    let index = Index::plain().await;
    let server = server(index.build("")).await;
    is_ready(&image(&server, "i", "").await);
    let source = "module.exports = (_, { name }) => require('greeting').greet(name)\n";
    let files =
        |manifest: &str| [("hello.js", source.to_owned()), ("package.json", manifest.to_owned())];
    server.function("f", &files(MANIFEST), json!({})).await;
    let done = server.call("f", json!({"name": "you"})).await;
    assert_eq!(done["output"], json!("hello you"), "{done}");

    let nope = r#"{"dependencies": {"nope": "1"}}"#;
    let wish = wish("g", archive(&files(nope)), json!({}));
    let failed = server.post("/v1/function?wait=60", &wish).await;
    let reason = failed.body["reason"].to_string();
    assert!(failed.body["status"] == "ERROR" && reason.contains("404 Not Found"), "{reason}");
    let wish = self::wish("h", archive(&files("[")), json!({}));
    let failed = server.post("/v1/function?wait=60", &wish).await;
    assert!(failed.body["reason"].to_string().contains("its package.json: "), "{}", failed.text);
    server.finish().await;
}
