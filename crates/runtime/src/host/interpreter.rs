//! An interpreter of this machine, as a base: found, asked, and recognized again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ask::ask;
use super::{Language, common_base};
use crate::spawn::HostBase;

/// Why this machine has no usable interpreter. Each reads after "failed to find host:NAME: ".
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "there is no {} in /usr/bin or on the PATH; install it (Debian: apt-get install \
         {language}; Fedora: dnf install {language})", language.program().name
    )]
    Missing { language: Language },
    /// It is there and does not answer.
    #[error(
        "{} does not run; install {language} again or put another one on the PATH", path.display()
    )]
    Broken {
        language: Language,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} is {} {version}; {}.{} or newer is needed", path.display(), language.program().title,
        language.program().oldest.0, language.program().oldest.1
    )]
    TooOld { language: Language, path: PathBuf, version: String },
    /// Layers are built for glibc.
    #[error("{} is not linked with glibc, which host: runtimes need", path.display())]
    NotGlibc { path: PathBuf },
}

/// An interpreter of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    pub language: Language,
    /// The program itself, with no link on the way.
    pub executable: PathBuf,
    /// `3.11.2`
    pub version: String,
    /// What compiled extensions are built for: `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// Where it and its library are, if not under /usr.
    pub prefixes: Vec<PathBuf>,
    /// Size of the executable in bytes, and its time of modification in nanoseconds.
    pub size: u64,
    pub modified_ns: i128,
    /// SHA-256, hexadecimal, over all of these: when it changes, what was built on it is built again.
    pub digest: String,
}

/// What an interpreter says of itself.
#[derive(Deserialize)]
struct Answer {
    executable: PathBuf,
    version: String,
    abi: String,
    prefixes: Vec<PathBuf>,
    glibc: Option<String>,
}

/// Finds an interpreter: the one in /usr/bin, else the first on `path` (the value of PATH). Runs it once, for tens of
/// milliseconds, or longer where a version manager puts a script in front. Blocks.
pub fn find(language: Language, path: Option<&OsStr>) -> Result<Interpreter, HostError> {
    let program = language.program();
    let on_path = path.map(std::env::split_paths).into_iter().flatten();
    let candidates = std::iter::once(PathBuf::from(program.usual))
        .chain(on_path.filter(|directory| directory.is_absolute()).map(|d| d.join(program.name)));
    let mut tried = BTreeSet::new();
    let mut first_error = None;
    for candidate in candidates.filter(|candidate| candidate.is_file()) {
        if !tried.insert(candidate.clone()) {
            continue;
        }
        match examine(language, &candidate) {
            Ok(interpreter) => return Ok(interpreter),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(HostError::Missing { language }))
}

fn examine(language: Language, candidate: &Path) -> Result<Interpreter, HostError> {
    let path = candidate.to_owned();
    let broken = |source: io::Error| HostError::Broken { language, path: path.clone(), source };
    let program = language.program();
    let arguments: Vec<&OsStr> = program.question.iter().map(OsStr::new).collect();
    let text = ask(candidate, &arguments).map_err(broken)?;
    let answer: Answer =
        serde_json::from_slice(&text).map_err(|error| broken(io::Error::other(error)))?;
    if two_numbers(&answer.version) < program.oldest {
        return Err(HostError::TooOld { language, path, version: answer.version });
    }
    if answer.glibc.is_none() {
        return Err(HostError::NotGlibc { path });
    }
    let (size, modified_ns) = stamp(&answer.executable).map_err(broken)?;
    let prefixes = answer.prefixes.into_iter().filter(|prefix| !prefix.starts_with("/usr"));
    let mut interpreter = Interpreter {
        language,
        executable: answer.executable,
        version: answer.version,
        abi: answer.abi,
        prefixes: prefixes.collect(),
        size,
        modified_ns,
        digest: String::new(),
    };
    interpreter.digest = interpreter.digest_of_all();
    Ok(interpreter)
}

/// The first two numbers of a version; zeros where there is no number.
fn two_numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn stamp(executable: &Path) -> io::Result<(u64, i128)> {
    let meta = std::fs::metadata(executable)?;
    let seconds = i128::from(meta.mtime());
    Ok((meta.len(), seconds * 1_000_000_000 + i128::from(meta.mtime_nsec())))
}

impl Interpreter {
    /// What of the machine a worker of this interpreter sees.
    #[must_use]
    pub fn base(&self) -> HostBase {
        let mut base = common_base();
        base.mounts.extend(self.prefixes.iter().map(|prefix| (prefix.clone(), prefix.clone())));
        base
    }

    /// Whether the executable is still the one that was examined. Cheap: one look at the file.
    #[must_use]
    pub fn is_current(&self) -> bool {
        stamp(&self.executable).is_ok_and(|now| now == (self.size, self.modified_ns))
    }

    fn digest_of_all(&self) -> String {
        let mut hash = Sha256::new();
        let texts = [
            format!("host:{}", self.language),
            self.executable.display().to_string(),
            self.version.clone(),
            self.abi.clone(),
            format!("{:?}", self.prefixes),
            self.size.to_string(),
            self.modified_ns.to_string(),
        ];
        for text in texts {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_interpreters_of_this_machine_are_found_and_their_digests_are_stable() {
        for (language, abi) in [(Language::Python3, "cpython-3"), (Language::NodeJs, "node-")] {
            let found = find(language, None).unwrap();
            assert!(found.executable.is_absolute() && !found.executable.is_symlink(), "{found:?}");
            assert!(found.abi.starts_with(abi), "{found:?}");
            assert_eq!(found.digest.len(), 64);
            assert!(found.is_current());
            assert_eq!(find(language, None).unwrap(), found);
            let older = Interpreter { modified_ns: found.modified_ns - 1, ..found.clone() };
            assert!(!older.is_current());
            assert_ne!(older.digest_of_all(), found.digest);
        }
    }

    /// Examines a script that stands in for an interpreter.
    fn check(language: Language, script: &str, expect: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interpreter");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A fork of another test may hold the script open for writing for a moment.
        let error = std::iter::repeat_with(|| examine(language, &path).unwrap_err())
            .take(1000)
            .find(|error| !format!("{error:?}").contains("ExecutableFileBusy"))
            .unwrap();
        assert!(format!("{error:?}").contains(expect), "{error:?}");
    }

    #[test]
    fn what_is_no_usable_interpreter_is_told_apart() {
        let answer = |version: &str, glibc: &str| {
            format!(
                "echo '{{\"executable\": \"/bin/sh\", \"version\": \"{version}\", \"abi\": \"x\", \
                 \"prefixes\": [], \"glibc\": {glibc}}}'"
            )
        };
        let python3 = |script: &str, expect: &str| check(Language::Python3, script, expect);
        python3("exit 3", "exit status: 3");
        python3("echo hello", "Broken");
        python3(&answer("3.7.9", "\"2.36\""), "TooOld");
        python3(&answer("3.8.0", "null"), "NotGlibc");
        python3("exec yes", "answered too much");
        check(Language::NodeJs, &answer("17.9.1", "\"2.36\""), "TooOld");
        check(Language::NodeJs, &answer("18.0.0", "null"), "NotGlibc");
    }

    #[test]
    fn a_machine_without_an_interpreter_is_told_what_to_install() {
        let missing = |language| HostError::Missing { language }.to_string();
        assert!(missing(Language::Python3).contains("apt-get install python3;"));
        let node = missing(Language::NodeJs);
        assert!(node.starts_with("there is no node ") && node.contains("apt-get install nodejs;"));
    }
}
