//! What calls use: every deployed function, complete and in memory. Calls read this and never the store, so that warm
//! functions go on while the store does not (design §1).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use dispatch_model::{
    Id, Name,
    function::{Deployed, Function},
    organization::Organization,
};
use jsonschema::Validator;
use serde_json::Value;

use crate::{features::run::CallContext, schema};

/// The default time-out of a call (decision 37).
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
const TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);

/// A function as calls see it.
#[derive(Debug)]
pub struct Deployment {
    pub id: Id<Function>,
    pub organization: Id<Organization>,
    pub name: Name,
    pub deployed: Deployed,
    pub input: Option<Check>,
    pub output: Option<Check>,
    /// What every call is given besides its own: secrets and credentials, decrypted (decision 28). Empty until the
    /// first call, and again whenever one of them changes.
    pub context: ArcSwapOption<CallContext>,
}

/// A compiled schema.
#[derive(Debug)]
pub struct Check {
    pub schema: Value,
    pub validator: Validator,
}

impl Check {
    /// `None` for no schema, and for one that is not a schema (which was refused when the function was made).
    pub fn new(schema: Option<&Value>) -> Option<Self> {
        let schema =
            schema.filter(|schema| schema.as_object().is_some_and(|map| !map.is_empty()))?;
        let validator = schema::compile(schema).ok()?;
        Some(Self { schema: schema.clone(), validator })
    }
}

impl Deployment {
    pub fn timeout(&self) -> Duration {
        match self.deployed.timeout_ms {
            0 => TIMEOUT_DEFAULT,
            ms => Duration::from_millis(ms).min(TIMEOUT_MAX),
        }
    }
}

type ByName = HashMap<(Id<Organization>, Name), Arc<Deployment>>;

/// The snapshot.
#[derive(Debug, Default)]
pub struct Functions {
    by_name: ArcSwap<ByName>,
    /// Writers take turns; readers do not wait.
    writing: Mutex<()>,
    /// Whoever brings functions up to date with their credentials holds this: it starts workers, once.
    pub refreshing: tokio::sync::Mutex<()>,
}

impl Functions {
    pub fn get(&self, organization: Id<Organization>, name: &Name) -> Option<Arc<Deployment>> {
        self.by_name.load().get(&(organization, name.clone())).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Deployment>> {
        self.by_name.load().values().cloned().collect()
    }

    pub fn put(&self, deployment: Arc<Deployment>) {
        self.change(|map| {
            // A function that was made again under the same name has another id.
            map.insert((deployment.organization, deployment.name.clone()), deployment);
        });
    }

    pub fn remove(&self, id: Id<Function>) {
        self.change(|map| map.retain(|_, deployment| deployment.id != id));
    }

    fn change(&self, change: impl FnOnce(&mut ByName)) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = HashMap::clone(&self.by_name.load());
        change(&mut map);
        self.by_name.store(Arc::new(map));
    }
}
