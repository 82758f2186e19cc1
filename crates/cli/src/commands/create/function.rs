//! `dispatch create function`: IMAGE NAME PATH, or NAME PATH with `--image` (contract §3.3).

use std::path::{Path, PathBuf};

use dispatch_api::{
    Operation,
    function::{Function, FunctionInput, Schema},
    image::Image,
};
use serde_json::Value;

use crate::{
    archive,
    commands::{arity, create},
    error::CliError,
    files, handler,
    session::Session,
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Image to use for the function
    #[arg(long)]
    image: Option<String>,
    /// What to call, such as module.function; needed when it cannot be told from the source
    #[arg(long)]
    handler: Option<String>,
    /// File with the JSON schema of the input
    #[arg(long, value_name = "FILE")]
    schema_in: Option<PathBuf>,
    /// File with the JSON schema of the output
    #[arg(long, value_name = "FILE")]
    schema_out: Option<PathBuf>,
    /// Secret to give to the function; may be repeated
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Service instance to give to the function; may be repeated
    #[arg(long = "service", value_name = "INSTANCE[=ALIAS]")]
    services: Vec<String>,
    /// Longest time that a call may take, in milliseconds; 0 is the server's default
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 0,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    timeout: i64,
    /// Wait until the function can be called
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let (image, name, path) = names(&args)?;
    let path = Path::new(path);
    let failed = |why: String| CliError::input(format!("error creating function {name}: {why}"));
    let body = FunctionInput {
        name: Some(name.to_owned()),
        image: Some(image.to_owned()),
        handler: match &args.handler {
            Some(handler) => Some(handler.clone()),
            None => handler::of(path).map_err(failed)?,
        },
        source: Some(archive::text(path)?),
        schema: Some(Schema {
            input: args.schema_in.as_deref().map(schema).transpose()?,
            output: args.schema_out.as_deref().map(schema).transpose()?,
        }),
        secrets: Some(args.secrets.clone()),
        services: Some(args.services.clone()),
        timeout: (args.timeout != 0).then_some(args.timeout),
        tags: args.tag.tags(),
        ..FunctionInput::default()
    };
    let made =
        create::create::<Function>(&session, Operation::CreateFunction, &body, args.wait).await;
    match made {
        Ok(_) => Ok(()),
        Err(error) => Err(suggest::referred::<Image>(&session, image, error).await),
    }
}

/// Image, name and path, from either form.
fn names(args: &Args) -> Result<(&str, &str, &str), CliError> {
    match (&args.image, args.names.as_slice()) {
        (Some(image), _) => {
            let [name, path] = arity::exactly::<2>(&args.names)?;
            Ok((image, name, path))
        }
        (None, [image, name, path]) => Ok((image, name, path)),
        (None, [_, _]) => Err(CliError::arguments("required flag(s) \"image\" not set")),
        (None, names) => {
            Err(CliError::arguments(format!("accepts 3 arg(s), received {}", names.len())))
        }
    }
}

fn schema(path: &Path) -> Result<Value, CliError> {
    let place = path.display();
    let text = files::text(path)
        .map_err(|why| CliError::input(format!("error when reading content of {place}: {why}")))?;
    serde_json::from_str(&text)
        .map_err(|e| CliError::input(format!("Error when parsing JSON from {place}: {e}")))
}
