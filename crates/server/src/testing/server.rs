//! A server in this process, and what outlives it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dispatch_engine::{ManualClock, SeededEntropy};
use dispatch_runtime::{
    spawn::{DirectSpawner, Spawn},
    worker::Ambient,
};
use dispatch_store::AuditFilter;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::{config::Settings, faults::Faults, packages::Build, server, workers::Machine};

/// The clock is moved at most this often while something is waited for.
const MOVES_MAX: usize = 1_000;
/// For work that goes on by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// What outlives a server: its directory, the time, where ids come from, and what is to go wrong.
#[derive(Debug, Clone)]
pub struct World {
    pub directory: Arc<TempDir>,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub faults: Faults,
    pub broker_timeout: Duration,
    pub stop_timeout: Duration,
    /// Where builds get their packages.
    pub build: Build,
    /// Whoever starts processes; without it, they are ordinary children.
    pub spawner: Option<Arc<dyn Spawn>>,
}

impl World {
    pub fn new() -> Self {
        // In memory where that is possible: what a test waits for is then the code, not the disk.
        let memory = Path::new("/dev/shm");
        let directory = tempfile::Builder::new().prefix("dispatch-server-").tempdir_in(memory);
        let directory = directory.or_else(|_| tempfile::tempdir()).unwrap();
        let path = directory.path().to_string_lossy().into_owned();
        let seed = path.bytes().fold(u64::from(std::process::id()), |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        Self {
            directory: Arc::new(directory),
            clock: Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap())),
            entropy: Arc::new(SeededEntropy::new(seed)),
            faults: Faults::default(),
            broker_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
            build: Build::default(),
            spawner: None,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            broker_timeout_ms: self.broker_timeout.as_millis().try_into().unwrap(),
            stop_timeout_ms: self.stop_timeout.as_millis().try_into().unwrap(),
            build: self.build.clone(),
            ..settings(self.directory.path())
        }
    }

    /// Without a sandbox, unless the world has one.
    fn machine(&self) -> Machine {
        let spawner = self.spawner.clone();
        machine(spawner.unwrap_or_else(|| Arc::new(DirectSpawner)))
    }
}

/// Everything in this directory, and on loopback.
pub(super) fn settings(directory: &Path) -> Settings {
    let local = "127.0.0.1:0".parse().unwrap();
    Settings {
        listen: local,
        gateway_listen: local,
        gateway_tls_listen: local,
        data: directory.join("data"),
        keys: directory.join("keys"),
        client_config: directory.join("home/config.json"),
        ..Settings::default()
    }
}

pub(super) fn machine(spawner: Arc<dyn Spawn>) -> Machine {
    Machine {
        confinement: String::new(),
        spawner,
        ambient: Ambient { unix_ms: || 1_800_000_000_000, random },
        executable: std::env::current_exe().unwrap(),
        path: None,
    }
}

/// The administrator's key, as the first start has written it for the command line.
pub(super) fn key(directory: &Path) -> String {
    let config = std::fs::read_to_string(directory.join("home/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    config["contexts"]["127-0-0-1"]["cookie"].as_str().unwrap().to_owned()
}

/// Never the same twice in a process, which is all that tests need of it.
fn random() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A server, and a client that is its administrator.
#[derive(Debug)]
pub struct TestServer {
    pub running: server::Running,
    pub world: World,
    http: reqwest::Client,
    key: String,
    /// Requests that changed something.
    pub(super) changes: AtomicUsize,
}

/// An answer of the server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub settled: bool,
    /// What to send as `seen`.
    pub seen: Option<String>,
    /// A list that does not hold all there is.
    pub truncated: bool,
    pub text: String,
    /// `null` if it is not JSON.
    pub body: Value,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_in(World::new()).await
    }

    /// In a world that a server before may have left.
    pub async fn start_in(world: World) -> Self {
        let settings = world.settings();
        let parts = server::Parts {
            listeners: server::Listeners::bind(&settings).unwrap(),
            run_as: None,
            clock: Arc::clone(&world.clock) as _,
            entropy: Arc::clone(&world.entropy) as _,
            machine: world.machine(),
            host_name: Some("box.example".to_owned()),
            faults: world.faults.clone(),
        };
        let running = server::start(settings, parts).await.unwrap();
        let key = key(world.directory.path());
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { running, world, http, key, changes: AtomicUsize::new(0) }
    }

    /// Writes to the database past the server, as a disk or a person may; how many rows.
    pub fn spoil(&self, sql: &str) -> usize {
        let database = self.world.directory.path().join("data/dispatch.db");
        rusqlite::Connection::open(database).unwrap().execute(sql, ()).unwrap()
    }

    /// The administrator's, as the `Cookie` header takes it.
    pub fn key(&self) -> &str {
        &self.key
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
        let request = request.build().unwrap();
        let changes = request.method() != reqwest::Method::GET;
        let answer = self.http.execute(request).await.unwrap();
        let status = answer.status().as_u16();
        if changes && status < 400 {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        let settled = answer.headers().get("Dispatch-Settled").is_none();
        let seen = answer.headers().get("Dispatch-Seen").map(|seen| seen.to_str().unwrap().into());
        let truncated = answer.headers().get("Dispatch-Truncated").is_some_and(|it| it == "true");
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, settled, seen, truncated, text, body }
    }

    /// When a controller has something to do next: `None` if only a wake-up can bring something.
    pub fn busy_at(&self) -> Option<Timestamp> {
        self.running.busy_at()
    }

    /// Waits until the controllers have nothing to do before a later time.
    pub async fn quiet(&self) {
        self.quiet_until(|| false).await;
    }

    /// Waits until then, or until `or`.
    pub async fn quiet_until(&self, or: impl Fn() -> bool) {
        let begun = Instant::now();
        let now = || dispatch_engine::Clock::now(self.world.clock.as_ref());
        while self.busy_at().is_some_and(|at| at <= now()) && !or() {
            assert!(begun.elapsed() < PATIENCE, "the controllers never came to rest");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    }

    /// Moves the clock to what is to be done next; false if there is nothing.
    pub fn move_on(&self) -> bool {
        let now = dispatch_engine::Clock::now(self.world.clock.as_ref());
        let Some(at) = self.busy_at() else { return false };
        self.world.clock.advance(Duration::try_from(at.duration_since(now)).unwrap_or_default());
        true
    }

    /// Lets time pass, second by second, until a held answer has come. A second begins when the controllers are at
    /// rest, or wait for somebody else: on a busy machine work may take longer than the time that passes.
    pub async fn passing<T>(&self, held: impl Future<Output = T>) -> T {
        let mut held = std::pin::pin!(held);
        loop {
            match tokio::time::timeout(Duration::from_millis(5), &mut held).await {
                Ok(answer) => return answer,
                Err(_) => {
                    let begun = Instant::now();
                    self.quiet_until(|| begun.elapsed() > Duration::from_millis(100)).await;
                    self.world.clock.advance(Duration::from_secs(1));
                }
            }
        }
    }

    /// GETs until `done` says so, moving the clock whenever nothing is left to do before a later time.
    pub async fn until<T>(&self, path: &str, done: impl Fn(&Answer) -> Option<T>) -> T {
        let mut last = String::new();
        for _ in 0..MOVES_MAX {
            self.quiet().await;
            let answer = self.get(path).await;
            if let Some(found) = done(&answer) {
                return found;
            }
            last = format!("{} {}", answer.status, answer.text);
            if !self.move_on() {
                break;
            }
        }
        panic!("never came; last answer of {path}: {last}");
    }

    /// GETs until `done` says so, without moving the clock: for what goes on by itself.
    pub async fn eventually<T>(&self, path: &str, done: impl Fn(&Answer) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await;
            if let Some(found) = done(&answer) {
                return found;
            }
            let Answer { status, text, .. } = answer;
            assert!(
                begun.elapsed() < PATIENCE,
                "never came; last answer of {path}: {status} {text}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The object once it has this status.
    pub async fn becomes(&self, path: &str, status: &str) -> Value {
        self.eventually(path, |answer| {
            (answer.body["status"] == status).then(|| answer.body.clone())
        })
        .await
    }

    /// The object once it is READY or ERROR and nothing is to be done at this time; `null` once it is gone.
    pub async fn settled(&self, path: &str) -> Value {
        self.until(path, |answer| match answer.body["status"].as_str() {
            Some("READY" | "ERROR") => Some(answer.body.clone()),
            _ => (answer.status == 404).then_some(Value::Null),
        })
        .await
    }

    /// Each request that changed something has left exactly one row in the audit log.
    pub async fn finish(self) {
        let platform = self.running.platform();
        let rows = platform.store.audit(&platform.system, &AuditFilter::default()).await.unwrap();
        assert_eq!(rows.len(), self.changes.load(Ordering::Relaxed), "{rows:#?}");
        self.running.stop().await;
    }
}
