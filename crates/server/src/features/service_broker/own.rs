//! The effects on the processes of brokers that the server runs itself: kept, told of a new login, removed. What
//! processes are is not told here (`included`).

use std::{sync::Arc, time::Duration};

use dispatch_engine::Next;
use dispatch_model::{Id, Kind, Name, Object, service_broker::ServiceBroker};
use dispatch_store::{Batch, OrgScope, ReadError, Stored};

use crate::{
    controller::{self, Trouble},
    platform::Platform,
    time,
};

/// Before a removal that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Has the process run as it is wished now. Why it cannot is what reading the catalogue says.
pub(super) async fn keep(platform: &Platform, broker: &Object<ServiceBroker>) {
    if let Err(error) = platform.brokers.keep(platform, broker).await {
        tracing::warn!(broker = %broker.meta.name, %error, "a broker of the server's own cannot be run");
    }
}

/// Removes what is left of a broker that is deleted.
pub(super) async fn end(platform: &Platform, id: Id<ServiceBroker>) -> Result<Next, Trouble> {
    // One whose stored form this program does not know exists all the same.
    let exists = platform.store.get_by_id::<ServiceBroker>(&platform.system, id).await?.is_some();
    if exists {
        return Ok(Next::Done);
    }
    match platform.brokers.included.remove(id).await {
        Ok(()) => Ok(Next::Done),
        Err(error) => {
            tracing::error!(broker = %id.uuid(), %error, "something is left of a deleted broker");
            Ok(Next::Backoff)
        }
    }
}

/// Says on a broker why it is still there.
pub(super) async fn note(
    platform: &Platform,
    mut broker: Object<ServiceBroker>,
    why: String,
) -> Result<Next, Trouble> {
    if broker.status.retry.last_error.as_ref() != Some(&why) {
        broker.status.retry.last_error = Some(why);
        let batch = Batch::system("something is left").update_status(&broker);
        controller::commit(platform, "service_broker/left", batch).await?;
    }
    Ok(Next::At(time::after(platform.clock.now(), RETRY)))
}

/// A secret has other values: brokers of the server's own that log in with it are started with them.
pub async fn login_changed(
    platform: &Platform,
    scope: &OrgScope,
    secret: &Name,
) -> Result<(), ReadError> {
    for stored in platform.store.list::<ServiceBroker>(scope).await? {
        let Stored::Readable(broker) = stored else { continue };
        if broker.spec.builtin.is_some() && broker.spec.authentication.secret() == Some(secret) {
            platform.wakers.wake(Kind::ServiceBroker, broker.meta.id.uuid());
        }
    }
    Ok(())
}

/// At start: what is left of brokers that were deleted, when the server ended before it was removed.
pub async fn sweep(platform: &Arc<Platform>) -> Result<(), ReadError> {
    for id in platform.brokers.included.with_directories() {
        if platform.store.get_by_id::<ServiceBroker>(&platform.system, id).await?.is_none() {
            platform.wakers.wake(Kind::ServiceBroker, id.uuid());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::TestServer;

    /// The program of these tests is no broker: it ends at once.
    #[tokio::test]
    async fn brokers_of_our_own_are_bounded_and_one_that_does_not_start_or_go_says_why() {
        let server = TestServer::start().await;
        let register = async |name: &str| {
            let body =
                json!({"name": name, "builtin": "postgresql", "parameters": {"managed": true}});
            let made = server.post("/v1/servicebroker", &body).await;
            assert_eq!(
                (made.status, &made.body["status"]),
                (201, &json!("ERROR")),
                "{}",
                made.text
            );
            assert_eq!(
                (&made.body["url"], &made.body["builtin"]),
                (&json!(""), &json!("postgresql"))
            );
            made.body["reason"][0].as_str().unwrap().to_owned()
        };
        for number in 1..=32 {
            let why = register(&format!("b{number}")).await;
            assert!(
                why.starts_with("the broker does not run: it ended with exit status: "),
                "{why}"
            );
        }
        assert_eq!(register("more").await, "the server runs 32 brokers of its own, and no more");
        // What would leave a process to nobody is refused.
        let secret = json!({"name": "admin", "secrets": {"username": "u", "password": "p"}});
        server.post("/v1/secret", &secret).await;
        let authentication = json!({"secret": "admin"});
        for (path, body) in [
            ("/builtin", json!({"url": "http://127.0.0.1:1"})),
            (
                "/parameters/managed",
                json!({"builtin": "postgresql", "parameters": {"host": "127.0.0.1"}, "authentication": authentication}),
            ),
        ] {
            let answer = server.put("/v1/servicebroker/b2", &body).await;
            let found = (answer.status, &answer.body["faults"][0]["path"]);
            assert_eq!(found, (400, &json!(path)), "{}", answer.text);
        }
        // A place is free, although its directory could not be removed.
        server.delete("/v1/servicebroker/b1").await;
        let why = server
            .until("/v1/servicebroker/b1", |seen| {
                seen.body["reason"][0].as_str().map(str::to_owned)
            })
            .await;
        assert!(why.starts_with("what the broker keeps running could not be stopped: "), "{why}");
        assert_eq!(server.get("/v1/servicebroker/b1").await.body["status"], "DELETING");
        assert!(register("again").await.starts_with("the broker does not run: "));
        server.running.stop().await;
    }
}
