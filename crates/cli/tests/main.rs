//! Transcripts: what a person types, what the server is asked, what is printed. Each is a golden file under
//! `tests/cases`; `UPDATE=1 cargo test -p dispatch-cli` writes them again, and a reviewer reads the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics; helpers are no tests")]

mod arguments;
mod brokers;
mod classes;
mod contexts;
mod documents;
mod functions;
mod images;
mod instances;
mod real_server;
mod secrets;
mod support;

/// A golden file that no test names is a leftover.
#[test]
fn every_golden_file_belongs_to_a_test() {
    support::golden::no_leftovers();
}
