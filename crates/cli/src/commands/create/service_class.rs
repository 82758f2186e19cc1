//! `dispatch create serviceclass NAME --broker BROKER`: makes a class of a broker's catalogue available.

use dispatch_api::{
    Operation,
    service_class::{ServiceClass, ServiceClassInput},
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
    /// The broker that has the class
    #[arg(long, required = true)]
    broker: String,
    /// The plan of an instance that names none
    #[arg(long, value_name = "PLAN")]
    default_plan: Option<String>,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let body = ServiceClassInput {
        name: Some(name.to_owned()),
        broker: Some(args.broker),
        default_plan: args.default_plan,
    };
    let create = Operation::CreateServiceClass;
    match create::create::<ServiceClass>(&session, create, &body, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(400) => {
            Err(error.hint("what brokers have: dispatch get serviceclass --available"))
        }
        Err(error) => Err(error),
    }
}
