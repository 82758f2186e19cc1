//! Real Python workers: the protocol, the pools, layers and builds, and functions that attack them.

#[cfg(test)]
mod one_worker;
#[cfg(test)]
mod pools;
#[cfg(test)]
mod pools_change;
#[cfg(test)]
mod support;
