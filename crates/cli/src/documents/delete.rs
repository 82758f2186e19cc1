//! `delete -f FILE`: what uses others goes before what it uses, so that nothing is asked or warned of that goes anyway.

use serde_json::Value;

use crate::{
    documents::{Answers, Document, FileArgs, Kind, Slips, say, stopped},
    error::CliError,
    removal::Removal,
    session::Session,
};

pub async fn delete(session: &Session, file: &FileArgs, how: &Removal) -> Result<(), CliError> {
    let mut answers = Answers::default();
    let documents = ordered(file.read(session, Slips::PassOver)?);
    for (index, document) in documents.iter().enumerate() {
        let Document { kind, name, body } = document;
        let accepted = || say(session, "Deleted", *kind, name);
        // Two brokers may have a class of this name.
        let broker = body.get("broker").and_then(Value::as_str).map(str::to_owned);
        let how = Removal { broker: broker.filter(|_| *kind == Kind::ServiceClass), ..how.clone() };
        let raw = kind.remove(session, name, &how, &accepted).await;
        answers.add(*kind, raw.map_err(|error| stopped(error, &documents, index))?);
    }
    answers.print(session)
}

/// By kind; documents of one kind from the last to the first.
fn ordered(mut documents: Vec<Document>) -> Vec<Document> {
    documents.reverse();
    let place = |document: &Document| Kind::REMOVAL.iter().position(|kind| *kind == document.kind);
    documents.sort_by_key(place);
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uses_others_goes_first_and_every_kind_has_its_place() {
        let documents = |kinds: &[Kind]| {
            let one = |(index, kind): (usize, &Kind)| Document {
                kind: *kind,
                name: index.to_string(),
                body: serde_json::Value::Null,
            };
            kinds.iter().enumerate().map(one).collect::<Vec<_>>()
        };
        let names = |kinds: &[Kind]| {
            let ordered = ordered(documents(kinds));
            ordered.into_iter().map(|document| document.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&[Kind::BaseImage, Kind::Image, Kind::Secret, Kind::Function]), "3 1 0 2");
        assert_eq!(names(&[Kind::Secret, Kind::Function, Kind::Secret]), "1 2 0");
        assert!(Kind::ALL.iter().all(|kind| Kind::REMOVAL.contains(kind)));
    }
}
