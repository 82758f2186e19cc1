//! The route table: a pure index over a snapshot of all APIs, and the rules of who may claim what (decision 39).
//!
//! - A first path segment that is an organization's name always means that organization.
//! - Paths are served under `/<organization>/…`, and those of the default organization also at the root. An API with
//!   hosts is served at the root of these hosts only.
//! - A host belongs to the first organization that uses it; at its root nobody else is served.
//! - Among what fits a request, the longest path wins, then an API with that host, then one with that method.
//!
//! It serves no request itself and knows no function.

mod claim;
mod trie;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use http::Method;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::route::Route;
use claim::{Claim, Place};
use trie::Trie;

pub use trie::Want;

/// All routes of a moment. Build a new one and publish it; this one does not change.
#[derive(Debug, Default)]
pub struct Table {
    default_organization: Box<str>,
    routes: Vec<Arc<Route>>,
    /// What is served under each organization's name, for any host.
    organizations: HashMap<Box<[u8]>, Trie>,
    /// What the default organization serves at the root, for any host.
    root: Trie,
    hosts: HashMap<Box<str>, Host>,
}

#[derive(Debug)]
struct Host {
    owner: Box<str>,
    paths: Trie,
}

/// Why a claim of an API cannot stand. All but the last two are conflicts (409) with what is there already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error("path {path} of API {api} begins with the name of organization {organization}")]
    OrganizationName { api: String, path: String, organization: String },
    /// Whose it is, is nobody else's business.
    #[error("host {host} belongs to another organization")]
    HostTaken { host: String },
    #[error("API {api} answers {} {path}{} already", any_method(.method), at_host(.host))]
    SameClaim { api: String, method: Option<Method>, path: String, host: Option<String> },
    #[error("a path of API {api} has more than {max} segments")]
    TooDeep { api: String, max: usize },
    #[error("API {api} has more than {max} combinations of host, path and method")]
    TooMany { api: String, max: usize },
}

/// What was left out of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The id of the API.
    pub api: Uuid,
    pub error: ClaimError,
}

impl Table {
    /// Indexes `routes`, the oldest first: an earlier one keeps what a later one claims too. A claim that cannot stand
    /// is left out and reported; the route's other claims are served. `organizations` are the names of all of them.
    pub fn build<'a>(
        default_organization: &str,
        organizations: impl IntoIterator<Item = &'a str>,
        routes: Vec<Route>,
    ) -> (Self, Vec<Rejected>) {
        let boxed = |name: &str| -> Box<[u8]> { name.as_bytes().into() };
        let mut names: Vec<_> = organizations.into_iter().map(boxed).collect();
        names.extend(routes.iter().map(|route| boxed(&route.organization.name)));
        names.push(boxed(default_organization));
        let organizations = names.into_iter().map(|name| (name, Trie::default())).collect();
        let mut table = Self {
            default_organization: default_organization.into(),
            organizations,
            ..Self::default()
        };
        let mut rejected = Vec::new();
        for route in routes {
            let api = route.id;
            let claims = claim::claims(&route, &table.default_organization);
            table.routes.push(Arc::new(route));
            let index = table.routes.len() - 1;
            let outcomes = match claims {
                Ok(claims) => claims.into_iter().map(|claim| table.insert(claim, index)).collect(),
                Err(error) => vec![Err(error)],
            };
            let errors = outcomes.into_iter().filter_map(Result::err);
            rejected.extend(errors.map(|error| Rejected { api, error }));
        }
        (table, rejected)
    }

    /// The API that answers a request. `host` may have a port; `path` is the request's, percent-encoded.
    pub fn find(&self, host: Option<&str>, path: &str, want: Want<'_>) -> Option<&Arc<Route>> {
        let host = host.and_then(|host| self.hosts.get(&*host_key(host)));
        let first = segments(path).next().unwrap_or_default();
        let (host, hostless) = match self.organizations.get_key_value(&*first) {
            Some((name, trie)) => {
                let host = host.filter(|host| host.owner.as_bytes() == &**name);
                (host, trie.deepest(segments(path).skip(1), want, 1, false))
            }
            None => {
                let foreign = host.is_some_and(|host| host.owner != self.default_organization);
                let root = (!foreign).then_some(&self.root);
                (host, root.and_then(|root| root.deepest(segments(path), want, 0, false)))
            }
        };
        let hosted = host.and_then(|host| host.paths.deepest(segments(path), want, 0, true));
        self.routes.get(hosted.max(hostless)?.route)
    }

    /// Whether `route` could be created, or updated to this, beside what this table holds.
    ///
    /// # Errors
    /// The first claim that cannot stand. Equal claims are the same host, path and method within one organization.
    /// An API that is not enabled claims its hosts only.
    pub fn check(&self, route: &Route) -> Result<(), ClaimError> {
        let claims = claim::claims(route, &self.default_organization)?;
        claims.iter().try_for_each(|claim| self.stands(claim))
    }

    /// Whether an organization of this name could be created without taking a path away from an API.
    ///
    /// # Errors
    /// [`ClaimError::OrganizationName`] with the API that is in the way.
    pub fn check_organization(&self, name: &str) -> Result<(), ClaimError> {
        let mut roots = std::iter::once(&self.root).chain(self.hosts.values().map(|h| &h.paths));
        let taken = roots.find_map(|root| root.node([name.as_bytes()])?.any_route());
        match taken.and_then(|index| self.routes.get(index)) {
            None => Ok(()),
            Some(route) => Err(ClaimError::OrganizationName {
                api: route.name.to_string(),
                path: format!("/{name}"),
                organization: name.to_owned(),
            }),
        }
    }

    /// The name of the organization that a host belongs to.
    pub fn owner_of(&self, host: &str) -> Option<&str> {
        self.hosts.get(&*host_key(host)).map(|host| &*host.owner)
    }

    /// The number of APIs, those that are not enabled included.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    fn stands(&self, claim: &Claim) -> Result<(), ClaimError> {
        let trie = match &claim.place {
            Place::Organization => self.organizations.get(claim.owner.as_bytes()),
            Place::Root => Some(&self.root),
            Place::Host(name) => match self.hosts.get(name) {
                Some(host) if *host.owner != *claim.owner => {
                    return Err(ClaimError::HostTaken { host: name.to_string() });
                }
                host => host.map(|host| &host.paths),
            },
        };
        if !claim.enabled {
            return Ok(());
        }
        if let Some(organization) = self.other_meaning(claim) {
            return Err(ClaimError::OrganizationName {
                api: claim.api.to_string(),
                path: claim.shown_path(),
                organization,
            });
        }
        let node = trie.and_then(|trie| trie.node(claim.segments()));
        let rivals = node.into_iter().flat_map(Trie::answers);
        let mut rivals = rivals.filter(|rival| rival.method == claim.method);
        let rival = rivals
            .find_map(|rival| self.routes.get(rival.route).filter(|route| route.id != claim.id));
        rival.map_or(Ok(()), |rival| Err(claim.conflict_with(&rival.name)))
    }

    /// The organization that the first segment of a path means, if the path would never be looked up as claimed.
    fn other_meaning(&self, claim: &Claim) -> Option<String> {
        let first = claim.segments().next()?;
        let hidden = match claim.place {
            Place::Organization => false,
            Place::Root => true,
            Place::Host(_) => first != claim.owner.as_bytes(),
        };
        let named = hidden && self.organizations.contains_key(first);
        named.then(|| String::from_utf8_lossy(first).into_owned())
    }

    fn insert(&mut self, claim: Claim, route: usize) -> Result<(), ClaimError> {
        self.stands(&claim)?;
        let trie = match claim.place {
            Place::Organization => {
                self.organizations.entry(claim.owner.as_bytes().into()).or_default()
            }
            Place::Root => &mut self.root,
            Place::Host(name) => {
                let host = || Host { owner: (&*claim.owner).into(), paths: Trie::default() };
                &mut self.hosts.entry(name).or_insert_with(host).paths
            }
        };
        if claim.enabled {
            trie.node_mut(claim.path).answer(claim.method, route);
        }
        Ok(())
    }
}

/// The segments of a request's path, decoded. `/a/` and `/` end in an empty one, which no claim has.
fn segments(path: &str) -> impl Iterator<Item = Cow<'_, [u8]>> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(|part| percent_decode_str(part).into())
}

/// A host as it is compared: without port and final dot, in lower case.
fn host_key(host: &str) -> Cow<'_, str> {
    let end = if host.starts_with('[') {
        host.find(']').map(|bracket| bracket + 1)
    } else {
        host.find(':')
    };
    let name = end.and_then(|end| host.get(..end)).unwrap_or(host);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn any_method(method: &Option<Method>) -> &str {
    method.as_ref().map_or("every method of", Method::as_str)
}

fn at_host(host: &Option<String>) -> String {
    host.as_ref().map_or(String::new(), |host| format!(" at host {host}"))
}
