//! Commits that stand on what was read before. Not for controllers: they look again by themselves.

use dispatch_model::Kind;
use dispatch_store::{Batch, CommitError};

use super::{ApiError, Call};

/// What a wish stands on is changed under it at most this often.
const TRIES_MAX: u32 = 20;

/// Commits what `make` makes of what it reads. If somebody makes, changes or deletes an object of the kinds `read`
/// between the two, it is made again of what is there then.
pub async fn commit_on<T, F>(
    call: &Call,
    read: &[Kind],
    make: impl Fn() -> F,
) -> Result<T, ApiError>
where
    F: Future<Output = Result<(Batch, T), ApiError>>,
{
    let mut tries = 0;
    loop {
        let (batch, made) = make().await?;
        tries += 1;
        match call.platform.store.commit(batch).await {
            Err(
                CommitError::Stale { kind, .. }
                | CommitError::Gone { kind, .. }
                | CommitError::Exists { kind, .. },
            ) if read.contains(&kind) && tries < TRIES_MAX => {}
            done => return done.map(|_| made).map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc};

    use dispatch_api::Operation;
    use dispatch_model::{ErrorCode, secret::Secret};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::testing::TestServer;

    #[tokio::test]
    async fn what_is_changed_by_others_is_made_again_twenty_times_and_no_more() {
        let server = TestServer::start().await;
        server.post("/v1/secret", &json!({"name": "s", "secrets": {"k": "v"}})).await;
        let platform = Arc::clone(server.running.platform());
        let name = "dispatch".parse().unwrap();
        let organization = platform.organization(&name).await.unwrap().unwrap().organization();
        let scope = platform.system.organization(organization);
        let secret = platform.store.get::<Secret>(&scope, &"s".parse().unwrap()).await.unwrap();
        let found = secret.unwrap().meta().clone();
        let call = Call {
            operation: Operation::CreateSecret,
            scope,
            organization,
            organization_name: name,
            actor: "admin".to_owned(),
            source: None,
            request_id: Uuid::nil(),
            now: platform.clock.now(),
            path: Vec::new(),
            query: Vec::new(),
            body: bytes::Bytes::new(),
            platform,
        };
        // Somebody else is faster, so many times.
        let check = async |faster: u32, read: &[Kind], expect: Result<u32, u32>| {
            let tries = Cell::new(0);
            let made = commit_on(&call, read, || async {
                tries.set(tries.get() + 1);
                let mut meta = found.clone();
                meta.generation += u64::from(tries.get() <= faster);
                Ok((call.batch(Kind::Secret, "s", meta.id.uuid()).require(&meta), tries.get()))
            });
            let made = made.await.map_err(|error| (error.code, tries.get()));
            assert_eq!(made, expect.map_err(|tries| (ErrorCode::Conflict, tries)), "{faster}");
        };
        check(0, &[Kind::Secret], Ok(1)).await;
        check(1, &[Kind::ServiceBroker, Kind::Secret], Ok(2)).await;
        check(19, &[Kind::Secret], Ok(20)).await;
        check(20, &[Kind::Secret], Err(20)).await;
        check(1, &[Kind::ServiceBroker], Err(1)).await;
        drop(call);
        server.running.stop().await;
    }
}
