//! `create`, `update` and `delete -f FILE`: documents of several kinds in one YAML file (contract §3.3), one after the
//! other, until the first error.

mod kind;
mod yaml;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dispatch_api::{Operation, Tag};
use serde_json::{Value, value::RawValue};

use crate::{
    error::{CliError, Kind as ErrorKind},
    files,
    outcome::{Outcome, unknown},
    output::json,
    removal::Removal,
    session::{NO_BODY, Received, Session},
};
pub use kind::Kind;

#[derive(Debug, Clone, Default, clap::Args)]
pub struct FileArgs {
    /// Path to YAML file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Working directory relative paths are based on
    #[arg(short, long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
}

/// One document, ready to be sent.
#[derive(Debug)]
pub struct Document {
    pub kind: Kind,
    pub name: String,
    pub body: Value,
}

impl FileArgs {
    pub fn is_given(&self) -> bool {
        self.file.is_some()
    }

    /// Words that name no resource. With a file they may be meant as something, so that nothing is done.
    pub fn or_unknown(&self, words: &[String]) -> Result<Outcome, CliError> {
        match words.first().filter(|_| self.is_given()) {
            Some(word) => Err(CliError::arguments(format!("unknown resource type \"{word}\""))),
            None => Ok(unknown(words)),
        }
    }

    fn work_dir(&self) -> &Path {
        self.work_dir.as_deref().unwrap_or(Path::new(""))
    }

    fn read(&self, session: &Session) -> Result<Vec<Document>, CliError> {
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        let path =
            if file == Path::new("-") { file.to_owned() } else { self.work_dir().join(file) };
        let cannot =
            |why: String| CliError::input(format!("Error reading file {}: {why}", file.display()));
        let text = files::text(&path).map_err(cannot)?;
        let parsed = yaml::documents(&text).map_err(cannot)?;
        for skipped in &parsed.skipped {
            session.console.note(&format!("skipped: {skipped}"));
        }
        if parsed.documents.is_empty() && parsed.skipped.is_empty() {
            session.console.note(&format!("{} holds no documents", file.display()));
        }
        Ok(parsed.documents)
    }
}

pub async fn create(
    session: &Session,
    file: &FileArgs,
    wait: bool,
    tags: Option<Vec<Tag>>,
) -> Result<(), CliError> {
    let tags = tags.map(|tags| serde_json::to_value(tags).expect("tags are plain data"));
    let mut documents = file.read(session)?;
    for document in &mut documents {
        add_tags(&mut document.body, tags.as_ref());
    }
    each(session, file, documents, "Created", wait, |document| {
        Ok((document.kind.spec().create, false))
    })
    .await
}

pub async fn update(session: &Session, file: &FileArgs, wait: bool) -> Result<(), CliError> {
    let documents = file.read(session)?;
    each(session, file, documents, "Updated", wait, |document| {
        let kind = document.kind.spec().kind;
        match document.kind.spec().update {
            Some(update) => Ok((update, true)),
            None => Err(CliError::input(format!("{kind} {}: cannot be updated", document.name))),
        }
    })
    .await
}

pub async fn delete(session: &Session, file: &FileArgs, how: &Removal) -> Result<(), CliError> {
    let mut answers = Answers::default();
    let documents = file.read(session)?;
    for (index, document) in documents.iter().enumerate() {
        let Document { kind, name, .. } = document;
        let accepted = || session.console.line(&format!("Deleted {}: {name}", kind.spec().kind));
        let raw = kind.remove(session, name, how, &accepted).await;
        answers.add(*kind, raw.map_err(|error| stopped(error, &documents, index))?);
    }
    answers.print(session)
}

/// Creates documents of our own. One that is there and equal is done.
pub async fn seed(session: &Session, text: &str, wait: bool) -> Result<(), CliError> {
    let parsed = yaml::documents(text).map_err(CliError::input)?;
    let mut answers = Answers::default();
    for Document { kind, name, body } in parsed.documents {
        let spec = kind.spec();
        let made = session.call::<Value>(spec.create, &[], &[], Some(&body)).await;
        let (done, mut raw) = match made {
            Ok(received) => ("Created", received.raw),
            Err(error) if error.status() == Some(409) => {
                let found: Received<Value> =
                    session.call(spec.get, &[name.as_str()], &[], NO_BODY).await?;
                if !contains(&found.body, &body) {
                    return Err(error
                        .hint("it is not the seed's, and stays as it is; what follows was not looked at")
                        .hint("to choose among the seeds: dispatch create seed-images -O seed.yaml"));
                }
                ("Unchanged", found.raw)
            }
            Err(error) => return Err(error),
        };
        session.console.line(&format!("{done} {}: {name}", spec.kind))?;
        if wait && let Some(waited) = kind.wait(session, &name).await? {
            raw = waited;
        }
        answers.add(kind, raw);
    }
    answers.print(session)
}

/// Whether an object says everything that was wished.
fn contains(object: &Value, wish: &Value) -> bool {
    match (object, wish) {
        (_, Value::Null) => true,
        (Value::Object(object), Value::Object(wish)) => {
            wish.iter().all(|(key, wish)| contains(object.get(key).unwrap_or(&Value::Null), wish))
        }
        _ => object == wish,
    }
}

/// Sends one document after the other.
async fn each(
    session: &Session,
    file: &FileArgs,
    mut documents: Vec<Document>,
    done: &str,
    wait: bool,
    choose: impl Fn(&Document) -> Result<(Operation, bool), CliError>,
) -> Result<(), CliError> {
    let mut answers = Answers::default();
    for index in 0..documents.len() {
        let Some(document) = documents.get_mut(index) else { break };
        let send = async {
            let (operation, named) = choose(document)?;
            document.kind.fill(document, file.work_dir())?;
            let path: &[&str] = if named { &[document.name.as_str()] } else { &[] };
            let received: Received<Value> =
                session.call(operation, path, &[], Some(&document.body)).await?;
            // With --json as well: scripts of v0.1.22 expect these lines before the object.
            let (kind, name) = (document.kind.spec().kind, &document.name);
            session.console.line(&format!("{done} {kind}: {name}"))?;
            let waited = if wait { document.kind.wait(session, name).await? } else { None };
            Ok((document.kind, waited.unwrap_or(received.raw)))
        };
        match send.await {
            Ok((kind, raw)) => answers.add(kind, raw),
            Err(error) => return Err(stopped(error, &documents, index)),
        }
    }
    answers.print(session)
}

/// An error ends a file. Which document it was, and that there are others, is not in the error.
fn stopped(error: CliError, documents: &[Document], index: usize) -> CliError {
    let Some(Document { kind, name, .. }) = documents.get(index) else { return error };
    if documents.len() == 1 || matches!(error.kind, ErrorKind::Output(_)) {
        return error;
    }
    let after = match documents.len() - index - 1 {
        0 => String::new(),
        1 => "; the one after it was not looked at".to_owned(),
        rest => format!("; the {rest} after it were not looked at"),
    };
    let place = format!("document {} of {}", index + 1, documents.len());
    error.hint(format!("stopped at {} {name}, {place}{after}", kind.spec().kind))
}

fn add_tags(body: &mut Value, tags: Option<&Value>) {
    let Some(Value::Array(new)) = tags else { return };
    let Some(body) = body.as_object_mut() else { return };
    let slot = body.entry("tags").or_insert(Value::Null);
    match slot {
        Value::Array(old) => old.extend(new.iter().cloned()),
        other => *other = Value::Array(new.clone()),
    }
}

/// What `--json` prints at the end: the answers by kind, every group of v0.1.22 present.
#[derive(Debug, Default)]
struct Answers(BTreeMap<&'static str, Vec<Box<RawValue>>>);

/// In the order in which they were always printed; later ones follow when there is something in them.
const GROUPS: &[&str] = &[
    "api",
    "baseImages",
    "images",
    "driverTypes",
    "drivers",
    "subscriptions",
    "functions",
    "secrets",
    "policies",
    "serviceInstances",
    "serviceaccounts",
    "organizations",
];

impl Answers {
    fn add(&mut self, kind: Kind, raw: Box<RawValue>) {
        self.0.entry(kind.spec().group).or_default().push(raw);
    }

    fn print(&self, session: &Session) -> Result<(), CliError> {
        if !session.console.is_for_programs() {
            return Ok(());
        }
        let later = self.0.keys().filter(|group| !GROUPS.contains(group));
        let members = GROUPS.iter().chain(later).map(|group| {
            let list = self.0.get(group).map(|list| {
                let list: Vec<String> = list.iter().map(|raw| json::sorted_inside(raw)).collect();
                format!("[{}]", list.join(","))
            });
            format!("{}:{}", Value::from(*group), list.unwrap_or_else(|| "null".to_owned()))
        });
        let object = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        session.console.json(&object)
    }
}
