//! The network: the host's loopback, other addresses, and its abstract sockets.

use std::net::{IpAddr, TcpListener};

use dispatch_runtime::spawn::{Layer, LayerState, NetworkSpec};
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

/// What the kernel answers to a family, where it is asked at all: a family that it has, or one that
/// it has but not for us.
const FAMILIES: &str = "import errno, socket
def absent(family):
    try: socket.socket(family, socket.SOCK_RAW); return False
    except OSError as e: return e.errno == errno.EAFNOSUPPORT
seen = [f for f in range(64) if f not in (1, 2, 10, 16) and not absent(f)]
print('done' if seen else 'held', seen)
for family, kind in ((1, 1), (2, 1), (2, 2), (10, 1), (16, socket.SOCK_RAW)):
    socket.socket(family, kind)
socket.socketpair(); print('made')";

/// The same calls by another door: io_uring, and on x86_64 the system calls of i386.
const DOORS: &str = "import ctypes, mmap, os, platform
libc = ctypes.CDLL(None, use_errno=True)
ring = libc.syscall(425, 1, ctypes.create_string_buffer(200))
print('held' if ring < 0 and ctypes.get_errno() == 38 else 'done', ring)
if platform.machine() == 'x86_64' and os.fork() == 0:
    page = mmap.mmap(-1, 4096, prot=7, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # push rbx; eax, ebx, ecx, edx = three arguments and 0; int 0x80; pop rbx; ret
    page.write(bytes.fromhex('53 89f8 89f3 89d1 31d2 cd80 5b c3'))
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)
    call = kind(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    answer = call(359, 1, 1)
    print('held' if answer == -38 else 'done', answer, flush=True); os._exit(0)
else: os.wait() if platform.machine() == 'x86_64' else None";

#[tokio::test]
async fn no_socket_of_a_family_that_leaves_the_sandbox_can_be_made() {
    let lab = Lab::new();
    let filtered = lab.spawner.confinement().get(Layer::Seccomp);
    let state = LayerState::Partial("socket families only".to_owned());
    assert_eq!(filtered, Some(&state), "{}", lab.spawner.confinement());
    attack(&lab, FAMILIES).await;
    let outcome = lab.run(FAMILIES).await;
    assert!(outcome.stdout.ends_with("made\n"), "the others go on: {outcome:?}");
    attack(&lab, DOORS).await;
    lab.finish().await;
}
