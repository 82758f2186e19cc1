//! Tags on the wire: a list of pairs, `null` when there are none.

use dispatch_model::Tags;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tag {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// `null` when empty, as v0.1.22 sends them.
pub fn to_wire(tags: &Tags) -> Option<Vec<Tag>> {
    let list: Vec<Tag> =
        tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
    (!list.is_empty()).then_some(list)
}

/// Equal keys collapse; the last one wins.
pub fn from_wire(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()
}
