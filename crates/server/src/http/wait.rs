//! `?wait=SECONDS`: hold the answer until the object has settled (decision 9). Nothing polls: it stands on the
//! store's change feed. Whoever also wants to see what happens until then sends `&seen=`, and is answered as soon as
//! there is something that it has not seen.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use dispatch_api::{Method, Operation, routes};
use dispatch_model::ErrorCode;
use jiff::SignedDuration;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use crate::{
    features,
    http::{Answer, ApiError, Call},
};

const SECONDS_MAX: u64 = 300;

/// How far an object is.
#[derive(Debug)]
pub enum Settling {
    /// READY or ERROR for what was asked last, or gone. `None`: gone.
    Settled(Option<Vec<u8>>),
    /// Not yet; a change of one of these ids is worth another look.
    Waiting { body: Vec<u8>, on: Vec<Uuid> },
}

/// What the request asks for.
pub(super) fn seconds(call: &Call) -> Result<u64, ApiError> {
    let default = if call.operation == Operation::CreateServiceBroker { 30 } else { 0 };
    let Some(text) = call.query("wait") else { return Ok(default) };
    let seconds = text.parse().ok().filter(|seconds| *seconds <= SECONDS_MAX);
    seconds.ok_or_else(|| {
        ApiError::new(
            ErrorCode::WrongType,
            format!("wait in query must be a number of seconds from 0 to {SECONDS_MAX}: {text:?}"),
        )
    })
}

/// An answer that may have been held.
#[derive(Debug)]
pub(super) struct Held {
    pub answer: Answer,
    /// False when the object has not settled: the time is over, or the caller has not seen this yet.
    pub settled: bool,
    /// What to send as `seen` to be answered at the next change. Only for those who watch.
    pub seen: Option<String>,
}

/// The answer as it is when the object has settled, when the caller has not seen it as it is, or when the time is over.
pub(super) async fn settle(call: &Call, answer: Answer, seconds: u64) -> Result<Held, ApiError> {
    let Some(awaited) = answer.object.filter(|_| seconds > 0) else {
        return Ok(Held { answer, settled: true, seen: None });
    };
    let looks = routes::of(call.operation).method == Method::Get;
    let seen = call.query("seen").filter(|_| looks);
    let platform = &call.platform;
    let mut changes = platform.store.watch();
    let span = SignedDuration::try_from(Duration::from_secs(seconds)).unwrap_or_default();
    let until = call.now.saturating_add(span).unwrap_or(call.now);
    let mut over = platform.clock.sleep_until(until);
    loop {
        let (body, on) = match features::settling(platform, &call.scope, awaited).await? {
            // Whoever only looks is told so; whoever deleted it has got what was asked for.
            Settling::Settled(None) if looks => {
                return Err(ApiError::not_found(awaited.kind, call.path_parameter()));
            }
            Settling::Settled(None) => return Ok(Held { answer, settled: true, seen: None }),
            Settling::Settled(Some(body)) => {
                let answer = Answer { body: Some(body), ..answer };
                return Ok(Held { answer, settled: true, seen: None });
            }
            Settling::Waiting { body, on } => (body, on),
        };
        let now = seen.map(|_| tag(&body));
        let unsettled = |body| {
            let answer = Answer { body: Some(body), ..answer };
            Ok(Held { answer, settled: false, seen: now.clone() })
        };
        if now.as_deref() != seen {
            return unsettled(body);
        }
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) if on.contains(&change.id) => break,
                    Ok(_) => {}
                    // Some were missed: look again. The feed ends when the server does.
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return unsettled(body),
                },
                () = &mut over => return unsettled(body),
                () = platform.stopping.cancelled() => return unsettled(body),
            }
        }
    }
}

/// Stands for what the caller was shown: it changes whenever something visible does, also in an object that the
/// body tells of besides its own.
fn tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Settling {
    pub fn of(
        settled: bool,
        wire: &impl serde::Serialize,
        on: Vec<Uuid>,
    ) -> Result<Self, ApiError> {
        let body = Answer::json(wire)?.body.unwrap_or_default();
        Ok(if settled { Self::Settled(Some(body)) } else { Self::Waiting { body, on } })
    }
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::{CallKind, Work};
    use serde_json::json;

    use crate::testing::{Answer, TestPlatform};

    const DB: &str = "/v1/serviceinstance/db";

    async fn platform(provision: Work) -> TestPlatform {
        let platform = TestPlatform::with(|settings| settings.provision = provision).await;
        let body = json!({"name": "db", "serviceClass": "fake-kv"});
        platform.post("/v1/serviceinstance", &body).await;
        platform
    }

    async fn watch(platform: &TestPlatform, seconds: u32, seen: &str) -> Answer {
        let path = format!("{DB}?wait={seconds}&seen={seen}");
        platform.passing(platform.get(&path)).await
    }

    #[tokio::test]
    async fn whoever_watches_is_answered_once_for_each_thing_that_can_be_seen() {
        let words = ["laying cables", "laying cables", "plugging in"];
        let progress = words.map(str::to_owned).to_vec();
        let platform = platform(Work { progress, ..Work::polls(3) }).await;
        let mut bodies = Vec::new();
        let mut said = Vec::new();
        let mut seen = String::new();
        loop {
            let answer = watch(&platform, 300, &seen).await;
            assert!(!bodies.contains(&answer.text), "seen already: {}", answer.text);
            bodies.push(answer.text);
            let words = answer.body["lastOperation"]["description"].clone();
            if !answer.settled && said.last() != Some(&words) && words != "" && !words.is_null() {
                said.push(words);
            }
            if answer.settled {
                assert_eq!(answer.body["binding"]["status"], "READY");
                break;
            }
            seen = answer.seen.unwrap();
        }
        assert_eq!(said, [json!("laying cables"), json!("plugging in")]);
        assert_eq!(platform.broker.books().count(CallKind::PollInstance), 4);
        platform.finish().await;
    }

    #[tokio::test]
    async fn what_has_been_seen_already_is_held_until_the_time_is_over_or_it_is_gone() {
        let platform = platform(Work::held()).await;
        let accepted = |answer: &Answer| {
            (!answer.body["lastOperation"].is_null()).then(|| answer.body.clone())
        };
        let creating = platform.eventually(DB, accepted).await;
        let now = || dispatch_engine::Clock::now(platform.world.clock.as_ref());
        let before = now();
        // Nothing was seen yet: long before the time is over.
        let first = watch(&platform, 300, "").await;
        assert_eq!((first.settled, &first.body), (false, &creating));
        assert!((now() - before).get_seconds() < 300);
        let seen = first.seen.unwrap();
        let before = now();
        let again = watch(&platform, 3, &seen).await;
        let passed = now() - before;
        assert_eq!((again.settled, again.seen.as_ref()), (false, Some(&seen)), "{}", again.text);
        assert!(passed.get_seconds() >= 3, "{passed:?}");
        // Without being asked, nobody is told.
        let plain = platform.passing(platform.get(&format!("{DB}?wait=1"))).await;
        assert_eq!((plain.settled, plain.seen), (false, None));
        platform.broker.release();
        platform.settled(DB).await;
        platform.delete(DB).await;
        let mut seen = String::new();
        let gone = loop {
            let answer = watch(&platform, 300, &seen).await;
            match answer.seen {
                Some(tag) => seen = tag,
                None => break answer,
            }
        };
        assert_eq!(gone.status, 404, "{}", gone.text);
        platform.finish().await;
    }
}
