//! pip and npm for real: in a sandbox, through the proxy, from a small index on loopback (PEP 503, npm's registry).

use dispatch_runtime::layer::Digest;
use serde_json::{Value, json};

use crate::{
    packages::{Address, Build, pip::Config},
    testing::{
        TestServer, World,
        index::{Index, PACKAGE, make_wheels},
    },
};

mod npm;

/// A server whose packages come from `pip`, with a base image.
async fn server(pip: Config) -> TestServer {
    let server = TestServer::start_in(World::sandboxed(Build { pip, ..Build::default() })).await;
    let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
    let made = server.post("/v1/baseimage?wait=60", &base).await;
    assert_eq!(made.body["status"], "READY", "{}", made.text);
    server
}

fn wish(name: &str, manifest: &str) -> Value {
    json!({"name": name, "baseImageName": "b", "runtimeDependencies": {"manifest": manifest}})
}

/// The image once it is READY or ERROR. The clock stands still: only pip's work is waited for.
async fn image(server: &TestServer, name: &str, manifest: &str) -> Value {
    let made = server.post("/v1/image", &wish(name, manifest)).await;
    assert_eq!((made.status, &made.body["status"]), (201, &json!("INITIALIZED")));
    settled(server, name).await
}

async fn settled(server: &TestServer, name: &str) -> Value {
    server
        .eventually(&format!("/v1/image/{name}"), |answer| {
            let status = answer.body["status"].as_str();
            matches!(status, Some("READY" | "ERROR")).then(|| answer.body.clone())
        })
        .await
}

/// What the layers of all images hold at their top.
async fn layers(server: &TestServer) -> Vec<(String, Vec<String>)> {
    let platform = server.running.platform();
    let images = platform.store.list::<dispatch_model::image::Image>(&platform.system).await;
    let mut found = Vec::new();
    for image in images.unwrap() {
        let image = image.readable().unwrap();
        let Some(layer) = image.status.built.and_then(|built| built.layer) else { continue };
        let digest: Digest = layer.parse().unwrap();
        let entries = std::fs::read_dir(platform.workers.builder.layers().path(digest)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        found.push((layer, names));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_of_a_plain_index_are_installed_with_credentials_that_the_build_does_not_learn() {
    let index = Index::plain().await;
    let server = server(index.settings("me:hunter2@")).await;
    let ready = image(&server, "i", PACKAGE).await;
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("READY"), &json!(null)), "{ready}");
    let log = ready["buildLog"].to_string();
    assert!(log.contains("Successfully installed greeting-1.0"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    assert_eq!(
        layers(&server).await[0].1,
        ["__pycache__", "greeting-1.0.dist-info", "greeting.py"]
    );
    assert!(index.asked().iter().all(|ask| ask.ends_with(" as me:hunter2")), "{:?}", index.asked());

    let asked = index.asked().len();
    let again = image(&server, "j", PACKAGE).await;
    assert_eq!(again["status"], "READY");
    assert_eq!(again["buildLog"], json!(["the same dependencies had been installed before"]));
    assert_eq!(index.asked().len(), asked, "nobody was asked again");
    let layers = layers(&server).await;
    assert_eq!(layers[0], layers[1]);
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_of_a_tls_index_come_through_a_tunnel_whose_certificate_pip_checks() {
    let index = Index::tls().await;
    let server = server(index.settings("")).await;
    let ready = image(&server, "i", PACKAGE).await;
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("READY"), &json!(null)), "{ready}");
    server.finish().await;

    let untrusted = Config { certificates: "".into(), ..index.settings("") };
    let server = self::server(untrusted).await;
    let failed = image(&server, "i", PACKAGE).await;
    assert_eq!(failed["status"], "ERROR", "{failed}");
    assert!(failed["buildLog"].to_string().contains("CERTIFICATE_VERIFY_FAILED"), "{failed}");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_installed_fails_with_pips_words_as_the_one_reason() {
    let (index, stranger) = (Index::plain().await, Index::plain().await);
    let server = server(index.settings("me:hunter2@")).await;
    let check = async |name: &str, manifest: &str, expect: &str| {
        let failed = image(&server, name, manifest).await;
        assert_eq!(failed["status"], "ERROR", "{failed}");
        assert_eq!(failed["reason"], json!([expect]), "{failed}");
        assert!(failed.get("dockerUrl").is_none());
    };
    let missing = "No matching distribution found for no-such-package";
    check("missing", "no-such-package\n", missing).await;
    let invalid = "Invalid requirement: 'a b' (from line 1 of /build/input/requirements.txt)";
    check("invalid", "a b\n", invalid).await;
    let url = stranger.url("");
    let place = url.strip_suffix("/simple/").unwrap();
    let refused = format!(
        "No matching distribution found for greeting; {place} is not among the hosts of build.pip"
    );
    let options = format!("--index-url {url}\n--trusted-host 127.0.0.1\ngreeting\n");
    check("refused", &options, &refused).await;
    assert_eq!(stranger.asked(), Vec::<String>::new());

    let mended = server.put("/v1/image/missing", &wish("missing", PACKAGE)).await;
    assert_eq!(
        (&mended.body["status"], &mended.body["reason"]),
        (&json!("UPDATING"), &json!(null))
    );
    assert_eq!(server.becomes("/v1/image/missing", "READY").await["reason"], json!(null));
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_nobody_wishes_for_any_more_is_cancelled() {
    let index = Index::hanging().await;
    let server = server(index.settings("")).await;
    server.post("/v1/image", &wish("i", PACKAGE)).await;
    index.until_asked(1).await;
    server.put("/v1/image/i", &wish("i", "")).await;
    server.becomes("/v1/image/i", "READY").await;

    server.post("/v1/image", &wish("j", PACKAGE)).await;
    index.until_asked(2).await;
    assert_eq!(server.delete("/v1/image/j").await.body["status"], "DELETED");
    server.quiet().await;

    // A server that stops does not wait for it either.
    server.post("/v1/image", &wish("k", PACKAGE)).await;
    index.until_asked(3).await;
    let world = server.world.clone();
    server.finish().await;
    let layers = world.directory.path().join("data/layers");
    let half = || {
        let entries = std::fs::read_dir(&layers).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.to_string_lossy().starts_with("making")).collect::<Vec<_>>()
    };
    until(|| half().is_empty(), || format!("{:?}", half())).await;
}

/// Waits for a condition; `last` says what there was instead.
async fn until(done: impl Fn() -> bool, last: impl Fn() -> String) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it never came: {}", last());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_wheels_is_mounted_and_what_is_not_used_is_noted() {
    let shelf = tempfile::tempdir().unwrap();
    make_wheels(shelf.path());
    let world_may_read = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(shelf.path(), world_may_read).unwrap();
    let links = [shelf.path().to_str().unwrap(), "/nowhere/at/all"];
    let server = server(Config {
        no_index: true,
        find_links: links.map(Address::new).to_vec(),
        not_used: vec!["client-cert names a file of the server's user".to_owned()],
        ..Config::default()
    })
    .await;
    let ready = image(&server, "i", PACKAGE).await;
    assert_eq!(ready["status"], "READY", "{ready}");
    let log = ready["buildLog"].as_array().unwrap();
    assert!(
        log[0].as_str().unwrap().starts_with("pip's setting is not used: client-cert"),
        "{ready}"
    );
    assert!(log[1].as_str().unwrap().contains("/nowhere/at/all is not used"), "{ready}");
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_was_lost_is_made_again_at_the_next_start() {
    let index = Index::plain().await;
    let world = World::sandboxed(index.build("me:hunter2@"));
    let server = TestServer::start_in(world.clone()).await;
    let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
    server.post("/v1/baseimage?wait=60", &base).await;
    image(&server, "i", PACKAGE).await;
    let (layer, _) = layers(&server).await.remove(0);
    let path = server.running.platform().workers.builder.layers().path(layer.parse().unwrap());
    server.finish().await;
    std::fs::remove_dir_all(&path).unwrap();
    let asked = index.asked().len();
    let server = TestServer::start_in(world).await;
    until(|| index.asked().len() > asked, || format!("{:?}", index.asked())).await;
    server.quiet().await;
    assert_eq!(server.get("/v1/image/i").await.body["status"], "READY");
    assert_eq!(layers(&server).await.len(), 1);
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_names_packages_gets_them_with_its_images() {
    let index = Index::plain().await;
    let server = server(index.settings("")).await;
    assert_eq!(image(&server, "i", "requests==2\n").await["status"], "READY");
    let source = "import greeting, requests\n\
                  def handle(ctx, payload): return [greeting.greet(payload), requests.__name__]\n";
    let files = |manifest: &str| {
        [("hello.py", source.to_owned()), ("requirements.txt", manifest.to_owned())]
    };
    server.function("f", &files(PACKAGE), json!({})).await;
    let done = server.call("f", json!("you")).await;
    assert_eq!(done["output"], json!(["hello you", "requests"]), "{done}");

    // Its image has other packages: it gets them.
    let changed =
        json!({"name": "i", "baseImageName": "b", "runtimeDependencies": {"manifest": ""}});
    server.put("/v1/image/i", &changed).await;
    settled(&server, "i").await;
    let reason = server
        .eventually("/v1/function/f", |answer| {
            (answer.body["status"] == "ERROR").then(|| answer.body["reason"].to_string())
        })
        .await;
    assert!(reason.contains("No module named 'requests'"), "{reason}");
    server.finish().await;
}
