//! The command line as a table of contents: verbs, and the flags that all of them take.

use clap::{Parser, Subcommand};

use crate::{commands, config::Flags};

/// Functions, and the services they need.
#[derive(Debug, Parser)]
#[command(
    name = "dispatch",
    version,
    disable_help_subcommand = true,
    override_usage = "dispatch COMMAND [flags]"
)]
pub struct CommandLine {
    #[command(flatten)]
    pub flags: Flags,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Create a resource
    #[command(
        override_usage = "dispatch create TYPE NAME … [flags]\n  dispatch create -f FILE [flags]"
    )]
    Create(commands::create::Args),
    /// Display one or many resources
    #[command(override_usage = "dispatch get TYPE [NAME] [flags]")]
    Get(commands::get::Args),
    /// Create or update resources from a file, as far as that is needed
    #[command(override_usage = "dispatch apply -f FILE [flags]")]
    Apply(commands::apply::Args),
    /// Update resources from a file
    #[command(override_usage = "dispatch update -f FILE [flags]")]
    Update(commands::update::Args),
    /// Delete a resource
    #[command(
        override_usage = "dispatch delete TYPE NAME [flags]\n  dispatch delete -f FILE [flags]"
    )]
    Delete(commands::delete::Args),
    /// Explain a resource: what it offers and how to use it
    #[command(override_usage = "dispatch describe TYPE NAME [flags]")]
    Describe(commands::describe::Args),
    /// Show the services that there are: classes and their plans
    #[command(override_usage = "dispatch catalog [CLASS] [flags]")]
    Catalog(commands::catalog::Args),
    /// Execute a function
    #[command(override_usage = "dispatch exec FUNCTION [--wait] [--input JSON] [flags]")]
    Exec(commands::exec::Args),
    /// Show what the runs of a function printed
    #[command(alias = "log", override_usage = "dispatch logs FUNCTION [-f] [--tail LINES] [flags]")]
    Logs(commands::logs::Args),
    /// Give a resource new credentials
    #[command(override_usage = "dispatch rotate TYPE NAME [flags]")]
    Rotate(commands::rotate::Args),
    /// Try again what ended in an error
    #[command(override_usage = "dispatch retry TYPE NAME [flags]")]
    Retry(commands::retry::Args),
    /// Read a broker's catalogue again
    #[command(override_usage = "dispatch refresh TYPE NAME [flags]")]
    Refresh(commands::refresh::Args),
    /// Log in to Dispatch
    #[command(override_usage = "dispatch login [flags]")]
    Login(commands::login::Args),
    /// Log out of Dispatch
    #[command(override_usage = "dispatch logout [flags]")]
    Logout,
    /// Show the versions of client and server
    #[command(override_usage = "dispatch version [flags]")]
    Version,
    /// Manage Dispatch configurations
    #[command(override_usage = "dispatch manage [command]")]
    Manage(commands::manage::Args),
    /// Let a shell complete commands, flags and names
    #[command(override_usage = "dispatch completion SHELL")]
    Completion(commands::completion::Args),
    /// Write manual pages
    #[command(hide = true, override_usage = "dispatch man DIR")]
    Man(commands::man::Args),
    /// Help about any command
    #[command(override_usage = "dispatch help [COMMAND]")]
    Help(commands::help::Args),
    /// Say what this machine allows, what is there, and what to do about the rest
    #[command(override_usage = "dispatch doctor [flags]")]
    Doctor(commands::doctor::Args),
    /// Run the Dispatch server
    Server(commands::server::Args),
    /// Run a service broker
    #[command(override_usage = "dispatch broker KIND [flags]")]
    Broker(commands::broker::Args),
}
