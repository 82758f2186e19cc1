//! The ports of dedicated servers: a range, and which of them can be had.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, TcpListener};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of ports, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRange(RangeInclusive<u16>);

/// Why a text is no range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not two ports from 1024 to 65535, the lower one first, as in 41900-41999")]
pub struct PortRangeError;

impl PortRange {
    /// The first port that is not `taken` and on which nobody listens.
    pub(super) fn free(&self, address: IpAddr, taken: &BTreeSet<u16>) -> Option<u16> {
        let mut ports = self.0.clone().filter(|port| !taken.contains(port));
        ports.find(|port| TcpListener::bind((address, *port)).is_ok())
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| PortRangeError);
        let (first, last) = text.split_once('-').ok_or(PortRangeError)?;
        match (port(first)?, port(last)?) {
            (first, last) if (1024..=last).contains(&first) => Ok(Self(first..=last)),
            _ => Err(PortRangeError),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_range_is_two_ports() {
        let check = |text: &str, expect: Option<(u16, u16)>| {
            let got = text.parse().ok().map(|PortRange(range)| (*range.start(), *range.end()));
            assert_eq!(got, expect, "{text}");
        };
        check("1024-65535", Some((1024, 65535)));
        check("5000-5000", Some((5000, 5000)));
        for bad in ["1023-2000", "5001-5000", "5000-65536", "5000", "", "a-b", "5000-"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_port_that_is_taken_or_listened_on_is_skipped() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let other = TcpListener::bind((address, 0)).expect("a port");
        let port = other.local_addr().expect("an address").port();
        let range = PortRange(port..=port);
        assert_eq!(range.free(address, &BTreeSet::new()), None);
        drop(other);
        assert_eq!(range.free(address, &[port].into()), None);
    }
}
