//! `dispatch get … --watch`: a row for each object and then one for each change, until Ctrl-C.
//!
//! An object on its way is watched by answers that the server holds (decision 9). Lists and objects at rest it does not
//! hold, so they are looked at once a second.

use std::{collections::BTreeMap, time::Duration};

use dispatch_api::Operation;
use serde_json::value::RawValue;

use crate::{
    commands::get::{self, Wanted},
    error::CliError,
    nouns::Noun,
    output::{Console, Format},
    session::{NO_BODY, Received, Session, takes},
    wait,
};

const TICK: Duration = Duration::from_secs(1);

/// Until Ctrl-C, which is how it is meant to end, or until the one object is gone.
pub async fn run<N: Noun>(session: &Session, wanted: &Wanted<'_>) -> Result<(), CliError> {
    let watching = async {
        match wanted.name {
            Some(name) => one::<N>(session, name, wanted.query).await,
            None => list::<N>(session, wanted.query).await,
        }
    };
    tokio::select! {
        ended = watching => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// One object, until it is gone.
async fn one<N: Noun>(
    session: &Session,
    name: &str,
    query: &[(&str, &str)],
) -> Result<(), CliError> {
    let get: Operation = N::OPERATIONS.get.expect("only kinds that can be looked at are watched");
    let mut rows = Rows::new(session.console);
    let first = get::one::<N>(session, name, query).await?;
    let mut last = shown(session.console, &first.body, &first.raw);
    rows.print(&[(first.body, first.raw)])?;
    let mut seen = String::new();
    let mut is_held = takes(get, "seen");
    loop {
        let held = [query, &[("wait", wait::LONGEST), ("seen", seen.as_str())]].concat();
        if !is_held {
            tokio::time::sleep(TICK).await;
        }
        let query = if is_held { &held } else { query };
        let answer: Received<N> = match session.call(get, &[name], query, NO_BODY).await {
            Err(error) if error.status() == Some(404) => {
                session.console.note(&format!("{name} is gone"));
                return Ok(());
            }
            other => other?,
        };
        // What has settled is not held, and a server that knows no tags answers at once.
        let is_moving = !is_held && !answer.body.state().at_rest;
        is_held = takes(get, "seen") && (is_moving || !answer.settled && answer.seen.is_some());
        seen = answer.seen.unwrap_or_default();
        let now = shown(session.console, &answer.body, &answer.raw);
        if now != last {
            rows.print(&[(answer.body, answer.raw)])?;
            last = now;
        }
    }
}

/// All objects of a kind, as they come and go.
async fn list<N: Noun>(session: &Session, query: &[(&str, &str)]) -> Result<(), CliError> {
    let mut rows = Rows::new(session.console);
    let mut known = BTreeMap::<(String, usize), String>::new();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let listed: Received<Vec<Box<RawValue>>> =
            session.call(N::OPERATIONS.list, &[], query, NO_BODY).await?;
        let mut now = BTreeMap::new();
        let mut fresh = Vec::new();
        for raw in listed.body {
            let object: N = Received::understood(&raw)?;
            let (key, text) = (key(&object, &now), shown(session.console, &object, &raw));
            if known.get(&key) != Some(&text) {
                fresh.push((object, raw));
            }
            now.insert(key, text);
        }
        if !fresh.is_empty() || rows.widths.is_none() {
            rows.print(&fresh)?;
        }
        for (name, _) in known.keys().filter(|key| !now.contains_key(*key)) {
            session.console.note(&format!("{name} is gone"));
        }
        known = now;
    }
}

/// Its name, and how many before it have the same one, as classes of two brokers may.
fn key<N: Noun>(object: &N, before: &BTreeMap<(String, usize), String>) -> (String, usize) {
    let name = object.name().into_owned();
    let count = before.keys().filter(|(known, _)| *known == name).count();
    (name, count)
}

/// What a reader sees of it: what changed may be in none of the columns.
fn shown<N: Noun>(console: Console, object: &N, raw: &RawValue) -> String {
    match console.format {
        Format::Json | Format::Yaml => raw.get().to_owned(),
        Format::Wide => [object.cells(), object.wide()].concat().join("\n"),
        Format::Table | Format::Name => object.cells().join("\n"),
    }
}

/// Prints objects one after the other as rows of one table, whose columns can only become wider.
pub struct Rows {
    console: Console,
    /// None while the header is still to come.
    widths: Option<Vec<usize>>,
}

impl Rows {
    fn new(console: Console) -> Self {
        Self { console, widths: None }
    }

    pub fn without_header(console: Console) -> Self {
        Self { console, widths: Some(Vec::new()) }
    }

    /// Objects as they were understood and as they came.
    pub fn print<N: Noun>(&mut self, objects: &[(N, Box<RawValue>)]) -> Result<(), CliError> {
        let console = self.console;
        if !matches!(console.format, Format::Table | Format::Wide) {
            return objects.iter().try_for_each(|(object, raw)| {
                get::print(console, std::slice::from_ref(object), raw)
            });
        }
        let objects = objects.iter().map(|(object, _)| object);
        let table = get::table(objects, console.format == Format::Wide);
        let mut widths = table.widths();
        for (width, before) in widths.iter_mut().zip(self.widths.iter().flatten()) {
            *width = (*width).max(*before);
        }
        let head = if self.widths.is_none() { table.head(&widths) } else { String::new() };
        console.block(&format!("{head}{}", table.rows(&widths)))?;
        self.widths = Some(widths);
        Ok(())
    }
}
