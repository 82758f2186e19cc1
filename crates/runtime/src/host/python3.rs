//! `host:python3`: the machine's own Python, as a base.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ask::ask;
use super::common_base;
use crate::spawn::HostBase;

/// The first that is tried, on every machine.
const USUAL: &str = "/usr/bin/python3";
/// The oldest Python that the worker's shim runs on.
const OLDEST: (u32, u32) = (3, 8);

/// `-I -S` keep the environment and site packages out of it; `_base_executable` looks through a
/// virtual environment; confstr knows its key only with glibc.
const QUESTION: &str = "
import json, os, sys, sysconfig
try: glibc = os.confstr('CS_GNU_LIBC_VERSION')
except (ValueError, OSError): glibc = None
print(json.dumps({
    'executable': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
    'major': sys.version_info[0], 'minor': sys.version_info[1], 'micro': sys.version_info[2],
    'soabi': sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag,
    'prefixes': sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}),
    'glibc': glibc,
}))
";

/// Why this machine has no usable Python. Each reads after "failed to find host:python3: ".
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "there is no python3 in /usr/bin or on the PATH; install it (Debian: apt-get install \
         python3; Fedora: dnf install python3)"
    )]
    Missing,
    /// It is there and does not answer.
    #[error("{} does not run; install python3 again or put another one on the PATH", path.display())]
    Broken {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is Python {version}; 3.8 or newer is needed", path.display())]
    TooOld { path: PathBuf, version: String },
    /// Layers are built for glibc.
    #[error("{} is not linked with glibc, which host: runtimes need", path.display())]
    NotGlibc { path: PathBuf },
}

/// A Python of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The program itself, with no link on the way.
    pub executable: PathBuf,
    /// `3.11.2`
    pub version: String,
    /// What compiled extensions are built for: `cpython-311-x86_64-linux-gnu`.
    pub soabi: String,
    /// Where it and its library are, if not under /usr.
    pub prefixes: Vec<PathBuf>,
    /// Size of the executable in bytes, and its time of modification in nanoseconds.
    pub size: u64,
    pub modified_ns: i128,
    /// SHA-256, hexadecimal, over all of these: when it changes, what was built on it is built again.
    pub digest: String,
}

/// Finds Python: /usr/bin/python3, else the first on `path` (the value of PATH). Runs it once, for
/// some 20 ms, or longer where a version manager puts a script in front. Blocks.
pub fn python3(path: Option<&OsStr>) -> Result<Interpreter, HostError> {
    let on_path = path.map(std::env::split_paths).into_iter().flatten();
    let candidates = std::iter::once(PathBuf::from(USUAL))
        .chain(on_path.filter(|directory| directory.is_absolute()).map(|d| d.join("python3")));
    let mut tried = BTreeSet::new();
    let mut first_error = None;
    for candidate in candidates.filter(|candidate| candidate.is_file()) {
        if !tried.insert(candidate.clone()) {
            continue;
        }
        match examine(&candidate) {
            Ok(interpreter) => return Ok(interpreter),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(HostError::Missing))
}

#[derive(Deserialize)]
struct Answer {
    executable: PathBuf,
    major: u32,
    minor: u32,
    micro: u32,
    soabi: String,
    prefixes: Vec<PathBuf>,
    glibc: Option<String>,
}

fn examine(candidate: &Path) -> Result<Interpreter, HostError> {
    let path = candidate.to_owned();
    let broken = |source: io::Error| HostError::Broken { path: path.clone(), source };
    let arguments = ["-I", "-S", "-c", QUESTION].map(OsStr::new);
    let text = ask(candidate, &arguments).map_err(broken)?;
    let answer: Answer =
        serde_json::from_slice(&text).map_err(|error| broken(io::Error::other(error)))?;
    let version = format!("{}.{}.{}", answer.major, answer.minor, answer.micro);
    if (answer.major, answer.minor) < OLDEST {
        return Err(HostError::TooOld { path, version });
    }
    if answer.glibc.is_none() {
        return Err(HostError::NotGlibc { path });
    }
    let (size, modified_ns) = stamp(&answer.executable).map_err(broken)?;
    let prefixes = answer.prefixes.into_iter().filter(|prefix| !prefix.starts_with("/usr"));
    let mut interpreter = Interpreter {
        executable: answer.executable,
        version,
        soabi: answer.soabi,
        prefixes: prefixes.collect(),
        size,
        modified_ns,
        digest: String::new(),
    };
    interpreter.digest = interpreter.digest_of_all();
    Ok(interpreter)
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
            "host:python3".to_owned(),
            self.executable.display().to_string(),
            self.version.clone(),
            self.soabi.clone(),
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
    fn the_python_of_this_machine_is_found_and_its_digest_is_stable() {
        let found = python3(None).unwrap();
        assert!(found.executable.is_absolute() && !found.executable.is_symlink(), "{found:?}");
        assert!(found.soabi.starts_with("cpython-3"), "{found:?}");
        assert_eq!(found.digest.len(), 64);
        assert!(found.is_current());
        assert_eq!(python3(None).unwrap(), found);
        let older = Interpreter { modified_ns: found.modified_ns - 1, ..found.clone() };
        assert!(!older.is_current());
        assert_ne!(older.digest_of_all(), found.digest);
    }

    /// Examines a script that stands in for an interpreter.
    fn check(script: &str, expect: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("python3");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A fork of another test may hold the script open for writing for a moment.
        let error = std::iter::repeat_with(|| examine(&path).unwrap_err())
            .take(1000)
            .find(|error| !format!("{error:?}").contains("ExecutableFileBusy"))
            .unwrap();
        assert!(format!("{error:?}").contains(expect), "{error:?}");
    }

    #[test]
    fn what_is_no_usable_python_is_told_apart() {
        let answer = |minor: u32, glibc: &str| {
            format!(
                "echo '{{\"executable\": \"/bin/sh\", \"major\": 3, \"minor\": {minor}, \"micro\": 1, \
                 \"soabi\": \"x\", \"prefixes\": [], \"glibc\": {glibc}}}'"
            )
        };
        check("exit 3", "exit status: 3");
        check("echo hello", "Broken");
        check(&answer(7, "\"2.36\""), "TooOld");
        check(&answer(8, "null"), "NotGlibc");
        check("exec yes", "answered too much");
    }

    #[test]
    fn a_machine_without_python_is_told_what_to_install() {
        assert!(HostError::Missing.to_string().contains("apt-get install python3"));
    }
}
