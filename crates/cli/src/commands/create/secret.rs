//! `dispatch create secret NAME FILE`: a file with a JSON object of strings.

use std::{collections::BTreeMap, path::Path};

use dispatch_api::{
    Operation,
    secret::{Secret, SecretInput},
};
use serde_json::Value;

use crate::{
    commands::{arity, create},
    error::CliError,
    files,
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name, file] = arity::at_least::<2>(&args.names)?;
    let body = SecretInput {
        name: Some(name.to_owned()),
        secrets: Some(values(Path::new(file))?),
        tags: args.tag.tags(),
    };
    create::create::<Secret>(&session, Operation::CreateSecret, &body, false).await?;
    Ok(())
}

/// Errors name keys and places. v0.1.22 printed the whole file.
fn values(path: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let place = path.display();
    let text = files::text(path)
        .map_err(|why| CliError::input(format!("error when reading content of {place}: {why}")))?;
    let parsed: Result<BTreeMap<String, Value>, _> = serde_json::from_str(&text);
    let map = parsed.map_err(|e| {
        let why = match e.classify() {
            serde_json::error::Category::Data => "not a JSON object".to_owned(),
            _ => e.to_string(),
        };
        CliError::input(format!("Error when parsing JSON from {place}: {why}"))
    })?;
    let text_of = |(key, value): (String, Value)| match value {
        Value::String(value) => Ok((key, value)),
        _ => Err(CliError::input(format!(
            "Error when parsing JSON from {place}: value of key {key:?} is not a string"
        ))),
    };
    map.into_iter().map(text_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_file_names_the_key_and_never_a_value() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |content: &str, expect: &str| {
            std::fs::write(file.path(), content).unwrap();
            let error = values(file.path()).unwrap_err().text();
            assert!(error.contains(expect) && !error.contains("4711"), "{error}");
        };
        check(r#"{"pin": 4711}"#, "value of key \"pin\" is not a string");
        check("4711", "not a JSON object");
        check("[\"4711\"]", "not a JSON object");
        check(r#"{"pin": "4711"} x"#, "trailing characters at line 1 column 17");
    }
}
