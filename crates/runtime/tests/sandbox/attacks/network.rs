//! The network: the host's loopback, other addresses, and its abstract sockets.

use std::net::{IpAddr, TcpListener};

use dispatch_runtime::spawn::NetworkSpec;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::{attack, done, held};
use crate::support::{Lab, Outcome};

fn connect(address: IpAddr, port: u16) -> String {
    format!(
        "import socket
try: socket.create_connection(({:?}, {port}), 5); print('done')
except OSError as e: print('held', e)",
        address.to_string()
    )
}

/// Addresses of this machine itself, so that nothing leaves it.
fn own_addresses() -> Vec<IpAddr> {
    let mut found = vec!["127.0.0.1".parse().unwrap(), "127.0.0.9".parse().unwrap()];
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = "";
    for line in table.lines() {
        if line.contains("/32 host LOCAL") {
            found.extend(last.trim().trim_start_matches("|-- ").parse::<IpAddr>());
        }
        last = line;
    }
    found.sort();
    found.dedup();
    found
}

#[tokio::test]
async fn no_address_of_the_host_can_be_reached() {
    let lab = Lab::with(|config| config.allow_unconfined_network = true);
    for address in own_addresses() {
        let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
        let program = connect(address, listener.local_addr().unwrap().port());
        attack(&lab, &program).await;
        // The nearest twin: the same sandbox, only with the host's network.
        let mut spec = lab.spec(&program);
        spec.network = NetworkSpec::Unconfined;
        done(&Outcome::of(lab.spawn(spec).await.unwrap()).await);
    }
    lab.finish().await;
}

#[tokio::test]
async fn no_packet_has_a_way_out() {
    let lab = Lab::new();
    // Connecting a datagram socket only looks for a route; nothing is sent.
    let program = "import socket
for family, host in ((socket.AF_INET, '192.0.2.1'), (socket.AF_INET6, '2001:db8::1')):
    try: socket.socket(family, socket.SOCK_DGRAM).connect((host, 9)); print('done', host)
    except OSError as e: print('held', e)";
    held(&lab.run(program).await);
    let twin = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 9)); print('done')";
    done(&lab.run(twin).await);
    let raw = "import socket
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('done')
except OSError as e: print('held', e)";
    held(&lab.run(raw).await);
    lab.finish().await;
}

#[tokio::test]
async fn an_abstract_socket_of_the_host_cannot_be_reached() {
    let lab = Lab::new();
    let name = format!("dispatch-{}", lab.instance);
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let program = format!(
        "import socket
try: socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('done')
except OSError as e: print('held', e)"
    );
    attack(&lab, &program).await;
    drop(listener);
    lab.finish().await;
}

#[tokio::test]
async fn an_unconfined_network_is_refused_where_it_is_not_asked_for() {
    let lab = Lab::new();
    let mut spec = lab.spec("pass");
    spec.network = NetworkSpec::Unconfined;
    let error = lab.spawn(spec).await.unwrap_err();
    assert!(error.to_string().contains("unconfined"), "{error}");
    lab.finish().await;
}
