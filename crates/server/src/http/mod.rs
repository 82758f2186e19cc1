//! HTTP at the edge of the control plane: find the operation, authenticate, call its handler, wait if asked, answer.
//!
//! What is deliberately absent: what any operation does. That is in `features`.

mod answer;
mod authenticate;
mod body;
pub mod call;
mod commit;
mod error;
mod handlers;
mod intake;
mod serve;
mod wait;

pub use answer::{Answer, Awaited};
pub use authenticate::Authenticator;
pub use call::Call;
pub use commit::commit_on;
pub use error::ApiError;
pub use serve::router;
pub use wait::Settling;
