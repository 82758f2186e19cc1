//! Running PostgreSQL's programs: as which user, and so that they end with the test whatever
//! happens to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{fs, io};

use nix::unistd::{Uid, User};

/// Starts the postmaster and waits for the other end of its standard input to close, which the
/// kernel does even when the test is killed. Then it ends the postmaster, by its id, and removes
/// the directory. `keep` instead of the end: the postmaster stops, the directory stays.
const SUPERVISOR: &str = r#"
directory=$1; shift
"$@" </dev/null >>"$directory/log" 2>&1 &
pid=$!
echo "$pid"
if read -r word && [ "$word" = keep ]; then
    kill -INT "$pid" 2>/dev/null
    wait "$pid"
else
    kill -QUIT "$pid" 2>/dev/null
    wait "$pid"
    rm -rf "$directory"
fi
"#;

/// As whom the programs run: they refuse root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    /// The user `postgres` for root, oneself for anybody else.
    pub(super) fn find() -> io::Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self(None));
        }
        match User::from_name("postgres")? {
            Some(user) => Ok(Self(Some((user.uid.as_raw(), user.gid.as_raw())))),
            None => {
                let text = "PostgreSQL does not run as root, and there is no user postgres";
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }

    /// A command as that user, with nothing of this process's environment.
    pub(super) fn command(self, program: impl AsRef<std::ffi::OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or directory to that user.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        match self.0 {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// The directory with the programs of the newest PostgreSQL.
pub(super) fn programs() -> io::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("postgres").exists().then_some((version, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).ok_or_else(|| {
        let text = "no PostgreSQL under /usr/lib/postgresql; on Debian: apt install postgresql";
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

/// A running postmaster under its supervisor.
#[derive(Debug)]
pub(super) struct Postmaster {
    supervisor: Child,
    /// Closing it ends everything.
    word: Option<ChildStdin>,
    pub(super) pid: u32,
}

impl Postmaster {
    pub(super) fn start(
        account: Account,
        directory: &Path,
        command: &[String],
    ) -> io::Result<Self> {
        let mut supervisor = account
            .command("/bin/sh", Path::new("/"))
            .args(["-c", SUPERVISOR, "sh"])
            .arg(directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal is for the test; this one sees its end and does its work.
            .process_group(0)
            .spawn()?;
        let word = supervisor.stdin.take();
        let mut line = String::new();
        if let Some(output) = supervisor.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the supervisor did not start")
        })?;
        Ok(Self { supervisor, word, pid })
    }

    /// Stops PostgreSQL and keeps its data.
    pub(super) fn pause(mut self) -> io::Result<()> {
        if let Some(mut word) = self.word.take() {
            word.write_all(b"keep\n")?;
        }
        self.supervisor.wait().map(drop)
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        drop(self.word.take());
        // Nothing can be done about a failure here; the supervisor ends by itself.
        let _ = self.supervisor.wait();
    }
}
