//! Values that come from files or as JSON on the command line, with errors that name the place and never the value.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{error::CliError, suggest};

/// The largest file that is read whole: manifests, schemas, secrets.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// In how many files one with a similar name is looked for.
const MAX_NEIGHBOURS: usize = 1_000;

/// The text of a file; `-` is stdin. Errors are fragments like `open a.json: no such file or directory`.
pub fn text(path: &Path) -> Result<String, String> {
    let place = path.display();
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        let file =
            fs::File::open(path).map_err(|e| format!("open {place}: {}", why_not(path, &e)))?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    };
    read.map_err(|e| format!("read {place}: {}", why(&e)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("read {place}: larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024));
    }
    String::from_utf8(bytes).map_err(|_| format!("read {place}: not UTF-8 text"))
}

/// A password or token: the file without the line break at its end.
pub fn password(path: &Path) -> Result<String, CliError> {
    let text = text(path).map_err(CliError::input)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(CliError::input(format!("{} is empty", path.display())));
    }
    Ok(value.to_owned())
}

/// A JSON object, given as such or as `@FILE`.
pub fn json_map(given: &str) -> Result<Value, CliError> {
    let must_be = |why: &str| CliError::input(format!("parameters must be a JSON map: {why}"));
    let text = match given.strip_prefix('@') {
        Some(path) => text(Path::new(path)).map_err(CliError::input)?,
        None => given.to_owned(),
    };
    match serde_json::from_str(&text).map_err(|e| must_be(&e.to_string()))? {
        map @ Value::Object(_) => Ok(map),
        Value::Null => Err(must_be("it is null")),
        Value::Array(_) => Err(must_be("it is a list")),
        _ => Err(must_be("it is a single value")),
    }
}

/// `No such file or directory (os error 2)` → `no such file or directory`.
pub fn why(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The same about a file that was given; where none is there, one beside it with a similar name is named.
pub fn why_not(path: &Path, error: &io::Error) -> String {
    let why = why(error);
    match neighbour(path).filter(|_| error.kind() == io::ErrorKind::NotFound) {
        Some(close) => format!("{why}\ndid you mean {}?", close.display()),
        None => why,
    }
}

fn neighbour(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let listed =
        fs::read_dir(if folder == Path::new("") { Path::new(".") } else { folder }).ok()?;
    let names: Vec<String> = listed
        .take(MAX_NEIGHBOURS)
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    suggest::closest(name, names.iter().map(String::as_str)).map(|close| folder.join(close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_an_object_or_the_reason_why_not() {
        let check = |given: &str, expect: &str| {
            let error = json_map(given).unwrap_err().text();
            assert!(error.starts_with(expect), "{error}");
        };
        assert_eq!(json_map(r#"{"a": 1}"#).unwrap(), serde_json::json!({"a": 1}));
        check("[1]", "parameters must be a JSON map: it is a list\n");
        check("null", "parameters must be a JSON map: it is null\n");
        check("{bad", "parameters must be a JSON map: key must be a string");
        check("@/nonexistent", "open /nonexistent: no such file or directory\n");
    }

    #[test]
    fn a_file_is_read_up_to_the_bound_and_not_a_byte_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        let file = fs::File::create(&path).unwrap();
        file.set_len(MAX_FILE_BYTES).unwrap();
        assert_eq!(text(&path).unwrap().len() as u64, MAX_FILE_BYTES);
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(text(&path).unwrap_err().ends_with("larger than 10 MiB"));
    }

    #[test]
    fn a_password_loses_the_line_break_of_its_file_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), " s p \r\n").unwrap();
        assert_eq!(password(file.path()).unwrap(), " s p ");
        fs::write(file.path(), "\n").unwrap();
        assert!(password(file.path()).unwrap_err().text().ends_with("is empty\n"));
    }
}
