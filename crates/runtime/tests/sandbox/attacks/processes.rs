//! Processes: of the host, of the sandbox's own first process, and too many.

use std::process::{Child, Command};

use dispatch_runtime::spawn::{DirectSpawner, Exit, Spawn};

use super::{attack, done, held};
use crate::support::{
    Lab, Outcome, descendants, ended, fresh_id, line, named, run_unconfined, until,
};

/// A process of the host that attacks aim at.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("/usr/bin/sleep").arg("31415").spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn processes_of_the_host_cannot_be_seen() {
    let lab = Lab::new();
    let victim = Victim::new();
    let program = "import os
found = []
for p in filter(str.isdigit, os.listdir('/proc')):
    if p == str(os.getpid()): continue
    try: found.append(open(f'/proc/{p}/cmdline').read())
    except OSError: pass
print('done' if any('31415' in c for c in found) else 'held', len(found))";
    attack(&lab, program).await;
    drop(victim);
    lab.finish().await;
}

#[tokio::test]
async fn a_process_of_the_host_cannot_be_killed() {
    let lab = Lab::new();
    let mut victim = Victim::new();
    let program = format!(
        "import os\ntry: os.kill({}, 9); print('done')\nexcept OSError as e: print('held', e)",
        victim.pid()
    );
    held(&lab.run(&program).await);
    assert!(victim.is_alive());
    done(&run_unconfined(&program).await);
    until(|| if victim.is_alive() { Err("it lives".to_owned()) } else { Ok(()) }).await;
    lab.finish().await;
}

#[tokio::test]
async fn killing_everything_in_sight_ends_only_the_worker() {
    let lab = Lab::new();
    let mut victim = Victim::new();
    let outcome = lab
        .run("import os, signal\nfor t in (1, -1, 0):\n  try: os.kill(t, 9)\n  except OSError as e: print(e)")
        .await;
    assert_ne!(outcome.exit, Exit::Code(0), "{outcome:?}");
    assert!(victim.is_alive());
    assert!(lab.spawner.is_alive());
    lab.finish().await;
}

#[tokio::test]
async fn the_first_process_cannot_be_traced_signalled_or_read() {
    let lab = Lab::new();
    let victim = Victim::new();
    let trace = |pid: u32| {
        format!(
            "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(16, {pid}, 0, 0) == 0: print('done')
else: print('held', os.strerror(ctypes.get_errno()))"
        )
    };
    held(&lab.run(&trace(1)).await);
    held(&lab.run(&trace(victim.pid())).await);
    if std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|v| v.trim() != "0")
    {
        dispatch_testkit::skip_here("the twin: this machine forbids tracing others");
    } else {
        done(&run_unconfined(&trace(victim.pid())).await);
    }
    let own = victim.pid();
    for file in ["environ", "mem", "maps", "fd/3"] {
        let program = |pid: u32| {
            format!(
                "try: open('/proc/{pid}/{file}', 'rb'); print('done')\nexcept OSError as e: print('held', e)"
            )
        };
        held(&lab.run(&program(1)).await);
        if file != "fd/3" {
            done(&run_unconfined(&program(own)).await);
        }
    }
    let signal = "import os, signal, time
os.kill(1, signal.SIGSTOP); os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGTERM)
time.sleep(0.05); print('held')";
    held(&lab.run(signal).await);
    lab.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit_of_processes() {
    let lab = Lab::new();
    let program = "import os, signal
signal.alarm(60)
children = []
try:
    while len(children) < 200:
        pid = os.fork()
        if pid == 0: signal.alarm(60); signal.pause()
        children.append(pid)
    print('done', len(children))
except OSError as e: print('held', len(children), e)
for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)";
    let mut spec = lab.spec(program);
    spec.limits.processes = 20;
    let outcome = Outcome::of(lab.spawn(spec).await.unwrap()).await;
    // 20 with the program itself.
    assert!(outcome.stdout.starts_with("held 19 "), "{outcome:?}");
    done(&run_unconfined(program).await);
    let threads = "import threading
ready, n = threading.Event(), 0
try:
    while n < 100: threading.Thread(target=ready.wait, daemon=True).start(); n += 1
    print('done', n)
except RuntimeError as e: print('held', n, e)
ready.set()";
    let mut spec = lab.spec(threads);
    spec.limits.processes = 20;
    let outcome = Outcome::of(lab.spawn(spec).await.unwrap()).await;
    assert!(outcome.stdout.starts_with("held 19 "), "{outcome:?}");
    done(&run_unconfined(threads).await);
    lab.finish().await;
}

const DAEMON: &str = "import os, signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: signal.pause()
    os._exit(0)
os.wait(); print(os.getpid(), flush=True); signal.pause()";

#[tokio::test]
async fn a_kill_leaves_no_daemon_behind() {
    let lab = Lab::new();
    let spawned = lab.spawn(lab.spec(DAEMON)).await.unwrap();
    assert_eq!(line(&spawned.stdout).await, "2\n");
    let all = descendants(lab.helper);
    assert_eq!(all.len(), 3, "{all:?}");
    spawned.process.kill();
    assert_eq!(ended(&spawned.process).await, Exit::Signal(9));
    // At once, not some time later: that is what wait promises.
    for pid in all {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} is left");
    }
    // The twin: an ordinary child leaves its daemon.
    let mark = format!("# {}", lab.instance);
    let mut spec = lab.spec(&format!("{DAEMON} {mark}"));
    spec.id = fresh_id();
    let twin = DirectSpawner.spawn(spec).await.unwrap();
    line(&twin.stdout).await;
    assert_eq!(named(&mark).len(), 2);
    twin.process.kill();
    ended(&twin.process).await;
    let left = named(&mark);
    assert_eq!(left.len(), 1, "the twin's daemon should live on");
    for pid in left {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    lab.finish().await;
}
