//! A store in a directory of its own, with ids and a clock that count.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dispatch_model::{Id, Kind, Meta, Noun, Object, organization::Organization};
use dispatch_store::{
    AuditRow, Batch, Keyring, Options, OrgScope, RunRecord, RunState, Store, Stored, SystemScope,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use uuid::Uuid;

/// A kind for tests. It borrows the name of a real one; the store does not care.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Probe {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeSpec {
    pub(crate) wish: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeStatus {
    pub(crate) seen: u32,
}

impl Noun for Probe {
    const KIND: Kind = Kind::Function;
    type Spec = ProbeSpec;
    type Status = ProbeStatus;
}

pub(crate) struct Harness {
    open: RwLock<(Store, Arc<SystemScope>)>,
    directory: TempDir,
    counter: AtomicU64,
}

impl Harness {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = RwLock::new(open(directory.path()).await);
        Self { open, directory, counter: AtomicU64::new(0) }
    }

    pub(crate) fn store(&self) -> Store {
        self.open.read().unwrap().0.clone()
    }

    pub(crate) fn system(&self) -> Arc<SystemScope> {
        Arc::clone(&self.open.read().unwrap().1)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        database(self.directory.path())
    }

    pub(crate) async fn restart(&self) {
        self.store().close().await;
        let opened = open(self.directory.path()).await;
        *self.open.write().unwrap() = opened;
    }

    /// Two different numbers are two different organizations.
    pub(crate) fn organization(&self, number: u128) -> OrgScope {
        self.system().organization(Uuid::from_u128(0xa000 + number).into())
    }

    pub(crate) fn id(&self) -> Uuid {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(0x1000_0000 + u128::from(n))
    }

    pub(crate) fn now(&self) -> Timestamp {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_microsecond(1_800_000_000_000_001 + n.cast_signed()).unwrap()
    }

    pub(crate) fn probe(&self, scope: &OrgScope, name: &str) -> Object<Probe> {
        self.object(scope, name, ProbeSpec { wish: format!("{name} wishes") })
    }

    pub(crate) fn object<K: Noun>(&self, scope: &OrgScope, name: &str, spec: K::Spec) -> Object<K> {
        let now = self.now();
        let meta = Meta {
            id: self.id().into(),
            organization: scope.organization(),
            name: name.parse().unwrap(),
            generation: 1,
            status_revision: 0,
            created: now,
            modified: now,
            deleting: None,
            tags: [("team".to_owned(), "a".to_owned())].into(),
        };
        Object { meta, spec, status: K::Status::default() }
    }

    /// Stores a new object and returns it.
    pub(crate) async fn created(&self, scope: &OrgScope, name: &str) -> Object<Probe> {
        let object = self.probe(scope, name);
        self.store().commit(Batch::system("test").create(&object, &[], &[])).await.unwrap();
        object
    }

    pub(crate) async fn load(&self, object: &Object<Probe>) -> Option<Object<Probe>> {
        let found = self.store().get_by_id(&*self.system(), object.meta.id).await.unwrap();
        found.map(|stored| stored.readable().unwrap())
    }

    pub(crate) fn audit_row(&self, scope: &OrgScope, action: &str) -> AuditRow {
        AuditRow {
            at: self.now(),
            actor: "someone".to_owned(),
            organization: Some(scope.organization()),
            action: action.to_owned(),
            kind: Some(Kind::Function),
            name: Some("hello".to_owned()),
            id: Some(self.id()),
            source: Some([127, 0, 0, 1].into()),
            request_id: self.id(),
            details: serde_json::json!({"fields": ["image"]}),
        }
    }

    pub(crate) fn run(&self, scope: &OrgScope, function: Uuid, state: RunState) -> RunRecord {
        RunRecord {
            id: self.id(),
            organization: scope.organization(),
            function,
            state,
            created: self.now(),
            finished: None,
            body: r#"{"output":1}"#.to_owned(),
        }
    }

    pub(crate) async fn finish(self) {
        self.store().close().await;
    }
}

pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("dispatch.db")
}

pub(crate) fn options(directory: &Path) -> Options {
    Options::new(database(directory), Keyring::open(directory.join("keys")).unwrap())
}

pub(crate) async fn open(directory: &Path) -> (Store, Arc<SystemScope>) {
    let (store, system) = Store::open(options(directory)).await.unwrap();
    (store, Arc::new(system))
}

pub(crate) fn names<K: Noun>(listed: &[Stored<K>]) -> Vec<&str> {
    listed.iter().map(|stored| stored.meta().name.as_str()).collect()
}

pub(crate) fn organizations<K: Noun>(listed: &[Stored<K>]) -> Vec<Id<Organization>> {
    listed.iter().map(|stored| stored.meta().organization).collect()
}

/// Waits until `check` is fine, and fails with its last complaint.
pub(crate) async fn eventually<F: Future<Output = Result<(), String>>>(check: impl Fn() -> F) {
    let started = Instant::now();
    loop {
        match check().await {
            Ok(()) => return,
            Err(last) if started.elapsed() > Duration::from_secs(30) => {
                panic!("gave up: {last}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}
