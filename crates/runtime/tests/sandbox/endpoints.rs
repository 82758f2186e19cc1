//! Endpoints: a worker reaches exactly those that it was given, under their own addresses and names.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dispatch_runtime::network::{Dial, Relay, RelayLimits};
use dispatch_runtime::spawn::{Endpoint, NetworkSpec, Process, Spawned};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Lab, Outcome, ended, line, until};

/// A server that says its name and then what it hears, until the other side has ended.
async fn named_server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                peer.write_all(name.as_bytes()).await?;
                let (mut read, mut write) = peer.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    address
}

/// Dials what its table says; nothing else exists.
#[derive(Debug, Default)]
struct Table(HashMap<Endpoint, SocketAddr>);

impl Dial for Table {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<TcpStream>> {
        let address = self.0.get(endpoint).copied();
        async move { TcpStream::connect(address.ok_or(io::ErrorKind::HostUnreachable)?).await }
            .boxed()
    }
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.to_owned(), port }
}

fn relay(table: Table, limits: RelayLimits, listeners: Vec<(Endpoint, OwnedFd)>) -> Relay {
    let mut relay = Relay::new(Arc::new(table), limits);
    relay.serve_all(listeners).unwrap();
    relay
}

/// Connects, sends `-x`, ends its half and prints all that comes.
const TALK: &str = "
import socket, sys
def talk(host, port):
    try:
        with socket.create_connection((host, port), 10) as s:
            s.sendall(b'-x'); s.shutdown(socket.SHUT_WR)
            print(host, s.makefile().read(), flush=True)
    except OSError as e: print(host, type(e).__name__, flush=True)
";

#[tokio::test]
async fn endpoints_are_reached_under_their_own_addresses_and_names() {
    let lab = Lab::new();
    let mut table = Table::default();
    let all = [
        (endpoint("127.0.0.1", 5432), "loopback"),
        (endpoint("10.9.8.7", 80), "low port"),
        (endpoint("10.9.8.7", 8080), "same address"),
        (endpoint("fd00::9", 443), "six"),
        (endpoint("db.example.test", 5432), "name"),
        (endpoint("db.example.test", 5433), "name again"),
        (endpoint("other.example.test", 5432), "other name"),
    ];
    for (endpoint, name) in &all {
        table.0.insert(endpoint.clone(), named_server(name).await);
    }
    let calls = all.iter().map(|(Endpoint { host, port }, _)| format!("talk({host:?}, {port})\n"));
    let mut spec = lab.spec(&format!("{TALK}{}", calls.collect::<String>()));
    spec.network = NetworkSpec::Bound(all.iter().map(|(endpoint, _)| endpoint.clone()).collect());
    let mut spawned = lab.spawn(spec).await.unwrap();
    let listeners = std::mem::take(&mut spawned.listeners);
    assert_eq!(listeners.len(), all.len());
    let _relay = relay(table, RelayLimits::default(), listeners);
    let outcome = Outcome::of(spawned).await;
    let expect: String =
        all.iter().map(|(Endpoint { host, .. }, name)| format!("{host} {name}-x\n")).collect();
    assert_eq!(outcome.stdout, expect, "{outcome:?}");
    lab.finish().await;
}

#[tokio::test]
async fn what_is_no_endpoint_is_not_reached() {
    let lab = Lab::new();
    let server = named_server("real").await;
    let mut table = Table::default();
    let known = endpoint("10.9.8.7", 80);
    table.0.insert(known.clone(), server);
    let port = server.port();
    let program = format!(
        "{TALK}
talk('10.9.8.7', 80); talk('10.9.8.7', 81); talk('10.9.8.8', 80); talk('127.0.0.1', {port})
try: socket.getaddrinfo('example.test', 80); print('resolved')
except OSError as e: print('no name')"
    );
    let mut spec = lab.spec(&program);
    spec.network = NetworkSpec::Bound(vec![known]);
    let mut spawned = lab.spawn(spec).await.unwrap();
    let _relay = relay(table, RelayLimits::default(), std::mem::take(&mut spawned.listeners));
    let outcome = Outcome::of(spawned).await;
    assert_eq!(
        outcome.stdout,
        "10.9.8.7 real-x\n10.9.8.7 ConnectionRefusedError\n10.9.8.8 OSError\n\
         127.0.0.1 ConnectionRefusedError\nno name\n",
        "{outcome:?}"
    );
    lab.finish().await;
}

/// A worker that talks to what it reads, line by line, from its channel.
async fn talker(lab: &Lab, network: NetworkSpec) -> Spawned {
    let program = format!(
        "{TALK}
for line in socket.socket(fileno=3).makefile():
    host, port = line.split(); talk(host, int(port))"
    );
    let mut spec = lab.spec(&program);
    spec.network = network;
    lab.spawn(spec).await.unwrap()
}

fn tell(channel: &OwnedFd, line: &str) {
    assert_eq!(rustix::io::write(channel, line.as_bytes()).unwrap(), line.len());
}

async fn added(process: &Process, list: &[Endpoint]) -> Vec<(Endpoint, OwnedFd)> {
    process.add_endpoints(list.to_vec()).await.unwrap()
}

#[tokio::test]
async fn endpoints_are_added_to_a_running_worker() {
    let lab = Lab::new();
    let (early, late) = (endpoint("10.9.8.7", 80), endpoint("late.example.test", 5432));
    let mut table = Table::default();
    table.0.insert(early.clone(), named_server("early").await);
    table.0.insert(late.clone(), named_server("late").await);
    let mut spawned = talker(&lab, NetworkSpec::Bound(vec![early.clone()])).await;
    let mut relay = relay(table, RelayLimits::default(), std::mem::take(&mut spawned.listeners));
    tell(&spawned.channel, "10.9.8.7 80\n");
    assert_eq!(line(&spawned.stdout).await, "10.9.8.7 early-x\n");
    tell(&spawned.channel, "late.example.test 5432\n");
    assert_eq!(line(&spawned.stdout).await, "late.example.test gaierror\n");
    let new = added(&spawned.process, &[early.clone(), late.clone()]).await;
    assert_eq!(new.iter().map(|(endpoint, _)| endpoint).collect::<Vec<_>>(), [&late]);
    relay.serve_all(new).unwrap();
    tell(&spawned.channel, "late.example.test 5432\n");
    assert_eq!(line(&spawned.stdout).await, "late.example.test late-x\n");
    assert!(added(&spawned.process, &[early, late]).await.is_empty(), "both are known");
    let same = [endpoint("LATE.example.test", 5432), endpoint("::ffff:10.9.8.7", 80)];
    assert!(added(&spawned.process, &same).await.is_empty(), "in other words");
    let local = [endpoint("localhost", 7000), endpoint("127.0.0.1", 7000)];
    assert_eq!(added(&spawned.process, &local).await.len(), 1);
    lab.finish().await;
}

#[tokio::test]
async fn more_endpoints_than_the_bound_are_refused_and_the_worker_lives_on() {
    let lab = Lab::new();
    let spawned = talker(&lab, NetworkSpec::None).await;
    let list: Vec<_> = (1..=33).map(|port| endpoint("10.9.8.7", port)).collect();
    assert_eq!(added(&spawned.process, &list[..31]).await.len(), 31);
    let error = spawned.process.add_endpoints(list[31..].to_vec()).await.unwrap_err();
    assert!(error.to_string().contains("more than 32 endpoints"), "{error}");
    assert_eq!(added(&spawned.process, &list[31..32]).await.len(), 1, "not half added before");
    let error = spawned.process.add_endpoints(vec![endpoint("a b", 1)]).await.unwrap_err();
    assert!(error.to_string().contains("not a host name"), "{error}");
    assert!(spawned.process.is_alive());
    spawned.process.kill();
    ended(&spawned.process).await;
    assert!(spawned.process.add_endpoints(list).await.is_err());
    lab.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_dialled_is_a_closed_connection() {
    let lab = Lab::new();
    let known = endpoint("10.9.8.7", 80);
    let mut spawned = talker(&lab, NetworkSpec::Bound(vec![known])).await;
    let listeners = std::mem::take(&mut spawned.listeners);
    let relay = relay(Table::default(), RelayLimits::default(), listeners);
    tell(&spawned.channel, "10.9.8.7 80\n");
    let said = line(&spawned.stdout).await;
    assert!(
        ["ConnectionResetError", "BrokenPipeError", "OSError"].iter().any(|e| said.contains(e)),
        "{said}"
    );
    assert_eq!((relay.stats().accepted(), relay.stats().refused()), (1, 1));
    lab.finish().await;
}

#[tokio::test]
async fn connections_are_bounded_in_number_and_in_idleness() {
    let lab = Lab::new();
    let known = endpoint("10.9.8.7", 80);
    let mut table = Table::default();
    table.0.insert(known.clone(), named_server("s").await);
    let program = "
import socket, time
held = []
for n in range(6):
    s = socket.create_connection(('10.9.8.7', 80), 10); s.settimeout(0.2)
    try: held.append((s, s.recv(1)))
    except OSError: held.append((s, b''))
print(sum(1 for s, d in held if d), flush=True)
for s, d in held: s.settimeout(20)
print(sum(1 for s, d in held if s.recv(1) in (b'', b's')), flush=True)";
    let mut spec = lab.spec(program);
    spec.network = NetworkSpec::Bound(vec![known]);
    let mut spawned = lab.spawn(spec).await.unwrap();
    // Longer than the six attempts: the first four hold their places during them.
    let limits = RelayLimits { connections: 4, idle_ms: 3_000, ..RelayLimits::default() };
    let relay = relay(table, limits, std::mem::take(&mut spawned.listeners));
    let outcome = Outcome::of(spawned).await;
    assert_eq!(outcome.stdout, "4\n6\n", "{outcome:?}");
    until(|| match relay.stats().open() {
        0 => Ok(()),
        open => Err(format!("{open} are open")),
    })
    .await;
    lab.finish().await;
}

#[tokio::test]
async fn a_dropped_relay_closes_its_connections() {
    let lab = Lab::new();
    let known = endpoint("10.9.8.7", 80);
    let mut table = Table::default();
    table.0.insert(known.clone(), named_server("s").await);
    let program = "
import socket
s = socket.create_connection(('10.9.8.7', 80), 10)
print(s.recv(1), flush=True); print(s.recv(1), flush=True)
try: socket.create_connection(('10.9.8.7', 80), 10); print('done')
except OSError as e: print(type(e).__name__)";
    let mut spec = lab.spec(program);
    spec.network = NetworkSpec::Bound(vec![known]);
    let mut spawned = lab.spawn(spec).await.unwrap();
    let relay = relay(table, RelayLimits::default(), std::mem::take(&mut spawned.listeners));
    assert_eq!(line(&spawned.stdout).await, "b's'\n");
    drop(relay);
    assert_eq!(Outcome::of(spawned).await.stdout, "b''\nConnectionRefusedError\n");
    lab.finish().await;
}
