//! What packages are named in: a file of the function's own, and what its image names already.

use std::{fs::File, io::Read as _, path::Path};

use dispatch_runtime::host::Language;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use serde_json::{Map, Value};

/// As large as an image's may be.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// What a function's directory may hold.
pub const fn file_name(language: Language) -> &'static str {
    match language {
        Language::Python3 => "requirements.txt",
        Language::NodeJs => "package.json",
    }
}

/// The manifest in a source that was unpacked; `None` if there is none. `Err` in words for people. The source may be
/// anybody's: no link is followed, and nothing but a file is read.
pub fn of_source(code: &Path, language: Language) -> Result<Option<String>, String> {
    let name = file_name(language);
    let cannot = |why: &dyn std::fmt::Display| format!("its {name} cannot be read: {why}");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(code.join(name), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(cannot(&error)),
    };
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(cannot(&"it is not a file"));
    }
    let mut text = String::new();
    let most = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_string(&mut text).map_err(|error| cannot(&error))?;
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(cannot(&format!("it is larger than {MANIFEST_BYTES_MAX} bytes")));
    }
    Ok(Some(text))
}

/// Both together, so that the tool finds versions that fit all of it; `None` if the function's own names no package.
/// `Err` in words for people.
pub fn merged(language: Language, image: &str, own: &str) -> Result<Option<String>, String> {
    match language {
        Language::Python3 => {
            let names = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
            let merged = || format!("{}\n{own}", image.trim_end());
            Ok(own.lines().any(names).then(merged))
        }
        Language::NodeJs => merged_package(image, own),
    }
}

/// The function's own package.json, with those dependencies of the image's that it does not name itself.
fn merged_package(image: &str, own: &str) -> Result<Option<String>, String> {
    let object = |text: &str, whose: &str| -> Result<Map<String, Value>, String> {
        serde_json::from_str(text).map_err(|error| format!("{whose} package.json: {error}"))
    };
    let mut own = object(own, "its")?;
    let Some(Value::Object(dependencies)) = own.get_mut("dependencies") else { return Ok(None) };
    if dependencies.is_empty() {
        return Ok(None);
    }
    if !image.trim().is_empty() {
        let image = object(image, "its image's")?;
        let further = image.get("dependencies").and_then(Value::as_object);
        for (name, version) in further.into_iter().flatten() {
            dependencies.entry(name).or_insert_with(|| version.clone());
        }
    }
    Ok(Some(Value::Object(own).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_manifest_is_put_to_the_images() {
        let check = |language, image: &str, own: &str, expect: Result<Option<&str>, &str>| {
            let found = merged(language, image, own);
            let found = found.as_ref().map(Option::as_deref);
            match (found, expect) {
                (Err(found), Err(expect)) => assert!(found.starts_with(expect), "{found}"),
                (found, expect) => assert_eq!(found.ok(), expect.ok(), "{own}"),
            }
        };
        let python = |image, own, expect| check(Language::Python3, image, own, Ok(expect));
        python("", "a==1\n", Some("\na==1\n"));
        python("b\n", "a", Some("b\na"));
        python("b\n", "\n# only words\n", None);
        let node = |image, own, expect| check(Language::NodeJs, image, own, expect);
        node("", r#"{"type": "module"}"#, Ok(None));
        node("{}", r#"{"dependencies": {}}"#, Ok(None));
        let one = r#"{"dependencies":{"a":"1"}}"#;
        node("", one, Ok(Some(one)));
        let image = r#"{"dependencies": {"a": "2", "b": "2"}}"#;
        node(image, one, Ok(Some(r#"{"dependencies":{"a":"1","b":"2"}}"#)));
        node("", "[", Err("its package.json: "));
        node("[", one, Err("its image's package.json: "));
    }

    #[test]
    fn a_source_can_lead_nobody_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let read = || of_source(place.path(), Language::Python3);
        let file = place.path().join("requirements.txt");
        assert_eq!(read(), Ok(None));
        std::fs::write(&file, "a").unwrap();
        assert_eq!(read(), Ok(Some("a".to_owned())));
        std::fs::write(&file, "x".repeat(MANIFEST_BYTES_MAX)).unwrap();
        assert!(read().is_ok());
        std::fs::write(&file, "x".repeat(MANIFEST_BYTES_MAX + 1)).unwrap();
        assert!(read().unwrap_err().ends_with("it is larger than 1048576 bytes"));
        std::fs::write(&file, [0xff]).unwrap();
        assert!(read().is_err());
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(read().is_err());
        std::fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &file,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(read().unwrap_err().ends_with("it is not a file"));
    }
}
