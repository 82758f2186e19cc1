//! From stored APIs to the gateway's table: read all, index, publish. The same path at start and after every change.

use std::sync::Arc;

use dispatch_gateway::{
    route::{self, Authentication, Function, Organization as Owner, Route},
    table::{ClaimError, Table},
};
use dispatch_model::{Object, api::Api, organization::Organization};
use dispatch_store::{ReadError, Stored};
use tokio::sync::MutexGuard;
use uuid::Uuid;

use crate::{first_start::DEFAULT_ORGANIZATION, http::ApiError, platform::Platform};

/// Publishes what is stored now. Takes turns, so that an older reading never replaces a newer one.
pub async fn publish(platform: &Platform) -> Result<(), ReadError> {
    let turn = platform.publishing.lock().await;
    publish_in_turn(platform, &turn).await
}

/// The same, by whoever has the turn.
pub(super) async fn publish_in_turn(
    platform: &Platform,
    _turn: &MutexGuard<'_, ()>,
) -> Result<(), ReadError> {
    let Known { organizations, routes, .. } = known(platform, None).await?;
    let names = organizations.iter().map(|owner| &*owner.name);
    let (table, rejected) = Table::build(DEFAULT_ORGANIZATION, names, routes);
    for left_out in rejected {
        tracing::warn!(api = %left_out.api, why = %left_out.error, "a part of an API is not served");
    }
    platform.gateway.publish(table);
    Ok(())
}

/// Refuses an API whose claims cannot stand beside those of the others (decision 39).
pub(super) async fn check(platform: &Platform, api: &Object<Api>) -> Result<(), ApiError> {
    let Known { organizations, routes, unread } = known(platform, Some(api.meta.id)).await?;
    let owner = organizations.iter().find(|owner| owner.id == api.meta.organization.uuid());
    let Some(owner) = owner.cloned() else { return Ok(()) };
    let names = organizations.iter().map(|owner| &*owner.name);
    let (table, _) = Table::build(DEFAULT_ORGANIZATION, names, routes);
    // Whoever cannot be read keeps its hosts, whatever they are.
    let foreign = unread.iter().any(|organization| *organization != owner.id);
    let is_new = |host: &&String| table.owner_of(host) != Some(&*owner.name);
    if let Some(host) = api.spec.hosts.iter().find(is_new).filter(|_| foreign) {
        let message = format!("host {host} may belong to an API that cannot be read");
        return Err(ApiError::conflict(message));
    }
    table.check(&self::route(api, owner)).map_err(|error| match error {
        ClaimError::TooDeep { .. } | ClaimError::TooMany { .. } => {
            ApiError::bad_request(error.to_string())
        }
        conflict => ApiError::conflict(conflict.to_string()),
    })
}

/// What is stored.
struct Known {
    organizations: Vec<Owner>,
    /// The oldest first.
    routes: Vec<Route>,
    /// Whose APIs cannot be read.
    unread: Vec<Uuid>,
}

/// All organizations, and all APIs but one.
async fn known(
    platform: &Platform,
    but: Option<dispatch_model::Id<Api>>,
) -> Result<Known, ReadError> {
    let stored = platform.store.list::<Organization>(&platform.system).await?;
    let owner = |meta: &dispatch_model::Meta<Organization>| Owner {
        id: meta.id.uuid(),
        name: Arc::from(meta.name.as_str()),
    };
    let organizations: Vec<Owner> = stored.iter().map(|stored| owner(stored.meta())).collect();
    let mut apis: Vec<Object<Api>> = Vec::new();
    let mut unread = Vec::new();
    for stored in platform.store.list::<Api>(&platform.system).await? {
        match stored {
            Stored::Readable(api) if Some(api.meta.id) != but => apis.push(api),
            Stored::Readable(_) => {}
            Stored::Unreadable { meta, why } => {
                tracing::warn!(api = %meta.name, %why, "an API cannot be read, and is not served");
                unread.push(meta.organization.uuid());
            }
        }
    }
    apis.sort_by_key(|api| (api.meta.created, api.meta.id));
    let routes = apis
        .iter()
        .filter_map(|api| {
            let id = api.meta.organization.uuid();
            let owner = organizations.iter().find(|owner| owner.id == id)?;
            Some(route(api, owner.clone()))
        })
        .collect();
    Ok(Known { organizations, routes, unread })
}

fn route(api: &Object<Api>, organization: Owner) -> Route {
    let spec = &api.spec;
    let has_hosts = !spec.hosts.is_empty();
    let relative = |uri: &String| route::relative_uri(&organization.name, has_hosts, uri);
    let methods: Vec<_> = spec.methods.iter().filter_map(|method| route::method(method)).collect();
    // An empty list means every method, which nobody has asked for.
    let is_narrow = spec.methods.is_empty() || !methods.is_empty();
    Route {
        id: api.meta.id.uuid(),
        name: Arc::from(api.meta.name.as_str()),
        function: Function { id: None, name: Arc::from(spec.function.as_str()) },
        hosts: spec.hosts.clone(),
        uris: spec.uris.iter().map(relative).collect(),
        methods,
        https_only: route::https_only(&spec.protocols),
        enabled: spec.enabled && is_narrow,
        cors: spec.cors,
        authentication: Authentication::from_field(Some(&spec.authentication)),
        organization,
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{
        Id, Tags,
        api::Spec,
        object::{Meta, NoStatus},
        organization,
    };
    use dispatch_store::Batch;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        packages::Build,
        testing::{TestServer, World},
    };

    fn object<K: dispatch_model::Noun<Status = NoStatus>>(
        organization: Id<Organization>,
        id: u128,
        name: &str,
        spec: K::Spec,
    ) -> Object<K> {
        let id = Id::from_uuid(Uuid::from_u128(id));
        let name = name.parse().unwrap();
        let meta = Meta::new(id, organization, name, Timestamp::UNIX_EPOCH, Tags::new());
        Object { meta, spec, status: NoStatus {} }
    }

    fn spec(methods: &[&str], hosts: &[&str]) -> Spec {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Spec {
            function: "f".parse().unwrap(),
            hosts: strings(hosts),
            uris: vec!["/org/a".to_owned()],
            methods: strings(methods),
            protocols: Vec::new(),
            authentication: "public".to_owned(),
            enabled: true,
            cors: false,
            tls: String::new(),
        }
    }

    #[test]
    fn a_method_that_cannot_be_served_does_not_open_all_others() {
        let check = |methods: &[&str], expect: (bool, &[&str])| {
            let owner = Owner { id: Uuid::nil(), name: "org".into() };
            let api = object(Id::from_uuid(owner.id), 1, "a", spec(methods, &[]));
            let route = route(&api, owner);
            let served: Vec<&str> = route.methods.iter().map(http::Method::as_str).collect();
            assert_eq!((route.enabled, served.as_slice()), expect, "{methods:?}");
        };
        check(&[], (true, &[]));
        check(&["get", "FLY"], (true, &["GET", "FLY"]));
        check(&["GET", "G T"], (true, &["GET"]));
        check(&["G T", ""], (false, &[]));
    }

    #[tokio::test]
    async fn what_cannot_be_served_is_refused_and_the_field_is_named() {
        let server = TestServer::start().await;
        let check = async |field: &str, value: &str, expect: Option<&str>| {
            let body = json!({"name": "a", "function": "f", "enabled": true, field: [value]});
            let answer = server.post("/v1/api", &body).await;
            match expect {
                None => {
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    server.delete("/v1/api/a").await;
                }
                Some(expect) => {
                    let said = (&answer.body["message"], &answer.body["faults"][0]["path"]);
                    let path = format!("/{field}/0");
                    assert_eq!(answer.status, 400, "{}", answer.text);
                    assert_eq!(said, (&json!(format!("{field} in body: {expect}")), &json!(path)));
                }
            }
        };
        check("methods", "G T", Some(r#""G T" is not an HTTP method"#)).await;
        check("methods", "", Some(r#""" is not an HTTP method"#)).await;
        check("methods", "get", None).await;
        check("protocols", "gopher", Some(r#""gopher" is not http or https"#)).await;
        check("hosts", "a b", Some(r#""a b" is not the name of a host"#)).await;
        check("hosts", "", Some(r#""" is not the name of a host"#)).await;
        check("hosts", "http://a", Some(r#""http://a" is not the name of a host"#)).await;
        check("hosts", "[::1]:80", None).await;
        check("hosts", &"a".repeat(255), None).await;
        let long = "a".repeat(256);
        check("hosts", &long, Some(&format!("{long:?} is not the name of a host"))).await;
        server.finish().await;
    }

    #[tokio::test]
    async fn an_api_that_cannot_be_read_keeps_its_host() {
        let server = TestServer::start().await;
        let platform = server.running.platform();
        let other = Id::from_uuid(Uuid::from_u128(1));
        let space = organization::Spec { space: Uuid::from_u128(2) };
        let organization = object::<Organization>(other, 1, "other", space);
        let api = object::<Api>(other, 3, "theirs", spec(&[], &["theirs.example"]));
        let batch = Batch::system("test").create(&organization, &[], &[]);
        platform.store.commit(batch.create(&api, &[], &[])).await.unwrap();
        let post = async |name: &str, host: &str| {
            let body = json!({"name": name, "function": "f", "enabled": true, "hosts": [host]});
            server.post("/v1/api", &body).await
        };
        assert_eq!(post("ours", "ours.example").await.status, 200);
        assert_eq!(post("a", "THEIRS.example").await.status, 409);

        let database = server.world.directory.path().join("data/dispatch.db");
        let database = rusqlite::Connection::open(database).unwrap();
        let spoilt = database
            .execute("UPDATE object SET spec = '{\"v\":999}' WHERE name = 'theirs'", ())
            .unwrap();
        assert_eq!(spoilt, 1);
        drop(database);
        let refused = post("a", "theirs.example").await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert_eq!(post("b", "new.example").await.status, 409, "it may be theirs as well");
        assert_eq!(post("c", "ours.example").await.status, 409, "the same claim");
        let body = json!({"name": "d", "function": "f", "enabled": true, "uris": ["/d"],
            "hosts": ["ours.example"]});
        assert_eq!(server.post("/v1/api", &body).await.status, 200, "a host of one's own");
        assert_eq!(server.get("/v1/api/ours").await.status, 200);
        server.running.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_served_is_served_by_the_next_server_from_its_first_moment() {
        let world = World::sandboxed(Build::default());
        let server = TestServer::start_in(world.clone()).await;
        server.make_image().await;
        let source = "def handle(ctx, payload): return 'hello'\n".to_owned();
        server.function("f", &[("hello.py", source)], json!({})).await;
        let api = json!({"name": "a", "function": "f", "enabled": true, "uris": ["/a"]});
        assert_eq!(server.post("/v1/api", &api).await.status, 200);
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let called = async |server: &TestServer| {
            let url = format!("http://{}/dispatch/a", server.running.addresses.gateway);
            let answer = http.get(url).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let before = called(&server).await;
        assert_eq!(before, (200, "\"hello\"\n".to_owned()));
        server.running.stop().await;
        let server = TestServer::start_in(world).await;
        assert_eq!(called(&server).await, before);
        server.running.stop().await;
    }
}
