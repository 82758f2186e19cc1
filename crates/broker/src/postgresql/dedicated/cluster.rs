//! The directory of one cluster: what is in it, making it, configuring it, removing it.
//!
//!     <data>/clusters/<database>/
//!         data/          PostgreSQL's own; its name says that initdb has come to its end
//!         data.new/      while initdb is at work
//!         postgresql.conf, pg_hba.conf, server.pem, server.key, log, log.before
//!
//! Where the broker is root, only `data` belongs to the user as whom PostgreSQL runs. The rest he can
//! read, and in it he can plant no link that root would follow.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Seek as _};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::{self, ClusterError};
use super::processes;
use crate::account::Account;
use crate::certificates::Signed;
use crate::keys;

/// The superuser. Only the broker has its password.
pub(super) const ADMIN: &str = "dispatch_admin";

/// For initdb. It takes about a second.
const INITDB: Duration = Duration::from_secs(240);

/// For killed processes to be gone.
const KILLED: Duration = Duration::from_secs(30);

/// Connections that are kept for the broker.
const RESERVED: u16 = 10;

/// A log that is longer begins anew; one is kept besides.
const LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Only over TLS, only with a password, only with SCRAM.
const RULES: &str = "hostssl all all all scram-sha-256\n";

/// One cluster.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) directory: PathBuf,
    pub(super) account: Account,
    pub(super) programs: PathBuf,
}

/// What can be different from one cluster to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Configuration {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) connections: u16,
    /// For the temporary files of one session.
    pub(super) storage_bytes: u64,
    /// Whether what was committed survives a power failure. Not in tests.
    pub(super) durable: bool,
}

impl Cluster {
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// postgresql.conf
    pub(super) fn settings(&self) -> PathBuf {
        self.directory.join("postgresql.conf")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Whether initdb has come to its end.
    pub(super) fn is_initialised(&self) -> bool {
        self.data().is_dir()
    }

    /// Makes the directory and runs initdb. What an attempt that was cut off has left is removed
    /// before. Nothing is synced; see [`Cluster::sync`].
    ///
    /// `verifier` is what PostgreSQL keeps instead of the administrator's password, which so is
    /// never on disk.
    pub(super) async fn initialise(
        &self,
        server: &Signed,
        verifier: &str,
    ) -> Result<(), ClusterError> {
        self.remove().await?;
        let new = self.directory.join("data.new");
        let made = DirBuilder::new().mode(0o700).create(&self.directory);
        made.and_then(|()| self.account.admit(&self.directory))
            .and_then(|()| DirBuilder::new().mode(0o700).create(&new))
            .and_then(|()| self.account.give(&new))
            .map_err(ClusterError::io("make its directory"))?;
        let files = [
            ("pg_hba.conf", RULES),
            ("server.pem", server.certificate.as_str()),
            ("server.key", &server.key),
            ("verifier", verifier),
        ];
        for (name, text) in files {
            self.write(name, text).map_err(ClusterError::io("write its files"))?;
        }
        self.initdb().await?;
        fs::remove_file(self.directory.join("verifier"))
            .and_then(|()| fs::rename(new, self.data()))
            .map_err(ClusterError::io("write its files"))
    }

    async fn initdb(&self) -> Result<(), ClusterError> {
        let mut command = self.account.command(self.programs.join("initdb"), &self.directory);
        command
            .args(["--no-sync", "--no-instructions", "--data-checksums", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--auth=scram-sha-256", "--username", ADMIN])
            .args(["--pwfile", "verifier", "--pgdata", "data.new"]);
        let run = Command::from(command).kill_on_drop(true).output();
        let limit_ms = INITDB.as_millis();
        let output = timeout(INITDB, run)
            .await
            .map_err(|_| ClusterError::TooSlow { what: "initialise", limit_ms })?
            .map_err(ClusterError::io("run initdb"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = error::last(&String::from_utf8_lossy(&output.stderr), 500);
                Err(ClusterError::Initdb { said })
            }
        }
    }

    /// Writes postgresql.conf if it has to say something else; whether it had to.
    pub(super) fn configure(&self, wanted: &Configuration) -> Result<bool, ClusterError> {
        let text = settings(wanted, &self.directory.join("pg_hba.conf"));
        if fs::read_to_string(self.settings()).is_ok_and(|found| found == text) {
            return Ok(false);
        }
        self.write("postgresql.conf", &text).map_err(ClusterError::io("write postgresql.conf"))?;
        Ok(true)
    }

    /// Has everything that was written reach the disk: the whole file system at once, which takes a
    /// fraction of what initdb takes for one file after the other.
    pub(super) async fn sync(&self) -> Result<(), ClusterError> {
        let directory = self.directory.clone();
        let done = spawn_blocking(move || -> io::Result<()> {
            Ok(rustix::fs::syncfs(fs::File::open(directory)?)?)
        });
        let done = done.await.unwrap_or_else(|_| Err(io::Error::other("interrupted")));
        done.map_err(ClusterError::io("sync its files"))
    }

    /// Keeps the log from growing without end, and the last of what is cut off. PostgreSQL appends, so that it goes on
    /// at the start.
    pub(super) fn cut_log(&self) -> io::Result<()> {
        let mut log = fs::OpenOptions::new().read(true).write(true).open(self.log())?;
        let bytes = log.metadata()?.len();
        if bytes > LOG_BYTES {
            log.seek(io::SeekFrom::Start(bytes - LOG_BYTES))?;
            let mut before = fs::File::create(self.directory.join("log.before"))?;
            io::copy(&mut log.by_ref().take(LOG_BYTES), &mut before)?;
            log.set_len(0)?;
        }
        Ok(())
    }

    /// Kills whatever works in the directory: parts of a server whose postmaster has died, an initdb
    /// that the broker was killed under.
    pub(super) async fn end_processes(&self) -> Result<(), ClusterError> {
        let left = processes::end_all(&self.directory, KILLED).await;
        match left.map_err(ClusterError::io("end its processes"))? {
            0 => Ok(()),
            left => Err(ClusterError::Remains { left }),
        }
    }

    /// Removes what there is, after the postmaster was stopped.
    pub(super) async fn remove(&self) -> Result<(), ClusterError> {
        self.end_processes().await?;
        let directory = self.directory.clone();
        let done = spawn_blocking(move || fs::remove_dir_all(directory)).await;
        match done.unwrap_or_else(|_| Err(io::Error::other("interrupted"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(ClusterError::io("remove its files")),
        }
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        keys::write_whole(&path, text.as_bytes())?;
        self.account.share(&path)
    }
}

fn settings(wanted: &Configuration, rules: &Path) -> String {
    let Configuration { address, port, connections, storage_bytes, durable } = *wanted;
    let rules = rules.display().to_string().replace('\'', "''");
    let switch = if durable { "on" } else { "off" };
    format!(
        "# Written by the broker, which writes it again.\n\
         listen_addresses = '{address}'\n\
         port = {port}\n\
         unix_socket_directories = ''\n\
         hba_file = '{rules}'\n\
         max_connections = {}\n\
         superuser_reserved_connections = {RESERVED}\n\
         ssl = on\n\
         ssl_cert_file = '../server.pem'\n\
         ssl_key_file = '../server.key'\n\
         password_encryption = 'scram-sha-256'\n\
         min_wal_size = 32MB\n\
         max_wal_size = 128MB\n\
         temp_file_limit = {}kB\n\
         logging_collector = off\n\
         log_line_prefix = '%m [%p] '\n\
         log_min_error_statement = panic\n\
         lc_messages = 'C'\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         fsync = {switch}\n\
         full_page_writes = {switch}\n",
        connections + RESERVED,
        storage_bytes / 1024,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_grew_too_long_the_end_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let account = Account::find().expect("a user");
        let cluster =
            Cluster { directory: directory.path().to_owned(), account, programs: PathBuf::new() };
        let most = usize::try_from(LOG_BYTES).expect("a length");
        let check = |bytes: usize, expect: u64, kept: Option<&[u8]>| {
            let mut text = vec![b'.'; bytes];
            text.iter_mut().rev().zip(b"dne").for_each(|(byte, end)| *byte = *end);
            fs::write(cluster.log(), text).expect("written");
            cluster.cut_log().expect("cut");
            assert_eq!(fs::metadata(cluster.log()).expect("there").len(), expect);
            let before = fs::read(cluster.directory.join("log.before")).ok();
            assert_eq!(before.as_deref().map(|text| &text[text.len() - 3..]), kept);
            assert!(before.is_none_or(|text| text.len() == most));
        };
        check(most, LOG_BYTES, None);
        check(3 * most, 0, Some(b"end"));
    }
}
