//! Resources: memory, cpu and descriptors.

use dispatch_runtime::spawn::{Exit, Layer, LayerState, WorkerSpec};

use super::{done, held};
use crate::support::{Lab, Outcome, cgroups_of, ended, run_unconfined, until};

/// Takes 160 MiB in steps.
const HOG: &str = "kept = []
try:
    for n in range(40): kept.append(bytearray(4 << 20))
    print('done', flush=True)
except MemoryError: print('held', len(kept), flush=True)";

/// Four processes of 40 MiB each, which stay.
const HERD: &str = "import os, signal, time
signal.alarm(60)
children = []
for n in range(4):
    pid = os.fork()
    if pid == 0:
        kept = bytearray(40 << 20); signal.alarm(60); signal.pause()
    children.append(pid)
for n in range(100):
    time.sleep(0.02)
    if any(os.waitpid(pid, os.WNOHANG)[0] for pid in children): print('held'); break
else: print('done')
for pid in children:
    try: os.kill(pid, 9)
    except OSError: pass";

fn with(lab: &Lab, program: &str, memory_mib: u64) -> WorkerSpec {
    let mut spec = lab.spec(program);
    spec.limits.memory_bytes = memory_mib << 20;
    spec
}

#[tokio::test]
async fn memory_is_bounded_in_one_process() {
    let lab = Lab::new();
    let outcome = Outcome::of(lab.spawn(with(&lab, HOG, 80)).await.unwrap()).await;
    assert!(!outcome.stdout.contains("done"), "{outcome:?}");
    match lab.spawner.confinement().get(Layer::Memory) {
        Some(LayerState::On(_)) => assert_eq!(outcome.exit, Exit::Memory, "{outcome:?}"),
        // Without a cgroup the allocation fails first.
        _ => held(&outcome),
    }
    done(&Outcome::of(lab.spawn(with(&lab, HOG, 400)).await.unwrap()).await);
    lab.finish().await;
}

#[tokio::test]
async fn memory_is_bounded_over_all_processes() {
    let lab = Lab::new();
    let outcome = Outcome::of(lab.spawn(with(&lab, HERD, 80)).await.unwrap()).await;
    match lab.spawner.confinement().get(Layer::Memory) {
        Some(LayerState::On(_)) => held(&outcome),
        _ => assert_eq!(outcome.exit, Exit::Memory, "{outcome:?}"),
    }
    done(&Outcome::of(lab.spawn(with(&lab, HERD, 400)).await.unwrap()).await);
    lab.finish().await;
}

#[tokio::test]
async fn files_in_tmp_count_as_memory() {
    let lab = Lab::new();
    let program = "import time
with open('/tmp/fill', 'wb', buffering=0) as f:
    for n in range(120): f.write(bytes(1 << 20))
time.sleep(1); print('done', flush=True)";
    let limited = |memory: u64| {
        let mut spec = with(&lab, program, memory);
        spec.limits.tmp_bytes = 200 << 20;
        spec
    };
    let outcome = Outcome::of(lab.spawn(limited(80)).await.unwrap()).await;
    assert_eq!(outcome.exit, Exit::Memory, "{outcome:?}");
    done(&Outcome::of(lab.spawn(limited(400)).await.unwrap()).await);
    lab.finish().await;
}

#[tokio::test]
async fn memory_that_no_process_has_mapped_counts() {
    let lab = Lab::new();
    let memory_file = "import os, time
fd = os.memfd_create('x')
for n in range(120): os.write(fd, bytes(1 << 20))
time.sleep(1); print('done', flush=True)";
    let segments = "import ctypes, time
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
libc.shmdt.argtypes = [ctypes.c_void_p]
for n in range(12):
    id = libc.shmget(0, ctypes.c_size_t(10 << 20), 0o1600)
    at = libc.shmat(id, None, 0); ctypes.memset(at, 1, 10 << 20); libc.shmdt(at)
time.sleep(1); print('done', flush=True)";
    let counted = matches!(lab.spawner.confinement().get(Layer::Memory), Some(LayerState::On(_)));
    for program in [memory_file, segments] {
        let outcome = Outcome::of(lab.spawn(with(&lab, program, 80)).await.unwrap()).await;
        if program == memory_file && !counted {
            // Where it could not be counted in every place, there is none.
            assert!(outcome.stderr.contains("Function not implemented"), "{outcome:?}");
            continue;
        }
        assert_eq!(outcome.exit, Exit::Memory, "{outcome:?}");
        done(&Outcome::of(lab.spawn(with(&lab, program, 400)).await.unwrap()).await);
    }
    lab.finish().await;
}

#[tokio::test]
async fn memory_files_that_only_a_socket_holds_are_bounded() {
    let lab = Lab::new();
    let program = "import os, socket, time
a, b = socket.socketpair()
try:
    for n in range(12):
        fd = os.memfd_create('x'); os.truncate(fd, 10 << 20)
        for m in range(10): os.write(fd, bytes(1 << 20))
        socket.send_fds(a, [b'm'], [fd]); os.close(fd)
    time.sleep(1); print('done', flush=True)
except OSError as e: print('held', e)";
    let outcome = Outcome::of(lab.spawn(with(&lab, program, 80)).await.unwrap()).await;
    match lab.spawner.confinement().get(Layer::Memory) {
        Some(LayerState::On(_)) => assert_eq!(outcome.exit, Exit::Memory, "{outcome:?}"),
        Some(LayerState::Partial(how)) => {
            held(&outcome);
            let left = "watched, but not shared memory that is no longer mapped (";
            assert!(how.starts_with(left), "{how}");
        }
        other => panic!("{other:?}"),
    }
    done(&run_unconfined(program).await);
    lab.finish().await;
}

#[tokio::test]
async fn memory_in_use_is_known() {
    let lab = Lab::new();
    let program =
        "import signal; kept = bytearray(50 << 20); print('ready', flush=True); signal.pause()";
    let spawned = lab.spawn(lab.spec(program)).await.unwrap();
    until(|| {
        let used = spawned.process.memory_bytes().unwrap_or(0) >> 20;
        if (50..120).contains(&used) { Ok(()) } else { Err(format!("{used} MiB")) }
    })
    .await;
    spawned.process.kill();
    ended(&spawned.process).await;
    assert_eq!(spawned.process.memory_bytes(), None);
    lab.finish().await;
}

#[tokio::test]
async fn cpu_time_is_bounded() {
    let lab = Lab::new();
    if !matches!(lab.spawner.confinement().get(Layer::Cpu), Some(LayerState::On(_))) {
        dispatch_testkit::skip_here(&lab.spawner.confinement().to_string());
        return lab.finish().await;
    }
    let throttled = |lab: &Lab, spec: &WorkerSpec| -> u64 {
        let id = spec.id.to_string();
        let files =
            cgroups_of(lab.instance).into_iter().map(|path| path.join(&id).join("cpu.stat"));
        let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
        let counts = texts.filter_map(|text| {
            text.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok())
        });
        counts.sum()
    };
    let mut spec = lab.spec("while True: pass");
    spec.limits.cpu_millis = 200;
    let spawned = lab.spawn(spec.clone()).await.unwrap();
    until(|| match throttled(&lab, &spec) {
        0 => Err("never throttled".to_owned()),
        _ => Ok(()),
    })
    .await;
    drop(spawned);
    // The twin is idle: then nothing is throttled.
    let mut spec = lab.spec("import signal; print('ready', flush=True); signal.pause()");
    spec.limits.cpu_millis = 4000;
    let spawned = lab.spawn(spec.clone()).await.unwrap();
    assert_eq!(throttled(&lab, &spec), 0);
    drop(spawned);
    lab.finish().await;
}

#[tokio::test]
async fn descriptors_are_bounded() {
    let lab = Lab::new();
    let program = "import os
n = 0
try:
    while n < 100: os.open('/dev/null', os.O_RDONLY); n += 1
    print('done', n)
except OSError as e: print('held', n, e)";
    let mut spec = lab.spec(program);
    spec.limits.descriptors = 40;
    let outcome = Outcome::of(lab.spawn(spec).await.unwrap()).await;
    assert!(outcome.stdout.starts_with("held 36 "), "{outcome:?}");
    done(&run_unconfined(program).await);
    lab.finish().await;
}
