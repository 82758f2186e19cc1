//! The one way out (decision 24): which addresses anything that the server dials for others may have.
//!
//! Brokers give URLs, and services give host names; neither may open the control plane, a neighbour on the link, or
//! the cloud's metadata address by answering with it.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use dispatch_osb::client::AddressPolicy;
use tokio::{net::TcpStream, time::timeout};

/// For one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For asking what addresses a name has.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Refuses link-local, multicast and unspecified addresses and our own listeners, after resolving.
#[derive(Debug, Default)]
pub struct Connector {
    own: ArcSwap<Vec<SocketAddr>>,
    allow_private: AtomicBool,
}

impl Connector {
    pub fn new(allow_private: bool) -> Self {
        Self { own: ArcSwap::default(), allow_private: AtomicBool::new(allow_private) }
    }

    /// Counts for connections from now on.
    pub fn set_allow_private(&self, allow_private: bool) {
        self.allow_private.store(allow_private, Ordering::Relaxed);
    }

    /// Where this server listens itself, once it does.
    pub fn set_own(&self, listeners: Vec<SocketAddr>) {
        self.own.store(Arc::new(listeners));
    }

    /// Closes one more address of ours, for as long as the answer is kept: that of a broker that the server runs itself,
    /// which nobody may call but its own client ([`Only`]).
    pub fn close(self: &Arc<Self>, address: SocketAddr) -> Closed {
        self.own.rcu(|own| own.iter().copied().chain([address]).collect::<Vec<_>>());
        Closed { connector: Arc::clone(self), address }
    }

    /// Whether a server may be told to dial this place itself: all addresses that it has may be dialled.
    pub async fn admits(&self, host: &str, port: u16) -> Result<(), String> {
        let resolving = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)));
        let addresses = match resolving.await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(format!("{host} has no address: {error}")),
            Err(_) => return Err(format!("{host} has no address: nobody answers")),
        };
        for address in addresses {
            self.check(address).map_err(|why| format!("{host} may not be dialled: {why}"))?;
        }
        Ok(())
    }

    /// The error is a fragment for people.
    pub fn check(&self, address: SocketAddr) -> Result<(), String> {
        let ip = address.ip().to_canonical();
        let refused = |what: &str| Err(format!("{what} are not allowed"));
        if ip.is_unspecified() {
            return refused("unspecified addresses");
        }
        if ip.is_multicast() || ip == IpAddr::from([255, 255, 255, 255]) {
            return refused("multicast addresses");
        }
        if is_link_local(ip) {
            return refused("link-local addresses");
        }
        if !self.allow_private.load(Ordering::Relaxed) && is_private(ip) {
            return refused("private addresses");
        }
        if self.own.load().iter().any(|own| is_same(*own, ip, address.port())) {
            return Err("it is an address of this server itself".to_owned());
        }
        Ok(())
    }

    /// Resolves a name or a literal address and connects to the first of its addresses that may be dialled and
    /// answers. `PermissionDenied` if none of them may.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let resolving = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)));
        let addresses: Vec<SocketAddr> = resolving.await??.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            if let Err(why) = self.check(address) {
                last = io::Error::new(io::ErrorKind::PermissionDenied, why);
                continue;
            }
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

/// An address of ours besides the listeners. Dropped, it may be dialled again.
#[derive(Debug)]
pub struct Closed {
    connector: Arc<Connector>,
    address: SocketAddr,
}

impl Drop for Closed {
    fn drop(&mut self) {
        let others = |own: &Arc<Vec<SocketAddr>>| {
            own.iter().copied().filter(|own| *own != self.address).collect::<Vec<_>>()
        };
        self.connector.own.rcu(others);
    }
}

/// Lets one address pass: that of the broker which is called, whatever else is closed.
#[derive(Debug)]
pub struct Only(pub SocketAddr);

impl AddressPolicy for Only {
    fn check(&self, address: SocketAddr) -> Result<(), String> {
        if address == self.0 { Ok(()) } else { Err(format!("{address} is not the broker's")) }
    }
}

impl AddressPolicy for Connector {
    fn check(&self, address: SocketAddr) -> Result<(), String> {
        Self::check(self, address)
    }
}

/// A listener on all addresses is reached by every one of this machine's, one of IPv6 by those of IPv4 too; any
/// loopback address may reach one on loopback.
fn is_same(own: SocketAddr, ip: IpAddr, port: u16) -> bool {
    let listens = own.ip().to_canonical();
    own.port() == port
        && (listens == ip
            || (listens.is_unspecified() && (listens.is_ipv6() || ip.is_ipv4()) && is_local(ip))
            || (listens.is_loopback() && ip.is_loopback()))
}

/// Asks the kernel, whose answer holds for this moment and for addresses of every kind: only one of this machine can
/// be bound. Nothing is sent. In doubt it is one.
fn is_local(ip: IpAddr) -> bool {
    let bound = UdpSocket::bind((ip, 0));
    !bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use dispatch_osb::fake::FakeBroker;
    use serde_json::json;

    use super::*;
    use crate::{
        packages::Build,
        testing::{TestPlatform, TestServer, World},
    };

    #[test]
    fn our_own_listeners_and_the_link_are_not_to_be_dialled() {
        let connector = Connector::new(true);
        connector.set_own(vec!["127.0.0.1:8080".parse().unwrap(), "[::]:8444".parse().unwrap()]);
        let check = |address: &str, expect: bool| {
            let found = connector.check(address.parse().unwrap());
            assert_eq!(found.is_ok(), expect, "{address}: {found:?}");
        };
        check("127.0.0.1:5432", true);
        check("10.1.2.3:443", true);
        check("192.0.2.1:443", true);
        check("127.0.0.1:8080", false);
        check("127.8.8.8:8080", false);
        check("[::1]:8080", false);
        check("[::ffff:127.0.0.1]:8080", false);
        check("127.0.0.1:8444", false);
        check("127.8.8.8:8444", false);
        check("[::1]:8444", false);
        check("192.0.2.1:8444", true);
        check("[2001:db8::1]:8444", true);
        check("169.254.169.254:80", false);
        check("[fe80::1]:80", false);
        check("224.0.0.1:80", false);
        check("255.255.255.255:80", false);
        check("0.0.0.0:5432", false);
        assert!(Connector::new(false).check("10.1.2.3:443".parse().unwrap()).is_err());
    }

    #[test]
    fn the_address_of_a_broker_of_our_own_is_open_to_its_client_alone_and_only_while_it_runs() {
        let connector = Arc::new(Connector::new(true));
        let (broker, other) = ("127.0.0.1:9".parse().unwrap(), "127.0.0.1:8".parse().unwrap());
        connector.set_own(vec![other]);
        let check = |broker_is_open: bool| {
            assert_eq!(connector.check(broker).is_ok(), broker_is_open);
            assert!(connector.check(other).is_err());
        };
        check(true);
        let closed = connector.close(broker);
        check(false);
        assert!(Only(broker).check(broker).is_ok() && Only(broker).check(other).is_err());
        drop(closed);
        check(true);
    }

    #[tokio::test]
    async fn a_place_with_an_address_that_may_not_be_dialled_is_not_admitted() {
        let connector = Connector::new(true);
        assert_eq!(connector.admits("127.0.0.1", 1).await, Ok(()));
        let refused = connector.admits("169.254.169.254", 80).await.unwrap_err();
        assert_eq!(
            refused,
            "169.254.169.254 may not be dialled: link-local addresses are not allowed"
        );
        assert!(connector.admits("no such host", 80).await.unwrap_err().contains("has no address"));
    }

    #[test]
    fn a_listener_on_all_addresses_is_not_to_be_dialled_by_any_of_this_machine() {
        let check = |listener: &str, address: IpAddr, expect: bool| {
            let connector = Connector::new(true);
            connector.set_own(vec![listener.parse().unwrap()]);
            let found = connector.check((address, 8444).into());
            assert_eq!(found.is_ok(), expect, "{address} with {listener}: {found:?}");
            assert!(connector.check((address, 8445).into()).is_ok());
        };
        let (loopback, other): (IpAddr, IpAddr) = ([127, 0, 0, 2].into(), [192, 0, 2, 1].into());
        for listener in ["0.0.0.0:8444", "[::]:8444"] {
            check(listener, loopback, false);
            check(listener, other, true);
        }
        check("0.0.0.0:8444", "::1".parse().unwrap(), true);
        // Which address would be used for that one; nothing is sent.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        match socket.connect((other, 9)).and_then(|()| socket.local_addr()) {
            Ok(own) if !own.ip().is_unspecified() => check("0.0.0.0:8444", own.ip(), false),
            _ => dispatch_testkit::skip_here("there is no address but those of loopback"),
        }
    }

    /// Tries to talk HTTP to where its service is said to be.
    const TALK: &str = "
import socket
def handle(ctx, payload):
    try:
        with socket.create_connection(tuple(payload), 20) as to:
            to.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
            return to.recv(5).decode()
    except OSError:
        return ''
";

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn credentials_that_name_this_server_lead_nowhere() {
        let server = TestServer::start_in(World::sandboxed(Build::default())).await;
        let platform = TestPlatform { server, broker: FakeBroker::start().await.unwrap() };
        platform.register("fake").await;
        platform.make_image().await;
        let own = platform.running.addresses;
        let check = async |name: &str, to: SocketAddr, expect: &str| {
            let credentials = json!({"host": to.ip().to_string(), "port": to.port()});
            let credentials = credentials.as_object().cloned();
            platform.broker.configure(|settings| settings.credentials = credentials);
            platform.instance(name).await;
            let files = [("talk.py", TALK.to_owned())];
            platform.function(name, &files, json!({"services": [name]})).await;
            let run = platform.call(name, json!([to.ip().to_string(), to.port()])).await;
            assert_eq!(run["output"], json!(expect), "{name}: {run}");
        };
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = other.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/").await.unwrap();
            stream
        });
        check("other", address, "HTTP/").await;
        answering.await.unwrap();
        check("control-plane", own.control_plane, "").await;
        check("gateway", own.gateway, "").await;
        for name in ["other", "control-plane", "gateway"] {
            platform.delete(&format!("/v1/function/{name}")).await;
            platform.delete(&format!("/v1/serviceinstance/{name}")).await;
            platform.gone(&format!("/v1/serviceinstance/{name}")).await;
        }
        platform.finish().await;
    }
}
