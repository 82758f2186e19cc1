//! Processes that really end at a named point, and the next one on the same data (decision 40).
//!
//! Fewer rows than in one process: each costs a start. What a dropped future cannot show is that nothing of importance
//! was in memory, in a destructor, or in a file that was not synced.

use std::path::Path;

use dispatch_osb::fake::{Books, CallKind, FakeBroker, Fault, RawAnswer, Work};
use serde_json::{Value, json};

use crate::{
    faults::{Moment, Point},
    testing::process::Process,
};

const DB: &str = "/v1/serviceinstance/db";
const BINDING: &str = "/v1/servicebinding/db";

/// Effects and commits, and the so-manieth time of each from the request on.
type Points = &'static [(&'static str, u32)];

const PROVISION: Points = &[
    ("service_instance/begin", 1),
    ("service_instance/provision", 1),
    ("service_instance/answer", 1),
    ("service_binding/begin", 1),
    ("service_binding/bind", 1),
    ("service_binding/answer", 1),
];
const ROTATE: Points = &[
    ("service_binding/begin", 1),
    ("service_binding/bind", 1),
    ("service_binding/answer", 1),
    ("service_binding/begin", 2),
    ("service_binding/unbind", 1),
    ("service_binding/answer", 2),
];
const DEPROVISION: Points = &[
    ("service_binding/mark", 1),
    ("service_binding/unbind", 1),
    ("service_binding/forget", 1),
    ("service_instance/begin", 1),
    ("service_instance/deprovision", 1),
    ("service_instance/forget", 1),
];
const ORPHAN: Points = &[
    ("service_instance/answer", 1),
    ("orphan/remove", 1),
    ("orphan/forget", 1),
    ("service_instance/begin", 2),
];

/// One process after the other, beside one broker.
struct World {
    directory: tempfile::TempDir,
    broker: FakeBroker,
}

impl World {
    async fn new() -> (Self, Process) {
        let memory = tempfile::Builder::new().prefix("dispatch-exits-").tempdir_in("/dev/shm");
        let directory = memory.or_else(|_| tempfile::tempdir()).unwrap();
        let world = Self { directory, broker: FakeBroker::start().await.unwrap() };
        let process = Process::start(world.path()).await;
        let broker = json!({"name": "fake", "url": world.broker.url()});
        let (status, body) = process.send("POST", "/v1/servicebroker", &broker).await.unwrap();
        assert_eq!((status, &body["status"]), (201, &json!("READY")), "{body}");
        (world, process)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// There is one instance with one binding, whose credentials are the secret's, and nothing was ever left over.
    async fn bound(&self, process: &Process, at: &str) -> Books {
        let ready = |_: u16, body: &Value| {
            let ready = body["status"] == "READY" && body["binding"]["status"] == "READY";
            ready.then(|| body.clone())
        };
        let seen = process.until(DB, ready).await;
        process.until("/v1/orphan", |_, body| is_clean(body)).await;
        let books = self.broker.books();
        assert_eq!(books.violations, [""; 0], "{at}");
        assert_eq!(books.instances.len(), 1, "{at}: {:#?}", books.instances);
        let bindings: Vec<_> = books.bindings.values().collect();
        let [binding] = bindings.as_slice() else { panic!("{at}: {bindings:#?}") };
        let secret = format!("/v1/secret/{}", seen["binding"]["secret"].as_str().unwrap());
        let (_, secret) = process.send("GET", &secret, &Value::Null).await.unwrap();
        assert_eq!(secret["secrets"]["password"], binding.credentials["password"], "{at}");
        books
    }

    /// It ends there while it makes the instance; the next one makes and removes it.
    async fn ends_making(&self, process: Process, end: (Point, u32), at: &str) -> Process {
        process.end_at(end.0, end.1);
        create(&process).await;
        let process = process.ended_and_begun_again().await;
        self.bound(&process, at).await;
        delete(&process).await;
        self.gone(&process, at).await;
        process
    }

    async fn gone(&self, process: &Process, at: &str) {
        process.until(DB, |status, _| (status == 404).then_some(())).await;
        process.until("/v1/orphan", |_, body| is_clean(body)).await;
        for list in ["/v1/servicebinding", "/v1/secret"] {
            process.until(list, |_, body| (*body == json!([])).then_some(())).await;
        }
        let books = self.broker.books();
        assert_eq!(books.violations, [""; 0], "{at}");
        assert!(books.is_empty(), "{at}: {books:#?}");
    }
}

/// All that is left to be removed has been removed before, and is looked after once more in a minute.
fn is_clean(orphans: &Value) -> Option<()> {
    let orphans = orphans.as_array()?;
    let waits = |orphan: &Value| {
        let twice = orphan["cause"].as_str().is_some_and(|cause| cause.contains("sent twice"));
        twice && orphan["tries"] == 0
    };
    orphans.iter().all(waits).then_some(())
}

/// Before and after each.
fn each(points: Points) -> impl Iterator<Item = (Point, u32)> {
    let moments = [Moment::Before, Moment::After];
    points
        .iter()
        .flat_map(move |&(name, time)| moments.map(|moment| (Point { name, moment }, time)))
}

async fn create(process: &Process) {
    let body = json!({"name": "db", "serviceClass": "fake-db", "servicePlan": "small"});
    // It may end before it has answered.
    let _perhaps = process.send("POST", "/v1/serviceinstance", &body).await;
}

async fn delete(process: &Process) {
    let _perhaps = process.send("DELETE", DB, &Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_makes_what_it_was_making() {
    let (world, mut process) = World::new().await;
    for (point, time) in each(PROVISION) {
        let at = format!("provision, {point:?} {time}");
        let before = world.broker.books();
        process.end_at(point, time);
        create(&process).await;
        process = process.ended_and_begun_again().await;
        let after = world.bound(&process, &at).await;
        let ever = |books: &Books| (books.instances_ever.len(), books.bindings_ever.len());
        let (instances, bindings) = ever(&before);
        assert_eq!(ever(&after), (instances + 1, bindings + 1), "{at}: one of each was made");
        delete(&process).await;
        world.gone(&process, &at).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_rotates_what_it_was_rotating() {
    let (world, mut process) = World::new().await;
    create(&process).await;
    let mut before = world.bound(&process, "before").await;
    for (version, (point, time)) in (2..).zip(each(ROTATE)) {
        let at = format!("rotate, {point:?} {time}");
        process.end_at(point, time);
        let rotate = format!("{BINDING}/rotate");
        let _perhaps = process.send("POST", &rotate, &Value::Null).await;
        process = process.ended_and_begun_again().await;
        let rotated = |_: u16, body: &Value| {
            let rotated = body["status"] == "READY" && body["credentialsVersion"] == version;
            rotated.then_some(())
        };
        process.until(BINDING, rotated).await;
        let books = world.bound(&process, &at).await;
        assert!(!before.bindings.keys().eq(books.bindings.keys()), "{at}: the old one is gone");
        assert_eq!(books.bindings_ever.len(), before.bindings_ever.len() + 1, "{at}: one was made");
        before = books;
    }
    delete(&process).await;
    world.gone(&process, "in the end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_removes_what_it_was_removing() {
    let (world, mut process) = World::new().await;
    for (point, time) in each(DEPROVISION) {
        let at = format!("deprovision, {point:?} {time}");
        create(&process).await;
        world.bound(&process, &at).await;
        process.end_at(point, time);
        delete(&process).await;
        process = process.ended_and_begun_again().await;
        world.gone(&process, &at).await;
    }
}

/// The first attempt was made and answered with an error: it is given up, and another one is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_removes_what_it_has_given_up() {
    let (world, mut process) = World::new().await;
    for (point, time) in each(ORPHAN) {
        let at = format!("orphan, {point:?} {time}");
        let oops = RawAnswer::error(500, "", "oops");
        world.broker.fault(CallKind::Provision, Fault::After(oops));
        process = world.ends_making(process, (point, time), &at).await;
    }
}

/// The broker takes its time, and tells credentials once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_asks_on_about_what_takes_long() {
    let (world, mut process) = World::new().await;
    world.broker.configure(|settings| {
        (settings.provision, settings.bind) = (Work::polls(1), Work::polls(1));
        settings.credentials_once = true;
    });
    let points: Points = &[
        ("service_instance/answer", 1),
        ("service_instance/poll", 1),
        ("service_binding/answer", 1),
        ("service_binding/poll", 1),
    ];
    for (point, time) in each(points) {
        let at = format!("asynchronous, {point:?} {time}");
        process = world.ends_making(process, (point, time), &at).await;
    }
}
