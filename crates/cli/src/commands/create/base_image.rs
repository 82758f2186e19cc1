//! `dispatch create base-image NAME URL`.

use dispatch_api::{
    Operation,
    base_image::{BaseImage, BaseImageInput},
};

use crate::{
    commands::{arity, create},
    error::CliError,
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Specify the runtime language for the image
    #[arg(long, default_value = "", hide_default_value = true)]
    language: String,
    /// Wait until its interpreter has answered
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name, url] = arity::at_least::<2>(&args.names)?;
    let body = BaseImageInput {
        name: Some(name.to_owned()),
        docker_url: Some(url.to_owned()),
        language: Some(args.language),
        tags: args.tag.tags(),
    };
    let operation = Operation::CreateBaseImage;
    create::create::<BaseImage>(&session, operation, &body, args.wait).await?;
    Ok(())
}
