//! The store from outside: the conformance suite that every back end runs, and what only SQLite has to prove.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics says where, and clippy knows only functions marked as tests"
)]

mod conformance;
mod crash;
mod disk_full;
mod harness;
mod schemas;
mod shrink;
mod sqlite;
