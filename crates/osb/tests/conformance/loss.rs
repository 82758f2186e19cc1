//! Answers that get lost, come late or are garbage, and what is true at the broker then.

use std::pin::pin;
use std::time::Duration;

use dispatch_osb::client::{Endpoint, Limits, Outcome, Polled};
use dispatch_osb::fake::{CallKind, Fault, RawAnswer, Work};
use futures::future::Either;
use serde_json::json;

use crate::common::{Pair, binding_target, client_of, context, target};

/// The outcome's name, and whether the instance exists at the broker.
async fn provision_with(fault: Fault) -> (&'static str, bool) {
    let pair = Pair::new().await;
    pair.broker.fault(CallKind::Provision, fault);
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    let name = match outcome {
        Outcome::Done(_) => "done",
        Outcome::Rejected(_) => "rejected",
        Outcome::Busy { .. } => "busy",
        Outcome::Unclear(_) => "unclear",
        Outcome::Garbled(_) => "garbled",
        other => panic!("{other:?}"),
    };
    // Orphan mitigation by its id works in each case (OSB-200).
    let exists = pair.broker.books().instances.contains_key("i");
    let expect = if exists { Outcome::Done(()) } else { Outcome::Gone };
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, expect);
    assert!(pair.finish().await.is_empty());
    (name, exists)
}

/// A0.1, OSB-018: each loss with and without the work done.
#[tokio::test]
async fn whatever_may_exist_is_unclear() {
    let error = |status| RawAnswer::error(status, "", "no");
    assert_eq!(provision_with(Fault::ResetBefore).await, ("unclear", false));
    assert_eq!(provision_with(Fault::ResetAfter).await, ("unclear", true));
    assert_eq!(provision_with(Fault::ResetInBody).await, ("unclear", true));
    assert_eq!(provision_with(Fault::Instead(error(500))).await, ("unclear", false));
    assert_eq!(provision_with(Fault::After(error(500))).await, ("unclear", true));
    assert_eq!(provision_with(Fault::After(RawAnswer::new(201, "{"))).await, ("unclear", true));
    assert_eq!(provision_with(Fault::After(RawAnswer::new(202, "[]"))).await, ("unclear", true));
    assert_eq!(provision_with(Fault::After(RawAnswer::empty(204))).await, ("unclear", true));
    assert_eq!(provision_with(Fault::After(RawAnswer::new(200, "x"))).await, ("garbled", true));
    assert_eq!(provision_with(Fault::Instead(error(400))).await, ("rejected", false));
    assert_eq!(provision_with(Fault::Instead(error(408))).await, ("busy", false));
    assert_eq!(provision_with(Fault::Instead(error(429))).await, ("busy", false));
    let concurrency = RawAnswer::error(422, "ConcurrencyError", "wait");
    assert_eq!(provision_with(Fault::Instead(concurrency)).await, ("busy", false));
}

/// OSB-002: neither a missing nor a wrong Content-Type changes anything.
#[tokio::test]
async fn the_content_type_of_an_answer_does_not_matter() {
    for value in [None, Some("text/html".to_owned())] {
        let fault = Fault::Header { name: "content-type".to_owned(), value };
        assert_eq!(provision_with(fault).await, ("done", true));
    }
}

/// OSB-013: a late answer is an unclear one, also if the work is done later still.
#[tokio::test]
async fn a_time_out_after_sending_is_unclear() {
    for (fault, before) in [(Fault::HangAfter, true), (Fault::HangBefore, false)] {
        let pair = Pair::new().await;
        let limits = Limits { request: Duration::from_secs(1), ..Limits::default() };
        let endpoint = Endpoint { limits, ..Endpoint::new(pair.broker.url()) };
        let hasty = client_of(endpoint);
        pair.broker.fault(CallKind::Provision, fault);
        let outcome = hasty.send_provision(&pair.prepared("i"), &context()).await;
        let Outcome::Unclear(doubt) = outcome else { panic!("{outcome:?}") };
        assert_eq!(doubt.status, None);
        assert_eq!(doubt.description, "no answer within 1s");
        let books = pair.broker.until("a hanging request", |books| books.hanging == 1).await;
        assert_eq!(books.instances.contains_key("i"), before);
        pair.broker.release();
        pair.broker.until("the late work", |books| books.instances.contains_key("i")).await;
        pair.finish().await;
    }
}

/// A body that drips too slowly is cut by the same time-out: known by its status, not its body.
#[tokio::test]
async fn a_slow_drip_is_bounded_in_time() {
    let pair = Pair::new().await;
    let limits = Limits { request: Duration::from_secs(1), ..Limits::default() };
    let hasty = client_of(Endpoint { limits, ..Endpoint::new(pair.broker.url()) });
    pair.broker.fault(CallKind::Provision, Fault::Drip { pause: Duration::from_secs(60) });
    let outcome = hasty.send_provision(&pair.prepared("i"), &context()).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(doubt) if doubt.status == Some(201)),
        "{outcome:?}"
    );
    let quick = Fault::Drip { pause: Duration::ZERO };
    pair.broker.fault(CallKind::Provision, quick);
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    pair.finish().await;
}

/// A0.1: never reached, so that nothing can exist.
#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let mut pair = Pair::new().await;
    let prepared = pair.prepared("i");
    pair.broker.go_down().await;
    let outcome = pair.client.send_provision(&prepared, &context()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    let polled = pair.client.poll_instance(&target("i"), None, &context()).await;
    assert!(matches!(polled, Polled::Unknown(_)), "{polled:?}");
    pair.broker.come_back().await.expect("its port is free again");
    let outcome = pair.client.send_provision(&prepared, &context()).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(pair.finish().await.requests.len(), 2 - 1);
}

/// A0.4: a DELETE whose answer is lost is sent again, and then finds nothing.
#[tokio::test]
async fn a_lost_deletion_is_gone_when_it_is_repeated() {
    let pair = Pair::new().await;
    pair.provisioned("i").await;
    pair.client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    pair.broker.fault(CallKind::Unbind, Fault::After(RawAnswer::new(200, "gone")));
    let binding = binding_target("i", "b");
    let garbled = pair.client.unbind(&binding, &context()).await;
    assert!(matches!(garbled, Outcome::Garbled(_)), "{garbled:?}");
    assert_eq!(pair.client.unbind(&binding, &context()).await, Outcome::Gone);
    pair.broker.fault(CallKind::Deprovision, Fault::ResetAfter);
    let lost = pair.client.deprovision(&target("i"), &context()).await;
    assert!(matches!(lost, Outcome::Unclear(_)), "{lost:?}");
    assert_eq!(pair.client.deprovision(&target("i"), &context()).await, Outcome::Gone);
    assert!(pair.finish().await.is_empty());
}

/// OSB-158: the first answer is lost, the same request answers with the credentials.
#[tokio::test]
async fn a_lost_binding_answers_again() {
    let pair = Pair::new().await;
    pair.provisioned("i").await;
    let prepared = pair.prepared_bind("i", "b");
    pair.broker.fault(CallKind::Bind, Fault::ResetAfter);
    let lost = pair.client.send_bind(&prepared, &context()).await;
    assert!(matches!(lost, Outcome::Unclear(_)), "{lost:?}");
    let again = pair.client.send_bind(&prepared, &context()).await;
    let Outcome::Done(document) = again else { panic!("{again:?}") };
    let books = pair.finish().await;
    assert_eq!(document.credentials.as_ref(), Some(&books.bindings["b"].credentials));
    assert_eq!(books.bindings["b"].served, 2);
}

/// OSB-106: errors between the polls do not end an operation.
#[tokio::test]
async fn an_operation_survives_errors_in_between() {
    let pair = Pair::with(|settings| settings.provision = Work::polls(1)).await;
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    let unknown = RawAnswer::json(200, &json!({"state": "resting"}));
    for fault in [
        Fault::ResetBefore,
        Fault::Instead(RawAnswer::empty(502)),
        Fault::Instead(RawAnswer::empty(401)),
        Fault::Instead(unknown),
        Fault::Instead(RawAnswer::new(200, "<html>")),
    ] {
        pair.broker.fault(CallKind::PollInstance, fault);
        let poll = pair.client.poll_instance(&target("i"), operation.as_deref(), &context()).await;
        assert!(matches!(poll, Polled::Unknown(_)), "{poll:?}");
    }
    let end = pair.settled("i", operation.as_deref()).await;
    assert_eq!(end, Polled::Succeeded { description: None });
    // OSB-111: the broker still knows when it is asked again.
    let again = pair.settled("i", operation.as_deref()).await;
    assert_eq!(again, Polled::Succeeded { description: None });
    pair.finish().await;
}

/// Decision 40: a platform that dies between request and answer is a dropped future here. The
/// broker does its work all the same, and the same request finds it.
#[tokio::test]
async fn a_dropped_call_is_done_at_the_broker_all_the_same() {
    let pair = Pair::new().await;
    let prepared = pair.prepared("i");
    pair.broker.fault(CallKind::Provision, Fault::HangBefore);
    {
        let first = context();
        let call = pin!(pair.client.send_provision(&prepared, &first));
        let hangs = pin!(pair.broker.until("a hanging request", |books| books.hanging == 1));
        let either = futures::future::select(call, hangs).await;
        assert!(matches!(either, Either::Right(_)), "the call was answered while it hung");
    }
    pair.broker.release();
    pair.broker.until("the late work", |books| books.instances.contains_key("i")).await;
    let again = pair.client.send_provision(&prepared, &context()).await;
    assert!(matches!(again, Outcome::Done(_)), "{again:?}");
    assert_eq!(pair.finish().await.instances.len(), 1);
}
