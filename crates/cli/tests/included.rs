//! Brokers that the server runs itself: real servers, real processes, a real PostgreSQL, and kills.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use dispatch_broker::testing::PostgresCluster;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Case, real::Server};

/// For what goes on by itself, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server and its home, through which the user of PostgreSQL may pass.
struct Place {
    home: tempfile::TempDir,
    environment: Vec<(&'static str, &'static str)>,
    server: Option<Server>,
}

impl Place {
    fn new(environment: &[(&'static str, &'static str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
        let mut place = Self { home, environment: environment.to_vec(), server: None };
        place.start();
        place
    }

    fn start(&mut self) {
        self.server = Some(Server::start_with(self.home.path(), &self.environment));
        // Each start has other ports; the login stays.
        let config = self.home.path().join(".dispatch/config.json");
        let mut json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
        let port = self.server.as_ref().map(|server| server.port);
        let contexts = json.get_mut("contexts").and_then(|all| all.as_object_mut()).unwrap();
        for context in contexts.values_mut().filter_map(|context| context.as_object_mut()) {
            context.insert("port".to_owned(), port.into());
        }
        fs::write(&config, json.to_string()).unwrap();
    }

    /// What a command prints, and whether it went well.
    fn try_run(&self, arguments: &str) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_dispatch"))
            .args(arguments.split(' '))
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn run(&self, arguments: &str) -> String {
        let (good, text) = self.try_run(arguments);
        let log = self.server.as_ref().map(Server::log).unwrap_or_default();
        assert!(good, "dispatch {arguments}: {text}\nlog: {log}");
        text
    }

    fn brokers(&self) -> PathBuf {
        self.home.path().join("data/dispatch/brokers")
    }

    /// The broker's process.
    fn broker(&self) -> Option<u32> {
        let found = processes(&self.brokers());
        found.into_iter().find(|pid| command_line(*pid).contains("--included"))
    }

    /// The shared PostgreSQL's first process.
    fn postmaster(&self) -> Option<u32> {
        let found = processes(&self.brokers());
        found.into_iter().find(|pid| command_line(*pid).contains("managed/data"))
    }

    /// Whether there is no process and no directory of any broker.
    fn is_empty(&self) -> bool {
        let left = fs::read_dir(self.brokers()).unwrap().count();
        left == 0 && processes(&self.brokers()).is_empty()
    }

    /// A broker's process other than that one.
    fn another_broker(&self, than: u32) -> u32 {
        until("another process of the broker", || self.broker().filter(|pid| *pid != than))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.server.take());
        // What outlives a server outlives no test.
        for pid in processes(&self.brokers()) {
            kill(pid);
        }
    }
}

/// The processes that name a directory in their arguments.
fn processes(directory: &Path) -> BTreeSet<u32> {
    let directory = directory.to_str().unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| command_line(*pid).contains(directory)).collect()
}

fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kill(pid: u32) {
    // It may have ended.
    let _gone = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// The files below a directory that hold a text.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_with(&path, text));
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_managed_postgresql_survives_every_kill_and_goes_with_its_broker() {
    let mut place = Place::new(&[]);
    let made =
        place.run("create servicebroker pg --builtin postgresql --param managed=true --wait");
    assert!(made.contains("shared-small"), "{made}");
    assert!(place.run("get servicebroker pg").contains("builtin postgresql"));
    place.run("create serviceinstance db postgresql shared-small --wait");
    let postmaster = place.postmaster().unwrap();

    let killed = place.broker().unwrap();
    kill(killed);
    let again = place.another_broker(killed);
    until("a binding after the broker was killed", || {
        place.try_run("create servicebinding one db --wait").0.then_some(())
    });
    assert_eq!(place.postmaster(), Some(postmaster), "it was adopted");

    kill(postmaster);
    let restarted =
        until("another PostgreSQL", || place.postmaster().filter(|pid| *pid != postmaster));
    place.run("create servicebinding two db --wait");
    assert_eq!(place.broker(), Some(again));

    place.server.take().unwrap().kill();
    until("the end of the broker", || place.broker().is_none().then_some(()));
    assert_eq!(place.postmaster(), Some(restarted), "PostgreSQL outlives the server");
    place.start();
    until("the broker after a start", || place.broker());
    place.run("create servicebinding three db --wait");
    assert_eq!(place.postmaster(), Some(restarted), "it was adopted");

    assert!(!place.try_run("delete servicebroker pg").0, "it is in use");
    // A request that was cut off is looked after for a minute; a purge does not wait for that.
    place.run("delete servicebroker pg --purge");
    until("the end of what was purged", || place.is_empty().then_some(()));
    place.server.take().unwrap().finish();
}

#[test]
fn a_broker_that_is_purged_or_whose_server_dies_while_it_goes_leaves_nothing() {
    let mut place = Place::new(&[]);
    place.run("create servicebroker pg --builtin postgresql --param managed=true --wait");
    place.run("create serviceinstance db postgresql dedicated --wait");
    place.run("delete servicebroker pg --purge");
    until("the end of what was purged", || place.is_empty().then_some(()));
    // What a server that ended in between has left is found at the next start.
    let stray = place.brokers().join("5b1f6c1e-0000-4000-8000-000000000001");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("kind"), "postgresql").unwrap();
    place.server.take().unwrap().finish();
    place.start();
    until("the end of a stray directory", || (!stray.exists()).then_some(()));
    place.server.take().unwrap().finish();
}

#[test]
fn the_administrators_password_is_nowhere_but_with_the_two() {
    const PASSWORD: &str = "p@ss/wörd of the administrator";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(PostgresCluster::start()).unwrap();
    let admin = runtime.block_on(cluster.admin("postgres")).unwrap();
    let role = format!("CREATE ROLE boss SUPERUSER LOGIN PASSWORD '{PASSWORD}'");
    runtime.block_on(admin.batch_execute(&role)).unwrap();

    let mut place = Place::new(&[]);
    let secret = |password: &str| {
        let text = serde_json::json!({"username": "boss", "password": password}).to_string();
        fs::write(place.home.path().join("admin.json"), text).unwrap();
    };
    secret(PASSWORD);
    fs::write(place.home.path().join("ca.pem"), cluster.ca_pem()).unwrap();
    place.run("create secret pg-admin admin.json");
    fs::remove_file(place.home.path().join("admin.json")).unwrap();
    let create = format!(
        "create servicebroker pg --builtin postgresql --param host=127.0.0.1 --param port={} \
         --param dedicatedPorts=none --auth-secret pg-admin --ca-cert ca.pem --wait",
        cluster.port()
    );
    place.run(&create);
    place.run("create serviceinstance db postgresql shared-small --wait");
    let first = place.broker().unwrap();
    let server = place.server.as_ref().unwrap();
    for pid in [first, server.pid()] {
        for part in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{pid}/{part}")).unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(!text.contains(PASSWORD) && !text.contains("p%40ss"), "{part} of {pid}");
        }
    }
    assert_eq!(files_with(place.home.path(), PASSWORD), Vec::<PathBuf>::new());

    // Another password: another process, which says why it does not start, without the password.
    const WRONG: &str = "another p@ssword";
    let update = |password: &str| {
        let document = serde_json::json!({
            "kind": "Secret", "name": "pg-admin",
            "secrets": {"username": "boss", "password": password},
        });
        fs::write(place.home.path().join("secret.yaml"), document.to_string()).unwrap();
        place.run("update -f secret.yaml");
        fs::remove_file(place.home.path().join("secret.yaml")).unwrap();
    };
    update(WRONG);
    let why = until("the reason", || {
        let seen = place.run("get servicebroker pg -o wide");
        seen.contains("password authentication failed").then_some(seen)
    });
    assert!(why.contains("the broker does not run: "), "{why}");
    let log = server.log();
    for shown in [&why, &log] {
        assert!(!shown.contains(WRONG) && !shown.contains(PASSWORD), "{shown}");
    }
    update(PASSWORD);
    place.another_broker(first);
    until("a broker that runs again", || {
        let seen = place.run("get servicebroker pg -o wide");
        (seen.contains("READY") && !seen.contains("does not run")).then_some(())
    });
    place.run("create servicebinding more db --wait");

    // Other parameters: another process, with the instances as they were.
    let before = place.broker().unwrap();
    let document = serde_json::json!({
        "kind": "ServiceBroker", "name": "pg", "builtin": "postgresql",
        "authentication": {"secret": "pg-admin"}, "tls": {"caCert": cluster.ca_pem()},
        "parameters": {"host": "localhost", "port": cluster.port(), "dedicatedPorts": "none"},
    });
    fs::write(place.home.path().join("broker.yaml"), document.to_string()).unwrap();
    place.run("update -f broker.yaml");
    place.another_broker(before);
    place.run("create servicebinding others db --wait");
    place.run("delete servicebroker pg --cascade --wait");
    assert!(place.is_empty());
    assert!(!server.log().contains(PASSWORD));
    let left = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'";
    assert!(runtime.block_on(admin.query(left, &[])).unwrap().is_empty());
    place.server.take().unwrap().finish();
    drop(admin);
    cluster.stop();
}

#[test]
fn the_broker_is_called_by_its_server_and_by_nobody_else() {
    let mut place = Place::new(&[]);
    place.run("create servicebroker pg --builtin postgresql --param managed=true --wait");
    let log = place.server.as_ref().unwrap().log();
    let address = log.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap();
    // Without the token it says nothing, and as a broker of somebody's it may not be dialled.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v2/catalog HTTP/1.0\r\nX-Broker-API-Version: 2.17\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 401 "), "{answer}");
    let (good, text) = place.try_run(&format!("create servicebroker other http://{address}"));
    assert!(!good && text.contains("an address of this server itself"), "{text}");
    place.run("delete servicebroker pg --wait");
    assert!(place.is_empty());
    place.server.take().unwrap().finish();
}

#[test]
fn a_server_that_gave_up_roots_rights_runs_its_brokers_without_them_too() {
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root can become somebody else");
        return;
    }
    let mut place = Place::new(&[("DISPATCH_SERVER_USER", "nobody")]);
    place.run("create servicebroker pg --builtin postgresql --param managed=true --wait");
    place.run("create serviceinstance db postgresql shared-small --wait");
    for pid in [place.broker().unwrap(), place.postmaster().unwrap()] {
        assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), 65534);
    }
    let directory = fs::read_dir(place.brokers()).unwrap().next().unwrap().unwrap().path();
    let port = fs::read_to_string(directory.join("managed.port")).unwrap().parse().unwrap();
    let connect = |port: u16| TcpStream::connect(("127.0.0.1", port));
    assert!(connect(port).is_ok());
    place.run("delete servicebroker pg --cascade --wait");
    assert!(place.is_empty() && connect(port).is_err());
    place.server.take().unwrap().finish();
}

#[test]
fn what_is_wrong_with_an_included_broker_is_said_before_anything_is_made() {
    Case::real("real/included")
        .file("admin.json", r#"{"username": "postgres", "password": "s3cret"}"#)
        .run("create servicebroker pg --builtin mysql")
        .run("create servicebroker pg --builtin postgresql")
        .run("create servicebroker pg --builtin postgresql --param hots=h --param port=0")
        .run("create servicebroker pg --builtin postgresql --param host=postgresql://postgres:s3cret@h/postgres")
        .run("create servicebroker pg --builtin postgresql --param host=h --param password=s3cret")
        .run("create servicebroker pg --builtin postgresql --param s3cret")
        .run("create servicebroker pg http://postgres:s3cret@h")
        .run("create servicebroker pg http://h --param managed=true")
        .run("create servicebroker pg http://h --builtin postgresql")
        .run("create secret pg-admin admin.json")
        .run("create servicebroker pg --builtin postgresql --param managed=true --auth-secret pg-admin")
        .run("create servicebroker pg --builtin postgresql --param host=127.0.0.1 --param port=1 --auth-secret pg-admin")
        .run("get servicebroker pg -o wide")
        .run("delete servicebroker pg --wait")
        .check();
}
