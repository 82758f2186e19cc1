//! The address policy is asked about names and literal addresses before a connection is made.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dispatch_osb::client::{AddressPolicy, CatalogFetched, Client, Endpoint, Outcome};

use crate::common::{Pair, context};

/// Refuses addresses by a rule, and remembers what it was asked.
struct Rule {
    allows: fn(&SocketAddr) -> bool,
    asked: Mutex<Vec<SocketAddr>>,
}

impl AddressPolicy for Rule {
    fn check(&self, address: SocketAddr) -> Result<(), String> {
        self.asked.lock().unwrap().push(address);
        if (self.allows)(&address) { Ok(()) } else { Err("that is our own listener".to_owned()) }
    }
}

fn rule(allows: fn(&SocketAddr) -> bool) -> Arc<Rule> {
    Arc::new(Rule { allows, asked: Mutex::new(Vec::new()) })
}

/// A refused address by this host in the URL.
async fn check_refused(host: &str) {
    let pair = Pair::new().await;
    let port = pair.broker.address().port();
    let policy = rule(|_| false);
    let endpoint = Endpoint::new(format!("http://{host}:{port}"));
    let client = Client::new(endpoint, policy.clone()).unwrap();
    let outcome = client.send_provision(&pair.prepared("i"), &context()).await;
    let Outcome::NotSent(reason) = outcome else { panic!("{host}: {outcome:?}") };
    assert!(reason.ends_with("may not be called: that is our own listener"), "{reason}");
    let fetched = client.catalog(&context(), None).await;
    assert!(matches!(fetched, CatalogFetched::Failed(_)), "{fetched:?}");
    let asked = policy.asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|address| address.port() == port), "{asked:?}");
    assert!(asked.iter().all(|address| address.ip().is_loopback()), "{asked:?}");
    assert_eq!(pair.finish().await.requests.len(), 0);
}

/// Decision 24: no broker can open the control plane.
#[tokio::test]
async fn a_refused_address_is_not_called_however_it_is_written() {
    check_refused("localhost").await;
    check_refused("127.0.0.1").await;
    check_refused("[::1]").await;
    // IPv4 in IPv6 clothes, and as a number.
    check_refused("[::ffff:127.0.0.1]").await;
    check_refused("2130706433").await;
    check_refused("0x7f.1").await;
}

#[tokio::test]
async fn the_policy_is_asked_anew_for_every_request() {
    let pair = Pair::new().await;
    for host in ["127.0.0.1", "localhost"] {
        let policy = rule(SocketAddr::is_ipv4);
        let url = format!("http://{host}:{}", pair.broker.address().port());
        let client = Client::new(Endpoint::new(url), policy.clone()).unwrap();
        let mut asked = 0;
        for _ in 0..3 {
            // A name may stand for further addresses, which are refused and not dialled.
            let fetched = client.catalog(&context(), None).await;
            assert!(matches!(fetched, CatalogFetched::Fetched { .. }), "{fetched:?}");
            let now = policy.asked.lock().unwrap().len();
            assert!(now > asked);
            asked = now;
        }
    }
    assert_eq!(pair.finish().await.requests.len(), 6);
}

/// A label of 64 characters cannot be a name: the resolver says so without asking anybody.
#[tokio::test]
async fn a_name_that_does_not_exist_was_not_sent() {
    let pair = Pair::new().await;
    let endpoint = Endpoint::new(format!("http://{}.invalid", "a".repeat(64)));
    let client = Client::new(endpoint, rule(|_| true)).unwrap();
    let outcome = client.send_provision(&pair.prepared("i"), &context()).await;
    assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    pair.finish().await;
}
