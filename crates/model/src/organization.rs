//! The organization: the scope of everything else.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Kind, Noun, object::NoStatus};

#[derive(Debug)]
pub enum Organization {}

/// What is kept of an organization besides its name and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The `space_guid` that brokers are told (decision 22).
    pub space: Uuid,
}

impl Noun for Organization {
    const KIND: Kind = Kind::Organization;
    type Spec = Spec;
    type Status = NoStatus;
}
