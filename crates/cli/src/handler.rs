//! The handler of a source for which none was given. A single file needs none: the server knows its language's default
//! (contract §4.5). A directory is clear if it holds one source file, or one Python module with a `handle`.

use std::{fs, path::Path};

use crate::archive;

/// None: the server finds it. Errors are fragments after "error creating function N".
pub fn of(path: &Path) -> Result<Option<String>, String> {
    if !archive::is_directory(path).unwrap_or(false) {
        return Ok(None);
    }
    let entries = fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let sources: Vec<(String, String)> =
        names.filter_map(|name| Some((default_for(&name)?, name))).collect();
    let only = |mut found: Vec<&(String, String)>| match (found.pop(), found.is_empty()) {
        (Some((handler, _)), true) => Some(handler.clone()),
        _ => None,
    };
    let handled = || sources.iter().filter(|(_, name)| has_handle(&path.join(name))).collect();
    only(sources.iter().collect()).or_else(|| only(handled())).map(Some).ok_or_else(|| {
        format!("handler is required, source path {} is a directory", path.display())
    })
}

/// Whether a Python module defines `handle` at its top.
fn has_handle(path: &Path) -> bool {
    let is_module = path.extension().is_some_and(|extension| extension == "py");
    let text = if is_module { fs::read_to_string(path).unwrap_or_default() } else { return false };
    let defines = |line: &str| {
        let after = |prefix: &str| line.strip_prefix(prefix).map(str::trim_start);
        after("def handle").is_some_and(|rest| rest.starts_with('('))
            || after("handle").is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="))
    };
    text.lines().any(defines)
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
    fn a_directory_with_one_source_file_or_one_handle_needs_no_handler() {
        let check = |files: &[&str], expect: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                let (name, text) = file.split_once(' ').unwrap_or((file, ""));
                fs::write(folder.path().join(name), text).unwrap();
            }
            assert_eq!(of(folder.path()).ok().flatten().as_deref(), expect, "{files:?}");
        };
        check(&["rows.py", "requirements.txt"], Some("rows.handle"));
        check(&["hello.js", "package.json"], Some("./hello.js"));
        check(&["f.ps1"], Some("f.ps1::handle"));
        check(&["a.py", "b.py"], None);
        check(&["a.py def handle(ctx, payload): pass", "b.py x = 1"], Some("a.handle"));
        check(&["a.py from b import f\nhandle = f", "b.py handled = 1"], Some("a.handle"));
        check(&["a.py def handle(a, b): pass", "b.py def handle(a, b): pass"], None);
        check(&["a.py  def handle(a, b): pass", "b.py handle(1)", "c.py def handler(): 1"], None);
        check(&["a.js", "b.js"], None);
        check(&["README"], None);
    }

    #[test]
    fn a_single_file_leaves_the_handler_to_the_server() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of(file.path()), Ok(None));
        assert_eq!(of(Path::new("/nowhere")), Ok(None), "packing it says what is wrong");
    }
}
