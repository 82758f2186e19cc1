//! `dispatch logout`: forgets the login of the current context, not the server.

use crate::{commands::App, config::file::ConfigFile, error::CliError};

pub fn run(app: &App) -> Result<(), CliError> {
    let (path, named) = app.config_path();
    let mut file = ConfigFile::read(&path, named)?;
    let current = file.current.clone();
    if let Some(context) = file.contexts.get_mut(&current) {
        context.clear_login();
        file.write(&path)?;
    }
    app.console.line("You have successfully logged out")
}
