//! For tests of this crate: a whole server in a temporary directory, on a clock of its own, and made-up objects.

use std::{sync::Arc, time::Duration};

use dispatch_engine::{ManualClock, SeededEntropy};
use dispatch_runtime::{spawn::DirectSpawner, worker::Ambient};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::{config::Settings, server, workers::Machine};

/// A server, and a client that is its administrator.
#[derive(Debug)]
pub struct TestServer {
    pub running: server::Running,
    pub clock: Arc<ManualClock>,
    pub directory: Arc<TempDir>,
    http: reqwest::Client,
    key: String,
}

/// An answer of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub settled: bool,
    pub text: String,
    /// `null` if it is not JSON.
    pub body: Value,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// On a directory that a server before may have left.
    pub async fn start_in(directory: Arc<TempDir>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        let local = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            listen: local,
            gateway_listen: local,
            gateway_tls_listen: local,
            data: directory.path().join("data"),
            keys: directory.path().join("keys"),
            client_config: directory.path().join("home/config.json"),
            ..Settings::default()
        };
        let seed = u64::from(std::process::id());
        let entropy = Arc::new(SeededEntropy::new(seed ^ directory_seed(&directory)));
        let parts = server::Parts { clock: Arc::clone(&clock) as _, entropy, machine: machine() };
        let running = server::start(settings, parts).await.unwrap();
        let config = std::fs::read_to_string(directory.path().join("home/config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let key = config["contexts"]["127-0-0-1"]["cookie"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running, clock, directory, http, key }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addresses.control_plane)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.http.delete(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.put(self.url(path)).json(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.header("Cookie", &self.key).header("X-Dispatch-Org", "dispatch");
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let settled = answer.headers().get("Dispatch-Settled").is_none();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, settled, text, body }
    }

    /// Moves the clock on until `done` says so; with the last answer when it never does.
    pub async fn until<T>(
        &self,
        path: &str,
        step: Duration,
        done: impl Fn(&Answer) -> Option<T>,
    ) -> T {
        let mut last = None;
        for _ in 0..2_000 {
            let answer = self.get(path).await;
            if let Some(found) = done(&answer) {
                return found;
            }
            last = Some(answer);
            self.clock.advance(step);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("never came; last answer of {path}: {last:?}");
    }

    pub async fn finish(self) {
        self.running.stop().await;
    }
}

/// Without a sandbox: these tests run nobody's code.
fn machine() -> Machine {
    Machine {
        spawner: Arc::new(DirectSpawner::default()),
        ambient: Ambient { unix_ms: || 1_800_000_000_000, random: || 4 },
        executable: "/proc/self/exe".into(),
        path: None,
    }
}

fn directory_seed(directory: &TempDir) -> u64 {
    let text = directory.path().to_string_lossy().into_owned();
    text.bytes().fold(7, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Objects with nothing in them that a test would mind.
pub mod objects {
    use dispatch_model::{
        Id, Object, Tags,
        object::Meta,
        service_binding::{self, Credentials, ServiceBinding},
        service_instance::{self, BindingWish, ServiceInstance},
    };
    use jiff::Timestamp;
    use uuid::Uuid;

    fn meta<K>() -> Meta<K> {
        let (id, organization) = (Id::from_uuid(Uuid::nil()), Id::from_uuid(Uuid::nil()));
        Meta::new(id, organization, "x".parse().unwrap(), Timestamp::UNIX_EPOCH, Tags::new())
    }

    pub fn instance() -> Object<ServiceInstance> {
        Object {
            meta: meta(),
            spec: service_instance::Spec {
                broker: Id::from_uuid(Uuid::nil()),
                service: "service".to_owned(),
                plan: "plan".to_owned(),
                class_name: "class".parse().unwrap(),
                plan_name: "plan".parse().unwrap(),
                bindable: true,
                parameters: None,
                secret_parameters: Vec::new(),
                binding: BindingWish::default(),
                retry: 0,
            },
            status: service_instance::Status::default(),
        }
    }

    pub fn binding() -> Object<ServiceBinding> {
        Object {
            meta: meta(),
            spec: service_binding::Spec {
                instance: Id::from_uuid(Uuid::nil()),
                instance_name: "x".parse().unwrap(),
                automatic: true,
                parameters: None,
                secret_parameters: Vec::new(),
                rotation: 0,
                retry: 0,
            },
            status: service_binding::Status::default(),
        }
    }

    pub fn credentials() -> Credentials {
        Credentials {
            secret: Id::from_uuid(Uuid::nil()),
            secret_name: "s".parse().unwrap(),
            keys: Vec::new(),
            version: 1,
            broker_binding_id: Uuid::from_u128(99),
            endpoints: Vec::new(),
            expires: None,
        }
    }
}
