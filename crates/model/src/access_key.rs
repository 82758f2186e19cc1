//! A key that lets its holder in. What is kept is the SHA-256 of it (decision 18).

use serde::{Deserialize, Serialize};

use crate::{Kind, Noun, object::NoStatus};

#[derive(Debug)]
pub enum AccessKey {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// SHA-256 of the key's text, hexadecimal.
    pub sha256: String,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything in every organization.
    Administrator,
}

impl Noun for AccessKey {
    const KIND: Kind = Kind::AccessKey;
    type Spec = Spec;
    type Status = NoStatus;
}
