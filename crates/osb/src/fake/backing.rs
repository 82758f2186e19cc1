//! What may be behind the fake broker: something real, which is made and removed along with its books.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::books::Books;
use super::state::Shared;
use crate::broker::{Bind, Bound, Deprovision, Failure, Provision, Provisioned, Removed, Unbind};
use crate::types::JsonObject;

/// Makes what instances and bindings stand for. One call at a time; each may come again after it has failed, or after
/// its answer was lost, and is to succeed then. An error is answered with status 500 and these words.
#[async_trait]
pub trait Backing: Debug + Send + Sync {
    /// What the instance stands for. Its work at the broker may go on for long after that.
    async fn create(&self, instance_id: &str) -> Result<(), String>;

    /// The credentials of a binding.
    async fn bind(&self, instance_id: &str, binding_id: &str) -> Result<JsonObject, String>;

    /// These credentials are to be accepted no longer.
    async fn unbind(&self, instance_id: &str, binding_id: &str) -> Result<(), String>;

    /// The instance is to be gone.
    async fn remove(&self, instance_id: &str) -> Result<(), String>;
}

impl Shared {
    fn backing(&self) -> Option<Arc<dyn Backing>> {
        self.read(|state| state.settings.backing.clone())
    }

    pub(super) async fn provision_backed(
        &self,
        request: Provision,
    ) -> Result<Provisioned, Failure> {
        let _one = self.one_at_a_time.lock().await;
        let id = request.instance_id.clone();
        let before = self.read(|state| state.books.instances.get(&id).cloned());
        let done = self.with(|state| state.provision(request))?;
        if let Some(backing) = self.backing()
            && !matches!(done, Provisioned::Exists(_))
        {
            let made = backing.create(&id).await;
            self.or_undo(made, |books| set(&mut books.instances, id, before))?;
        }
        Ok(done)
    }

    pub(super) async fn deprovision_backed(
        &self,
        request: Deprovision,
    ) -> Result<Removed, Failure> {
        let _one = self.one_at_a_time.lock().await;
        let id = request.instance_id.clone();
        let before = self.read(|state| state.books.instances.get(&id).cloned());
        let done = self.with(|state| state.deprovision(request))?;
        if let Some(backing) = self.backing() {
            let removed = backing.remove(&id).await;
            self.or_undo(removed, |books| set(&mut books.instances, id, before))?;
        }
        Ok(done)
    }

    pub(super) async fn bind_backed(&self, request: Bind) -> Result<Bound, Failure> {
        let _one = self.one_at_a_time.lock().await;
        let (instance, id) = (request.instance_id.clone(), request.binding_id.clone());
        let before = self.read(|state| state.books.bindings.get(&id).cloned());
        let mut done = self.with(|state| state.bind(request))?;
        if let Some(backing) = self.backing()
            && !matches!(done, Bound::Exists(_))
        {
            let made = backing.bind(&instance, &id).await;
            let undo = |books: &mut Books| set(&mut books.bindings, id.clone(), before);
            let credentials = self.or_undo(made, undo)?;
            if let Bound::Created(answer) = &mut done {
                answer.document.credentials = Some(credentials.clone());
            }
            self.with(|state| {
                if let Some(binding) = state.books.bindings.get_mut(&id) {
                    binding.credentials = credentials;
                }
            });
        }
        Ok(done)
    }

    pub(super) async fn unbind_backed(&self, request: Unbind) -> Result<Removed, Failure> {
        let _one = self.one_at_a_time.lock().await;
        let (instance, id) = (request.instance_id.clone(), request.binding_id.clone());
        let before = self.read(|state| state.books.bindings.get(&id).cloned());
        let done = self.with(|state| state.unbind(request))?;
        if let Some(backing) = self.backing() {
            let removed = backing.unbind(&instance, &id).await;
            self.or_undo(removed, |books| set(&mut books.bindings, id, before))?;
        }
        Ok(done)
    }

    /// What the backing has said; if it has failed, the books are as they were.
    fn or_undo<T>(
        &self,
        said: Result<T, String>,
        undo: impl FnOnce(&mut Books),
    ) -> Result<T, Failure> {
        said.map_err(|why| {
            self.with(|state| undo(&mut state.books));
            Failure::internal(why)
        })
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, id: String, value: Option<T>) {
    match value {
        Some(value) => map.insert(id, value),
        None => map.remove(&id),
    };
}
