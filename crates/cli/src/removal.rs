//! Removing one object, with the question that comes first when something uses it (decision 12).

use dispatch_api::Operation;
use dispatch_model::ErrorCode;
use serde_json::value::RawValue;

use crate::{
    error::CliError,
    nouns::Noun,
    session::{Session, takes},
    suggest, wait,
};

/// How to remove.
#[derive(Debug, Clone, Default)]
pub struct Removal {
    pub wait: bool,
    pub if_unused: bool,
    /// Never ask.
    pub yes: bool,
    pub cascade: bool,
    pub purge: bool,
    /// For classes whose name two brokers have.
    pub broker: Option<String>,
}

/// Asks the server to remove, says so, and waits until it is gone if asked. Gives what the server answered.
pub async fn remove<N: Noun>(
    session: &Session,
    name: &str,
    how: &Removal,
    accepted: &dyn Fn() -> Result<(), CliError>,
) -> Result<Box<RawValue>, CliError> {
    let delete = N::OPERATIONS.delete.expect("only kinds that can be deleted have the verb");
    let watched = N::OPERATIONS.get.is_some_and(|get| takes(get, "wait"));
    let mut query = query(delete, how);
    if how.wait && !watched && takes(delete, "wait") {
        query.push(("wait", wait::LONGEST));
    }
    let raw = match politely(session, delete, name, how, &query).await {
        Ok(raw) => raw,
        Err(error) => {
            let error = suggest::similar::<N>(session, name, error).await;
            return Err(with_advice::<N>(delete, name, error));
        }
    };
    accepted()?;
    if how.wait && watched {
        wait::until_gone::<N>(session, name).await?;
    }
    Ok(raw)
}

/// What is refused because it is used, although nobody asked for that, has a way.
fn with_advice<N: Noun>(delete: Operation, name: &str, error: CliError) -> CliError {
    let in_use = error.refusal().is_some_and(|refusal| refusal.error == Some(ErrorCode::InUse));
    if !in_use || !takes(delete, "cascade") {
        return error;
    }
    error.hint(format!(
        "with what uses it: dispatch delete {} {name} --cascade --wait",
        N::WORDS.command
    ))
}

fn query(delete: Operation, how: &Removal) -> Vec<(&'static str, &str)> {
    let mut query = Vec::new();
    for (given, parameter) in [(how.cascade, "cascade"), (how.purge, "purge")] {
        if given && takes(delete, parameter) {
            query.push((parameter, "true"));
        }
    }
    if let Some(broker) = &how.broker {
        query.push(("broker", broker.as_str()));
    }
    query
}

/// First only if nothing uses it. Then a person is asked; a script goes on, and stderr says what it broke.
async fn politely(
    session: &Session,
    delete: Operation,
    name: &str,
    how: &Removal,
    query: &[(&str, &str)],
) -> Result<Box<RawValue>, CliError> {
    if !takes(delete, "ifUnused") || how.yes {
        return session.tell(delete, &[name], query).await;
    }
    let careful = [query, &[("ifUnused", "true")]].concat();
    let error = match session.tell(delete, &[name], &careful).await {
        Ok(raw) => return Ok(raw),
        Err(error) => error,
    };
    let Some(refusal) = error.refusal().filter(|refusal| refusal.error == Some(ErrorCode::InUse))
    else {
        return Err(error);
    };
    if how.if_unused {
        return Err(error);
    }
    match session.console.confirm(&format!("{}. Delete it all the same?", refusal.message)) {
        Some(false) => return Err(CliError::input("nothing was deleted")),
        Some(true) => {}
        None => session.console.note(&format!("warning: {}", refusal.message)),
    }
    session.tell(delete, &[name], query).await
}
