//! What an API claims: each of its methods, at each of its paths, at each place where it is served.

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::{ClaimError, host_key};
use crate::route::Route;

/// Tries are walked recursively in places, and nobody needs more.
const MAX_SEGMENTS: usize = 64;
const MAX_CLAIMS: usize = 1000;

#[derive(Debug)]
pub(super) struct Claim {
    /// The API's.
    pub(super) id: Uuid,
    pub(super) api: Arc<str>,
    /// The name of the organization.
    pub(super) owner: Arc<str>,
    pub(super) enabled: bool,
    pub(super) place: Place,
    pub(super) path: Vec<Box<[u8]>>,
    pub(super) method: Option<Method>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Below the organization's name.
    Organization,
    /// At the root, for any host that nobody has.
    Root,
    /// At the root of a host (as [`host_key`] has it).
    Host(Box<str>),
}

/// All claims of a route. There is at least one, as an empty list means everything.
pub(super) fn claims(route: &Route, default_organization: &str) -> Result<Vec<Claim>, ClaimError> {
    let hosts = route.hosts.iter().map(|host| Place::Host((*host_key(host)).into()));
    let is_default = &*route.organization.name == default_organization;
    let hostless = [Place::Organization, Place::Root].into_iter().take(1 + usize::from(is_default));
    let places = or(hosts.collect(), || hostless.collect());
    let paths = or(route.uris.iter().map(|uri| path(uri)).collect(), || vec![Vec::new()]);
    let methods = or(route.methods.iter().cloned().map(Some).collect(), || vec![None]);

    let api = || route.name.to_string();
    let count = places.len().saturating_mul(paths.len()).saturating_mul(methods.len());
    if count > MAX_CLAIMS {
        return Err(ClaimError::TooMany { api: api(), max: MAX_CLAIMS });
    }
    if paths.iter().any(|path| path.len() > MAX_SEGMENTS) {
        return Err(ClaimError::TooDeep { api: api(), max: MAX_SEGMENTS });
    }
    let mut claims = Vec::with_capacity(count);
    for place in &places {
        for path in &paths {
            for method in &methods {
                claims.push(Claim {
                    id: route.id,
                    api: Arc::clone(&route.name),
                    owner: Arc::clone(&route.organization.name),
                    enabled: route.enabled,
                    place: place.clone(),
                    path: path.clone(),
                    method: method.clone(),
                });
            }
        }
    }
    Ok(claims)
}

fn or<T>(list: Vec<T>, otherwise: impl FnOnce() -> Vec<T>) -> Vec<T> {
    if list.is_empty() { otherwise() } else { list }
}

impl Claim {
    pub(super) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.path.iter().map(|segment| &**segment)
    }

    pub(super) fn shown_path(&self) -> String {
        let owner = (self.place == Place::Organization).then(|| self.owner.as_bytes());
        let segments = owner.into_iter().chain(self.segments());
        let path: String =
            segments.map(|segment| format!("/{}", String::from_utf8_lossy(segment))).collect();
        if path.is_empty() { "/".to_owned() } else { path }
    }

    pub(super) fn conflict_with(&self, api: &str) -> ClaimError {
        let host = match &self.place {
            Place::Host(name) => Some(name.to_string()),
            Place::Organization | Place::Root => None,
        };
        ClaimError::SameClaim {
            api: api.to_owned(),
            method: self.method.clone(),
            path: self.shown_path(),
            host,
        }
    }
}

/// The segments of a claimed path, decoded; empty ones mean nothing.
fn path(uri: &str) -> Vec<Box<[u8]>> {
    let segments = uri.split('/').filter(|segment| !segment.is_empty());
    segments.map(|segment| percent_decode_str(segment).collect()).collect()
}
