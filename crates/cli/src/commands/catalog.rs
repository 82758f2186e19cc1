//! `dispatch catalog`: all classes with their plans on one page, for a person who chooses. `dispatch catalog CLASS` is
//! `dispatch describe serviceclass CLASS`.

use dispatch_api::{Operation, service_class::ServiceClass};

use crate::{
    commands::{arity, describe::service_class, get},
    error::CliError,
    output::{Format, clean, columns},
    session::{NO_BODY, Received, Session},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    class: service_class::ClassArgs,
    /// Classes that are not enabled, for an administrator
    #[arg(long)]
    available: bool,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    arity::at_most(&args.class.names, 1)?;
    if !args.class.names.is_empty() {
        return service_class::run(session, args.class).await;
    }
    let mut query = Vec::new();
    query.extend(args.class.broker.as_deref().map(|broker| ("broker", broker)));
    query.extend(args.available.then_some(("available", "true")));
    let listed: Received<Vec<ServiceClass>> =
        session.call(Operation::ListServiceClasses, &[], &query, NO_BODY).await?;
    let console = session.console;
    match console.format {
        Format::Table | Format::Wide if listed.body.is_empty() => {
            console.note(empty(args.available));
            Ok(())
        }
        Format::Table | Format::Wide => console.block(&page(&listed.body)),
        _ => get::print(console, &listed.body, &listed.raw),
    }
}

/// What to do when there is nothing to choose from.
fn empty(available: bool) -> &'static str {
    if available {
        "no broker has a class that is not enabled; see them all: dispatch catalog"
    } else {
        "there are no classes; an administrator registers a broker: dispatch create servicebroker NAME URL\n\
         or enables a class of one: dispatch catalog --available"
    }
}

fn page(classes: &[ServiceClass]) -> String {
    let mut rows = vec![["CLASS, PLAN", "COST", "YOU GET"].map(str::to_owned).to_vec()];
    for class in classes {
        rows.push(vec![clean::line(&class.name), String::new(), about(class)]);
        for plan in &class.plans {
            let [name, cost, get] = service_class::plan_cells(class, plan);
            rows.push(vec![format!("  {name}"), cost, get]);
        }
    }
    let first = classes.first().map(|first| {
        let namesakes = classes.iter().filter(|class| class.name == first.name).count();
        service_class::example(first, (namesakes > 1).then_some(first.broker.as_str()))
    });
    let example = first.unwrap_or_default();
    let table = columns::aligned(&rows);
    format!("{table}\nMore  dispatch catalog CLASS\nTry   {example}\n")
}

/// `PostgreSQL 15 with TLS · broker pg · not bindable`.
fn about(class: &ServiceClass) -> String {
    let broker = format!("broker {}", class.broker);
    let bindable = if class.bindable { "" } else { "not bindable" };
    let facts = [class.description.as_str(), &broker, bindable];
    let said: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    clean::line(&said.join(" · "))
}
