//! `dispatch create image NAME BASE_IMAGE`: a base image with dependencies on top.

use std::path::{Path, PathBuf};

use dispatch_api::{
    Operation,
    base_image::BaseImage,
    image::{Image, ImageInput, RuntimeDependencies, SystemDependencies},
};

use crate::{
    commands::{arity, create},
    error::CliError,
    files,
    session::Session,
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// File with system packages, as JSON
    #[arg(long, value_name = "FILE")]
    system_deps: Option<PathBuf>,
    /// The language's list of dependencies, such as requirements.txt
    #[arg(long, value_name = "FILE")]
    runtime_deps: Option<PathBuf>,
    /// Wait until the dependencies are installed
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name, base] = arity::at_least::<2>(&args.names)?;
    let body = ImageInput {
        name: Some(name.to_owned()),
        base_image_name: Some(base.to_owned()),
        runtime_dependencies: args.runtime_deps.as_deref().map(manifest).transpose()?,
        system_dependencies: args.system_deps.as_deref().map(packages).transpose()?,
        tags: args.tag.tags(),
        ..ImageInput::default()
    };
    match create::create::<Image>(&session, Operation::CreateImage, &body, args.wait).await {
        Ok(_) => Ok(()),
        Err(error) => Err(suggest::referred::<BaseImage>(&session, base, error).await),
    }
}

fn manifest(path: &Path) -> Result<RuntimeDependencies, CliError> {
    Ok(RuntimeDependencies { manifest: read(path)? })
}

fn packages(path: &Path) -> Result<SystemDependencies, CliError> {
    serde_json::from_str(&read(path)?).map_err(|e| {
        CliError::input(format!("Error when parsing JSON from {}: {e}", path.display()))
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    files::text(path).map_err(|why| {
        CliError::input(format!("error when reading content of {}: {why}", path.display()))
    })
}
