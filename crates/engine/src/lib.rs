//! The reconcile driver: wake-ups, a keyed queue, back-off, the clock, and where randomness comes from.
//!
//! What is deliberately absent: any kind. A controller is a `Reconciler` behind a name, a key is 16 bytes, and
//! what a key stands for is known to the feature that owns the reconciler. Nothing here retries a broker.

pub mod backoff;
pub mod clock;
pub mod controller;
pub mod entropy;
mod queue;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock};
pub use controller::{Controller, Counters, Next, Options, Reconciler, Waker};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use queue::Key;
