//! How the gateway's requests become runs.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use dispatch_gateway::call::{FailureKind, Invocation, Invoke, Invoked};
use dispatch_model::{Id, Name};
use dispatch_store::Batch;

use crate::{
    features::run::{self, Failed, NotCallable, Request},
    platform::Platform,
};

/// Calls functions for the gateway.
#[derive(Debug)]
pub struct Invoker(pub Weak<Platform>);

#[async_trait]
impl Invoke for Invoker {
    async fn invoke(&self, invocation: Invocation) -> Invoked {
        match self.0.upgrade() {
            Some(platform) => invoke(&platform, invocation).await,
            None => Invoked::Unavailable,
        }
    }
}

async fn invoke(platform: &Arc<Platform>, invocation: Invocation) -> Invoked {
    let organization = Id::from_uuid(invocation.organization.id);
    let Ok(name) = invocation.function.name.parse::<Name>() else { return Invoked::NotFound };
    let deployment = match run::find(platform, organization, &name).await {
        Ok(deployment) => deployment,
        Err(NotCallable::NotFound | NotCallable::NotReady) => return Invoked::NotFound,
        Err(NotCallable::Unreadable(_)) => return Invoked::Unavailable,
    };
    let now = platform.clock.now();
    let request = Request {
        id: platform.entropy.uuid_at(now),
        input: invocation.input,
        http_context: Some(invocation.http_context),
        ..Request::default()
    };
    if !invocation.blocking {
        // Whoever calls an API is nobody that the audit log could name.
        let batch = Batch::system("called through the gateway");
        return match run::accept(platform, &deployment, request, now, batch).await {
            Ok(_) => Invoked::Accepted,
            Err(_) => Invoked::Unavailable,
        };
    }
    let (_, ended) = run::run(platform, &deployment, &request, now).await;
    match ended.output {
        Ok(output) => Invoked::Output((!output.is_empty()).then_some(output)),
        Err(Failed::Overloaded(_)) => Invoked::Overloaded { retry_after: Duration::from_secs(1) },
        Err(Failed::TimedOut(_)) => Invoked::TimedOut,
        Err(Failed::Error(error)) => {
            let kind = match error.kind.as_str() {
                "InputError" => FailureKind::InputError,
                "FunctionError" => FailureKind::FunctionError,
                _ => FailureKind::SystemError,
            };
            Invoked::Failed { kind, message: error.message }
        }
    }
}
