//! What all objects have in common, and how their spec and status are written down.
//!
//! `generation` counts changes of the wish (spec, tags, deletion mark; written by handlers), and
//! `status_revision` changes of what was seen (written by the controller that holds the key). Each has its own
//! compare-and-swap, so that a user's PUT during a broker call never makes the broker's answer unsaveable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Id, Kind, Name, organization::Organization};

/// Tags as v0.1.22 stores them: a map, so equal keys collapse.
pub type Tags = BTreeMap<String, String>;

/// The head of every object.
#[derive(Debug, PartialEq, Eq)]
pub struct Meta<K> {
    pub id: Id<K>,
    pub organization: Id<Organization>,
    pub name: Name,
    /// Starts at 1 and grows with every change of spec, tags or deletion mark.
    pub generation: u64,
    /// Starts at 0 and grows with every change of status.
    pub status_revision: u64,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// When somebody asked for it to be deleted. The object stays until that is done.
    pub deleting: Option<Timestamp>,
    pub tags: Tags,
}

impl<K> Meta<K> {
    /// The head of an object that is about to be stored for the first time.
    pub const fn new(
        id: Id<K>,
        organization: Id<Organization>,
        name: Name,
        now: Timestamp,
        tags: Tags,
    ) -> Self {
        Self {
            id,
            organization,
            name,
            generation: 1,
            status_revision: 0,
            created: now,
            modified: now,
            deleting: None,
            tags,
        }
    }
}

/// A kind, as a type: what its wish and its state look like.
pub trait Noun: Sized + Send + Sync + 'static {
    const KIND: Kind;
    /// The version of the stored form that this program writes.
    const VERSION: u32 = 1;
    type Spec: Serialize + DeserializeOwned + Clone + Send + Sync;
    type Status: Serialize + DeserializeOwned + Clone + Default + Send + Sync;
}

/// The status of kinds that are READY in the write that made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoStatus {}

/// One object of kind `K`.
#[derive(Debug)]
pub struct Object<K: Noun> {
    pub meta: Meta<K>,
    pub spec: K::Spec,
    pub status: K::Status,
}

// By hand, because derives would ask the marker `K` to be `Clone`.
impl<K> Clone for Meta<K> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), tags: self.tags.clone(), ..*self }
    }
}

impl<K: Noun> Clone for Object<K> {
    fn clone(&self) -> Self {
        Self { meta: self.meta.clone(), spec: self.spec.clone(), status: self.status.clone() }
    }
}

/// A stored form that this program does not understand. It concerns one object only (decision 6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableForm {
    #[error("stored by a newer version of dispatch (form {found}, this one reads up to {known})")]
    Newer { found: u32, known: u32 },
    #[error("stored form is damaged: {why}")]
    Damaged { why: String },
}

#[derive(Serialize, Deserialize)]
struct Form<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct FormVersion {
    v: u32,
}

/// Writes a spec or status with the version of its form in front.
pub fn to_stored<K: Noun>(body: &impl Serialize) -> String {
    serde_json::to_string(&Form { v: K::VERSION, body })
        .expect("specs and statuses are plain data with text keys")
}

/// Reads what `to_stored` wrote, now or in an earlier release.
pub fn from_stored<K: Noun, T: DeserializeOwned>(text: &str) -> Result<T, UnreadableForm> {
    let damaged = |e: serde_json::Error| UnreadableForm::Damaged { why: e.to_string() };
    let FormVersion { v } = serde_json::from_str(text).map_err(damaged)?;
    if v > K::VERSION {
        return Err(UnreadableForm::Newer { found: v, known: K::VERSION });
    }
    let form: Form<T> = serde_json::from_str(text).map_err(damaged)?;
    Ok(form.body)
}
