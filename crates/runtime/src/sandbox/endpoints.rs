//! The endpoints inside a sandbox's network: an address on its loopback, a line in its
//! /etc/hosts for a name, and a listener that goes to the server. Who answers is the relay's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::netlink::add_to_loopback;
use super::step::{Step, StepError};
use crate::spawn::Endpoint;

/// Endpoints of one worker, over its whole life.
pub(crate) const MAX_ENDPOINTS: usize = 32;

/// Connections that wait for the relay.
const BACKLOG: i32 = 64;

/// What the sandbox's network holds so far.
#[derive(Debug)]
pub(crate) struct Endpoints {
    hosts: File,
    names: BTreeMap<String, Ipv4Addr>,
    addresses: BTreeSet<IpAddr>,
    open: BTreeSet<SocketAddr>,
}

impl Endpoints {
    /// `hosts` is the sandbox's /etc/hosts, open for appending.
    pub(crate) fn new(hosts: File) -> Self {
        Self { hosts, names: BTreeMap::new(), addresses: BTreeSet::new(), open: BTreeSet::new() }
    }

    /// Makes each endpoint reachable and gives its listener. One whose address and port are served
    /// already (as after `localhost` for `127.0.0.1`) is skipped. All or none of them are made.
    pub(crate) fn add(
        &mut self,
        endpoints: &[Endpoint],
    ) -> Result<Vec<(Endpoint, OwnedFd)>, StepError> {
        let before = self.open.clone();
        let mut made = Vec::new();
        for endpoint in endpoints {
            match self.add_one(endpoint) {
                Ok(Some(listener)) => made.push((endpoint.clone(), listener)),
                Ok(None) => {}
                Err(error) => {
                    self.open = before;
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    fn add_one(&mut self, endpoint: &Endpoint) -> Result<Option<OwnedFd>, StepError> {
        let place = SocketAddr::new(self.address(endpoint)?, endpoint.port);
        if self.open.contains(&place) {
            return Ok(None);
        }
        if self.open.len() >= MAX_ENDPOINTS {
            return Err(StepError {
                step: format!("hold more than {MAX_ENDPOINTS} endpoints"),
                errno: libc::ENOSPC,
            });
        }
        let listener = listener(place)
            .step_on("listen for", &format_args!("{}:{}", endpoint.host, endpoint.port))?;
        self.open.insert(place);
        Ok(Some(listener))
    }

    fn address(&mut self, endpoint: &Endpoint) -> Result<IpAddr, StepError> {
        match literal(&endpoint.host) {
            Some(address) => {
                if !address.is_loopback() && self.addresses.insert(address) {
                    add_to_loopback(address).step_on("add the address", &address)?;
                }
                Ok(address)
            }
            None => self.name(&endpoint.host).map(IpAddr::V4),
        }
    }

    /// A name gets an address of its own in 127.64.0.0/16, which `lo` holds without being asked.
    fn name(&mut self, name: &str) -> Result<Ipv4Addr, StepError> {
        let key = name.to_ascii_lowercase();
        if let Some(known) = self.names.get(&key) {
            return Ok(*known);
        }
        let number = u8::try_from(self.names.len() + 1)
            .map_err(std::io::Error::other)
            .step("number a host name")?;
        let address = Ipv4Addr::new(127, 64, 0, number);
        writeln!(self.hosts, "{address} {name}").step("write /etc/hosts")?;
        self.names.insert(key, address);
        Ok(address)
    }
}

/// The address that a host stands for without asking anybody.
fn literal(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    host.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Why an endpoint cannot be offered; `None` if it can. Pure, for the check before anything is made.
pub(crate) fn fault(endpoint: &Endpoint) -> Option<String> {
    let Endpoint { host, port } = endpoint;
    if *port == 0 {
        return Some(format!("endpoint {host}: port 0"));
    }
    let bad = match literal(host) {
        Some(IpAddr::V4(v4)) => {
            v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local()
        }
        Some(IpAddr::V6(v6)) => {
            v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()
        }
        None => !is_host_name(host),
    };
    bad.then(|| format!("endpoint {host:?}: not a host name or an address that can be offered"))
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn listener(address: SocketAddr) -> std::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, port: u16, expect_ok: bool) {
        let found = fault(&Endpoint { host: host.to_owned(), port });
        assert_eq!(found.is_none(), expect_ok, "{host}:{port}: {found:?}");
    }

    #[test]
    fn only_addresses_and_host_names_that_can_be_offered_are_taken() {
        check("127.0.0.1", 5432, true);
        check("10.1.2.3", 5432, true);
        check("::1", 5432, true);
        check("fd00::1", 5432, true);
        check("db.example.com", 5432, true);
        check("db_1", 5432, true);
        check("localhost", 1, true);
        check("10.1.2.3", 0, false);
        check("0.0.0.0", 80, false);
        check("169.254.169.254", 80, false);
        check("224.0.0.1", 80, false);
        check("255.255.255.255", 80, false);
        check("fe80::1", 80, false);
        check("::ffff:169.254.169.254", 80, false);
        check("::", 80, false);
        check("", 80, false);
        check("a b", 80, false);
        check("a\n127.0.0.1 b", 80, false);
        check("a..b", 80, false);
        check(&"a".repeat(64), 80, false);
        check(&["a"; 127].join("."), 80, true);
        check(&["a"; 128].join("."), 80, false);
    }
}
