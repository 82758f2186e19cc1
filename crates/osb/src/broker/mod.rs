//! The broker-side toolkit: write a [`Broker`], get the HTTP interface by [`router`].
//!
//! The toolkit checks version, authentication, sizes and shapes, decodes ids, and turns typed
//! answers and a typed [`Failure`] into the statuses and codes of the specification. It keeps no
//! books: what exists, and whether two requests are identical, is the broker's own knowledge.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dispatch_osb::broker::{
//!     Authentication, Broker, Call, Deprovision, Failure, Provision, Provisioned, Removed, router,
//! };
//! use dispatch_osb::types::Catalog;
//!
//! struct Nothing;
//!
//! #[async_trait::async_trait]
//! impl Broker for Nothing {
//!     async fn catalog(&self, _: &Call) -> Result<Catalog, Failure> {
//!         Ok(Catalog::default())
//!     }
//!     async fn provision(&self, _: &Call, _: Provision) -> Result<Provisioned, Failure> {
//!         Err(Failure::bad_request("there is no such plan"))
//!     }
//!     async fn deprovision(&self, _: &Call, _: Deprovision) -> Result<Removed, Failure> {
//!         Err(Failure::gone())
//!     }
//! }
//!
//! # async fn serve() -> std::io::Result<()> {
//! let token = "read from a file".to_owned();
//! let app = router(Arc::new(Nothing), Authentication::Bearer { token });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, app).await
//! # }
//! ```

mod answer;
mod authentication;
mod failure;
mod read;
mod request;
mod respond;
mod router;
#[cfg(test)]
mod tests;

pub use answer::{Bound, Progress, Provisioned, Removed, Updated};
pub use authentication::Authentication;
pub use failure::{Failure, FailureKind};
pub use request::{
    Bind, Call, Deprovision, GetBinding, GetInstance, PollBinding, PollInstance, Provision, Unbind,
    Update,
};
pub use router::{MAX_BODY_BYTES, MAX_ID_BYTES, router};

use async_trait::async_trait;

pub use crate::types::OriginatingIdentity;
use crate::types::{BindingDocument, Catalog, InstanceDocument};

/// What a broker does. Every method may be called several times at once, and again with the same
/// arguments after a lost answer: equal requests get equal answers.
///
/// A method that changes something runs to its end even when the caller goes away; a panic in it
/// is answered as 500.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// What the broker offers now.
    async fn catalog(&self, call: &Call) -> Result<Catalog, Failure>;

    /// Makes an instance.
    async fn provision(&self, call: &Call, request: Provision) -> Result<Provisioned, Failure>;

    /// Changes an instance.
    async fn update(&self, call: &Call, request: Update) -> Result<Updated, Failure> {
        let _ = (call, request);
        Err(Failure::bad_request("this broker cannot update instances"))
    }

    /// Removes an instance. [`Failure::gone`] when it does not exist.
    async fn deprovision(&self, call: &Call, request: Deprovision) -> Result<Removed, Failure>;

    /// How far the last operation on an instance is. [`Failure::gone`] once it is removed.
    async fn instance_operation(
        &self,
        call: &Call,
        request: PollInstance,
    ) -> Result<Progress, Failure> {
        let _ = (call, request);
        Err(Failure::bad_request("this broker has no asynchronous operations"))
    }

    /// Makes a binding, or the successor of one.
    async fn bind(&self, call: &Call, request: Bind) -> Result<Bound, Failure> {
        let _ = (call, request);
        Err(Failure::bad_request("this broker cannot bind"))
    }

    /// Removes a binding. [`Failure::gone`] when it does not exist.
    async fn unbind(&self, call: &Call, request: Unbind) -> Result<Removed, Failure> {
        let _ = (call, request);
        Err(Failure::gone())
    }

    /// How far the last operation on a binding is.
    async fn binding_operation(
        &self,
        call: &Call,
        request: PollBinding,
    ) -> Result<Progress, Failure> {
        let _ = (call, request);
        Err(Failure::bad_request("this broker has no asynchronous operations on bindings"))
    }

    /// An instance as it is; only asked if the service is `instances_retrievable`.
    async fn get_instance(
        &self,
        call: &Call,
        request: GetInstance,
    ) -> Result<InstanceDocument, Failure> {
        let _ = (call, request);
        Err(Failure::not_found("instances cannot be fetched from this broker"))
    }

    /// A binding as it is; only asked if the service is `bindings_retrievable`.
    async fn get_binding(
        &self,
        call: &Call,
        request: GetBinding,
    ) -> Result<BindingDocument, Failure> {
        let _ = (call, request);
        Err(Failure::not_found("bindings cannot be fetched from this broker"))
    }
}
