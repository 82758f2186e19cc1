//! The verbs, one folder or file each, and what all of them need.

pub mod apply;
pub mod arity;
pub mod broker;
pub mod catalog;
pub mod completion;
pub mod create;
pub mod daemon;
pub mod delete;
pub mod describe;
pub mod doctor;
pub mod exec;
pub mod get;
pub mod help;
pub mod login;
pub mod logout;
pub mod logs;
pub mod man;
pub mod manage;
pub mod refresh;
pub mod retry;
pub mod rotate;
pub mod server;
pub mod update;
pub mod version;

use std::{future::Future, path::PathBuf};

use crate::{
    args::{CommandLine, Verb},
    config::{self, Flags, Settings, file::ConfigFile},
    error::CliError,
    outcome::Outcome,
    output::Console,
    session::Session,
};

/// What a command starts from.
#[derive(Debug)]
pub struct App {
    pub flags: Flags,
    pub console: Console,
}

pub fn run(line: CommandLine) -> Result<Outcome, CliError> {
    let console = Console { format: config::format(&line.flags, &variable) };
    let app = App { flags: line.flags, console };
    let Some(verb) = line.verb else { return Ok(Outcome::Help) };
    match verb {
        Verb::Create(args) => create::run(&app, args),
        Verb::Get(args) => get::run(&app, args),
        Verb::Apply(args) => apply::run(&app, &args),
        Verb::Update(args) => update::run(&app, args),
        Verb::Delete(args) => delete::run(&app, args),
        Verb::Describe(args) => describe::run(&app, args),
        Verb::Catalog(args) => app.connected(|session| catalog::run(session, args)),
        Verb::Exec(args) => app.connected(|session| exec::run(session, args)),
        Verb::Logs(args) => app.connected(|session| logs::run(session, args)),
        Verb::Rotate(args) => rotate::run(&app, args),
        Verb::Retry(args) => retry::run(&app, args),
        Verb::Refresh(args) => refresh::run(&app, args),
        Verb::Login(args) => done(login::run(&app, &args)),
        Verb::Logout => done(logout::run(&app)),
        Verb::Version => done(version::run(&app)),
        Verb::Manage(args) => manage::run(&app, args),
        Verb::Completion(args) => completion::run(&app, args),
        Verb::Man(args) => man::run(&args),
        Verb::Help(args) => Ok(help::run(args)),
        Verb::Doctor(args) => done(doctor::run(&app, &args)),
        Verb::Server(args) => done(server::run(app.console, &args)),
        Verb::Broker(args) => broker::run(args),
    }
}

impl App {
    /// The configuration file that counts for this command.
    pub fn config_path(&self) -> (PathBuf, bool) {
        config::path(&self.flags, &variable)
    }

    pub fn config_file(&self) -> Result<ConfigFile, CliError> {
        let (path, named) = self.config_path();
        ConfigFile::read(&path, named)
    }

    pub fn settings(&self) -> Result<Settings, CliError> {
        config::resolve(&self.flags, &variable, &self.config_file()?)
    }

    pub fn session(&self) -> Result<Session, CliError> {
        Session::new(&self.settings()?, self.console)
    }

    /// Runs a command that talks to a server, on this thread alone: most of them wait for one answer.
    pub fn connected<F>(&self, command: impl FnOnce(Session) -> F) -> Result<Outcome, CliError>
    where
        F: Future<Output = Result<(), CliError>>,
    {
        let session = self.session()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(command(session))?;
        Ok(Outcome::Done)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn done(result: Result<(), CliError>) -> Result<Outcome, CliError> {
    result.map(|()| Outcome::Done)
}
