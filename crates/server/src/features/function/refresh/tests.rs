//! Who is concerned by a change, in a whole server.

use dispatch_model::{
    Tags,
    function::{Deployed, Schemas, ServiceUse, Spec, Status},
    object::Meta,
};
use dispatch_store::Batch;
use serde_json::json;

use super::*;
use crate::{
    call_context::CallContext,
    features::function::project_now,
    testing::{TestPlatform, TestServer, until},
};

/// Deployed, and nobody has ever called it.
fn function(organization: Id<Organization>, number: u128, services: &[&str]) -> Object<Function> {
    let (id, name) = (Id::from_uuid(Uuid::from_u128(number)), format!("f{number}"));
    let services: Vec<ServiceUse> =
        services.iter().map(|text| ServiceUse::parse(text).unwrap()).collect();
    let digest = "0".repeat(64);
    let deployed = Deployed {
        faas_id: Uuid::nil(),
        runtime: "python3".to_owned(),
        base_digest: digest.clone(),
        dependencies: None,
        image_layer: None,
        code: digest,
        handler: String::new(),
        timeout_ms: 0,
        schema: Schemas::default(),
        secrets: if number == 3 { vec!["s".parse().unwrap()] } else { Vec::new() },
        services: services.clone(),
    };
    let spec = Spec {
        image: Id::from_uuid(Uuid::nil()),
        image_name: "i".parse().unwrap(),
        handler: String::new(),
        source: String::new(),
        schema: Schemas::default(),
        secrets: deployed.secrets.clone(),
        services,
        timeout_ms: 0,
        faas_id: Uuid::nil(),
    };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let mut meta = Meta::new(id, organization, name.parse().unwrap(), now, Tags::new());
    meta.generation = 1;
    let status = Status { observed_generation: 1, deployed: Some(deployed), ..Status::default() };
    Object { meta, spec, status }
}

async fn serve(platform: &Platform, functions: &[Object<Function>]) {
    for function in functions {
        let batch = Batch::system("test").create(function, &[], &[]);
        platform.store.commit(batch).await.unwrap();
        project_now(platform, function).await.unwrap();
    }
}

fn fill(platform: &Platform) {
    for one in platform.functions.matching(|_| true) {
        if let Err(reading) = one.context.get() {
            let (members, bindings) = (String::new().into(), Arc::default());
            let context =
                CallContext { members, bindings, endpoints: Arc::default(), values: Vec::new() };
            one.context.put(reading, Arc::new(context));
        }
    }
}

/// Names of those whose calls would read anew.
fn cleared(platform: &Platform) -> Vec<String> {
    let cleared = platform.functions.matching(|one| one.context.get().is_err());
    let mut names: Vec<String> = cleared.iter().map(|one| one.name.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn new_credentials_concern_only_the_functions_that_use_them() {
    let platform = TestPlatform::start().await;
    platform.instance("db").await;
    platform.instance("other").await;
    platform.post("/v1/secret", &json!({"name": "s", "secrets": {"k": "v"}})).await;
    platform.quiet().await;
    let parts = platform.running.platform();
    let org = "dispatch".parse().unwrap();
    let organization = parts.organization(&org).await.unwrap().unwrap().organization();
    let functions = [
        function(organization, 1, &["db"]),
        function(organization, 2, &["other"]),
        function(organization, 3, &[]),
        function(organization, 4, &["db=x", "other=y"]),
    ];
    serve(parts, &functions).await;
    let revision = |number| parts.workers.pools.current(Uuid::from_u128(number)).unwrap().id();
    let before = [1, 2, 3, 4].map(revision);
    fill(parts);
    platform.post("/v1/servicebinding/db/rotate?wait=60", &json!({})).await;
    until(|| revision(4) != before[3], || format!("{:?}", cleared(parts))).await;
    assert_eq!(cleared(parts), ["f1", "f4"]);
    let after = [1, 2, 3, 4].map(revision);
    assert_eq!((after[1], after[2]), (before[1], before[2]));
    assert_ne!((after[0], after[3]), (before[0], before[3]));

    // What the feed still says of the rotation concerns the same two.
    let only_f3 = async || {
        let has = |name: &str| cleared(parts).iter().any(|one| one == name);
        until(|| has("f3"), || format!("{:?}", cleared(parts))).await;
        assert!(!has("f2"), "{:?}", cleared(parts));
    };
    fill(parts);
    platform.put("/v1/secret/s", &json!({"name": "s", "secrets": {"k": "w"}})).await;
    only_f3().await;
    fill(parts);
    assert_eq!(platform.delete("/v1/secret/s").await.status, 204);
    only_f3().await;
    fill(parts);
    platform.delete("/v1/serviceinstance/other").await;
    platform.gone("/v1/serviceinstance/other").await;
    until(|| revision(2) != before[1], || "not taken away".to_owned()).await;
    platform.finish().await;
}

#[tokio::test]
async fn after_a_change_that_cannot_be_read_everybody_reads_anew_and_it_is_tried_again() {
    let server = TestServer::start().await;
    let parts = server.running.platform();
    server.post("/v1/secret", &json!({"name": "s", "secrets": {"k": "v"}})).await;
    let org = "dispatch".parse().unwrap();
    let organization = parts.organization(&org).await.unwrap().unwrap().organization();
    serve(parts, &[function(organization, 1, &[]), function(organization, 3, &[])]).await;
    let scope = parts.system.organization(organization);
    let secret = parts.store.get::<Secret>(&scope, &"s".parse().unwrap()).await.unwrap();
    let secret = secret.unwrap().readable().unwrap();
    fill(parts);
    assert_eq!(server.spoil("UPDATE object SET created = 9223372036854775807 WHERE name = 's'"), 1);
    assert!(parts.store.get_by_id::<Secret>(&scope, secret.meta.id).await.is_err());
    parts.store.commit(Batch::system("test").update_spec(&secret, &[], &[])).await.unwrap();
    let all = || cleared(parts) == ["f1", "f3"];
    until(all, || format!("{:?}", cleared(parts))).await;
    fill(parts);
    let again = || {
        server.world.clock.advance(Duration::from_secs(1));
        all()
    };
    until(again, || format!("not tried again: {:?}", cleared(parts))).await;
    server.finish().await;
}
