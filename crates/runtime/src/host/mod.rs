//! What this machine offers as a base: `host:` runtimes (decision 32) and the parts of its file
//! system that come with them. It runs nothing but the interpreter's own answer about itself.

mod ask;
mod interpreter;
mod language;
mod nodejs;
mod python3;

use std::path::{Path, PathBuf};

pub use interpreter::{HostError, Interpreter, find};
pub use language::Language;
pub use nodejs::npm;

use crate::spawn::HostBase;

/// Files of /etc that a runtime needs: certificate roots, OpenSSL's and the loader's settings.
pub(crate) const ETC: [&str; 9] = [
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

/// Directories of the root that are links into /usr, or real ones on older systems.
pub(crate) const TOP: [&str; 6] = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// Where the zone of the machine's clock is told; inside, it is a link to the same zone.
pub(crate) const LOCALTIME: &str = "/etc/localtime";

/// The part of this machine that every `host:` runtime has: /usr, what leads to it, and [`ETC`].
pub(crate) fn common_base() -> HostBase {
    let mut base = HostBase { mounts: vec![same("/usr")], links: Vec::new() };
    for top in TOP.map(Path::new) {
        match std::fs::read_link(top) {
            Ok(target) => base.links.push((top.to_owned(), target)),
            Err(_) if top.is_dir() => base.mounts.push((top.to_owned(), top.to_owned())),
            Err(_) => {}
        }
    }
    for path in ETC.map(Path::new) {
        if let Ok(real) = path.canonicalize() {
            base.mounts.push((real, path.to_owned()));
        }
    }
    let zone = Path::new(LOCALTIME).canonicalize().ok();
    if let Some(zone) = zone.filter(|zone| zone.starts_with("/usr")) {
        base.links.push((PathBuf::from(LOCALTIME), zone));
    }
    base
}

fn same(path: &str) -> (PathBuf, PathBuf) {
    (path.into(), path.into())
}
