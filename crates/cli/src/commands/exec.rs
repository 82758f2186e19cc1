//! `dispatch exec FUNCTION`: calls it and prints the run as JSON, also when the function failed (contract §3.5);
//! with `-o name` its id alone.

use std::path::Path;

use dispatch_api::{
    Operation,
    function::Function,
    run::{Run, RunInput},
};
use serde_json::value::RawValue;

use crate::{
    commands::arity,
    error::CliError,
    files,
    output::Format,
    session::{Received, Session},
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Wait for the function to complete execution
    #[arg(long)]
    wait: bool,
    /// Function input, any JSON, or @FILE
    #[arg(long, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    input: String,
    /// Secret to give to this run; may be repeated
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Service instance to give to this run; may be repeated
    #[arg(long = "service", value_name = "INSTANCE[=ALIAS]")]
    services: Vec<String>,
    /// Accepted for old scripts and not used
    #[arg(long)]
    all: bool,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [function] = arity::exactly::<1>(&args.names).map_err(|error| {
        let input = args.names.get(1).filter(|text| text.starts_with('{'));
        match input {
            Some(input) => error.hint(format!("did you mean --input '{input}'?")),
            None => error,
        }
    })?;
    // No JSON begins with it.
    let input = match args.input.strip_prefix('@') {
        Some(file) => files::text(Path::new(file)).map_err(CliError::input)?,
        None => args.input.clone(),
    };
    let input = RawValue::from_string(input).map_err(|e| {
        CliError::input(format!("Error when parsing function parameters {}\n{e}", args.input))
    })?;
    let body = RunInput {
        blocking: args.wait,
        input: Some(input),
        secrets: Some(args.secrets),
        services: (!args.services.is_empty()).then_some(args.services),
        ..RunInput::default()
    };
    let query = [("functionName", function)];
    let answer: Result<Received<Run>, CliError> =
        session.call(Operation::CreateRun, &[], &query, Some(&body)).await;
    match answer {
        Ok(received) if session.console.format == Format::Name => {
            session.console.line(&received.body.name.to_string())
        }
        Ok(received) => session.console.document(&received.raw),
        Err(error) => {
            let not_ready = error.refusal().is_some_and(|r| r.message.ends_with("is not READY"));
            if not_ready {
                return Err(error.hint(format!("why: dispatch describe function {function}")));
            }
            Err(suggest::similar::<Function>(&session, function, error).await)
        }
    }
}
