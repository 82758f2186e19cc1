//! A broker's data directory in which clusters live, and what there is of them. Whatever runs there
//! ends with the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use dispatch_broker::postgresql::{DEDICATED_ID, DedicatedOptions, Options};
use dispatch_broker::testing;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    self, Answer, Broker, Credentials, bind_body, cluster, eventually, new_id, provision_body, with,
};

/// As every test has them: nothing is synced.
pub(crate) fn settings(ports: &str) -> DedicatedOptions {
    let mut settings = DedicatedOptions::new(ports.trim().parse().expect("a range"));
    settings.required = true;
    settings.durable = false;
    settings.measure = Duration::from_millis(200);
    settings
}

pub(super) struct Place {
    directory: TempDir,
    /// First and last.
    pub(super) ports: (u16, u16),
}

impl Place {
    /// With ports that no other test of this process has.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = u16::try_from(std::process::id() % 64).expect("small");
        let first = 20_000 + base * 128 + number * 4;
        let place = Self {
            directory: testing::directory().expect("a directory"),
            ports: (first, first + 3),
        };
        fs::create_dir(place.data()).expect("made");
        fs::write(place.data().join("ports"), place.range()).expect("written");
        place
    }

    /// The broker's.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("broker")
    }

    fn range(&self) -> String {
        format!("{}-{}", self.ports.0, self.ports.1)
    }

    pub(super) async fn options(&self) -> Options {
        let mut options = support::options(cluster().await, &self.data());
        options.dedicated = Some(settings(&self.range()));
        options
    }

    pub(super) async fn broker(&self) -> Broker {
        Broker::start(self.options().await).await
    }

    /// The directory of an instance, whose id is a UUID.
    pub(super) fn cluster(&self, instance: &str) -> PathBuf {
        self.data().join("clusters").join(instance)
    }

    /// The process that `postmaster.pid` names.
    pub(super) fn postmaster(&self, instance: &str) -> i32 {
        let path = self.cluster(instance).join("data/postmaster.pid");
        let text = fs::read_to_string(path).expect("postmaster.pid");
        text.lines().next().expect("a line").parse().expect("an id")
    }

    /// No process, no file, no port, no entry.
    pub(super) async fn assert_nothing_is_left_of(&self, instance: &str) {
        assert_eq!(working_in(&self.cluster(instance)), BTreeSet::new(), "processes");
        assert!(!self.cluster(instance).exists(), "files");
        let books = rusqlite::Connection::open(self.data().join("books.db")).expect("opened");
        let query = "SELECT count(*) FROM instances WHERE id = ?1 AND port IS NOT NULL";
        let left: i64 = books.query_row(query, [instance], |row| row.get(0)).expect("a row");
        assert_eq!(left, 0, "entries with a port");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Until there is none: a postmaster makes processes as long as it lives.
        for _ in 0..1_000 {
            let pids = working_in(self.directory.path());
            if pids.is_empty() {
                break;
            }
            for pid in pids {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// The processes that work in a directory.
pub(super) fn working_in(directory: &Path) -> BTreeSet<i32> {
    let entries = fs::read_dir("/proc").expect("listed");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|at| at.starts_with(directory))
    })
    .collect()
}

/// The text at a place of a document, or none.
pub(super) fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn path(instance: &str) -> String {
    format!("/v2/service_instances/{instance}")
}

pub(super) fn body(parameters: Value) -> Value {
    with(with(provision_body(), "plan_id", json!(DEDICATED_ID)), "parameters", parameters)
}

pub(super) fn query() -> String {
    format!("service_id={}&plan_id={DEDICATED_ID}", dispatch_broker::postgresql::SERVICE_ID)
}

/// Asks for an instance; it is made in the background.
pub(super) async fn begin(broker: &Broker, instance: &str) -> Answer {
    let path = format!("{}?accepts_incomplete=true", path(instance));
    broker.send("PUT", &path, Some(body(json!({})))).await
}

/// Waits for the end of what is under way: its state, or that nothing is left, and all that was
/// said on the way.
pub(super) async fn settled(broker: &Broker, instance: &str) -> (String, Vec<String>) {
    let path = format!("{}/last_operation", path(instance));
    let mut said: Vec<String> = Vec::new();
    let end = eventually(async || {
        let (status, body) = broker.get(&path).await;
        let words = text(&body, "/description").to_owned();
        if said.last() != Some(&words) {
            said.push(words);
        }
        let state = text(&body, "/state").to_owned();
        match (status, state.as_str()) {
            (410, _) => Ok("gone".to_owned()),
            (_, "succeeded" | "failed") => Ok(state),
            _ => Err(format!("{instance} is {body}")),
        }
    })
    .await;
    (end, said)
}

/// An instance that is ready.
pub(super) async fn made(broker: &Broker) -> String {
    let instance = new_id();
    assert_eq!(begin(broker, &instance).await.0, 202);
    let (state, said) = settled(broker, &instance).await;
    assert_eq!(state, "succeeded", "{said:?}");
    instance
}

pub(super) async fn bind(broker: &Broker, instance: &str, binding: &str) -> Answer {
    let path = format!("{}/service_bindings/{binding}", path(instance));
    broker.send("PUT", &path, Some(with(bind_body(), "plan_id", json!(DEDICATED_ID)))).await
}

pub(super) async fn unbind(broker: &Broker, instance: &str, binding: &str) -> Answer {
    let path = format!("{}/service_bindings/{binding}?{}", path(instance), query());
    broker.send("DELETE", &path, None).await
}

pub(super) async fn bound(broker: &Broker, instance: &str) -> Credentials {
    let (status, body) = bind(broker, instance, &new_id()).await;
    assert_eq!(status, 201, "{body}");
    Credentials::of(&body)
}

pub(super) async fn delete(broker: &Broker, instance: &str) -> Answer {
    let path = format!("{}?{}&accepts_incomplete=true", path(instance), query());
    broker.send("DELETE", &path, None).await
}

/// Removes an instance; nothing is left.
pub(super) async fn removed(place: &Place, broker: &Broker, instance: &str) {
    let (status, body) = delete(broker, instance).await;
    assert!(matches!(status, 200 | 202 | 410), "{status} {body}");
    let (end, said) = settled(broker, instance).await;
    assert_eq!(end, "gone", "{said:?}");
    place.assert_nothing_is_left_of(instance).await;
}
