//! `create`, `update`, `apply` and `delete -f FILE`: documents of several kinds in one YAML file (contract §3.3), one
//! after the other, until the first error.

mod answers;
mod apply;
mod delete;
mod kind;
mod members;
mod same;
mod yaml;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use dispatch_api::Tag;
use serde_json::{Value, value::RawValue};

use crate::{
    error::{CliError, Kind as ErrorKind},
    files,
    outcome::{Outcome, unknown},
    output::Format,
    session::{Received, Session},
};
use answers::Answers;
pub use apply::{apply, seed};
pub use delete::delete;
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

/// Where a path in a document leads: from the working directory, as it always did; else from the document's own.
#[derive(Debug, Default)]
pub struct Places {
    first: PathBuf,
    then: PathBuf,
}

impl Places {
    fn find(&self, path: &str) -> PathBuf {
        let (first, then) = (self.first.join(path), self.then.join(path));
        if !first.exists() && then.exists() { then } else { first }
    }
}

/// One document, ready to be sent.
#[derive(Debug)]
pub struct Document {
    pub kind: Kind,
    pub name: String,
    pub body: Value,
}

/// What to do with documents of kinds that nobody ever knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slips {
    /// As the first command line did.
    PassOver,
    Refuse,
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

    /// Where the file itself is looked for.
    fn path(&self) -> PathBuf {
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        match &self.work_dir {
            Some(directory) if file != Path::new("-") => directory.join(file),
            _ => file.to_owned(),
        }
    }

    /// Where the files are that documents name.
    fn places(&self) -> Places {
        let beside = self.path().parent().map(Path::to_owned).unwrap_or_default();
        Places { first: self.work_dir.clone().unwrap_or_default(), then: beside }
    }

    fn read(&self, session: &Session, slips: Slips) -> Result<Vec<Document>, CliError> {
        let file = self.file.as_deref().unwrap_or(Path::new(""));
        let cannot =
            |why: String| CliError::input(format!("Error reading file {}: {why}", file.display()));
        let text = files::text(&self.path()).map_err(cannot)?;
        let parsed = yaml::documents(&text).map_err(cannot)?;
        let wrong = parsed.skipped.iter().find(|skipped| skipped.is_wrong);
        if let Some(wrong) = wrong.filter(|_| slips == Slips::Refuse) {
            return Err(cannot(wrong.why.clone()).hint("nothing was done"));
        }
        for skipped in &parsed.skipped {
            session.console.note(&format!("skipped: {}", skipped.why));
        }
        if parsed.documents.is_empty() && parsed.skipped.is_empty() {
            session.console.note(&format!("{} holds no documents", file.display()));
        }
        Ok(parsed.documents)
    }

    /// The same with more tags.
    fn tagged(
        &self,
        session: &Session,
        slips: Slips,
        tags: Option<Vec<Tag>>,
    ) -> Result<Vec<Document>, CliError> {
        let tags = tags.map(|tags| serde_json::to_value(tags).expect("tags are plain data"));
        let mut documents = self.read(session, slips)?;
        for document in &mut documents {
            add_tags(&mut document.body, tags.as_ref());
        }
        Ok(documents)
    }
}

/// What became of a document.
struct Done {
    /// `Created`, `Updated`, `Unchanged`.
    word: &'static str,
    raw: Box<RawValue>,
}

pub async fn create(
    session: &Session,
    file: &FileArgs,
    wait: bool,
    tags: Option<Vec<Tag>>,
) -> Result<(), CliError> {
    let documents = file.tagged(session, Slips::PassOver, tags)?;
    each(session, &file.places(), documents, (wait, Then::Stop), async |document| {
        post(session, document).await
    })
    .await
}

pub async fn update(session: &Session, file: &FileArgs, wait: bool) -> Result<(), CliError> {
    let documents = file.read(session, Slips::PassOver)?;
    each(session, &file.places(), documents, (wait, Then::Stop), async |document| {
        put(session, document).await
    })
    .await
}

async fn post(session: &Session, document: &Document) -> Result<Done, CliError> {
    let create = document.kind.spec().create;
    let made: Received<Value> = session.call(create, &[], &[], Some(&document.body)).await?;
    Ok(Done { word: "Created", raw: made.raw })
}

async fn put(session: &Session, document: &Document) -> Result<Done, CliError> {
    let Document { kind, name, body } = document;
    let Some(update) = kind.spec().update else {
        return Err(CliError::input(format!("{} {name}: cannot be updated", kind.spec().kind)));
    };
    let made: Received<Value> = session.call(update, &[name], &[], Some(body)).await?;
    Ok(Done { word: "Updated", raw: made.raw })
}

/// What happens after a document that was waited for and did not become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next may need it.
    Stop,
    /// Others do without it, and it was said.
    GoOn,
}

/// Does something with one document after the other, and says what became of it.
async fn each(
    session: &Session,
    places: &Places,
    mut documents: Vec<Document>,
    (wait, then): (bool, Then),
    what: impl AsyncFn(&Document) -> Result<Done, CliError>,
) -> Result<(), CliError> {
    let (mut answers, mut lost) = (Answers::default(), None);
    for index in 0..documents.len() {
        let Some(document) = documents.get_mut(index) else { break };
        let one = async {
            document.kind.fill(document, places)?;
            let asked = Instant::now();
            let Done { word, raw } = what(document).await?;
            let Document { kind, name, .. } = &*document;
            say(session, word, *kind, name)?;
            let waited = if wait { kind.wait(session, name, asked).await? } else { None };
            Ok::<_, CliError>((*kind, waited.unwrap_or(raw)))
        };
        match one.await {
            Ok((kind, raw)) => answers.add(kind, raw),
            Err(error) if then == Then::GoOn && matches!(error.kind, ErrorKind::NotReady) => {
                lost = Some(error);
            }
            Err(error) => return Err(stopped(error, &documents, index)),
        }
    }
    answers.print(session)?;
    lost.map_or(Ok(()), Err)
}

/// With `--json` as well: scripts of v0.1.22 expect these lines before the object.
fn say(session: &Session, word: &str, kind: Kind, name: &str) -> Result<(), CliError> {
    match session.console.format {
        Format::Name => session.console.line(name),
        _ => session.console.line(&format!("{word} {}: {name}", kind.spec().kind)),
    }
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
