//! Files: of the host, of the base, of layers, and too many of its own.

use std::os::unix::fs::MetadataExt;

use dispatch_runtime::spawn::{LayerMount, WorkerSpec};

use super::{attack, done, held};
use crate::support::{Lab, Outcome, is_root, open_to_all};

fn read(path: &str) -> String {
    format!("try: print('done', open({path:?}).read())\nexcept OSError as e: print('held', e)")
}

fn write(path: &str) -> String {
    format!(
        "import os\ntry: open({path:?}, 'a').write('x'); print('done'); os.remove({path:?})
except OSError as e: print('held', e)"
    )
}

#[tokio::test]
async fn files_of_the_host_cannot_be_read() {
    let lab = Lab::new();
    let secret = lab.directory.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    open_to_all(&secret);
    attack(&lab, &read(secret.to_str().unwrap())).await;
    if is_root() {
        attack(&lab, &read("/etc/shadow")).await;
    }
    // Through the old root, should any way to it be left.
    let upwards = format!("/../../../..{}", secret.to_str().unwrap());
    attack(&lab, &read(&upwards)).await;
    lab.finish().await;
}

#[tokio::test]
async fn a_file_of_the_layer_root_that_is_no_layer_of_the_worker_cannot_be_read() {
    let lab = Lab::new();
    let other = lab.layers().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("code"), "of another").unwrap();
    open_to_all(&other);
    open_to_all(&other.join("code"));
    attack(&lab, &read(other.join("code").to_str().unwrap())).await;
    lab.finish().await;
}

fn with_layer(lab: &Lab, program: &str, read_only: bool) -> WorkerSpec {
    let host = lab.layers().join("app");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("code.py"), "print('code')").unwrap();
    open_to_all(&host);
    open_to_all(&host.join("code.py"));
    let mut spec = lab.spec(program);
    spec.root.layers.push(LayerMount { host, inside: "/app".into(), read_only });
    spec
}

#[tokio::test]
async fn a_read_only_layer_can_be_read_and_not_written() {
    let lab = Lab::new();
    for program in [write("/app/new"), write("/app/code.py")] {
        let spawned = lab.spawn(with_layer(&lab, &program, true)).await.unwrap();
        held(&Outcome::of(spawned).await);
        let twin = lab.spawn(with_layer(&lab, &program, false)).await.unwrap();
        done(&Outcome::of(twin).await);
    }
    let spawned = lab.spawn(with_layer(&lab, &read("/app/code.py"), true)).await.unwrap();
    done(&Outcome::of(spawned).await);
    lab.finish().await;
}

#[tokio::test]
async fn what_is_written_to_a_writable_layer_belongs_to_its_owner() {
    let lab = Lab::new();
    let program = "import os; os.makedirs('/app/a/b'); open('/app/a/b/c', 'w').write('x'); print(os.stat('/app/a').st_uid)";
    let mut spec = with_layer(&lab, program, false);
    spec.umask = 0o022;
    let outcome = Outcome::of(lab.spawn(spec).await.unwrap()).await;
    assert_eq!(outcome.stdout, "1000\n", "{outcome:?}");
    let owner = std::fs::metadata(lab.layers()).unwrap().uid();
    for path in ["app/a", "app/a/b", "app/a/b/c"] {
        let meta = std::fs::metadata(lab.layers().join(path)).unwrap();
        assert_eq!(meta.uid(), owner, "{path}");
        assert_eq!(meta.mode() & 0o044, 0o044, "{path} can be read by others");
    }
    lab.finish().await;
}

#[tokio::test]
async fn the_base_cannot_be_written() {
    let lab = Lab::new();
    let name = format!("dispatch-{}", lab.instance);
    for directory in ["/usr", "/usr/bin", "/etc", "/", "/dev", "/proc", "/var"] {
        let program = write(&format!("{}/{name}", directory.trim_end_matches('/')));
        // Nobody can make a file in /proc, anywhere: it has no twin.
        if directory == "/proc" {
            held(&lab.run(&program).await);
        } else if is_root() {
            attack(&lab, &program).await;
        } else {
            dispatch_testkit::skip(&format!("the twin: only root writes to {directory}"));
            held(&lab.run(&program).await);
        }
    }
    for file in
        ["/etc/passwd", "/etc/hosts", "/proc/self/oom_score_adj", "/proc/sys/kernel/hostname"]
    {
        let program = format!(
            "try: open({file:?}, 'r+'); print('done')\nexcept OSError as e: print('held', e)"
        );
        held(&lab.run(&program).await);
    }
    lab.finish().await;
}

#[tokio::test]
async fn tmp_is_bounded_in_bytes_and_in_files() {
    let lab = Lab::new();
    let fill = "import os
n = 0
try:
    with open('/tmp/fill', 'wb', buffering=0) as f:
        while n < 8 << 20: n += f.write(bytes(65536))
    print('done', n)
except OSError as e: print('held', n, e)";
    let many = "n = 0
try:
    while n < 2000: open(f'/tmp/{n}', 'w').close(); n += 1
    print('done', n)
except OSError as e: print('held', n, e)";
    for program in [fill, many] {
        let with = |bytes: u64| {
            let mut spec = lab.spec(program);
            spec.limits.tmp_bytes = bytes;
            spec
        };
        let outcome = Outcome::of(lab.spawn(with(4 << 20)).await.unwrap()).await;
        held(&outcome);
        let reached: u64 = outcome.stdout.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(reached <= 4 << 20, "{outcome:?}");
        done(&Outcome::of(lab.spawn(with(32 << 20)).await.unwrap()).await);
    }
    lab.finish().await;
}

#[tokio::test]
async fn a_layer_through_a_symbolic_link_is_refused() {
    let lab = Lab::new();
    std::os::unix::fs::symlink("/etc", lab.layers().join("app")).unwrap();
    let with_layer = |program: &str| {
        let mut spec = lab.spec(program);
        let host = lab.layers().join("app/ssl");
        spec.root.layers.push(LayerMount { host, inside: "/app".into(), read_only: true });
        spec
    };
    let error = lab.spawn(with_layer("pass")).await.unwrap_err();
    assert!(format!("{error}").starts_with("open "), "{error:?}");
    std::fs::remove_file(lab.layers().join("app")).unwrap();
    std::fs::create_dir_all(lab.layers().join("app/ssl")).unwrap();
    done(&Outcome::of(lab.spawn(with_layer("print('done')")).await.unwrap()).await);
    lab.finish().await;
}
