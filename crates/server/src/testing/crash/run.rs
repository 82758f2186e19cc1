//! One run: from nothing, through what is asked for and what goes wrong, to nothing.

use std::sync::Arc;

use dispatch_engine::Entropy as _;
use dispatch_model::{
    Noun, Object, Phase,
    orphan::Orphan,
    service_binding::{self, ServiceBinding},
    service_broker::ServiceBroker,
    service_instance::{self, ServiceInstance},
};
use dispatch_osb::{
    fake::{Settings, Subject},
    types::OperationState,
};

use super::{Cell, End, Matrix, Moment, Request, verdict};
use crate::{faults::Point, platform::Platform, testing::Answer};

/// The clock is moved at most this often before a step has to have settled.
const MOVES_MAX: usize = 60;
/// After so many of them a broker that always fails has been repaired.
const REPAIRED_AFTER: usize = 4;
/// How often a process ends at a point that ends it from then on.
const OFTEN: u32 = 3;
/// How often a user deletes what is not gone yet.
const DELETES_MAX: usize = 5;

/// What is still to happen in a run.
struct Plan {
    cell: Cell,
    happened: bool,
    /// What the user asks for when everything has settled.
    then: Vec<Request>,
}

impl Matrix {
    /// The points that it led past.
    pub(super) async fn run(&mut self, cell: Cell) -> Vec<(Point, u32)> {
        self.runs += 1;
        self.broker.clear_faults();
        self.let_go().await;
        self.broker.configure(|settings| *settings = Settings::default());
        let base = self.base.clone();
        self.broker.edit(|books| *books = base);
        let at = match cell.moment {
            Moment::At(point, time) => Some((point, time)),
            Moment::Never | Moment::Hanging => None,
        };
        let mut plan = Plan { cell, happened: false, then: Vec::new() };
        self.script.arm(None, 0);
        for step in self.first {
            self.ask(step, &plan.cell).await;
            self.settle(&mut plan).await;
        }
        (plan.cell.behaviour.set)(&self.broker);
        self.script.arm(at, if plan.cell.end == End::FromThenOn { OFTEN } else { 1 });
        for step in self.steps {
            self.ask(step, &plan.cell).await;
            self.settle(&mut plan).await;
        }
        self.repair();
        self.remove_all(&mut plan).await;
        let (books, cell) = (self.broker.books(), &plan.cell);
        // Whoever asks again after a crash cannot know that the broker has failed and cleaned up by itself. Nor is it our
        // doing if the broker gets to a request only when what the second one made has been removed.
        let excused = cell.behaviour.cleans_up || cell.behaviour.hangs;
        let unknowable =
            |text: &&String| cell.end != End::Never && excused && text.starts_with("OSB-080");
        let violations: Vec<_> = books.violations.iter().filter(|it| !unknowable(it)).collect();
        assert!(violations.is_empty(), "{cell:#?}: {violations:#?}");
        let left = (books.instances.len(), books.bindings.len());
        let expect = (self.base.instances.len(), self.base.bindings.len());
        assert_eq!(left, expect, "left at the broker: {cell:#?}: {books:#?}");
        self.script.passed(self.times)
    }

    pub(super) async fn send(&self, Request { method, path, body }: &Request) -> Answer {
        let server = self.server();
        let text = body().to_string().replace("$URL", &self.broker.url());
        let body = serde_json::from_str(&text).unwrap();
        match *method {
            "POST" => server.post(path, &body).await,
            "PUT" => server.put(path, &body).await,
            _ => server.delete(path).await,
        }
    }

    async fn ask(&self, request: &Request, cell: &Cell) {
        let answer = self.send(request).await;
        // Whether there is something to ask about depends on what went before.
        let fine = answer.status < 400 || matches!(answer.status, 400 | 404 | 409);
        assert!(fine, "{cell:#?}: {request:?}: {}", answer.text);
    }

    /// Lets everything come to rest, with what is to happen on the way; then the books must balance.
    async fn settle(&mut self, plan: &mut Plan) {
        for moves in 0..MOVES_MAX {
            self.go_on(plan).await;
            if moves == REPAIRED_AFTER {
                self.repair();
            }
            let (hangs, settled) = (self.broker.books().hanging > 0, self.is_settled().await);
            if settled && !plan.then.is_empty() {
                for request in std::mem::take(&mut plan.then) {
                    self.ask(&request, &plan.cell).await;
                }
            } else if hangs {
                // We have given it up, and now it gets done.
                self.let_go().await;
            } else if settled {
                let platform = self.platform();
                return verdict::check(&platform, &self.world, &self.broker, &plan.cell).await;
            } else if !self.server().move_on() {
                break;
            }
            if moves % 3 == 2 {
                self.work().await;
            }
        }
        let state = verdict::state(&self.platform()).await;
        panic!("never settled: {:#?}: {state}\n{:#?}", plan.cell, self.broker.books());
    }

    /// Until there is nothing to do at this time.
    async fn go_on(&mut self, plan: &mut Plan) {
        loop {
            let script = Arc::clone(&self.script);
            let waits_for_hanging = plan.cell.moment == Moment::Hanging && !plan.happened;
            let hangs = || waits_for_hanging && self.broker.books().hanging > 0;
            self.server().quiet_until(|| script.is_stopped() || hangs()).await;
            let hangs = hangs();
            if !self.script.is_stopped() && !hangs {
                return;
            }
            if !plan.happened {
                plan.happened = true;
                for request in plan.cell.action.at_once {
                    self.ask(request, &plan.cell).await;
                }
                plan.then.extend(plan.cell.action.then);
            }
            match plan.cell.end {
                End::Never => self.script.resume(),
                End::Once | End::FromThenOn => self.crash().await,
            }
        }
    }

    /// What a user does in the end, as often as it takes.
    async fn remove_all(&mut self, plan: &mut Plan) {
        for _ in 0..DELETES_MAX {
            let platform = self.platform();
            let mut paths = Vec::new();
            for broker in all::<ServiceBroker>(&platform).await {
                if broker.meta.name.as_str() != "fake" {
                    paths.push(format!("/v1/servicebroker/{}?cascade=true", broker.meta.name));
                }
            }
            for instance in all::<ServiceInstance>(&platform).await {
                if instance.meta.name.as_str() != "base" {
                    paths.push(format!("/v1/serviceinstance/{}", instance.meta.name));
                }
            }
            for binding in all::<ServiceBinding>(&platform).await {
                let instance = binding.spec.instance_name.as_str();
                if instance == "base" && !binding.spec.automatic {
                    paths.push(format!("/v1/servicebinding/{}", binding.meta.name));
                }
            }
            if paths.is_empty() {
                return;
            }
            for path in paths {
                self.server().delete(&path).await;
            }
            self.settle(plan).await;
        }
        let state = verdict::state(&self.platform()).await;
        panic!("it cannot be removed: {:#?}: {state}", plan.cell);
    }

    async fn is_settled(&self) -> bool {
        let platform = self.platform();
        let instance = |instance: &Object<ServiceInstance>| {
            let phase = service_instance::phase(instance).0;
            instance.status.in_flight.is_none() && phase.is_settled()
        };
        let binding = |binding: &Object<ServiceBinding>| {
            let phase = service_binding::phase(binding).0;
            // One of an instance that has failed waits for somebody to try that again.
            let rests = phase.is_settled() || phase == Phase::Initialized;
            binding.status.in_flight.is_none() && rests
        };
        let broker = |broker: &Object<ServiceBroker>| {
            let observed = broker.status.observed_generation == broker.meta.generation;
            broker.meta.deleting.is_none() && observed && broker.status.retry.tries == 0
        };
        all::<Orphan>(&platform).await.is_empty()
            && all::<ServiceInstance>(&platform).await.iter().all(instance)
            && all::<ServiceBinding>(&platform).await.iter().all(binding)
            && all::<ServiceBroker>(&platform).await.iter().all(broker)
    }

    /// The broker gets on with its work by itself. The fake one does so only when it is asked how far it is.
    async fn work(&self) {
        for operation in self.broker.books().operations {
            if operation.state != OperationState::InProgress {
                continue;
            }
            let (instance, binding) = match operation.subject {
                Subject::Instance(instance) => (instance, String::new()),
                Subject::Binding { instance, binding } => {
                    (instance, format!("/service_bindings/{binding}"))
                }
            };
            let base = self.broker.url();
            let url = format!("{base}/v2/service_instances/{instance}{binding}/last_operation");
            let request = self.http.get(url).query(&[("operation", operation.operation)]);
            let request = request
                .header("X-Broker-API-Version", "2.17")
                .header("X-Broker-API-Request-Identity", self.world.entropy.uuid().to_string());
            let _whatever_is_set_to_go_wrong = request.send().await;
        }
    }

    /// What hangs is done.
    async fn let_go(&self) {
        self.broker.release();
        self.broker.until("its end", |books| books.hanging == 0).await;
    }

    /// The broker is well again.
    fn repair(&self) {
        self.broker.clear_faults();
        self.broker.configure(|settings| {
            let once = settings.credentials_once;
            *settings = Settings { credentials_once: once, ..Settings::default() };
        });
        self.broker.release();
    }
}

pub(super) async fn all<K: Noun>(platform: &Platform) -> Vec<Object<K>> {
    let stored = platform.store.list::<K>(&platform.system).await.unwrap();
    stored.into_iter().map(|stored| stored.readable().ok().unwrap()).collect()
}
