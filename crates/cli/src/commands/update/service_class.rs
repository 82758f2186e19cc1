//! `dispatch update serviceclass NAME --default-plan PLAN`: which plan an instance gets that names none.

use dispatch_api::{
    Operation,
    service_class::{ServiceClass, ServiceClassInput},
};

use crate::{
    commands::{arity, get},
    error::CliError,
    session::{Received, Session},
    suggest,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// The plan of an instance that names none; '' for none
    #[arg(long, value_name = "PLAN", required = true)]
    default_plan: String,
    /// Which broker is meant, when two have a class of this name
    #[arg(long)]
    broker: Option<String>,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name] = arity::exactly::<1>(&args.names)?;
    let Args { broker, default_plan, .. } = &args;
    let body = ServiceClassInput {
        name: Some(name.to_owned()),
        broker: broker.clone(),
        default_plan: Some(default_plan.clone()),
    };
    let answer = session.call(Operation::UpdateServiceClass, &[name], &[], Some(&body)).await;
    let received: Received<ServiceClass> = match answer {
        Ok(received) => received,
        Err(error) => return Err(suggest::similar::<ServiceClass>(&session, name, error).await),
    };
    if session.console.is_for_programs() {
        return get::print(session.console, &[received.body], &received.raw);
    }
    session.console.done("Updated serviceclass", name)
}
