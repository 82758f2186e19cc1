//! `dispatch completion SHELL`: what a shell reads to complete commands, flags and names.

use clap::Subcommand;

use crate::{commands::App, completion, error::CliError, outcome::Outcome};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    shell: Option<Shell>,
}

#[derive(Debug, Subcommand)]
enum Shell {
    /// For bash: add the example to ~/.bashrc
    #[command(override_usage = "dispatch completion bash")]
    Bash,
    /// For zsh: add the example to ~/.zshrc, after compinit
    #[command(override_usage = "dispatch completion zsh")]
    Zsh,
    /// For fish: add the example to ~/.config/fish/config.fish
    #[command(override_usage = "dispatch completion fish")]
    Fish,
}

pub fn run(app: &App, args: Args) -> Result<Outcome, CliError> {
    let shell = match args.shell {
        None => return Ok(Outcome::Help),
        Some(Shell::Bash) => "bash",
        Some(Shell::Zsh) => "zsh",
        Some(Shell::Fish) => "fish",
    };
    app.console.block(&completion::registration(shell)?)?;
    Ok(Outcome::Done)
}
