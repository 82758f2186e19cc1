//! Settings put together: defaults, then the file, then the environment, then flags; each over the one before. What is
//! wrong is noted and left out, so that the next fault is found as well.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue},
};

use super::{Contradiction, Fault, Settings, SettingsError, Source, fault::must_be};
use crate::schema::distance;

const PREFIX: &str = "DISPATCH_SERVER_";

/// Settings, and where each of them comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub settings: Settings,
    sources: BTreeMap<String, Source>,
}

/// A flag that was given, as the setting that it stands for.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As it is typed: `--port`; several that make one setting: `--host, --port`.
    pub name: String,
    /// The key of `server.toml`.
    pub key: &'static str,
    pub value: String,
}

/// What is known so far. It is always settings that could be used alone.
#[derive(Debug)]
pub struct Given {
    table: Table,
    settings: Settings,
    sources: BTreeMap<String, Source>,
    faults: Vec<Fault>,
}

impl Given {
    #[must_use]
    pub fn new(defaults: Settings) -> Self {
        let plain = |settings: &Settings| {
            Table::try_from(settings).expect("settings are plain data with names in UTF-8")
        };
        let (table, usual) = (plain(&defaults), plain(&Settings::default()));
        // What the tools' own settings say, besides what everybody has.
        let found = |key: &String| at_path(&table, key) != at_path(&usual, key);
        let of_tools = ["pip", "npm"].into_iter().flat_map(|tool| {
            let keys = siblings(&table, &format!("build.{tool}."));
            keys.into_iter().filter(found).map(move |key| (key, Source::Tool(tool)))
        });
        let sources = of_tools.collect();
        Self { table, settings: defaults, sources, faults: Vec::new() }
    }

    /// As they would be if nothing else came.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Something that is wrong with what was given, found by somebody else.
    pub fn fault(&mut self, place: Source, why: String) {
        self.faults.push(Fault { place, why });
    }

    /// A setting that is of the right kind and still not usable, found by somebody else.
    pub fn refuse(&mut self, key: &str, why: &str) {
        let place = self.sources.get(key).cloned().unwrap_or(Source::Default);
        self.fault(place, format!("{key}: {why}"));
    }

    /// Reads `server.toml`. A line that is not TOML is named, and what can be read besides counts.
    pub fn file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
        let place = Place { path, text: &text };
        let (given, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let at = place.source(error.span().map_or(0, |span| span.start));
            self.fault(at, error.message().to_owned());
        }
        self.table_of_file("", given.into_inner(), &place);
        self.faults.sort_by_key(|fault| fault.place.line());
        Ok(())
    }

    /// `within` is the dotted name of the table, and its dot.
    fn table_of_file(&mut self, within: &str, given: DeTable<'_>, place: &Place<'_>) {
        for (name, value) in given {
            let key = format!("{within}{}", name.get_ref());
            let at = place.source(name.span().start);
            match (at_path(&self.table, &key), value.into_inner()) {
                (None, _) => {
                    let why = unknown(&key, &siblings(&self.table, within), &leaves(&self.table));
                    self.fault(at, why);
                }
                (Some(Value::Table(_)), DeValue::Table(given)) => {
                    self.table_of_file(&format!("{key}."), given, place);
                }
                (Some(Value::Table(_)), _) => {
                    self.fault(at, format!("{key} must be a table: [{key}]"));
                }
                (Some(known), value) => match plain(value) {
                    Some(value) => self.put(&key, value, at),
                    None => {
                        let why = must_be(&key, kind(known));
                        self.fault(at, why);
                    }
                },
            }
        }
    }

    /// Variables of the environment: `DISPATCH_SERVER_BUILD_PIP_INDEX_URL` is `build.pip.index_url`. Lists are told
    /// apart by white space.
    pub fn variables(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let keys = leaves(&self.table);
        let variable = |key: &str| format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        for (name, text) in environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)) {
            match keys.iter().find(|key| variable(key) == name.to_uppercase()) {
                Some(key) => self.text(key, &text, Source::Variable(name)),
                None => {
                    let known: Vec<String> = keys.iter().map(|key| variable(key)).collect();
                    let near = nearest(&name, &known).map(|near| format!("; did you mean {near}?"));
                    let why = format!("unknown variable{}", near.unwrap_or_default());
                    self.fault(Source::Variable(name), why);
                }
            }
        }
    }

    pub fn flags(&mut self, flags: impl IntoIterator<Item = Flag>) {
        for Flag { name, key, value } in flags {
            self.text(key, &value, Source::Flag(name));
        }
    }

    fn text(&mut self, key: &str, text: &str, source: Source) {
        let value = match at_path(&self.table, key) {
            Some(Value::Array(_)) => {
                Value::Array(text.split_whitespace().map(|word| word.to_owned().into()).collect())
            }
            // Text stays text, whatever it looks like.
            Some(Value::String(_)) => Value::String(text.to_owned()),
            _ => looks_like(text),
        };
        self.put(key, value, source);
    }

    /// Takes a value if the settings are still settings with it.
    fn put(&mut self, key: &str, value: Value, source: Source) {
        let mut table = self.table.clone();
        let Some(place) = at_path_mut(&mut table, key) else { return };
        *place = value;
        let settings: Settings = match table.clone().try_into() {
            Ok(settings) => settings,
            Err(error) => return self.fault(source, must_be(key, error.message())),
        };
        if let Err((wrong, why)) = settings.build.check()
            && wrong == key
        {
            return self.fault(source, format!("{key}: {why}"));
        }
        self.sources.insert(key.to_owned(), source);
        (self.table, self.settings) = (table, settings);
    }

    /// The settings, or everything that is wrong with what was given.
    pub fn finish(mut self) -> Result<Resolved, SettingsError> {
        for Contradiction { keys, why } in self.settings.contradictions() {
            let source = keys.iter().find_map(|key| self.sources.get(key).cloned());
            let key = keys.first().map_or("", String::as_str);
            self.fault(source.unwrap_or(Source::Default), format!("{key}: {why}"));
        }
        if self.faults.is_empty() {
            return Ok(Resolved { settings: self.settings, sources: self.sources });
        }
        Err(SettingsError::Wrong { faults: self.faults })
    }
}

impl Resolved {
    /// Where a setting comes from, by its dotted key.
    #[must_use]
    pub fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }

    /// Every setting by its dotted key, as `server.toml` would have it, without credentials, and where it comes from.
    #[must_use]
    pub fn shown(&self) -> Vec<(String, String, Source)> {
        let table = Table::try_from(&self.settings).expect("settings are plain data");
        let line = |key: String| {
            let value = at_path(&table, &key).cloned().unwrap_or(Value::Boolean(false));
            let source = self.source(&key).clone();
            let text = crate::packages::without_credentials(&key, value).to_string();
            (key, text, source)
        };
        leaves(&table).into_iter().map(line).collect()
    }
}

/// A file, to tell lines from positions.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn source(&self, position: usize) -> Source {
        let before = self.text.get(..position).unwrap_or_default();
        let path = PathBuf::from(self.path);
        Source::File { path, line: before.matches('\n').count() + 1 }
    }
}

/// A value of a file, if it is of a kind that settings have.
fn plain(value: DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Boolean(flag) => Value::Boolean(flag),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Array(list) => {
            let items = list.into_iter().map(Spanned::into_inner).map(plain);
            Value::Array(items.collect::<Option<_>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// What the deserializer would say that it had expected.
const fn kind(known: &Value) -> &'static str {
    match known {
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "u64",
        Value::Array(_) => "a sequence",
        _ => "a string",
    }
}

/// `true` and `8080` are what they look like; everything else is text.
fn looks_like(text: &str) -> Value {
    match (text.parse::<bool>(), text.parse::<i64>()) {
        (Ok(flag), _) => Value::Boolean(flag),
        (_, Ok(number)) => Value::Integer(number),
        _ => Value::String(text.to_owned()),
    }
}

fn at_path<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((name, rest)) => at_path(table.get(name)?.as_table()?, rest),
        None => table.get(key),
    }
}

fn at_path_mut<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Value> {
    match key.split_once('.') {
        Some((name, rest)) => at_path_mut(table.get_mut(name)?.as_table_mut()?, rest),
        None => table.get_mut(key),
    }
}

/// All dotted keys that have a value.
fn leaves(table: &Table) -> Vec<String> {
    let keys = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => {
            leaves(inner).iter().map(|deeper| format!("{key}.{deeper}")).collect()
        }
        _ => vec![key.clone()],
    });
    keys.collect()
}

/// The keys of the table with this dotted name (and its dot).
fn siblings(table: &Table, within: &str) -> Vec<String> {
    let inner = match within.strip_suffix('.') {
        Some(name) => at_path(table, name).and_then(Value::as_table),
        None => Some(table),
    };
    inner.into_iter().flat_map(Table::keys).map(|key| format!("{within}{key}")).collect()
}

/// What may be meant: a key beside it, one of that name elsewhere, or else those that there are.
fn unknown(key: &str, siblings: &[String], all: &[String]) -> String {
    let name = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let elsewhere = || all.iter().find(|other| name(other) == name(key));
    match nearest(key, siblings).or_else(elsewhere) {
        Some(near) => format!("unknown key {key}; did you mean {near}?"),
        None => format!("unknown key {key}; there are {}", siblings.join(", ")),
    }
}

/// The closest name, if it is close enough to be a slip.
fn nearest<'n>(name: &str, known: &'n [String]) -> Option<&'n String> {
    let close = known.iter().map(|other| (distance(other, name), other)).min()?;
    let own = name.trim_start_matches(PREFIX).rsplit('.').next().unwrap_or(name);
    (close.0 <= (own.chars().count() / 3).clamp(2, 4)).then_some(close.1)
}
