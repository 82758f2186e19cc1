//! Which addresses may be dialled: asked before every connection, for names and literals alike.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Says which addresses the client may connect to.
///
/// It is asked for every address that a name resolves to, and for an address that stands in the
/// URL itself, each time before a connection is made. IPv4 addresses in IPv6 clothes are
/// unwrapped first.
pub trait AddressPolicy: Send + Sync + 'static {
    /// The error is shown to users: a fragment such as "link-local addresses are not allowed".
    fn check(&self, address: SocketAddr) -> Result<(), String>;
}

/// Lets every address pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyAddress;

impl AddressPolicy for AnyAddress {
    fn check(&self, _: SocketAddr) -> Result<(), String> {
        Ok(())
    }
}

/// Asks the policy about one address.
pub(super) fn check(policy: &dyn AddressPolicy, ip: IpAddr, port: u16) -> Result<(), Forbidden> {
    let address = SocketAddr::new(ip.to_canonical(), port);
    policy.check(address).map_err(|reason| Forbidden { address, reason })
}

/// An address that the policy refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forbidden {
    address: SocketAddr,
    reason: String,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be called: {}", self.address, self.reason)
    }
}

impl std::error::Error for Forbidden {}

/// Resolves names through the system and keeps what the policy lets pass.
///
/// If a name stands for several addresses, those refused are never dialled; if none is left the
/// first refusal is the error.
pub(super) struct Checked {
    pub(super) policy: Arc<dyn AddressPolicy>,
    pub(super) port: u16,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, port) = (Arc::clone(&self.policy), self.port);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), port)).await?;
            let (mut admitted, mut refused) = (Vec::new(), None);
            for address in found {
                match check(policy.as_ref(), address.ip(), port) {
                    Ok(()) => admitted.push(address),
                    Err(forbidden) => refused = refused.or(Some(forbidden)),
                }
            }
            match refused {
                Some(forbidden) if admitted.is_empty() => Err(forbidden.into()),
                _ => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}
