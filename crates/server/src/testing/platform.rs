//! A server with the fake broker registered as `fake`.

use std::{
    ops::Deref,
    sync::{Arc, atomic::AtomicU32},
};

use dispatch_osb::fake::{Books, FakeBroker, Settings, Work};
use serde_json::{Value, json};

use super::{Answer, TestServer, World, refusal::Refusal};
use crate::faults::Faults;

/// Ends with `finish`, which fails the test if anything is left over.
#[derive(Debug)]
pub struct TestPlatform {
    pub server: TestServer,
    pub broker: FakeBroker,
}

impl Deref for TestPlatform {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

impl TestPlatform {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn in_world(world: World) -> Self {
        let broker = FakeBroker::start().await.unwrap();
        let platform = Self { server: TestServer::start_in(world).await, broker };
        platform.register("fake").await;
        platform
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let platform = Self::unregistered().await;
        platform.broker.configure(change);
        let made = platform.register("fake").await;
        assert_eq!((made.status, &made.body["status"]), (201, &json!("READY")), "{}", made.text);
        platform
    }

    /// The fake broker is there, and nobody has told the server.
    pub async fn unregistered() -> Self {
        let broker = FakeBroker::start().await.unwrap();
        Self { server: TestServer::start_in(World::new()).await, broker }
    }

    /// The store refuses the writes of this name, so many times.
    pub async fn refusing(point: &'static str, times: u32) -> Self {
        let refusal = Refusal { point, times: AtomicU32::new(times) };
        Self::in_world(World { faults: Faults::scripted(Arc::new(refusal)), ..World::new() }).await
    }

    pub async fn register(&self, name: &str) -> Answer {
        self.post("/v1/servicebroker", &json!({"name": name, "url": self.broker.url()})).await
    }

    /// Asks for an instance of the class with the one plan.
    pub async fn ask(&self, name: &str) -> Answer {
        self.post("/v1/serviceinstance", &json!({"name": name, "serviceClass": "fake-kv"})).await
    }

    /// An instance with its binding, both READY.
    pub async fn instance(&self, name: &str) -> Value {
        assert_eq!(self.ask(name).await.status, 201);
        let path = format!("/v1/serviceinstance/{name}");
        self.until(&path, |answer| {
            let bound = answer.body["binding"]["status"] == "READY";
            (bound && answer.body["status"] == "READY").then(|| answer.body.clone())
        })
        .await
    }

    pub async fn gone(&self, path: &str) {
        self.until(path, |answer| (answer.status == 404).then_some(())).await;
    }

    /// Ends what the broker works on, and waits for the instance `db` to go.
    pub async fn gone_later(&self) {
        self.broker.release();
        self.gone("/v1/serviceinstance/db").await;
    }

    /// Deletes all instances; then nothing may be left anywhere: at the broker, as an orphan, a secret, or sealed.
    pub async fn finish(self) {
        self.broker.clear_faults();
        self.broker.configure(|settings| {
            (settings.deprovision, settings.unbind) = (Work::default(), Work::default());
        });
        self.broker.release();
        for instance in self.get("/v1/serviceinstance").await.body.as_array().unwrap() {
            let path = format!("/v1/serviceinstance/{}", instance["name"].as_str().unwrap());
            self.delete(&path).await;
            self.gone(&path).await;
        }
        let none = |answer: &Answer| (answer.body == json!([])).then_some(());
        self.until("/v1/orphan", none).await;
        assert_eq!(self.get("/v1/servicebinding").await.body, json!([]));
        for secret in self.get("/v1/secret").await.body.as_array().unwrap() {
            let name = secret["name"].as_str().unwrap();
            let answer = self.delete(&format!("/v1/secret/{name}")).await;
            assert_eq!(answer.status, 204, "belongs to nothing any more: {}", answer.text);
        }
        let books = self.end().await;
        assert!(books.is_empty(), "left at the broker: {books:#?}");
    }

    /// Ends both, whatever there is; the broker must have been treated well.
    pub async fn end(self) -> Books {
        let database = self.server.world.directory.path().join("data/dispatch.db");
        let world = self.server.world.clone();
        self.server.finish().await;
        let books = self.broker.finish().await;
        assert_eq!(books.violations, Vec::<String>::new());
        assert_eq!(sealed_without_owner(&database), 0, "sealed and nobody's");
        drop(world);
        books
    }
}

/// Sealed rows of objects that do not exist. A server must not have the database open.
pub fn sealed_without_owner(database: &std::path::Path) -> u64 {
    let database = rusqlite::Connection::open(database).unwrap();
    let bindings: Vec<Vec<u8>> = database
        .prepare("SELECT id FROM object")
        .unwrap()
        .query_map((), |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut owners: Vec<uuid::Uuid> =
        bindings.iter().map(|id| uuid::Uuid::from_slice(id).unwrap()).collect();
    owners.extend(
        owners
            .clone()
            .iter()
            .map(|id| crate::features::service_binding::save::document_key(*id, 1).owner),
    );
    owners.push(uuid::Uuid::nil());
    let sealed: Vec<Vec<u8>> = database
        .prepare("SELECT owner FROM sealed")
        .unwrap()
        .query_map((), |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let nobodys = sealed.iter().filter(|id| !owners.contains(&uuid::Uuid::from_slice(id).unwrap()));
    nobodys.count() as u64
}
