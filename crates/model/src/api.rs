//! An API: a function behind HTTP. Projected: READY once the gateway's snapshot that holds it is published.

use serde::{Deserialize, Serialize};

use crate::{Kind, Name, Noun, object::NoStatus};

#[derive(Debug)]
pub enum Api {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Need not exist yet.
    pub function: Name,
    pub hosts: Vec<String>,
    /// As stored by v0.1.22: `/<org>/…` unless there are hosts.
    pub uris: Vec<String>,
    pub methods: Vec<String>,
    pub protocols: Vec<String>,
    pub authentication: String,
    pub enabled: bool,
    pub cors: bool,
    /// Name of a secret with a certificate. Kept; not used yet.
    pub tls: String,
}

impl Noun for Api {
    const KIND: Kind = Kind::Api;
    type Spec = Spec;
    type Status = NoStatus;
}
