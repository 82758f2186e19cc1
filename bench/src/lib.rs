//! What the project's figures are measured with, and the load program of the walkthrough.
//!
//! Nothing here is part of the product. The servers that are measured are the real executable, started and stopped here.

pub mod load;

#[cfg(feature = "figures")]
pub mod figures;
#[cfg(feature = "figures")]
pub mod report;
#[cfg(feature = "figures")]
pub mod stage;
