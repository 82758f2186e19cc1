//! Ends: of the server, of the helper, of a worker; and that nothing is left after any of them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dispatch_runtime::spawn::{Exit, SpawnError};

use crate::support::{Lab, cgroups_of, descendants, ended, is_root, until};

/// Set in the process that plays the server.
const AS_SERVER: &str = "DISPATCH_TEST_AS_SERVER";

/// Not a test by itself: the server that the next ones kill. Three workers with daemons.
#[tokio::test]
async fn a_server_that_waits_to_be_killed() {
    if std::env::var_os(AS_SERVER).is_none() {
        return;
    }
    let lab = Lab::new();
    let mut kept = Vec::new();
    let program = "import os, signal\nos.fork()\nsignal.pause()";
    for _ in 0..3 {
        kept.push(lab.spawn(lab.spec(program)).await.unwrap());
    }
    until(|| match descendants(lab.helper).len() {
        9 => Ok(()),
        other => Err(format!("{other} processes, not 9")),
    })
    .await;
    let lock = lab.lock().display().to_string();
    println!("\nhelper {} instance {} lock {lock}", lab.helper, lab.instance);
    std::future::pending::<()>().await;
}

struct Server {
    child: Child,
    helper: u32,
    instance: uuid::Uuid,
    lock: std::path::PathBuf,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "ends::a_server_that_waits_to_be_killed"])
            .env(AS_SERVER, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.into_iter().find(|line| line.starts_with("helper ")).unwrap();
        let mut words = line.split(' ');
        let helper = words.nth(1).unwrap().parse().unwrap();
        let instance = words.nth(1).unwrap().parse().unwrap();
        let lock = words.nth(1).unwrap().into();
        Self { child, helper, instance, lock }
    }

    /// The helper and everything below it.
    fn processes(&self) -> Vec<u32> {
        std::iter::once(self.helper).chain(descendants(self.helper)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.lock.parent().map(std::fs::remove_dir_all);
    }
}

/// A zombie waits only for its parent, which in a test may be anybody.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn all_end(processes: &[u32]) {
    until(|| {
        let left: Vec<_> = processes.iter().filter(|pid| is_alive(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn nothing_survives_a_killed_server() {
    let mut server = Server::start();
    let processes = server.processes();
    assert_eq!(processes.len(), 10, "{processes:?}");
    server.child.kill().unwrap();
    all_end(&processes).await;
    until(|| match cgroups_of(server.instance) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left: {left:?}")),
    })
    .await;
}

#[tokio::test]
async fn the_next_helper_begins_when_the_workers_of_a_killed_server_have_ended() {
    let mut server = Server::start();
    let processes = server.processes();
    server.child.kill().unwrap();
    let (instance, lock) = (server.instance, server.lock.clone());
    let next = Lab::with(|config| {
        config.instance = instance;
        config.lock = Some(lock);
    });
    let workers = processes.iter().filter(|pid| **pid != server.helper);
    let left: Vec<_> = workers.filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    // What the one before removes at its end is not what this one needs.
    all_end(&processes).await;
    let next = next.adopt(instance);
    assert_eq!(next.run("print('here')").await.stdout, "here\n");
    next.finish().await;
}

#[tokio::test]
async fn no_worker_survives_a_killed_helper_and_its_leftovers_are_swept_at_the_next_start() {
    let lab = Lab::new();
    let instance = lab.instance;
    let spawned =
        lab.spawn(lab.spec("import os, signal\nos.fork()\nsignal.pause()")).await.unwrap();
    let processes = descendants(lab.helper);
    let helper = rustix::process::Pid::from_raw(lab.helper.cast_signed()).unwrap();
    rustix::process::kill_process(helper, rustix::process::Signal::KILL).unwrap();
    all_end(&processes).await;
    assert_eq!(ended(&spawned.process).await, Exit::Unknown);
    assert!(!spawned.process.is_alive());
    until(|| if lab.spawner.is_alive() { Err("alive".to_owned()) } else { Ok(()) }).await;
    let error = lab.spawn(lab.spec("pass")).await.unwrap_err();
    assert!(matches!(error, SpawnError::HelperGone), "{error:?}");
    if is_root() {
        assert!(!cgroups_of(instance).is_empty(), "a killed helper cannot clean up");
    }
    let next = Lab::with(|config| config.instance = instance);
    for directory in cgroups_of(instance) {
        let workers = std::fs::read_dir(&directory).unwrap().flatten();
        let left: Vec<_> = workers.filter(|entry| entry.path().is_dir()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    next.adopt(instance).finish().await;
}

#[tokio::test]
async fn dropping_the_process_handle_kills_the_worker() {
    let lab = Lab::new();
    let spawned = lab.spawn(lab.spec("import signal; signal.pause()")).await.unwrap();
    let processes = descendants(lab.helper);
    assert_eq!(processes.len(), 2);
    drop(spawned.process);
    all_end(&processes).await;
    lab.finish().await;
}

#[tokio::test]
async fn a_server_that_gave_up_root_still_ends_workers() {
    let lab = Lab::new();
    if !is_root() {
        dispatch_testkit::skip("only root can give it up");
        return lab.finish().await;
    }
    // This thread alone, as the server does as a whole after starting its helper.
    let user = rustix::process::Uid::from_raw(61_234);
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    let spawned = lab.spawn(lab.spec("import signal; signal.pause()")).await.unwrap();
    let processes = descendants(lab.helper);
    assert_eq!(processes.len(), 2);
    assert!(spawned.process.memory_bytes().is_some());
    spawned.process.kill();
    assert_eq!(ended(&spawned.process).await, Exit::Signal(9));
    assert_eq!(descendants(lab.helper), Vec::<u32>::new());
    lab.finish().await;
}

#[tokio::test]
async fn giving_up_on_a_spawn_leaves_no_worker() {
    let lab = Lab::new();
    for _ in 0..20 {
        let spawn = lab.spawn(lab.spec("import signal; signal.pause()"));
        // Polled once: the request is out, the answer is not here yet.
        drop(futures::future::poll_immediate(Box::pin(spawn)).await);
    }
    // The requests are served in order: after this one, all of them have been.
    let last = lab.run("print('last')").await;
    assert_eq!(last.stdout, "last\n");
    until(|| match descendants(lab.helper) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left: {left:?}")),
    })
    .await;
    lab.finish().await;
}

#[tokio::test]
async fn exits_are_told_as_they_were() {
    let lab = Lab::new();
    for (program, expect) in [
        ("raise SystemExit(0)", Exit::Code(0)),
        ("raise SystemExit(255)", Exit::Code(255)),
        ("import os; os.kill(os.getpid(), 9)", Exit::Signal(9)),
        ("import os; os.kill(os.getpid(), 11)", Exit::Signal(11)),
        ("import os; os.abort()", Exit::Signal(6)),
    ] {
        assert_eq!(lab.run(program).await.exit, expect, "{program}");
    }
    lab.finish().await;
}

#[tokio::test]
async fn a_program_that_cannot_run_is_an_error_that_names_it() {
    let lab = Lab::new();
    for (program, expect) in [("/usr/bin/no-such-program", 2), ("/etc/passwd", 13), ("/usr", 13)] {
        let mut spec = lab.spec("");
        spec.argv = vec![program.to_owned()];
        match lab.spawn(spec).await.unwrap_err() {
            SpawnError::Setup { step, source } => {
                assert_eq!(step, format!("execute {program}"));
                assert_eq!(source.raw_os_error(), Some(expect));
            }
            other => panic!("{other:?}"),
        }
    }
    lab.finish().await;
}

#[tokio::test]
async fn only_so_many_workers_live_at_one_time() {
    let lab = Lab::with(|config| config.max_workers = 3);
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(lab.spawn(lab.spec("import signal; signal.pause()")).await.unwrap());
    }
    let error = lab.spawn(lab.spec("pass")).await.unwrap_err();
    assert!(matches!(error, SpawnError::Exhausted { .. }), "{error:?}");
    let one = kept.pop().unwrap();
    one.process.kill();
    ended(&one.process).await;
    assert_eq!(lab.run("print('room')").await.stdout, "room\n");
    drop(kept);
    lab.finish().await;
}

#[tokio::test]
async fn the_helper_has_one_thread_no_core_files_and_few_capabilities() {
    let lab = Lab::new();
    let status = std::fs::read_to_string(format!("/proc/{}/status", lab.helper)).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    assert_eq!(field("Threads:"), "1");
    assert_eq!(field("NoNewPrivs:"), "1");
    if is_root() {
        // DAC_OVERRIDE, SETGID, SETUID, NET_ADMIN, SYS_ADMIN.
        assert_eq!(field("CapEff:"), "00000000002010c2");
        assert_eq!(field("CapBnd:"), "00000000002010c2");
    } else {
        // DAC_OVERRIDE and SETFCAP are left to the root of a container, nothing to a user.
        let left = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
        assert_eq!(left & !0x8000_0002, 0, "{status}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", lab.helper)).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", lab.helper)).unwrap().flatten();
    let sockets = sockets.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let count = sockets
        .filter(|target| {
            target.starts_with("socket:") || target.to_string_lossy().starts_with("socket:")
        })
        .count();
    assert_eq!(count, 1, "only the server's");
    lab.finish().await;
}

#[tokio::test]
async fn two_organizations_never_have_the_same_uid_on_the_host() {
    let lab = Lab::new();
    if !is_root() {
        dispatch_testkit::skip("an ordinary user's workers all have that user's uid");
        return lab.finish().await;
    }
    let uid = |helper: u32| -> u32 {
        use std::os::unix::fs::MetadataExt;
        let pids = descendants(helper);
        let worker = pids.last().unwrap();
        std::fs::metadata(Path::new(&format!("/proc/{worker}"))).unwrap().uid()
    };
    let mut seen = Vec::new();
    for organization in [1, 2, 1] {
        let mut spec = lab.spec("import signal; signal.pause()");
        spec.organization = uuid::Uuid::from_u128(organization);
        let spawned = lab.spawn(spec).await.unwrap();
        seen.push(uid(lab.helper));
        spawned.process.kill();
        ended(&spawned.process).await;
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2], "an organization's own may be used again");
    assert!(seen.iter().all(|uid| *uid >= 2_000_000_000), "{seen:?}");
    lab.finish().await;
}
