//! Functions in real sandboxes, made and called through the API.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{TestServer, World};
use crate::packages::Build;

/// For work that goes on by itself.
const PATIENCE: Duration = Duration::from_secs(60);

impl TestServer {
    /// With an image `i` of the machine's Python.
    pub async fn with_python(build: Build) -> Self {
        let server = Self::start_in(World::sandboxed(build)).await;
        server.make_image().await;
        server
    }

    pub async fn make_image(&self) {
        let base = json!({"name": "b", "dockerUrl": "host:python3", "language": "python3"});
        assert_eq!(self.post("/v1/baseimage?wait=60", &base).await.body["status"], "READY");
        let image = json!({"name": "i", "baseImageName": "b"});
        assert_eq!(self.post("/v1/image?wait=60", &image).await.body["status"], "READY");
    }

    /// Makes a function of these files, with these members besides, and waits until it is READY.
    pub async fn function(&self, name: &str, files: &[(&str, String)], more: Value) {
        let made = self.post("/v1/function?wait=60", &wish(name, archive(files), more)).await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("READY")), "{}", made.text);
    }

    pub async fn update(&self, name: &str, files: &[(&str, String)], more: Value) {
        let path = format!("/v1/function/{name}?wait=60");
        let made = self.put(&path, &wish(name, archive(files), more)).await;
        assert_eq!((made.status, &made.body["status"]), (200, &json!("READY")), "{}", made.text);
    }

    /// The finished run. A blocking run leaves no audit row.
    pub async fn call(&self, name: &str, input: Value) -> Value {
        let path = format!("/v1/runs?functionName={name}");
        let answer = self.post(&path, &json!({"blocking": true, "input": input})).await;
        if answer.status == 200 {
            self.changes.fetch_sub(1, Ordering::Relaxed);
        }
        answer.body
    }

    /// Waits until at most one worker is left, and none that is on its way out.
    pub async fn no_worker(&self, name: &str) {
        let pools = &self.running.platform().workers.pools;
        let ending = || {
            pools.workers_with(|worker| {
                pools.current(worker.function).is_none_or(|now| now.id() != worker.revision.id())
            })
        };
        until(|| ending().is_empty(), || format!("{name}: {:?}", ending())).await;
    }
}

/// What `POST /v1/function` takes, on image `i`.
pub fn wish(name: &str, source: Vec<u8>, more: Value) -> Value {
    let mut wish = json!({"name": name, "image": "i", "source": STANDARD.encode(source)});
    if let (Some(wish), Value::Object(more)) = (wish.as_object_mut(), more) {
        wish.extend(more);
    }
    wish
}

/// A gzip-compressed tar of these files.
pub fn archive(files: &[(&str, String)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Waits for a condition; `last` says why not.
pub async fn until(done: impl Fn() -> bool, last: impl Fn() -> String) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "never came: {}", last());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
