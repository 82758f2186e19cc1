//! `DELETE /v1/servicebinding/{name}`: unbinds, then removes the secret. `?purge=true` forgets it without calling the
//! broker (audited).

use dispatch_model::{Kind, Name, Object, service_binding::ServiceBinding};
use dispatch_store::{Batch, CommitError, ReadError, Stored};
use jiff::Timestamp;

use super::{
    save::{drop_body, drop_secret},
    shape,
};
use crate::{
    controller,
    http::{Answer, ApiError, Call},
    platform::Platform,
};

/// A purge meets its controller's writes at most this often.
const PURGE_TRIES_MAX: u32 = 20;

pub async fn delete(call: &Call) -> Result<Answer, ApiError> {
    let name = call.name_of(Kind::ServiceBinding)?;
    let platform = &call.platform;
    if call.flag("purge")? {
        return purge(call, &name).await;
    }
    let mut binding = call.find::<ServiceBinding>(&name).await?;
    let id = binding.meta.id.uuid();
    let batch = call.batch(Kind::ServiceBinding, name.as_str(), id);
    platform.store.commit(ask(batch, binding.clone(), call.now)).await?;
    mark(&mut binding, call.now);
    binding.meta.generation += 1;
    platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(Answer::json(&shape::to_wire(&binding))?.about(Kind::ServiceBinding, id))
}

/// Also one that cannot be read. Its controller may save something at any moment, so this is tried a few times.
async fn purge(call: &Call, name: &Name) -> Result<Answer, ApiError> {
    let platform = &call.platform;
    let mut tries = 0;
    loop {
        let found = platform.store.get::<ServiceBinding>(&call.scope, name).await?;
        let stored =
            found.ok_or_else(|| ApiError::not_found(Kind::ServiceBinding, name.as_str()))?;
        let batch = call.batch(Kind::ServiceBinding, name.as_str(), stored.meta().id.uuid());
        let batch = purge_into(platform, batch, stored.clone()).await?;
        tries += 1;
        match platform.store.commit(batch).await {
            Err(CommitError::Stale { .. }) if tries < PURGE_TRIES_MAX => {}
            done => {
                done?;
                let wire = shape::stored_to_wire(&stored);
                if let Stored::Readable(binding) = stored {
                    platform.wakers.wake(Kind::ServiceInstance, binding.spec.instance.uuid());
                }
                return Answer::json(&wire);
            }
        }
    }
}

/// The same, asked for by the instance's controller.
pub async fn mark_deleting(
    platform: &Platform,
    binding: Object<ServiceBinding>,
) -> Result<(), CommitError> {
    let id = binding.meta.id.uuid();
    let batch = ask(Batch::system("its instance is deleted"), binding, platform.clock.now());
    controller::commit(platform, "service_binding/mark", batch).await?;
    platform.wakers.wake(Kind::ServiceBinding, id);
    Ok(())
}

/// Asks for a binding to go, perhaps once more.
pub fn ask(batch: Batch, mut binding: Object<ServiceBinding>, now: Timestamp) -> Batch {
    mark(&mut binding, now);
    batch.update_spec(&binding, &[binding.spec.instance.uuid()], &[])
}

fn mark(binding: &mut Object<ServiceBinding>, now: Timestamp) {
    binding.meta.deleting = binding.meta.deleting.or(Some(now));
    binding.meta.modified = now;
}

/// Forgets a binding and its secret. The broker is not called.
pub async fn purge_into(
    platform: &Platform,
    mut batch: Batch,
    stored: Stored<ServiceBinding>,
) -> Result<Batch, ReadError> {
    if let Stored::Readable(binding) = &stored {
        batch = drop_body(drop_secret(platform, batch, binding).await?, binding);
    }
    Ok(batch.delete_meta(stored.meta()))
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
    use serde_json::json;

    use crate::testing::TestPlatform;

    const DB: &str = "/v1/servicebinding/db";

    #[tokio::test]
    async fn the_secret_stays_until_the_broker_has_unbound_it() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let secret = format!("/v1/secret/{}", instance["id"].as_str().unwrap());
        platform.broker.fault(CallKind::Unbind, Fault::Instead(RawAnswer::error(500, "", "later")));
        platform.delete(DB).await;
        platform.quiet().await;
        let seen = platform.get(DB).await.body;
        assert_eq!((&seen["status"], &seen["reason"]), (&json!("DELETING"), &json!(["later"])));
        assert_eq!(platform.get(&secret).await.status, 200);
        platform.gone(DB).await;
        assert_eq!(platform.get(&secret).await.status, 404);
        let seen = platform.get("/v1/serviceinstance/db?wait=60").await;
        assert_eq!(
            (seen.settled, &seen.body["status"], &seen.body["binding"]["secret"]),
            (true, &json!("READY"), &json!(null))
        );
        platform.finish().await;
    }

    #[tokio::test]
    async fn a_refused_unbind_is_an_error_until_it_is_asked_for_again() {
        let platform = TestPlatform::start().await;
        platform.instance("db").await;
        platform
            .broker
            .fault(CallKind::Unbind, Fault::Instead(RawAnswer::error(400, "", "in use")));
        let seen = platform.delete("/v1/servicebinding/db?wait=60").await;
        assert_eq!((seen.settled, &seen.body["status"]), (true, &json!("ERROR")));
        assert_eq!(seen.body["reason"], json!(["in use; delete again or purge"]));
        platform.delete("/v1/servicebinding/db?wait=60").await;
        assert_eq!(platform.get(DB).await.status, 404);
        platform.finish().await;
    }

    #[tokio::test]
    async fn purge_forgets_binding_and_secret_without_a_call() {
        let platform = TestPlatform::start().await;
        let instance = platform.instance("db").await;
        let purged = platform.delete("/v1/servicebinding/db?purge=true").await;
        assert_eq!((purged.status, platform.get(DB).await.status), (200, 404));
        let secret = format!("/v1/secret/{}", instance["id"].as_str().unwrap());
        assert_eq!(platform.get(&secret).await.status, 404);
        assert_eq!(platform.broker.books().count(CallKind::Unbind), 0);
        platform.end().await;
    }

    #[tokio::test]
    async fn what_is_being_bound_is_unbound_once_it_can_be() {
        let platform = TestPlatform::start().await;
        platform.broker.fault(CallKind::Bind, Fault::HangAfter);
        platform.ask("db").await;
        platform.broker.until("the request", |books| books.hanging == 1).await;
        platform.delete(DB).await;
        platform.broker.release();
        platform.gone(DB).await;
        assert!(platform.broker.books().bindings.is_empty());
        platform.finish().await;
    }
}
