//! A broker and a client for it, and the requests that every test makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dispatch_osb::client::{
    AnyAddress, BindingTarget, CallContext, Client, Endpoint, InstanceTarget, Outcome, Polled,
    Prepared,
};
use dispatch_osb::fake::{FakeBroker, Settings, ids};
use dispatch_osb::types::{BindBody, BindResource, JsonObject, ProvisionBody};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request identity that no other request of this process has.
pub(crate) fn context() -> CallContext {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Far enough apart for the identities that stepping down makes.
    let number = u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64;
    CallContext::of_platform(Uuid::from_u128(number))
}

pub(crate) fn object(value: Value) -> JsonObject {
    value.as_object().cloned().expect("an object")
}

pub(crate) fn client_of(endpoint: Endpoint) -> Client {
    Client::new(endpoint, Arc::new(AnyAddress)).expect("a usable endpoint")
}

/// A fake broker and a client for it.
pub(crate) struct Pair {
    pub(crate) broker: FakeBroker,
    pub(crate) client: Client,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let broker = FakeBroker::start().await.expect("a free port");
        broker.configure(change);
        let client = client_of(Endpoint::new(broker.url()));
        Self { broker, client }
    }

    pub(crate) fn prepared(&self, instance: &str) -> Prepared {
        self.client.prepare_provision(instance, &provision_body())
    }

    /// Makes a ready instance.
    pub(crate) async fn provisioned(&self, instance: &str) {
        let outcome = self.client.send_provision(&self.prepared(instance), &context()).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    pub(crate) fn prepared_bind(&self, instance: &str, binding: &str) -> Prepared {
        self.client.prepare_bind(instance, binding, &bind_body(), true, &[])
    }

    /// Polls an instance until something else than progress is answered.
    pub(crate) async fn settled(&self, instance: &str, operation: Option<&str>) -> Polled {
        loop {
            let target = target(instance);
            match self.client.poll_instance(&target, operation, &context()).await {
                Polled::InProgress { .. } => {}
                other => return other,
            }
        }
    }

    pub(crate) async fn settled_binding(&self, b: &BindingTarget, op: Option<&str>) -> Polled {
        loop {
            match self.client.poll_binding(b, op, &context()).await {
                Polled::InProgress { .. } => {}
                other => return other,
            }
        }
    }

    /// Ends the broker, which must have nothing to complain of.
    pub(crate) async fn finish(self) -> dispatch_osb::fake::Books {
        let books = self.broker.finish().await;
        assert_eq!(books.violations, Vec::<String>::new());
        books
    }
}

pub(crate) fn provision_body() -> ProvisionBody {
    ProvisionBody {
        service_id: ids::DATABASE.to_owned(),
        plan_id: ids::SMALL.to_owned(),
        context: Some(object(json!({"platform": "dispatch", "instance_name": "mydb"}))),
        organization_guid: Some("org".to_owned()),
        space_guid: Some("space".to_owned()),
        parameters: Some(object(json!({"size": 3}))),
        maintenance_info: None,
    }
}

pub(crate) fn bind_body() -> BindBody {
    let app = Some("app-1".to_owned());
    BindBody {
        service_id: ids::DATABASE.to_owned(),
        plan_id: ids::SMALL.to_owned(),
        bind_resource: Some(BindResource { app_guid: app.clone(), ..BindResource::default() }),
        app_guid: app,
        ..BindBody::default()
    }
}

pub(crate) fn target(instance: &str) -> InstanceTarget {
    InstanceTarget {
        instance_id: instance.to_owned(),
        service_id: ids::DATABASE.to_owned(),
        plan_id: ids::SMALL.to_owned(),
    }
}

pub(crate) fn binding_target(instance: &str, binding: &str) -> BindingTarget {
    BindingTarget {
        instance_id: instance.to_owned(),
        binding_id: binding.to_owned(),
        service_id: ids::DATABASE.to_owned(),
        plan_id: ids::SMALL.to_owned(),
    }
}
