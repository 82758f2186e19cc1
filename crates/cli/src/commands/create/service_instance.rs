//! `dispatch create serviceinstance NAME CLASS [PLAN]`.

use dispatch_api::{
    Operation,
    service_class::ServiceClass,
    service_instance::{InstanceBindingInput, ServiceInstance, ServiceInstanceInput},
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
    /// Parameters for provisioning, a JSON object or @FILE
    #[arg(short, long, value_name = "JSON", allow_hyphen_values = true)]
    params: Option<String>,
    /// Secret whose values are further parameters for provisioning; may be repeated
    #[arg(short, long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// Parameters for the binding, a JSON object or @FILE
    #[arg(short = 'P', long, value_name = "JSON", allow_hyphen_values = true)]
    binding_params: Option<String>,
    /// Secret whose values are further parameters for the binding; may be repeated
    #[arg(short = 'S', long = "binding-secret", value_name = "NAME")]
    binding_secrets: Vec<String>,
    /// Accepted for old scripts and not used
    #[arg(short = 'B', long, value_name = "NAME")]
    binding_secret_key: Option<String>,
    /// Which broker is meant, when two have a class of this name
    #[arg(long)]
    broker: Option<String>,
    /// Wait until the instance and its binding are ready
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let body = wish(&args)?;
    let operation = Operation::CreateServiceInstance;
    match create::create::<ServiceInstance>(&session, operation, &body, args.wait).await {
        Ok(_) => Ok(()),
        Err(error) => Err(explained(&session, &body, error).await),
    }
}

fn wish(args: &Args) -> Result<ServiceInstanceInput, CliError> {
    let [name, class] = arity::at_least::<2>(&args.names)?;
    let wants_binding = args.binding_params.is_some()
        || args.binding_secret_key.is_some()
        || !args.binding_secrets.is_empty();
    let binding = InstanceBindingInput {
        parameters: args.binding_params.as_deref().map(files::json_map).transpose()?,
        secret_parameters: some(&args.binding_secrets),
        binding_secret: args.binding_secret_key.clone(),
    };
    Ok(ServiceInstanceInput {
        name: Some(name.to_owned()),
        service_class: Some(class.to_owned()),
        service_plan: args.names.get(2).cloned(),
        broker: args.broker.clone(),
        parameters: args.params.as_deref().map(files::json_map).transpose()?,
        secret_parameters: some(&args.secrets),
        binding: wants_binding.then_some(binding),
        tags: args.tag.tags(),
        ..ServiceInstanceInput::default()
    })
}

fn some(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

/// What to do next after a refusal.
async fn explained(session: &Session, body: &ServiceInstanceInput, error: CliError) -> CliError {
    let class = body.service_class.as_deref().unwrap_or_default();
    let has_faults = error.refusal().is_some_and(|refusal| !refusal.faults.is_empty());
    if has_faults {
        return error.hint(format!(
            "nothing was created. Parameters: dispatch describe serviceclass {class}"
        ));
    }
    let error = suggest::referred::<ServiceClass>(session, class, error).await;
    let names_class = error.refusal().is_some_and(|refusal| refusal.message.contains(class));
    if error.hints.is_empty() && names_class && error.status() == Some(400) {
        return error.hint(format!("its plans: dispatch describe serviceclass {class}"));
    }
    error
}
