//! Transcripts: what a person types, what the server is asked, what is printed. Each is a golden file under
//! `tests/cases`; `UPDATE=1 cargo test -p dispatch-cli` writes them again, and a reviewer reads the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics; helpers are no tests")]

mod arguments;
mod blog;
mod brokers;
mod classes;
mod completion;
mod contexts;
mod daemon;
mod doctor;
mod documents;
mod formats;
mod functions;
mod help;
mod images;
mod included;
mod instances;
mod real_server;
mod recorded;
mod secrets;
mod seed;
mod starting;
mod support;
mod watching;

dispatch_runtime::spawn_helper_in_tests!();

/// What a person is told to type has to work.
#[test]
fn hints_name_only_commands_that_exist() {
    let hints = support::golden::commands();
    assert!(hints.len() > 5, "{hints:?}");
    for words in hints {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dispatch"));
        let output = command.args(words.split(' ')).arg("--help").output().unwrap();
        let noted = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && noted.is_empty(), "dispatch {words}: {noted}");
    }
}

/// A golden file that no test names is a leftover.
#[test]
fn every_golden_file_belongs_to_a_test() {
    support::golden::no_leftovers();
}
