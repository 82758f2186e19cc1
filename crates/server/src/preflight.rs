//! What of the machine the settings rely on, looked at before anything is made: directories, the user, the gateway's
//! certificate. Nothing is changed, and the data is not opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dispatch_gateway::tls;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::{config::Settings, run_as::RunAs};

/// A setting that this machine does not go along with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}: {remedy}")]
pub struct Obstacle {
    pub key: &'static str,
    /// What is in the way.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is in the way of a start of this process. `run_as` is who the server goes on as.
#[must_use]
pub fn obstacles(settings: &Settings, run_as: Option<&RunAs>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut note = |key, obstacle: Option<(String, String)>| {
        found.extend(obstacle.map(|(why, remedy)| Obstacle { key, why, remedy }));
    };
    // Keys and login are made by the first start; later ones may have them where nothing can be written.
    let is_first = !settings.data.join("dispatch.db").exists();
    let written = Access::WRITE_OK | Access::EXEC_OK;
    let keys = if is_first { written } else { Access::READ_OK | Access::EXEC_OK };
    for (key, path, access) in [("data", &settings.data, written), ("keys", &settings.keys, keys)] {
        let user = |path| run_as.and_then(|user| shut_out(user, path));
        note(key, closed(path, access).or_else(|| user(path)));
    }
    if is_first {
        let home = settings.client_config.parent();
        note("client_config", home.and_then(|home| closed(home, written)));
    }
    note("data", tls::check(&settings.data.join("tls")).err().map(|error| certificate(&error)));
    found
}

/// Why a directory that is there or is to be made cannot be used like that, and what to do.
fn closed(directory: &Path, access: Access) -> Option<(String, String)> {
    if directory.as_os_str().is_empty() {
        return None;
    }
    let (there, meta) = nearest(directory);
    let (why, remedy) = match meta {
        Err(error) => (words(&error), ELSEWHERE),
        Ok(meta) if !meta.is_dir() => ("not a directory".to_owned(), ELSEWHERE),
        Ok(_) => {
            let access = if there == directory { access } else { access | Access::WRITE_OK };
            match accessat(CWD, &there, access, AtFlags::EACCESS) {
                Ok(()) => return None,
                Err(errno) => {
                    (words(&errno.into()), "let this user do that, or name another place")
                }
            }
        }
    };
    let place = directory.display();
    let why = if there == directory {
        let verb = if access.contains(Access::WRITE_OK) { "written to" } else { "read" };
        format!("{place} cannot be {verb}: {why}")
    } else {
        format!("{place} cannot be made: {}: {why}", there.display())
    };
    Some((why, remedy.to_owned()))
}

const ELSEWHERE: &str = "name another place";

/// Why the user that the server goes on as would not get at a directory, and what to do.
fn shut_out(user: &RunAs, directory: &Path) -> Option<(String, String)> {
    // The directory itself will be given to it.
    let (there, _) = nearest(directory.parent()?);
    let error = user.can_enter(&there).err()?;
    let why =
        format!("the user {} cannot enter {}: {}", user.name(), there.display(), words(&error));
    Some((why, "let it enter that directory and those above, or name another place".to_owned()))
}

/// The path itself or what is there of it, which is not always a directory.
fn nearest(path: &Path) -> (PathBuf, io::Result<fs::Metadata>) {
    let mut looked = path.ancestors().map(|part| (part.to_owned(), fs::metadata(part)));
    let missing = |found: &io::Result<fs::Metadata>| {
        let kind = found.as_ref().err().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    };
    let there = looked.find(|(part, found)| !missing(found) && !part.as_os_str().is_empty());
    there.unwrap_or_else(|| (PathBuf::from("."), fs::metadata(".")))
}

/// With all that led to it, and what to do.
fn certificate(error: &dyn std::error::Error) -> (String, String) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    (text, "put a certificate and its key there, or remove the file and one is made".to_owned())
}

fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn settings(top: &Path) -> Settings {
        Settings {
            data: top.join("data"),
            keys: top.join("keys"),
            client_config: top.join("home/config.json"),
            ..Settings::default()
        }
    }

    fn check(settings: &Settings, run_as: Option<&RunAs>, expect: &[(&str, &str)]) {
        let found = obstacles(settings, run_as);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (obstacle, (key, part)) in found.iter().zip(expect) {
            assert_eq!(obstacle.key, *key, "{obstacle}");
            assert!(obstacle.to_string().contains(part), "{obstacle}");
        }
    }

    #[test]
    fn a_place_that_is_there_or_can_be_made_is_no_obstacle_and_nothing_is_made() {
        let top = tempfile::tempdir().unwrap();
        check(&settings(top.path()), None, &[]);
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0, "something was made");
        fs::create_dir(top.path().join("data")).unwrap();
        check(&settings(top.path()), None, &[]);
        check(&Settings { client_config: PathBuf::new(), ..settings(top.path()) }, None, &[]);
    }

    #[test]
    fn a_file_in_the_way_and_a_certificate_that_cannot_be_served_are_told_together() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("keys"), "").unwrap();
        fs::create_dir_all(top.path().join("data/tls")).unwrap();
        fs::write(top.path().join("data/tls/server.pem"), "").unwrap();
        let expect = [
            ("keys", "keys cannot be written to: not a directory"),
            ("data", "holds no certificate: put a"),
        ];
        check(&settings(top.path()), None, &expect);
        let below = Settings { keys: top.path().join("keys/below"), ..settings(top.path()) };
        let not = "cannot be made";
        check(&below, None, &[("keys", not), expect[1]]);
    }

    #[test]
    fn only_a_first_start_needs_to_write_keys_and_login() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("data")).unwrap();
        fs::write(top.path().join("home"), "").unwrap();
        // A directory that not even root writes to.
        let keys = PathBuf::from("/proc/sys/kernel");
        let settings = Settings { keys, ..settings(top.path()) };
        let expect = [
            ("keys", "/proc/sys/kernel cannot be written to: permission denied"),
            ("client_config", "home cannot be written to: not a directory"),
        ];
        check(&settings, None, &expect);
        fs::write(top.path().join("data/dispatch.db"), "").unwrap();
        check(&settings, None, &[]);
    }

    #[test]
    fn the_user_that_a_server_goes_on_as_must_be_able_to_enter() {
        if !rustix::process::geteuid().is_root() {
            return dispatch_testkit::skip("only root goes on as somebody else");
        }
        let top = tempfile::tempdir().unwrap();
        let nobody = RunAs::find("nobody").unwrap().unwrap();
        let mode = |mode| {
            fs::set_permissions(top.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o711);
        // Root's own; at the start it is given away.
        fs::create_dir(top.path().join("keys")).unwrap();
        let own = fs::Permissions::from_mode(0o700);
        fs::set_permissions(top.path().join("keys"), own).unwrap();
        check(&settings(top.path()), Some(&nobody), &[]);
        mode(0o700);
        let why = "the user nobody cannot enter";
        check(&settings(top.path()), Some(&nobody), &[("data", why), ("keys", why)]);
        // This process is still who it was.
        fs::write(top.path().join("x"), "").unwrap();
    }
}
