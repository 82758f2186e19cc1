//! Bounds of the client, each tried at its edge.

use dispatch_osb::client::{CatalogFetched, Endpoint, Limits, Outcome};
use dispatch_osb::fake::{CallKind, Fault, RawAnswer};
use futures::future::join_all;

use crate::common::{Pair, client_of, context, target};

/// OSB-014: 4 MiB and not one byte more; by length and without one.
#[tokio::test]
async fn an_answer_is_bounded_in_size() {
    let limits = Limits { answer_bytes: 1_000, ..Limits::default() };
    for (length, good) in [(1_000, true), (1_001, false)] {
        let pair = Pair::new().await;
        let client = client_of(Endpoint { limits, ..Endpoint::new(pair.broker.url()) });
        let body = format!("{{}}{}", " ".repeat(length - 2));
        pair.broker.fault(CallKind::Provision, Fault::After(RawAnswer::new(201, body)));
        let outcome = client.send_provision(&pair.prepared("i"), &context()).await;
        assert_eq!(matches!(outcome, Outcome::Done(_)), good, "{outcome:?}");
        if let Outcome::Unclear(doubt) = outcome {
            assert!(doubt.description.contains("longer than 1000 bytes"), "{doubt:?}");
        }
        pair.finish().await;
    }
}

/// OSB-014: the catalogue has a bound of its own.
#[tokio::test]
async fn a_catalogue_is_bounded_in_size() {
    let limits = Limits { answer_bytes: 10, catalog_bytes: 1_000, ..Limits::default() };
    for (length, good) in [(1_000, true), (1_001, false)] {
        let pair = Pair::new().await;
        let client = client_of(Endpoint { limits, ..Endpoint::new(pair.broker.url()) });
        let body = format!("{{}}{}", " ".repeat(length - 2));
        pair.broker.fault(CallKind::Catalog, Fault::Instead(RawAnswer::new(200, body)));
        let fetched = client.catalog(&context(), None).await;
        assert_eq!(matches!(fetched, CatalogFetched::Fetched { .. }), good, "{fetched:?}");
        pair.finish().await;
    }
}

/// Decisions that are expensive to reverse, 23.
#[test]
fn the_usual_limits_are_those_that_were_decided() {
    let limits = Limits::default();
    assert_eq!((limits.connect.as_secs(), limits.request.as_secs()), (5, 60));
    assert_eq!((limits.answer_bytes >> 20, limits.catalog_bytes >> 20), (4, 16));
    assert_eq!((limits.json_depth, limits.concurrency), (64, 8));
}

/// OSB-014
#[tokio::test]
async fn an_answer_is_bounded_in_depth() {
    for (depth, good) in [(63, true), (64, false)] {
        let pair = Pair::new().await;
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        pair.broker.fault(CallKind::Provision, Fault::After(RawAnswer::new(201, nested)));
        let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
        assert_eq!(matches!(outcome, Outcome::Done(_)), good, "{outcome:?}");
        pair.finish().await;
    }
}

/// OSB-020: eight at a time; the ninth waits, and a broker of its own is not concerned.
#[tokio::test]
async fn eight_requests_are_under_way_at_a_time() {
    let (slow, other) = (Pair::new().await, Pair::new().await);
    slow.broker.always(CallKind::Deprovision, Some(Fault::HangBefore));
    let wait = async {
        slow.broker.until("eight requests that hang", |books| books.hanging == 8).await;
        other.provisioned("i").await;
        // The ninth has had all the time of a whole other provisioning to come, and has not.
        assert_eq!(slow.broker.books().requests.len(), 8);
        slow.broker.clear_faults();
        slow.broker.release();
    };
    let calls = (0..9).map(|number| {
        let client = &slow.client;
        async move { client.deprovision(&target(&format!("i-{number}")), &context()).await }
    });
    let (outcomes, ()) = futures::join!(join_all(calls), wait);
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Gone), "{outcomes:?}");
    assert_eq!(slow.finish().await.requests.len(), 9);
    other.finish().await;
}
