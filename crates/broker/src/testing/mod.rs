//! For tests: a PostgreSQL of one's own.

mod by_hand;
mod cluster;
mod process;

pub use by_hand::{ByHand, by_hand};
pub use cluster::{ClusterBuilder, ClusterError, PostgresCluster, connect, directory};
