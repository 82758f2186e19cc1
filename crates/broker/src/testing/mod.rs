//! For tests: a PostgreSQL of one's own.

mod cluster;
mod process;

pub use cluster::{ClusterBuilder, ClusterError, PostgresCluster, connect, directory};
