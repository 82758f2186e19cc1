//! `dispatch create servicebinding NAME INSTANCE`: a further binding, with credentials of its own.

use dispatch_api::{
    Operation,
    service_binding::{ServiceBinding, ServiceBindingInput},
    service_instance::ServiceInstance,
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
    /// Parameters for the binding, a JSON object or @FILE
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    params: Option<String>,
    /// Secret whose values are further parameters; may be repeated
    #[arg(short, long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Wait until the binding is ready
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name, instance] = arity::exactly::<2>(&args.names)?;
    let body = ServiceBindingInput {
        name: Some(name.to_owned()),
        instance: Some(instance.to_owned()),
        parameters: args.params.as_deref().map(files::json_map).transpose()?,
        secret_parameters: (!args.secrets.is_empty()).then(|| args.secrets.clone()),
        tags: args.tag.tags(),
    };
    let operation = Operation::CreateServiceBinding;
    match create::create::<ServiceBinding>(&session, operation, &body, args.wait).await {
        Ok(_) => Ok(()),
        Err(error) => Err(suggest::referred::<ServiceInstance>(&session, instance, error).await),
    }
}
