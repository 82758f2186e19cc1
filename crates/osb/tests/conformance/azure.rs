//! The fake broker's catalogue `azure`: ten minutes by a clock, with words, and something behind it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatch_osb::client::{BindingTarget, InstanceTarget, Outcome, Polled};
use dispatch_osb::fake::{Backing, Time, azure};
use dispatch_osb::types::{BindBody, JsonObject, ProvisionAnswer, ProvisionBody};
use jiff::Timestamp;
use serde_json::json;

use crate::common::{Pair, context, object, provision_body};

/// What is behind it; told to, it fails once.
#[derive(Debug, Default)]
struct Shelf {
    things: Mutex<BTreeSet<String>>,
    fails: AtomicBool,
}

impl Shelf {
    fn things(&self) -> Vec<String> {
        self.things.lock().unwrap().iter().cloned().collect()
    }

    fn work(&self, change: impl FnOnce(&mut BTreeSet<String>) -> bool) -> Result<(), String> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err("the shelf is stuck".to_owned());
        }
        change(&mut self.things.lock().unwrap());
        Ok(())
    }
}

#[async_trait]
impl Backing for Shelf {
    async fn create(&self, instance: &str) -> Result<(), String> {
        self.work(|things| things.insert(instance.to_owned()))
    }

    async fn bind(&self, instance: &str, binding: &str) -> Result<JsonObject, String> {
        let name = format!("{binding}@{instance}");
        self.work(|things| things.insert(name.clone()))?;
        Ok(object(json!({"username": name})))
    }

    async fn unbind(&self, instance: &str, binding: &str) -> Result<(), String> {
        self.work(|things| things.remove(&format!("{binding}@{instance}")))
    }

    async fn remove(&self, instance: &str) -> Result<(), String> {
        self.work(|things| things.remove(instance))
    }
}

struct Azure {
    pair: Pair,
    second: Arc<AtomicI64>,
    shelf: Arc<Shelf>,
    target: InstanceTarget,
}

impl Azure {
    async fn start() -> Self {
        let (second, shelf) = (Arc::new(AtomicI64::new(0)), Arc::new(Shelf::default()));
        let now = Arc::clone(&second);
        let time = Time::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap());
        let settings = azure::settings(time, Arc::clone(&shelf) as _);
        let service = &settings.catalog.services[0];
        let target = InstanceTarget {
            instance_id: "i".to_owned(),
            service_id: service.id.clone(),
            plan_id: service.plans[0].id.clone(),
        };
        let pair = Pair::with(|it| *it = settings).await;
        Self { pair, second, shelf, target }
    }

    /// Asks for the instance.
    async fn provision(&self) -> Outcome<ProvisionAnswer> {
        let InstanceTarget { service_id, plan_id, .. } = self.target.clone();
        let body = ProvisionBody { service_id, plan_id, ..provision_body() };
        let prepared = self.pair.client.prepare_provision("i", &body);
        self.pair.client.send_provision(&prepared, &context()).await
    }

    async fn poll(&self, operation: &Option<String>) -> Polled {
        self.pair.client.poll_instance(&self.target, operation.as_deref(), &context()).await
    }
}

#[tokio::test]
async fn an_azure_database_takes_ten_minutes_says_what_it_does_and_is_really_there() {
    let azure = Azure::start().await;
    let accepted = azure.provision().await;
    let Outcome::Accepted { operation, .. } = accepted else { panic!("{accepted:?}") };
    let words = [
        (0, "creating resource group"),
        (149, "creating resource group"),
        (150, "deploying Azure Database for PostgreSQL server"),
        (300, "configuring firewall rules"),
        (599, "creating database"),
    ];
    for (second, words) in words {
        azure.second.store(second, Ordering::SeqCst);
        let Polled::InProgress { description, .. } = azure.poll(&operation).await else {
            panic!("over after {second} s")
        };
        assert_eq!(description.as_deref(), Some(words), "after {second} s");
    }
    azure.second.store(600, Ordering::SeqCst);
    assert_eq!(azure.poll(&operation).await, Polled::Succeeded { description: None });
    assert_eq!(azure.shelf.things(), ["i"]);

    let InstanceTarget { service_id, plan_id, .. } = azure.target.clone();
    let body = BindBody {
        service_id: service_id.clone(),
        plan_id: plan_id.clone(),
        ..BindBody::default()
    };
    let binding = BindingTarget {
        instance_id: "i".to_owned(),
        binding_id: "b".to_owned(),
        service_id,
        plan_id,
    };
    let (client, shelf) = (&azure.pair.client, &azure.shelf);
    let prepared = client.prepare_bind("i", "b", &body, true, &[]);
    let bound = client.send_bind(&prepared, &context()).await;
    let Outcome::Done(document) = bound else { panic!("{bound:?}") };
    assert_eq!(document.credentials, Some(object(json!({"username": "b@i"}))));
    assert_eq!(shelf.things(), ["b@i", "i"]);
    let again = client.send_bind(&prepared, &context()).await;
    let Outcome::Done(again) = again else { panic!("{again:?}") };
    assert_eq!(again.credentials, document.credentials);

    assert_eq!(client.unbind(&binding, &context()).await, Outcome::Done(()));
    assert_eq!(shelf.things(), ["i"]);
    let removed = client.deprovision(&azure.target, &context()).await;
    let Outcome::Accepted { operation, .. } = removed else { panic!("{removed:?}") };
    azure.second.fetch_add(120, Ordering::SeqCst);
    assert_eq!(azure.poll(&operation).await, Polled::Succeeded { description: None });
    assert_eq!(shelf.things(), Vec::<String>::new());
    assert!(azure.pair.finish().await.is_empty());
}

#[tokio::test]
async fn what_is_behind_the_broker_and_its_books_fail_together() {
    let azure = Azure::start().await;
    azure.shelf.fails.store(true, Ordering::SeqCst);
    let failed = azure.provision().await;
    assert!(format!("{failed:?}").contains("the shelf is stuck"), "{failed:?}");
    assert!(azure.pair.broker.books().is_empty());
    assert!(azure.pair.finish().await.is_empty());
}
