//! A PostgreSQL as an administrator in a hurry makes it: `initdb` and one `sync`, `pg_ctl start`, `createdb`. What plan
//! `dedicated` is held against.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::cluster::{ClusterError, directory, setup};
use crate::account::{self, Account};

/// It listens on a free loopback port and lets in whom its machine lets in.
#[derive(Debug)]
pub struct ByHand {
    account: Account,
    programs: PathBuf,
    directory: TempDir,
    is_running: bool,
}

/// Makes it, with the checksums, the encoding and the authentication of plan `dedicated`. Its files are on the disk
/// afterwards, as there: by one sync of the file system, which takes a fraction of initdb's own.
///
/// # Errors
/// When PostgreSQL is not installed, or one of the commands fails.
pub fn by_hand() -> Result<ByHand, ClusterError> {
    let account = Account::find().map_err(setup("no user to run it as"))?;
    let programs = account::programs().map_err(setup("no programs"))?;
    let directory = directory().map_err(setup("no directory"))?;
    account.give(directory.path()).map_err(setup("its directory"))?;
    let mut made = ByHand { account, programs, directory, is_running: false };
    let port = free_port().map_err(setup("no free port"))?;
    let sockets = made.directory.path().display().to_string();
    made.run(
        "initdb",
        &[
            "--no-sync",
            "--no-instructions",
            "--data-checksums",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--auth-host=scram-sha-256",
            "--auth-local=peer",
            "--pgdata",
            "data",
        ],
    )?;
    made.run_in("/usr/bin".as_ref(), "sync", &["--file-system", "data"])?;
    let options = format!("-p {port} -c listen_addresses=127.0.0.1 -k {sockets}");
    made.is_running = true;
    made.run("pg_ctl", &["--pgdata", "data", "--wait", "--log", "log", "-o", &options, "start"])?;
    made.run("createdb", &["--host", &sockets, "--port", &port.to_string(), "db"])?;
    Ok(made)
}

impl ByHand {
    /// Stops it and removes its files.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn remove(mut self) -> Result<(), ClusterError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), ClusterError> {
        if !std::mem::take(&mut self.is_running) {
            return Ok(());
        }
        self.run("pg_ctl", &["--pgdata", "data", "--wait", "--mode", "immediate", "stop"])
    }

    fn run(&self, program: &'static str, arguments: &[&str]) -> Result<(), ClusterError> {
        self.run_in(&self.programs, program, arguments)
    }

    fn run_in(
        &self,
        folder: &Path,
        program: &'static str,
        arguments: &[&str],
    ) -> Result<(), ClusterError> {
        let mut command = self.account.command(folder.join(program), self.path());
        // The server inherits what it is given, and a pipe would be held open by it.
        let said = self.path().join("said");
        let out = std::fs::File::create(&said).map_err(setup("its files"))?;
        let also = out.try_clone().map_err(setup("its files"))?;
        let status = command.args(arguments).stdout(out).stderr(also).status();
        if status.map_err(setup(program))?.success() {
            return Ok(());
        }
        let text = std::fs::read_to_string(said).unwrap_or_default();
        Err(ClusterError::Command { program, output: text.trim().to_owned() })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        // Its files go with the directory; a server that stays without them ends by itself.
        let _ = self.stop();
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_database_and_leaves_nothing() {
        let made = by_hand().expect("PostgreSQL is installed");
        let (path, sockets) = (made.path().to_owned(), made.path().display().to_string());
        let port = std::fs::read_to_string(path.join("data/postmaster.pid")).expect("it runs");
        let port = port.lines().nth(3).expect("a port").to_owned();
        made.run("psql", &["-h", &sockets, "-p", &port, "-c", "SELECT 1", "db"])
            .expect("a database");
        made.remove().expect("it stops");
        assert!(!path.exists());
    }
}
