//! Headers, credentials, versions, paths and redirects.

use axum::Router;
use axum::routing::any;
use dispatch_osb::broker;
use dispatch_osb::catalog;
use dispatch_osb::client::{
    Authentication, BindingTarget, CallContext, CatalogFetched, Endpoint, InstanceTarget, Outcome,
};
use dispatch_osb::fake::{CallKind, FakeBroker, Fault, RawAnswer, Work, ids};
use dispatch_osb::types::{ApiVersion, BindBody, OriginatingIdentity, ProvisionBody};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::common::{
    Pair, bind_body, binding_target, client_of, context, object, provision_body, target,
};

/// OSB-001, OSB-008, OSB-010: on every request of a life.
#[tokio::test]
async fn every_request_carries_version_and_identities() {
    let pair = Pair::with(|settings| {
        settings.provision = Work::polls(1);
        settings.deprovision = Work::polls(1);
    })
    .await;
    let user = object(json!({"user": "ada", "groups": ["é"]}));
    let identity = OriginatingIdentity { platform: "dispatch".to_owned(), value: user };
    let by_user = || CallContext { originating_identity: Some(identity.clone()), ..context() };
    pair.client.catalog(&context(), None).await;
    let outcome = pair.client.send_provision(&pair.prepared("i"), &by_user()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    pair.settled("i", operation.as_deref()).await;
    pair.client.send_bind(&pair.prepared_bind("i", "b"), &by_user()).await;
    pair.client.get_binding(&binding_target("i", "b"), &[], &context()).await;
    pair.client.unbind(&binding_target("i", "b"), &context()).await;
    pair.client.deprovision(&target("i"), &context()).await;
    let books = pair.finish().await;
    assert!(books.requests.len() >= 8);
    for request in &books.requests {
        assert_eq!(request.header("x-broker-api-version"), Some("2.17"));
        let who = request.header("x-broker-api-originating-identity");
        let expect = matches!(request.call, CallKind::Provision | CallKind::Bind);
        let who = who.map(|text| OriginatingIdentity::from_header(text).expect("readable"));
        assert_eq!(who.as_ref(), expect.then_some(&identity), "{:?}", request.call);
        // OSB-002
        let json = request.header("content-type") == Some("application/json");
        assert_eq!(json, !request.body.is_empty());
    }
}

async fn catalog_with(required: broker::Authentication, given: Authentication) -> CatalogFetched {
    let pair = Pair::with(|settings| settings.authentication = required).await;
    let endpoint = Endpoint { authentication: given, ..Endpoint::new(pair.broker.url()) };
    let fetched = client_of(endpoint).catalog(&context(), None).await;
    pair.finish().await;
    fetched
}

/// OSB-004, OSB-005
#[tokio::test]
async fn brokers_with_credentials_are_served_with_the_right_ones_only() {
    let basic = |password: &str| Authentication::Basic {
        username: "u".to_owned(),
        password: password.to_owned(),
    };
    let needs_basic =
        || broker::Authentication::Basic { username: "u".to_owned(), password: "p:é".to_owned() };
    let needs_bearer = || broker::Authentication::Bearer { token: "t".to_owned() };
    let bearer = || Authentication::Bearer { token: "t".to_owned() };
    let good = catalog_with(needs_basic(), basic("p:é")).await;
    assert!(matches!(good, CatalogFetched::Fetched { .. }), "{good:?}");
    let good = catalog_with(needs_bearer(), bearer()).await;
    assert!(matches!(good, CatalogFetched::Fetched { .. }), "{good:?}");
    for (required, given) in [
        (needs_basic(), basic("wrong")),
        (needs_basic(), Authentication::None),
        (needs_basic(), bearer()),
        (needs_bearer(), basic("p:é")),
    ] {
        let refused = catalog_with(required, given).await;
        assert!(matches!(refused, CatalogFetched::Unauthorized(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_in_a_change_are_unauthorized() {
    let pair = Pair::with(|settings| {
        settings.authentication = broker::Authentication::Bearer { token: "t".to_owned() };
    })
    .await;
    let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
    assert!(matches!(outcome, Outcome::Unauthorized(_)), "{outcome:?}");
    assert!(pair.finish().await.is_empty());
}

/// OSB-007, OSB-084, OSB-110, OSB-210: the newest version that both speak, and nothing newer.
#[tokio::test]
async fn an_older_broker_is_spoken_to_in_its_version() {
    for minor in 11..=17 {
        let version = ApiVersion::v2(minor);
        let pair = Pair::with(|settings| settings.versions = Some(vec![version])).await;
        let fetched = pair.client.catalog(&context(), None).await;
        let CatalogFetched::Fetched { api_version, .. } = fetched else { panic!("{fetched:?}") };
        assert_eq!((api_version, pair.client.api_version()), (version, version));
        pair.provisioned("i").await;
        let body = BindBody { context: provision_body().context, ..bind_body() };
        let prepared = pair.client.prepare_bind("i", "b", &body, true, &[]);
        let bound = pair.client.send_bind(&prepared, &context()).await;
        assert!(matches!(bound, Outcome::Done(_)), "{bound:?}");
        pair.client.get_instance(&target("i"), &context()).await;
        pair.client.unbind(&binding_target("i", "b"), &context()).await;
        let books = pair.finish().await;
        let of = |call| books.requests_of(call)[0].clone();
        assert_eq!(of(CallKind::Provision).json().get("context").is_some(), minor >= 12);
        assert_eq!(of(CallKind::Bind).json().get("context").is_some(), minor >= 13);
        for call in [CallKind::Bind, CallKind::Unbind] {
            let accepts = of(call).parameter("accepts_incomplete").is_some();
            assert_eq!(accepts, minor >= 14, "{call:?}");
        }
        let hints = of(CallKind::GetInstance).parameter("plan_id").is_some();
        assert_eq!(hints, minor >= 16);
        assert_eq!(books.count(CallKind::Catalog), usize::from(18 - minor));
    }
}

/// OSB-007: nothing in common.
#[tokio::test]
async fn a_broker_of_another_age_has_no_common_version() {
    let pair = Pair::with(|settings| settings.versions = Some(vec![ApiVersion::v2(10)])).await;
    let fetched = pair.client.catalog(&context(), None).await;
    assert!(matches!(fetched, CatalogFetched::NoCommonVersion(_)), "{fetched:?}");
    assert_eq!(pair.client.api_version(), ApiVersion::LATEST);
    assert_eq!(pair.finish().await.requests.len(), 7);
}

/// OSB-050
#[tokio::test]
async fn an_unchanged_catalogue_is_not_sent_again() {
    let pair = Pair::with(|settings| settings.etag = Some("\"v1\"".to_owned())).await;
    let fetched = pair.client.catalog(&context(), None).await;
    let CatalogFetched::Fetched { etag, document, .. } = fetched else { panic!("{fetched:?}") };
    assert_eq!(catalog::validate(&document, &|_| Ok(())).map(|it| it.warnings), Ok(Vec::new()));
    let again = pair.client.catalog(&context(), etag.as_deref()).await;
    assert_eq!(again, CatalogFetched::Unchanged { api_version: ApiVersion::LATEST });
    pair.broker.configure(|settings| settings.etag = Some("\"v2\"".to_owned()));
    let changed = pair.client.catalog(&context(), etag.as_deref()).await;
    assert!(matches!(changed, CatalogFetched::Fetched { .. }), "{changed:?}");
    pair.finish().await;
}

/// OSB-011: reserved characters in every id arrive as they were.
#[tokio::test]
async fn odd_ids_survive_the_way_there() {
    let pair = Pair::with(|settings| settings.provision = Work::polls(1)).await;
    let (instance, binding) = ("i /?#%&=+é", "b/..%2F;");
    let body = ProvisionBody {
        service_id: ids::ODD.to_owned(),
        plan_id: ids::ODD_PLAN.to_owned(),
        ..provision_body()
    };
    let prepared = pair.client.prepare_provision(instance, &body);
    let outcome = pair.client.send_provision(&prepared, &context()).await;
    let Outcome::Accepted { operation, .. } = outcome else { panic!("{outcome:?}") };
    let on_instance = InstanceTarget {
        instance_id: instance.to_owned(),
        service_id: ids::ODD.to_owned(),
        plan_id: ids::ODD_PLAN.to_owned(),
    };
    for _ in 0..2 {
        pair.client.poll_instance(&on_instance, operation.as_deref(), &context()).await;
    }
    let body = BindBody {
        service_id: ids::ODD.to_owned(),
        plan_id: ids::ODD_PLAN.to_owned(),
        ..bind_body()
    };
    let prepared = pair.client.prepare_bind(instance, binding, &body, true, &[]);
    let bound = pair.client.send_bind(&prepared, &context()).await;
    assert!(matches!(bound, Outcome::Done(_)), "{bound:?}");
    let books = pair.broker.books();
    assert!(books.instances.contains_key(instance) && books.bindings.contains_key(binding));
    let InstanceTarget { instance_id, service_id, plan_id } = on_instance.clone();
    let on_binding =
        BindingTarget { instance_id, binding_id: binding.to_owned(), service_id, plan_id };
    assert_eq!(pair.client.unbind(&on_binding, &context()).await, Outcome::Done(()));
    assert_eq!(pair.client.deprovision(&on_instance, &context()).await, Outcome::Done(()));
    assert!(pair.finish().await.is_empty());
}

/// An id that is a step in a path cannot leave it.
#[tokio::test]
async fn an_id_of_dots_is_not_sent() {
    let pair = Pair::new().await;
    for id in [".", ".."] {
        let outcome = pair.client.send_provision(&pair.prepared(id), &context()).await;
        assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
    }
    let update = pair.client.send_update(&pair.prepared("i"), &context()).await;
    assert!(matches!(update, Outcome::NotSent(_)), "{update:?}");
    assert_eq!(pair.finish().await.requests.len(), 0);
}

/// Serves a router until the test's runtime ends.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// OSB-012
#[tokio::test]
async fn a_broker_under_a_prefix_is_reached() {
    let broker = FakeBroker::start().await.expect("a free port");
    let url = serve(Router::new().nest_service("/some/prefix", broker.router())).await;
    for base in [format!("{url}/some/prefix"), format!("{url}/some/prefix/")] {
        let fetched = client_of(Endpoint::new(base)).catalog(&context(), None).await;
        assert!(matches!(fetched, CatalogFetched::Fetched { .. }), "{fetched:?}");
    }
    let paths: Vec<_> = broker.finish().await.requests.into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/v2/catalog", "/v2/catalog"]);
}

/// OSB-015: neither followed nor told our credentials.
#[tokio::test]
async fn redirects_are_not_followed() {
    let other = FakeBroker::start().await.expect("a free port");
    for status in [301, 302, 307, 308] {
        let pair = Pair::new().await;
        let path = "/v2/service_instances/i";
        let to = format!("{}{path}", other.url());
        let redirect = RawAnswer::empty(status).with_header("location", &to);
        for call in [CallKind::Provision, CallKind::Catalog] {
            pair.broker.fault(call, Fault::Instead(redirect.clone()));
        }
        let outcome = pair.client.send_provision(&pair.prepared("i"), &context()).await;
        assert!(matches!(&outcome, Outcome::Rejected(it) if it.status == status), "{outcome:?}");
        let fetched = pair.client.catalog(&context(), None).await;
        assert!(matches!(fetched, CatalogFetched::Failed(_)), "{fetched:?}");
        pair.finish().await;
    }
    assert_eq!(other.finish().await.requests.len(), 0);
}

/// Run by the next test in a process of its own; without its variable there is nothing to do.
#[tokio::test]
async fn a_catalogue_is_fetched_from_where_the_environment_says() {
    if let Ok(url) = std::env::var("DISPATCH_OSB_TEST_URL") {
        let fetched = client_of(Endpoint::new(url)).catalog(&context(), None).await;
        assert!(matches!(fetched, CatalogFetched::Fetched { .. }), "{fetched:?}");
    }
}

/// A proxy would resolve and connect past the address policy.
#[tokio::test]
async fn proxies_of_the_environment_are_not_used() {
    let (broker, proxy) = (Pair::new().await, Pair::new().await);
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    child.arg("wire::a_catalogue_is_fetched_from_where_the_environment_says").arg("--exact");
    child.env("DISPATCH_OSB_TEST_URL", broker.broker.url());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, proxy.broker.url());
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY").kill_on_drop(true);
    let output = child.output().await.expect("it can be started again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(broker.finish().await.count(CallKind::Catalog), 1);
    assert_eq!(proxy.finish().await.requests.len(), 0);
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let url = serve(Router::new().fallback(any(|| async { http::StatusCode::NOT_FOUND }))).await;
    let fetched = client_of(Endpoint::new(url)).catalog(&context(), None).await;
    let expect = CatalogFetched::Failed("HTTP 404 with an empty body".to_owned());
    assert_eq!(fetched, expect);
}

/// OSB-006
#[test]
fn credentials_over_plain_http_can_be_warned_of() {
    let bearer = || Authentication::Bearer { token: "t".to_owned() };
    for (url, authentication, expect) in [
        ("http://h", bearer(), true),
        ("HTTP://h", bearer(), true),
        ("https://h", bearer(), false),
        ("http://h", Authentication::None, false),
    ] {
        let endpoint = Endpoint { authentication, ..Endpoint::new(url) };
        assert_eq!(endpoint.sends_credentials_in_clear(), expect, "{endpoint:?}");
    }
}

/// OSB-014: nothing of an endpoint's or an answer's secrets is in a debug output.
#[tokio::test]
async fn debug_output_shows_no_secret() {
    let pair = Pair::new().await;
    let authentication =
        Authentication::Basic { username: "u".to_owned(), password: "hush".into() };
    let endpoint = Endpoint { authentication, ..Endpoint::new(pair.broker.url()) };
    let client = client_of(endpoint.clone());
    let mut body = provision_body();
    body.parameters = Some(object(json!({"secret": "hush"})));
    let prepared = client.prepare_provision("i", &body);
    let outcome = client.send_provision(&prepared, &context()).await;
    pair.broker.configure(|settings| {
        settings.credentials = Some(object(json!({"password": "hush"})));
    });
    let bound = client.send_bind(&pair.prepared_bind("i", "b"), &context()).await;
    let shown = format!("{endpoint:?} {client:?} {body:?} {prepared:?} {outcome:?} {bound:?}");
    assert!(!shown.contains("hush"), "{shown}");
    pair.finish().await;
}
