//! The handler of a source for which none was given. A single file needs none: the server knows its language's default
//! (contract §4.5). A directory is clear only if it holds one source file.

use std::{fs, path::Path};

use crate::archive;

/// None: the server finds it. Errors are fragments after "error creating function N".
pub fn of(path: &Path) -> Result<Option<String>, String> {
    if !archive::is_directory(path).unwrap_or(false) {
        return Ok(None);
    }
    let entries = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut handlers: Vec<String> = names.filter_map(|name| default_for(&name)).collect();
    match (handlers.pop(), handlers.is_empty()) {
        (Some(only), true) => Ok(Some(only)),
        _ => Err(format!("handler is required, source path {} is a directory", path.display())),
    }
}

/// What a source file's handler is by default.
fn default_for(file: &str) -> Option<String> {
    let (stem, extension) = file.rsplit_once('.')?;
    match extension {
        "py" => Some(format!("{stem}.handle")),
        "js" => Some(format!("./{file}")),
        "ps1" => Some(format!("{file}::handle")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_one_source_file_needs_no_handler() {
        let check = |files: &[&str], expect: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                fs::write(folder.path().join(file), "").unwrap();
            }
            assert_eq!(of(folder.path()).ok().flatten().as_deref(), expect, "{files:?}");
        };
        check(&["rows.py", "requirements.txt"], Some("rows.handle"));
        check(&["hello.js", "package.json"], Some("./hello.js"));
        check(&["f.ps1"], Some("f.ps1::handle"));
        check(&["a.py", "b.py"], None);
        check(&["README"], None);
    }

    #[test]
    fn a_single_file_leaves_the_handler_to_the_server() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of(file.path()), Ok(None));
        assert_eq!(of(Path::new("/nowhere")), Ok(None), "packing it says what is wrong");
    }
}
