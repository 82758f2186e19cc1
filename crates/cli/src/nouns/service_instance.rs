//! Service instances in tables (contract §3.2), and when one has settled: with its automatic binding.

use std::{borrow::Cow, time::Duration};

use dispatch_api::{Operation, service_instance::ServiceInstance};
use uuid::Uuid;

use crate::{
    clock,
    nouns::{Noun, Operations, State, Usual, Words, operation, reasons},
    output::time,
};

impl Noun for ServiceInstance {
    const WORDS: Words = Words {
        command: "serviceinstance",
        created: "serviceinstance",
        deleted: "service instance",
    };
    const OPERATIONS: Operations = Operations {
        list: Operation::ListServiceInstances,
        get: Some(Operation::GetServiceInstance),
        delete: Some(Operation::DeleteServiceInstance),
    };
    const HEADER: &'static [&'static str] =
        &["Name", "Class", "Plan", "Provisioned", "Bound", "Status"];
    const WIDE: &'static [&'static str] =
        &["ID", "Broker", "Secret", "Created Date", "Last operation", "Reason"];

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }

    /// The status column shows the binding's status once the instance is there and not bound yet.
    fn cells(&self) -> Vec<String> {
        let provisioned = self.status == "READY";
        let bound = self.binding.as_ref().is_some_and(|binding| binding.status == "READY");
        let status = match &self.binding {
            Some(binding) if provisioned && !bound => &binding.status,
            _ => &self.status,
        };
        vec![
            self.name.clone(),
            self.service_class.clone(),
            self.service_plan.clone(),
            provisioned.to_string(),
            bound.to_string(),
            status.clone(),
        ]
    }

    fn wide(&self) -> Vec<String> {
        let binding = self.binding.as_ref();
        let reason = self.reason.as_ref().or(binding.and_then(|binding| binding.reason.as_ref()));
        vec![
            self.id.to_string(),
            self.broker.clone(),
            binding.and_then(|binding| binding.secret.clone()).unwrap_or_default(),
            time::unix_date(self.created_time, &clock::zone()),
            operation(self.last_operation.as_ref()),
            reasons(reason, &self.conditions),
        ]
    }

    fn more(&self) -> Vec<(&'static str, String)> {
        let binding = self.binding.as_ref();
        let json = |value: Option<&serde_json::Value>| value.map(ToString::to_string);
        let lines = |list: Option<&Vec<String>>| list.map(|list| list.join("\n"));
        let expires = binding.and_then(|binding| binding.expires_at);
        let usable = self.state().good && binding.is_some();
        let example =
            format!("dispatch create function IMAGE FUNCTION PATH --service {}", self.name);
        let rows = [
            ("Parameters", json(self.parameters.as_ref())),
            ("From secrets", lines(self.secret_parameters.as_ref())),
            ("Binding parameters", json(binding.and_then(|binding| binding.parameters.as_ref()))),
            ("Gives", binding.map(|binding| binding.keys.join(" "))),
            ("Expires", expires.map(|at| time::unix_date(at, &clock::zone()))),
            ("Dashboard", self.dashboard_url.clone()),
            ("Try", usable.then_some(example)),
        ];
        rows.into_iter().filter_map(|(title, text)| Some((title, text?))).collect()
    }

    /// The id is also the name of the secret, and in our own brokers of the database.
    fn detail(&self) -> String {
        format!("id {}", self.id)
    }

    /// Making it and binding it.
    fn broker_took(&self) -> Option<Duration> {
        let bound = self.binding.as_ref().map(|binding| binding.last_operation.as_ref());
        let both = [Some(self.last_operation.as_ref()), bound].into_iter().flatten();
        let took: Option<Vec<u64>> = both.map(|last| last?.took_ms).collect();
        took.map(|all| Duration::from_millis(all.iter().sum()))
    }

    const USUAL: Option<Usual<Self>> = Some(|instance, all| took_to_make(all, instance.plan_id));

    fn state(&self) -> State {
        let operation = self.last_operation.as_ref();
        let state = State::of(&self.status, self.reason.as_ref());
        let state = if self.status == "UPDATING" { state } else { state.doing("provisioning") };
        let mut state = state.with_operation(&self.broker, operation);
        if let Some(binding) = self.binding.as_ref().filter(|_| self.status == "READY") {
            state = State::of(&binding.status, binding.reason.as_ref());
            if !state.at_rest {
                "binding".clone_into(&mut state.doing);
            }
            if !state.good {
                state = state.with_operation(&self.broker, operation);
                state.status = format!("binding {}", state.status);
            }
        }
        state.advice = Some(format!("try again: dispatch retry serviceinstance {}", self.name));
        state
    }
}

/// How long the broker took to make instances of a plan: the median of those that are here.
pub fn took_to_make(instances: &[ServiceInstance], plan: Uuid) -> Option<Duration> {
    let of_plan = instances.iter().filter(|instance| instance.plan_id == plan);
    let made = of_plan.filter_map(|instance| {
        let last = instance.last_operation.as_ref()?;
        (last.kind == "create" && last.state == "succeeded").then_some(last.took_ms)?
    });
    let mut made: Vec<u64> = made.collect();
    made.sort_unstable();
    made.get(made.len() / 2).map(|ms| Duration::from_millis(*ms))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLAN: &str = "00000000-0000-0000-0000-000000000001";
    const OTHER: &str = "00000000-0000-0000-0000-000000000002";

    fn instance(plan: &str, last: Value) -> ServiceInstance {
        serde_json::from_value(json!({"id": PLAN, "kind": "ServiceInstance", "name": "x", "serviceClass": "c",
            "servicePlan": "p", "serviceClassID": PLAN, "planID": plan, "broker": "b", "secretParameters": null,
            "lastOperation": last, "conditions": [], "status": "READY", "reason": null, "createdTime": 0, "tags": null}))
        .unwrap()
    }

    #[test]
    fn what_is_usual_is_the_middle_of_what_was_made_and_nothing_else() {
        let last = |kind: &str, state: &str, ms: u64| json!({"type": kind, "state": state, "description": "", "since": 0, "tookMs": ms});
        let made = |ms| instance(PLAN, last("create", "succeeded", ms));
        let check = |instances: &[ServiceInstance], expect: Option<u64>| {
            let found = took_to_make(instances, PLAN.parse().unwrap());
            assert_eq!(found, expect.map(Duration::from_millis));
        };
        check(&[], None);
        check(&[made(30), made(90_000), made(10)], Some(30));
        let others = [
            instance(OTHER, last("create", "succeeded", 1)),
            instance(PLAN, last("create", "failed", 2)),
            instance(PLAN, last("update", "succeeded", 3)),
            instance(
                PLAN,
                json!({"type": "create", "state": "succeeded", "description": "", "since": 0}),
            ),
        ];
        check(&others, None);
    }
}
