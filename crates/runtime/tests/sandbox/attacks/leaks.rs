//! What could leak in: the server's environment, its descriptors, and facts about the machine.

use std::os::fd::AsRawFd;
use std::process::Command;

use super::held;
use crate::support::{Lab, descendants, is_root, python, until};

fn plain_child(program: &str) -> String {
    let argv = python(program);
    let output = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn the_environment_is_what_was_given_and_nothing_else() {
    let lab = Lab::new();
    let program = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.environ.get('TOKEN'))";
    assert_eq!(lab.run(program).await.stdout, "['HOME', 'LANG', 'PATH'] None\n");
    let mut spec = lab.spec(program);
    spec.environment =
        vec![("TOKEN".to_owned(), "t".to_owned()), ("HOME".to_owned(), "/app".to_owned())];
    let outcome = crate::support::Outcome::of(lab.spawn(spec).await.unwrap()).await;
    assert_eq!(outcome.stdout, "['HOME', 'LANG', 'PATH', 'TOKEN'] t\n");
    // The twin: a plain child has all that this process has, and that is more.
    let own = std::env::vars().filter(|(name, _)| name != "LC_CTYPE").count();
    let inherits = plain_child("import os; print(len([k for k in os.environ if k != 'LC_CTYPE']))");
    assert_eq!(inherits.trim(), own.to_string());
    // The helper, whose memory a clone begins with, has none either.
    let helper = std::fs::read(format!("/proc/{}/environ", lab.helper)).unwrap();
    assert_eq!(helper, b"");
    lab.finish().await;
}

#[tokio::test]
async fn exactly_four_descriptors_are_open() {
    // One that is not closed by exec, as a careless library would leave it.
    let careless = rustix::io::dup(std::fs::File::open("/etc/passwd").unwrap()).unwrap();
    let lab = Lab::new();
    let program = "import os
for n in sorted(map(int, os.listdir('/proc/self/fd'))):
    try: print(n, os.readlink(f'/proc/self/fd/{n}').split(':')[0])
    except OSError: pass";
    let inside = lab.run(program).await.stdout;
    assert_eq!(inside, "0 /dev/null\n1 pipe\n2 pipe\n3 socket\n");
    let twin = plain_child(program);
    assert!(twin.contains(&format!("{} /etc/passwd", careless.as_raw_fd())), "{twin}");
    // A second worker gets nothing of the first one's, nor does its first process.
    let first = lab.spawn(lab.spec("import signal; signal.pause()")).await.unwrap();
    assert_eq!(lab.run(program).await.stdout, inside);
    let second = lab.spawn(lab.spec("import signal; signal.pause()")).await.unwrap();
    for pid in descendants(lab.helper) {
        let is_first = std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| {
            text.lines().any(|line| line.ends_with("\t1") && line.starts_with("NSpid"))
        });
        if is_first && is_root() {
            // It closes the server's ends only after it has sent them.
            until(|| {
                let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
                let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
                let mut targets: Vec<_> =
                    targets.map(|path| path.to_string_lossy().into_owned()).collect();
                targets.retain(|name| name.starts_with("socket:") || name.starts_with("pipe:"));
                // Its own control socket.
                if targets.len() == 1 { Ok(()) } else { Err(format!("{targets:?}")) }
            })
            .await;
        }
    }
    drop((first, second));
    lab.finish().await;
}

#[tokio::test]
async fn facts_about_the_machine_are_masked() {
    let lab = Lab::new();
    for file in ["cmdline", "kallsyms", "keys", "timer_list", "interrupts", "partitions"] {
        let path = format!("/proc/{file}");
        let program = format!(
            "try: t = open({path:?}).read(); print('done' if t else 'held')\nexcept OSError as e: print('held', e)"
        );
        if std::fs::read(&path).is_ok_and(|bytes| !bytes.is_empty()) {
            super::attack(&lab, &program).await;
        } else {
            held(&lab.run(&program).await);
        }
    }
    let seen = lab
        .run("import os; print(sorted(os.listdir('/')), sorted(os.listdir('/dev')), os.uname().nodename)")
        .await;
    assert_eq!(
        seen.stdout,
        "['bin', 'dev', 'etc', 'lib', 'lib64', 'proc', 'sbin', 'tmp', 'usr', 'var'] \
         ['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero'] function\n"
    );
    lab.finish().await;
}

#[tokio::test]
async fn the_process_is_an_ordinary_one_in_all_else() {
    let lab = Lab::new();
    let program = "import os, pwd, resource, signal, socket, tempfile, multiprocessing
print(pwd.getpwuid(os.getuid()).pw_name, socket.gethostbyname('localhost'), tempfile.gettempdir())
print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE))
os.close(os.open('/dev/stdout', os.O_WRONLY)); multiprocessing.Lock()
print(oct(os.umask(0)), os.getcwd(), sorted(s.name for s in signal.Signals if signal.getsignal(s) == signal.SIG_IGN))
print(os.stat('/dev/null').st_rdev == os.makedev(1, 3), len(os.urandom(4)), os.getpid())";
    let outcome = lab.run(program).await;
    assert_eq!(
        outcome.stdout,
        "function 127.0.0.1 /tmp\n(0, 0) (256, 256)\n0o77 / ['SIGPIPE', 'SIGXFSZ']\nTrue 4 2\n",
        "{outcome:?}"
    );
    lab.finish().await;
}
