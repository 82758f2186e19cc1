//! Functions that are not run anywhere, and the rows of APIs that call them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dispatch_gateway::{
    CallLimits, Gateway,
    call::{FailureKind, Invocation, Invoke, Invoked},
    route::{self, Authentication, Function, Organization, Route},
    table::Table,
};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

/// What each function does is said by its name.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) seen: Mutex<Vec<Invocation>>,
    /// `held` begins and ends here.
    pub(crate) begun: Notify,
    pub(crate) go: Notify,
    pub(crate) ended: Notify,
}

#[async_trait]
impl Invoke for Functions {
    async fn invoke(&self, invocation: Invocation) -> Invoked {
        self.seen.lock().expect("no panic while locked").push(invocation.clone());
        let failed = |kind, message: &str| Invoked::Failed { kind, message: message.to_owned() };
        if !invocation.blocking {
            return Invoked::Accepted;
        }
        match &*invocation.function.name {
            "context" => {
                let context = Value::Object(invocation.http_context);
                Invoked::Output(Some(context.to_string().into()))
            }
            "held" => {
                self.begun.notify_one();
                self.go.notified().await;
                self.ended.notify_one();
                Invoked::Output(Some(Bytes::from_static(b"\"held\"")))
            }
            "length" => Invoked::Output(Some(invocation.input.len().to_string().into())),
            "silent" => Invoked::Output(None),
            "raising" => failed(FailureKind::FunctionError, "division by zero"),
            "panicking" => panic!("as asked"),
            "busy" => Invoked::Overloaded { retry_after: Duration::from_secs(3) },
            _ => Invoked::Output(Some(invocation.input)),
        }
    }
}

impl Functions {
    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().expect("no panic while locked").len()
    }

    pub(crate) fn last(&self) -> Invocation {
        self.seen.lock().expect("no panic while locked").last().expect("it was called").clone()
    }
}

/// `organization function /uri METHOD,METHOD|* [word…]`; the words are `https`, `cors`, `off`, `host=h` and `auth=a`.
fn api(number: u128, text: &str) -> Route {
    let mut words = text.split_whitespace();
    let mut word = || words.next().expect("a row has four words");
    let (organization, function, uri, methods) = (word(), word(), word(), word());
    let more: Vec<&str> = words.collect();
    let value = |name: &str| more.iter().find_map(|word| word.strip_prefix(name));
    Route {
        id: Uuid::from_u128(number),
        name: text.into(),
        organization: Organization { id: Uuid::from_u128(1), name: organization.into() },
        function: Function { id: None, name: function.into() },
        hosts: value("host=").map(str::to_owned).into_iter().collect(),
        uris: vec![uri.to_owned()],
        methods: methods.split(',').filter(|m| *m != "*").filter_map(route::method).collect(),
        https_only: more.contains(&"https"),
        enabled: !more.contains(&"off"),
        cors: more.contains(&"cors"),
        authentication: Authentication::from_field(value("auth=")),
    }
}

pub(crate) fn table(apis: &[&str]) -> Table {
    let rows = (1..).zip(apis).map(|(number, text)| api(number, text)).collect();
    let (table, rejected) = Table::build("dispatch", ["testorg"], rows);
    assert_eq!(rejected, []);
    table
}

pub(crate) fn gateway(apis: &[&str], limits: CallLimits) -> (Gateway, Arc<Functions>) {
    let functions = Arc::new(Functions::default());
    let gateway = Gateway::new(Arc::clone(&functions) as Arc<dyn Invoke>, limits);
    gateway.publish(table(apis));
    (gateway, functions)
}
