//! What dedicated servers need of the machine, and whether it is there.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::super::tls::TlsError;
use super::ports::PortRange;
use crate::account::Account;
use crate::certificates::CertificateError;
use crate::data::DataDirectory;

/// Settings of plan `dedicated`.
#[derive(Debug, Clone)]
pub struct DedicatedOptions {
    /// The ports of the servers.
    pub ports: PortRange,
    /// Where they listen, and where functions reach them: one address, not "any".
    pub address: IpAddr,
    /// Where `postgres` and `initdb` are. By default the newest under `/usr/lib/postgresql`.
    pub programs: Option<PathBuf>,
    /// Whether the broker does not start where there can be no such servers. By default it starts
    /// without the plan, and logs why.
    pub required: bool,
    /// Between two measurements of a server's disk.
    pub measure: Duration,
    /// What a GiB of storage is, for tests.
    #[doc(hidden)]
    pub gib_bytes: u64,
    /// Whether what was committed survives a power failure; not in tests.
    #[doc(hidden)]
    pub durable: bool,
}

impl DedicatedOptions {
    /// The usual settings: on loopback, measured every five seconds.
    pub fn new(ports: PortRange) -> Self {
        Self {
            ports,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            programs: None,
            required: false,
            measure: Duration::from_secs(5),
            gib_bytes: 1 << 30,
            durable: true,
        }
    }
}

/// Why there can be no dedicated servers.
#[derive(Debug, thiserror::Error)]
pub enum DedicatedError {
    /// The address.
    #[error("dedicated servers need one address to listen on, not all of them")]
    Address,
    /// No user.
    #[error("dedicated servers have no user to run as: {0}")]
    Account(#[source] io::Error),
    /// No programs.
    #[error("dedicated servers need PostgreSQL on this machine: {0}")]
    Programs(#[source] io::Error),
    /// initdb does not work.
    #[error("initdb does not say where it keeps extensions: {said}")]
    Initdb { said: String },
    /// A directory through which that user cannot pass.
    #[error(
        "dedicated servers run as the user postgres, who may not enter {}: chmod o+x it, or keep \
         the broker's data elsewhere",
        path.display()
    )]
    KeptOut { path: PathBuf },
    /// Files.
    #[error("{} cannot be used for dedicated servers", path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// Certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The authority's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Makes the directory of all clusters, and lets the user of PostgreSQL through to it.
pub(super) fn make_way(
    account: Account,
    data: &DataDirectory,
    directory: &Path,
) -> Result<(), DedicatedError> {
    let failed = |source| DedicatedError::Directory { path: directory.to_owned(), source };
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    for path in [data.path(), directory] {
        // Who may pass anyway leaves the mode as somebody has set it.
        if account.is_kept_out(path).map_err(failed)?.as_deref() == Some(path) {
            account.admit(path).map_err(failed)?;
        }
    }
    match account.is_kept_out(directory).map_err(failed)? {
        Some(path) => Err(DedicatedError::KeptOut { path }),
        None => Ok(()),
    }
}

/// Which of the extensions the installed server has, and calls trusted.
pub(super) fn extensions(
    account: Account,
    programs: &Path,
    known: &[&str],
) -> Result<Vec<String>, DedicatedError> {
    let output = account
        .command(programs.join("initdb"), Path::new("/"))
        .args(["--show", "--pgdata", "none"])
        .output()
        .map_err(DedicatedError::Programs)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let share = said.lines().find_map(|line| line.strip_prefix("share_path="));
    let Some(share) = share else {
        return Err(DedicatedError::Initdb { said: super::error::last(&said, 500) });
    };
    let trusted = |name: &&&str| {
        let control = Path::new(share).join("extension").join(format!("{name}.control"));
        let text = fs::read_to_string(control).unwrap_or_default();
        text.lines().any(|line| line.replace(' ', "").starts_with("trusted=true"))
    };
    Ok(known.iter().filter(trusted).map(|name| (*name).to_owned()).collect())
}
