//! The reads. Each takes a scope, which ends up in the SQL.

use dispatch_model::{Id, Name, Noun, secret::Secret};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    AuditEntry, AuditFilter, BlobDigest, OrgScope, Page, ReadError, RunFilter, RunRecord, Scope,
    SealedKey, SecretValues, Store, Stored, SystemScope,
};

impl Store {
    /// The object of that name. In the system scope, [`ReadError::Ambiguous`] if several organizations have one.
    pub async fn get<K: Noun>(
        &self,
        scope: &impl Scope,
        name: &Name,
    ) -> Result<Option<Stored<K>>, ReadError> {
        let _ = (scope, name);
        Err(ReadError::Closed)
    }

    pub async fn get_by_id<K: Noun>(
        &self,
        scope: &impl Scope,
        id: Id<K>,
    ) -> Result<Option<Stored<K>>, ReadError> {
        let _ = (scope, id);
        Err(ReadError::Closed)
    }

    /// All of them, in the order of their names.
    pub async fn list<K: Noun>(&self, scope: &impl Scope) -> Result<Vec<Stored<K>>, ReadError> {
        let _ = scope;
        Err(ReadError::Closed)
    }

    /// Some of them, in the order of their names. Names are unique in one organization only, hence the type of scope.
    pub async fn list_page<K: Noun>(
        &self,
        scope: &OrgScope,
        page: &Page,
    ) -> Result<Vec<Stored<K>>, ReadError> {
        let _ = (scope, page);
        Err(ReadError::Closed)
    }

    /// Those that were stored with `to` among their references, in the order of their names.
    pub async fn list_referring<K: Noun>(
        &self,
        scope: &impl Scope,
        to: Uuid,
    ) -> Result<Vec<Stored<K>>, ReadError> {
        let _ = (scope, to);
        Err(ReadError::Closed)
    }

    /// The values of a secret, decrypted.
    pub async fn secret_values(
        &self,
        scope: &impl Scope,
        secret: Id<Secret>,
        version: u64,
    ) -> Result<Option<SecretValues>, ReadError> {
        let _ = (scope, secret, version);
        Err(ReadError::Closed)
    }

    /// Sealed bytes, decrypted.
    pub async fn sealed(
        &self,
        scope: &impl Scope,
        key: SealedKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let _ = (scope, key);
        Err(ReadError::Closed)
    }

    /// A blob. Whoever knows its digest was told of it by an object.
    pub async fn blob(&self, digest: &BlobDigest) -> Result<Option<Vec<u8>>, ReadError> {
        let _ = digest;
        Err(ReadError::Closed)
    }

    pub async fn run(&self, scope: &impl Scope, id: Uuid) -> Result<Option<RunRecord>, ReadError> {
        let _ = (scope, id);
        Err(ReadError::Closed)
    }

    /// Newest first.
    pub async fn runs(
        &self,
        scope: &impl Scope,
        filter: &RunFilter,
    ) -> Result<Vec<RunRecord>, ReadError> {
        let _ = (scope, filter);
        Err(ReadError::Closed)
    }

    /// All runs that are not done, oldest first: what a server takes up again when it starts.
    pub async fn unfinished_runs(&self, scope: &SystemScope) -> Result<Vec<RunRecord>, ReadError> {
        let _ = scope;
        Err(ReadError::Closed)
    }

    /// Newest first.
    pub async fn audit(
        &self,
        scope: &SystemScope,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEntry>, ReadError> {
        let _ = (scope, filter);
        Err(ReadError::Closed)
    }
}
