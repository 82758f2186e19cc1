//! The reads. Each takes a scope, which ends up in the SQL.

use std::sync::PoisonError;

use dispatch_model::{Id, Name, Noun, secret::Secret};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    AuditEntry, AuditFilter, BlobDigest, OrgScope, Page, ReadError, RunFilter, RunPage, RunRecord,
    Scope, SealedKey, SecretValues, Store, Stored, SystemScope, UnfinishedRun,
    scope::sealed::Filter, seal::unseal, sqlite,
};

impl Store {
    /// The object of that name. In the system scope, [`ReadError::Ambiguous`] if several organizations have one.
    pub async fn get<K: Noun>(
        &self,
        scope: &impl Scope,
        name: &Name,
    ) -> Result<Option<Stored<K>>, ReadError> {
        let (only, name) = (scope.only(), name.clone());
        self.readers().read(move |db| sqlite::by_name(db, only, &name)).await
    }

    pub async fn get_by_id<K: Noun>(
        &self,
        scope: &impl Scope,
        id: Id<K>,
    ) -> Result<Option<Stored<K>>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::by_id(db, only, id.uuid())).await
    }

    /// All of them, in the order of their names.
    pub async fn list<K: Noun>(&self, scope: &impl Scope) -> Result<Vec<Stored<K>>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::list(db, only)).await
    }

    /// The ids of all of them, those included that cannot be read.
    pub async fn ids<K: Noun>(&self, scope: &impl Scope) -> Result<Vec<Id<K>>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::ids(db, only)).await
    }

    /// The names of all of them, those included that cannot be read.
    pub async fn names<K: Noun>(&self, scope: &OrgScope) -> Result<Vec<Name>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::names::<K>(db, only)).await
    }

    /// Some of them, in the order of their names. Names are unique in one organization only, hence the type of scope.
    pub async fn list_page<K: Noun>(
        &self,
        scope: &OrgScope,
        page: &Page,
    ) -> Result<Vec<Stored<K>>, ReadError> {
        let (only, page) = (scope.only(), page.clone());
        self.readers().read(move |db| sqlite::page(db, only, &page)).await
    }

    /// Those that were stored with `to` among their references, in the order of their names.
    pub async fn list_referring<K: Noun>(
        &self,
        scope: &impl Scope,
        to: Uuid,
    ) -> Result<Vec<Stored<K>>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::referring(db, only, to)).await
    }

    /// The values of a secret, decrypted.
    pub async fn secret_values(
        &self,
        scope: &impl Scope,
        secret: Id<Secret>,
        version: u64,
    ) -> Result<Option<SecretValues>, ReadError> {
        let key = SealedKey { owner: secret.uuid(), version };
        let Some(json) = self.sealed(scope, key).await? else { return Ok(None) };
        let values = SecretValues::from_json(&json);
        values.map(Some).ok_or_else(|| ReadError::Damaged {
            what: format!("version {version} of secret {secret}"),
            why: "it does not hold values".to_owned(),
        })
    }

    /// Sealed bytes, decrypted.
    pub async fn sealed(
        &self,
        scope: &impl Scope,
        key: SealedKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let only = scope.only();
        let row = self.readers().read(move |db| sqlite::sealed(db, only, key)).await?;
        let keyring = self.keyring().read().unwrap_or_else(PoisonError::into_inner).clone();
        let plain = row.map(|row| unseal(&keyring, row)).transpose();
        plain.map_err(|_| ReadError::Unsealable { owner: key.owner, version: key.version })
    }

    /// A blob. Whoever knows its digest was told of it by an object.
    pub async fn blob(&self, digest: &BlobDigest) -> Result<Option<Vec<u8>>, ReadError> {
        let digest = *digest;
        self.readers().read(move |db| sqlite::blob(db, &digest)).await
    }

    pub async fn run(&self, scope: &impl Scope, id: Uuid) -> Result<Option<RunRecord>, ReadError> {
        let only = scope.only();
        self.readers().read(move |db| sqlite::run(db, only, id)).await
    }

    /// Newest first.
    pub async fn runs(&self, scope: &impl Scope, filter: &RunFilter) -> Result<RunPage, ReadError> {
        let (only, filter) = (scope.only(), filter.clone());
        self.readers().read(move |db| sqlite::runs(db, only, &filter)).await
    }

    /// All runs that are not done, oldest first: what a server takes up again when it starts. Without their bodies,
    /// which may be more than fits into memory.
    pub async fn unfinished_runs(
        &self,
        _scope: &SystemScope,
    ) -> Result<Vec<UnfinishedRun>, ReadError> {
        self.readers().read(sqlite::unfinished).await
    }

    /// Newest first.
    pub async fn audit(
        &self,
        _scope: &SystemScope,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEntry>, ReadError> {
        let filter = filter.clone();
        self.readers().read(move |db| sqlite::audit(db, &filter)).await
    }
}
