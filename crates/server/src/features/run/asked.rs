//! What a non-blocking run was asked to be given, kept until it ends: what its record does not say, because everybody
//! who may see the run sees that. Sealed, for headers may carry credentials (decision 38).

use dispatch_gateway::context::without_credentials;
use dispatch_model::{Name, function::ServiceUse};
use dispatch_store::{ReadError, SealedKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Request;
use crate::platform::Platform;

/// Besides what its function always gets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) secrets: Vec<Name>,
    pub(super) services: Vec<ServiceUse>,
    /// Whole, if the record has less of it.
    pub(super) http_context: Option<Map<String, Value>>,
}

impl Asked {
    /// As text; `None` if there is nothing that the record does not say.
    pub(super) fn of(request: &Request) -> Option<Zeroizing<Vec<u8>>> {
        let shortened =
            |whole: &&Map<String, Value>| without_credentials((*whole).clone()).len() < whole.len();
        let asked = Self {
            secrets: request.secrets.clone(),
            services: request.services.clone(),
            http_context: request.http_context.as_ref().filter(shortened).cloned(),
        };
        let nothing = asked.secrets.is_empty() && asked.services.is_empty();
        if nothing && asked.http_context.is_none() {
            return None;
        }
        serde_json::to_vec(&asked).ok().map(Zeroizing::new)
    }

    /// Nothing, where nothing was kept.
    pub(super) async fn load(platform: &Platform, run: Uuid) -> Result<Self, ReadError> {
        let Some(text) = platform.store.sealed(&platform.system, key(run)).await? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&text).map_err(|error| ReadError::Damaged {
            what: format!("what run {run} was asked to be given"),
            why: error.to_string(),
        })
    }
}

/// Where it is kept.
pub(super) fn key(run: Uuid) -> SealedKey {
    SealedKey { owner: run, version: 1 }
}
