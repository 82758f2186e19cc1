//! The executable `dispatch`: the command line, the server, and brokers of our own, in one file.
//!
//! What is deliberately absent: how anything is done. Every command for a server goes through `dispatch_api::Client`.

mod archive;
mod args;
mod clock;
mod commands;
mod completion;
mod config;
mod documents;
mod error;
mod files;
mod handler;
mod jwt;
mod nouns;
mod outcome;
mod output;
mod progress;
mod removal;
mod runs;
mod session;
mod suggest;
mod usage;
mod wait;

use std::process::ExitCode;

fn main() -> ExitCode {
    reexecutions();
    if completion::main_if_asked() {
        return ExitCode::SUCCESS;
    }
    usage::run(std::env::args_os())
}

/// The program starts itself again as a helper of the server. Whatever that is has to be found out first, before
/// threads, secrets and arguments.
fn reexecutions() {
    dispatch_runtime::spawner::main_if_asked();
    dispatch_runtime::layer::unpack_main_if_asked();
}
