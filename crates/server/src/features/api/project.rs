//! From stored APIs to the gateway's table: read all, index, publish. The same path at start and after every change.

use std::sync::Arc;

use dispatch_gateway::{
    route::{self, Authentication, Function, Organization as Owner, Route},
    table::{ClaimError, Table},
};
use dispatch_model::{Object, api::Api, organization::Organization};
use dispatch_store::{ReadError, Stored};
use tokio::sync::MutexGuard;

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
    let (organizations, routes) = routes(platform, None).await?;
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
    let (organizations, others) = routes(platform, Some(api.meta.id)).await?;
    let owner = organizations.iter().find(|owner| owner.id == api.meta.organization.uuid());
    let Some(owner) = owner.cloned() else { return Ok(()) };
    let names = organizations.iter().map(|owner| &*owner.name);
    let (table, _) = Table::build(DEFAULT_ORGANIZATION, names, others);
    table.check(&self::route(api, owner)).map_err(|error| match error {
        ClaimError::TooDeep { .. } | ClaimError::TooMany { .. } => {
            ApiError::bad_request(error.to_string())
        }
        conflict => ApiError::conflict(conflict.to_string()),
    })
}

/// All organizations, and all APIs but one, the oldest first.
async fn routes(
    platform: &Platform,
    but: Option<dispatch_model::Id<Api>>,
) -> Result<(Vec<Owner>, Vec<Route>), ReadError> {
    let stored = platform.store.list::<Organization>(&platform.system).await?;
    let owner = |meta: &dispatch_model::Meta<Organization>| Owner {
        id: meta.id.uuid(),
        name: Arc::from(meta.name.as_str()),
    };
    let organizations: Vec<Owner> = stored.iter().map(|stored| owner(stored.meta())).collect();
    let mut apis: Vec<Object<Api>> = Vec::new();
    for stored in platform.store.list::<Api>(&platform.system).await? {
        match stored {
            Stored::Readable(api) if Some(api.meta.id) != but => apis.push(api),
            _ => {}
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
    Ok((organizations, routes))
}

fn route(api: &Object<Api>, organization: Owner) -> Route {
    let spec = &api.spec;
    let has_hosts = !spec.hosts.is_empty();
    let relative = |uri: &String| route::relative_uri(&organization.name, has_hosts, uri);
    Route {
        id: api.meta.id.uuid(),
        name: Arc::from(api.meta.name.as_str()),
        function: Function { id: None, name: Arc::from(spec.function.as_str()) },
        hosts: spec.hosts.clone(),
        uris: spec.uris.iter().map(relative).collect(),
        methods: spec.methods.iter().filter_map(|method| route::method(method)).collect(),
        https_only: route::https_only(&spec.protocols),
        enabled: spec.enabled,
        cors: spec.cors,
        authentication: Authentication::from_field(Some(&spec.authentication)),
        organization,
    }
}
