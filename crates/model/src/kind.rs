//! The closed list of kinds: what can be an object in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of object. The text form is the `kind` that clients of v0.1.22 read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Internal: who may come in.
    AccessKey,
    #[serde(rename = "API")]
    Api,
    BaseImage,
    Function,
    Image,
    Organization,
    /// Internal: something that may be left over at a broker (decision 21).
    Orphan,
    Secret,
    ServiceBinding,
    ServiceBroker,
    /// Whether an entry of a broker's catalogue is enabled; the entry itself belongs to the broker.
    ServiceClass,
    ServiceInstance,
}

impl Kind {
    pub const ALL: [Self; 12] = [
        Self::AccessKey,
        Self::Api,
        Self::BaseImage,
        Self::Function,
        Self::Image,
        Self::Organization,
        Self::Orphan,
        Self::Secret,
        Self::ServiceBinding,
        Self::ServiceBroker,
        Self::ServiceClass,
        Self::ServiceInstance,
    ];

    /// As in the `kind` field and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessKey => "AccessKey",
            Self::Api => "API",
            Self::BaseImage => "BaseImage",
            Self::Function => "Function",
            Self::Image => "Image",
            Self::Organization => "Organization",
            Self::Orphan => "Orphan",
            Self::Secret => "Secret",
            Self::ServiceBinding => "ServiceBinding",
            Self::ServiceBroker => "ServiceBroker",
            Self::ServiceClass => "ServiceClass",
            Self::ServiceInstance => "ServiceInstance",
        }
    }

    /// As in v0.1.22's messages: `<noun> <name> not found` (contract §1.3).
    pub const fn noun(self) -> &'static str {
        match self {
            Self::AccessKey => "access key",
            Self::Api => "API",
            Self::BaseImage => "base image",
            Self::Function => "function",
            Self::Image => "image",
            Self::Organization => "organization",
            Self::Orphan => "orphan",
            Self::Secret => "secret",
            Self::ServiceBinding => "service binding",
            Self::ServiceBroker => "service broker",
            Self::ServiceClass => "service class",
            Self::ServiceInstance => "service instance",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
