//! A postmaster that ends with the test, whatever happens to it.

use std::io;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use crate::account::Account;

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
