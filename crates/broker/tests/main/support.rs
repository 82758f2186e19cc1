//! One cluster for all tests of this binary, and a broker for each of them.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dispatch_broker::postgresql::{
    AdminUrlSource, Options, SERVICE_ID, SHARED_SMALL_ID, ServeError, Steps, Timeouts, serve,
};
use dispatch_broker::testing::{PostgresCluster, connect};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::process::Process;

/// The cluster of this binary. It ends when the process does: its supervisor sees to that.
pub(crate) async fn cluster() -> &'static PostgresCluster {
    static CLUSTER: OnceCell<PostgresCluster> = OnceCell::const_new();
    let start = || async {
        PostgresCluster::builder()
            .setting("log_statement", "all")
            .setting("max_prepared_transactions", "8")
            .start()
            .await
            .expect("a cluster")
    };
    CLUSTER.get_or_init(start).await
}

/// A fresh UUID: no two tests of the binary share one.
pub(crate) fn new_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{number:08x}-0000-4000-8000-{:012x}", u64::from(std::process::id()))
}

pub(crate) fn options(cluster: &PostgresCluster, data: &Path) -> Options {
    let url = cluster.admin_url().into();
    let mut options = Options::new(data, AdminUrlSource::Value(url));
    options.ca_file = Some(cluster.ca_file());
    be_patient(&mut options);
    options
}

/// No test that is not about a limit runs into one, however busy the machine is.
pub(crate) fn be_patient(options: &mut Options) {
    options.start = Duration::from_secs(60);
    options.timeouts = Timeouts {
        connect: Duration::from_secs(30),
        statement: Duration::from_secs(60),
        lock: Duration::from_secs(30),
        sessions: Duration::from_secs(60),
        turn: Duration::from_secs(60),
        operation: Duration::from_secs(110),
    };
}

/// A running broker.
pub(crate) struct Broker {
    pub(crate) url: String,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), ServeError>>>,
    process: Option<Process>,
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(120)).build().expect("a client")
}

/// What it answered.
pub(crate) type Answer = (u16, Value);

impl Broker {
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(options, listener, async {
            let _ = stopped.await;
        }));
        let url = format!("http://{address}");
        Self { url, http: http(), stop: Some(stop), task: Some(task), process: None }
    }

    /// In a process of its own, which exits after that many points.
    pub(crate) async fn exits_after(data: &Path, points: u32) -> Self {
        let (process, url) = Process::start(data, points).await;
        Self { url, http: http(), stop: None, task: None, process: Some(process) }
    }

    /// On the shared cluster, with a data directory that is the caller's.
    pub(crate) async fn on(data: &Path) -> Self {
        Self::start(options(cluster().await, data)).await
    }

    /// The same, but it dies after that many points.
    pub(crate) async fn killed_after(data: &Path, points: u32) -> (Self, Steps) {
        let mut options = options(cluster().await, data);
        let steps = Steps::killed_after(points);
        options.steps = steps.clone();
        (Self::start(options).await, steps)
    }

    pub(crate) async fn finish(mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        // Connections that this client keeps open would be waited for.
        self.http = http();
        self.task.take().expect("not finished yet").await.expect("no panic")
    }

    /// Kills the process, if it has not exited by itself; whether it had.
    pub(crate) fn kill(mut self) -> bool {
        self.process.take().expect("a process").end()
    }

    /// Tells it to stop, and goes on.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_send(method, path, body).await.expect("an answer")
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.header("X-Broker-API-Version", "2.17");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Whether its process has died at its point.
    pub(crate) fn has_died(&mut self) -> bool {
        self.process.as_mut().expect("a process").has_died()
    }

    pub(crate) async fn provision(&self, instance: &str) -> Answer {
        let path = format!("/v2/service_instances/{instance}");
        self.send("PUT", &path, Some(provision_body())).await
    }

    pub(crate) async fn deprovision(&self, instance: &str) -> Answer {
        self.send("DELETE", &format!("/v2/service_instances/{instance}?{}", query()), None).await
    }

    pub(crate) async fn bind(&self, instance: &str, binding: &str) -> Answer {
        let path = format!("/v2/service_instances/{instance}/service_bindings/{binding}");
        self.send("PUT", &path, Some(bind_body())).await
    }

    pub(crate) async fn unbind(&self, instance: &str, binding: &str) -> Answer {
        let path = format!("/v2/service_instances/{instance}/service_bindings/{binding}");
        self.send("DELETE", &format!("{path}?{}", query()), None).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    /// A new instance with a binding; its credentials.
    pub(crate) async fn bound(&self, instance: &str, binding: &str) -> Credentials {
        let (status, body) = self.provision(instance).await;
        assert!(matches!(status, 200 | 201), "provision: {status} {body}");
        self.credentials(instance, binding).await
    }

    pub(crate) async fn credentials(&self, instance: &str, binding: &str) -> Credentials {
        let (status, body) = self.bind(instance, binding).await;
        assert!(matches!(status, 200 | 201), "bind: {status} {body}");
        Credentials::of(&body)
    }
}

pub(crate) fn query() -> String {
    format!("service_id={SERVICE_ID}&plan_id={SHARED_SMALL_ID}")
}

pub(crate) fn provision_body() -> Value {
    json!({
        "service_id": SERVICE_ID,
        "plan_id": SHARED_SMALL_ID,
        "organization_guid": "0b1d5b2e-9f31-4c6c-8f6f-000000000001",
        "space_guid": "0b1d5b2e-9f31-4c6c-8f6f-000000000002",
        "context": {"platform": "dispatch"},
    })
}

pub(crate) fn bind_body() -> Value {
    json!({
        "service_id": SERVICE_ID,
        "plan_id": SHARED_SMALL_ID,
        "bind_resource": {"app_guid": "0b1d5b2e-9f31-4c6c-8f6f-000000000003"},
    })
}

/// A body with another field.
pub(crate) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body.as_object_mut().expect("an object").insert(field.to_owned(), value);
    body
}

/// The credentials of a binding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credentials(pub(crate) Map<String, Value>);

impl Credentials {
    pub(crate) fn of(body: &Value) -> Self {
        Self(body["credentials"].as_object().expect("credentials").clone())
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).expect("a text")
    }

    /// As a function would connect.
    pub(crate) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        self.connect_to(self.get("database")).await
    }

    pub(crate) async fn connect_to(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let port = self.get("port").parse().expect("a port");
        let (user, password) = (self.get("username"), self.get("password"));
        connect(port, self.get("caCertificate"), user, password, database).await
    }
}

/// The code with which PostgreSQL refuses, or what it did instead.
pub(crate) fn code<T>(result: Result<T, tokio_postgres::Error>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

/// Databases and roles whose names begin with a text.
pub(crate) async fn names_with(start: &str) -> Vec<String> {
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query = "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1) \
         UNION ALL SELECT rolname::text FROM pg_roles WHERE starts_with(rolname::text, $1)";
    let rows = admin.query(query, &[&start]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

/// Nothing in PostgreSQL reminds of the instance any more.
pub(crate) async fn assert_gone(instance: &str) {
    let short = instance.split('-').next().expect("a part");
    for start in [instance, &format!("u_{short}_")] {
        assert_eq!(names_with(start).await, Vec::<String>::new(), "left of {instance}");
    }
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = tokio::time::Instant::now();
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(reason) if started.elapsed() > Duration::from_secs(120) => panic!("{reason}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
