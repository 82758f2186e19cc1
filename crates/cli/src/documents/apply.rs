//! `apply -f FILE`: what is not there is created, what is different is updated, the rest is left alone. And the seed,
//! which changes nothing that is there.

use dispatch_api::Tag;
use serde_json::Value;

use crate::{
    documents::{Document, Done, FileArgs, Kind, Places, Slips, Then, each, post, put, same, yaml},
    error::CliError,
    session::{NO_BODY, Received, Session},
};

pub async fn apply(
    session: &Session,
    file: &FileArgs,
    wait: bool,
    tags: Option<Vec<Tag>>,
) -> Result<(), CliError> {
    let documents = file.tagged(session, Slips::Refuse, tags)?;
    each(session, &file.places(), documents, (wait, Then::Stop), async |document| {
        one(session, document).await
    })
    .await
}

async fn one(session: &Session, document: &Document) -> Result<Done, CliError> {
    let Some(found) = look(session, document).await? else { return post(session, document).await };
    let differences = same::differences(document, &found.body);
    if differences.is_empty() {
        return Ok(Done { word: "Unchanged", raw: found.raw });
    }
    let spec = document.kind.spec();
    if spec.update.is_none() {
        let (kind, name) = (spec.kind, &document.name);
        let differences = differences.join(", ");
        return Err(CliError::input(format!(
            "{kind} {name}: differs in {differences}, and cannot be updated"
        )));
    }
    put(session, document).await
}

/// The object as it is. A class that is only on offer is not there yet.
async fn look(session: &Session, document: &Document) -> Result<Option<Received<Value>>, CliError> {
    let Document { kind, name, body } = document;
    let broker = body.get("broker").and_then(Value::as_str).filter(|_| *kind == Kind::ServiceClass);
    let query: Vec<_> = broker.map(|broker| ("broker", broker)).into_iter().collect();
    match session.call::<Value>(kind.spec().get, &[name], &query, NO_BODY).await {
        Ok(found) if found.body.get("enabled") == Some(&Value::Bool(false)) => {
            Ok(Some(found).filter(|_| *kind != Kind::ServiceClass))
        }
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates documents of our own. One that is there and equal is done.
pub async fn seed(session: &Session, text: &str, wait: bool) -> Result<(), CliError> {
    let parsed = yaml::documents(text).map_err(CliError::input)?;
    each(session, &Places::default(), parsed.documents, (wait, Then::GoOn), async |document| {
        let error = match post(session, document).await {
            Err(error) if error.status() == Some(409) => error,
            other => return other,
        };
        match look(session, document).await? {
            Some(found) if same::differences(document, &found.body).is_empty() => {
                Ok(Done { word: "Unchanged", raw: found.raw })
            }
            _ => Err(error
                .hint("it is not the seed's, and stays as it is")
                .hint("to choose among the seeds: dispatch create seed-images -O seed.yaml")),
        }
    })
    .await
}
