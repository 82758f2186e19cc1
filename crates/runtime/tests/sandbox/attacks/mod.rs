//! Attacks from inside. Each has a twin without the layer that stops it, in which it succeeds
//! (decision 41): otherwise a broken attack would count as a defence.
//!
//! An attack is a Python program that prints `done …` when it got through, and `held …` when not.

mod files;
mod leaks;
mod network;
mod privileges;
mod processes;
mod resources;

use crate::support::{Lab, Outcome, run_unconfined};

/// Runs an attack in a sandbox, where it must be held, and unconfined, where it must succeed.
async fn attack(lab: &Lab, program: &str) {
    held(&lab.run(program).await);
    done(&run_unconfined(program).await);
}

fn held(outcome: &Outcome) {
    assert!(outcome.stdout.starts_with("held"), "in the sandbox: {outcome:?}");
    assert!(!outcome.stdout.contains("done"), "in the sandbox: {outcome:?}");
}

fn done(outcome: &Outcome) {
    assert!(outcome.stdout.starts_with("done"), "the twin: {outcome:?}");
}
