//! One test for a file.

use super::{check, folder};
use crate::testing::{TestPlatform, TestServer, World, index::Index};

const FILES: [&str; 12] = [
    "apis.txt",
    "functions.txt",
    "hello.py",
    "images.txt",
    "routing.txt",
    "runs.txt",
    "secrets.txt",
    "servicebindings.txt",
    "servicebrokers.txt",
    "serviceclasses.txt",
    "serviceinstances.txt",
    "updated.py",
];

async fn on_its_own(name: &str) {
    let server = TestServer::start().await;
    check(&server, None, name).await;
    server.running.stop().await;
}

#[tokio::test]
async fn paths_methods_and_credentials_are_answered_as_recorded() {
    on_its_own("routing").await;
}

#[tokio::test]
async fn secrets_are_answered_as_recorded() {
    on_its_own("secrets").await;
}

/// With sandboxes, and an index that has what the recorded manifests ask for.
async fn in_sandboxes(name: &str) {
    let index = Index::plain().await;
    let server = TestServer::start_in(World::sandboxed(index.build(""))).await;
    check(&server, None, name).await;
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn base_images_and_images_are_answered_as_recorded() {
    in_sandboxes("images").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_and_runs_are_answered_as_recorded() {
    in_sandboxes("runs").await;
}

#[tokio::test]
async fn functions_and_runs_without_a_worker_are_answered_as_recorded() {
    on_its_own("functions").await;
}

#[tokio::test]
async fn apis_are_answered_as_recorded() {
    on_its_own("apis").await;
}

/// With the fake broker, which nobody has registered yet.
async fn beside_a_broker(name: &str) {
    let platform = TestPlatform::unregistered().await;
    check(&platform.server, Some(&platform.broker), name).await;
    platform.server.running.stop().await;
    platform.broker.finish().await;
}

#[tokio::test]
async fn service_brokers_are_answered_as_specified() {
    beside_a_broker("servicebrokers").await;
}

#[tokio::test]
async fn service_classes_are_answered_as_specified() {
    beside_a_broker("serviceclasses").await;
}

#[tokio::test]
async fn service_instances_are_answered_as_specified() {
    beside_a_broker("serviceinstances").await;
}

#[tokio::test]
async fn service_bindings_are_answered_as_specified() {
    beside_a_broker("servicebindings").await;
}

#[test]
fn every_golden_file_is_played() {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut found: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, FILES);
}
