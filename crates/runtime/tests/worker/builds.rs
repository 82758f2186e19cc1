//! Build jobs in real sandboxes.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dispatch_runtime::build::{BuildError, Built, Job, PackageSettings, PipBuild};
use dispatch_runtime::layer::{Digest, TreeLimits};
use dispatch_runtime::logs::FunctionLog;
use dispatch_runtime::spawn::{Limits, NetworkSpec};
use uuid::Uuid;

use super::support::{FUNCTION, call, text, until};
use super::workshop::{ORGANIZATION, Workshop, archive};

#[tokio::test]
async fn a_source_archive_becomes_a_layer_once() {
    let shop = Workshop::new();
    let source = archive(&[("./hello.py", b"x = 1\n"), ("./pkg/data.txt", b"data")]);
    let built = shop.unpack(source.clone()).await.unwrap();
    let path = shop.builder.layers().path(built.layer.digest());
    assert_eq!(std::fs::read(path.join("hello.py")).unwrap(), b"x = 1\n");
    assert_eq!(std::fs::read(path.join("pkg/data.txt")).unwrap(), b"data");
    assert_eq!(built.size.unwrap().entries, 3);
    let again = shop.unpack(source).await.unwrap();
    assert_eq!(again, Built { layer: built.layer, size: None });
    shop.finish().await;
}

#[tokio::test]
async fn a_bad_archive_is_refused_in_words_and_leaves_nothing() {
    let shop = Workshop::new();
    for (source, reason) in [
        (archive(&[("../evil.py", b"x")]), "holds entry \"../evil.py\", which leaves"),
        (archive(&[("/evil.py", b"x")]), "holds entry \"/evil.py\" with an absolute path"),
        (b"garbage".to_vec(), "cannot be read as a gzip-compressed tar archive"),
        (Vec::new(), "cannot be read as a gzip-compressed tar archive"),
    ] {
        let error = shop.unpack(source).await.unwrap_err();
        let BuildError::Source { reason: said } = &error else { panic!("{}", error.reason()) };
        assert!(said.starts_with(reason), "{said} instead of {reason}");
    }
    assert_eq!(shop.shelves(), ["by-key"]);
    shop.finish().await;
}

#[tokio::test]
async fn a_large_archive_that_is_refused_early_is_answered_all_the_same() {
    let shop = Workshop::new();
    // Noise does not shrink: far more than the socket holds is still unread when it is refused.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(8 << 20)
    .collect();
    let source = archive(&[("/evil.py", b"x"), ("./noise", &noise)]);
    let error = shop.unpack(source).await.unwrap_err();
    assert!(matches!(error, BuildError::Source { .. }), "{}", error.reason());
    shop.finish().await;
}

fn job(shop: &Workshop, shell: &str) -> Job {
    Job {
        organization: ORGANIZATION,
        key: Digest::of(shell.as_bytes()),
        argv: ["/bin/sh", "-c", shell].map(str::to_owned).to_vec(),
        environment: Vec::new(),
        base: shop.base(),
        layers: Vec::new(),
        files: vec![("note.txt", b"from the server".to_vec())],
        input: Bytes::from_static(b"input"),
        network: NetworkSpec::None,
        limits: Limits::default(),
        output: TreeLimits { bytes: 4 << 20, entries: 1000 },
        time_limit: Duration::from_secs(120),
    }
}

#[tokio::test]
async fn a_job_reads_its_input_says_lines_writes_its_tree_and_reports() {
    let shop = Workshop::new();
    let log = Arc::new(FunctionLog::default());
    let shell = "echo one; cat <&3 > /layer/input; echo two >&2; cp /build/input/note.txt /layer; \
                 umask; echo tmp > /build/tmp/x; printf report >&3";
    let (built, report) = shop.builder.run(job(&shop, shell), &log).await.unwrap();
    assert_eq!(report, b"report");
    let path = shop.builder.layers().path(built.layer.digest());
    assert_eq!(std::fs::read(path.join("input")).unwrap(), b"input");
    assert_eq!(std::fs::read(path.join("note.txt")).unwrap(), b"from the server");
    let (lines, _) = log.follow(0).await;
    let mut texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["0022", "one", "two"]);
    let other = Uuid::from_u128(9);
    assert_eq!(shop.builder.layers().find(other, Digest::of(shell.as_bytes())), None);
    shop.finish().await;
}

#[tokio::test]
async fn a_job_that_fails_says_how_with_its_last_words() {
    let shop = Workshop::new();
    let error = shop
        .builder
        .run(job(&shop, "echo broken >&2; touch /layer/half; exit 3"), &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "it exited with status 3: broken");
    until(|| if shop.shelves() == ["by-key"] { Ok(()) } else { Err(shop.shelves()) }).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_job_is_ended_at_its_time_at_its_size_and_when_nobody_waits_for_it() {
    let shop = Workshop::new();
    let slow = Job { time_limit: Duration::from_millis(300), ..job(&shop, "exec sleep 1000") };
    let error = shop.builder.run(slow, &Arc::default()).await.unwrap_err();
    assert!(matches!(error, BuildError::TimedOut { .. }), "{}", error.reason());

    let large = "while :; do head -c 1000000 /dev/zero >> /layer/f; done";
    for large in [large.to_owned(), large.replace("/layer/f", "/build/tmp/f")] {
        let error = shop.builder.run(job(&shop, &large), &Arc::default()).await.unwrap_err();
        assert_eq!(error.reason(), "what it made cannot be kept: it holds more than 4194304 bytes");
        assert!(error.blames_input());
    }

    let log = Arc::new(FunctionLog::default());
    let endless = shop.builder.run(job(&shop, "echo on; exec sleep 1000"), &log);
    tokio::select! {
        ended = endless => panic!("it ended: {ended:?}"),
        _ = log.follow(0) => {}
    }
    until(|| if shop.shelves() == ["by-key"] { Ok(()) } else { Err(shop.shelves()) }).await;
    shop.finish().await;
}

#[tokio::test]
async fn a_tree_with_links_out_or_devices_is_not_kept() {
    let shop = Workshop::new();
    for (shell, reason) in [
        ("ln -s /etc/passwd /layer/l", "l is a link out of it"),
        ("mkfifo /layer/p", "p is neither a file nor a directory nor a link"),
    ] {
        let error = shop.builder.run(job(&shop, shell), &Arc::default()).await.unwrap_err();
        let expect = format!("what it made cannot be kept: {reason}");
        assert_eq!(error.reason(), expect);
    }
    shop.finish().await;
}

/// A wheel with one module, made by Python's own zip writer.
fn wheel(shop: &Workshop) {
    let make = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/greeting-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("greeting.py", "def greet(name): return 'hello ' + name\n")
    info = "greeting-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
"#;
    let made = Command::new(&shop.interpreter.executable)
        .args(["-I", "-S", "-c", make])
        .arg(shop.shelf())
        .status()
        .unwrap();
    assert!(made.success());
}

fn pip(shop: &Workshop, manifest: &str) -> PipBuild {
    let environment =
        [("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", "/wheels")].map(|(n, v)| (n.into(), v.into()));
    PipBuild {
        organization: ORGANIZATION,
        interpreter: shop.interpreter.executable.to_str().unwrap().to_owned(),
        base: shop.base(),
        base_digest: shop.interpreter.digest.clone(),
        manifest: manifest.to_owned(),
        settings: PackageSettings {
            environment: environment.to_vec(),
            mounts: vec![(shop.shelf(), "/wheels".into())],
            ..PackageSettings::default()
        },
    }
}

#[tokio::test]
async fn a_function_imports_what_pip_installed_into_its_layer() {
    let shop = Workshop::new();
    wheel(&shop);
    let log = Arc::new(FunctionLog::default());
    let installed = shop.builder.pip_install(pip(&shop, "greeting==1.0\n"), &log).await;
    let installed = installed.map_err(|error| (error.reason(), log.lines())).unwrap();
    let (lines, _) = log.lines();
    let said = lines.iter().any(|line| line.text.contains("Successfully installed greeting-1.0"));
    assert!(said, "{lines:?}");
    let again = shop.builder.pip_install(pip(&shop, "greeting==1.0\n"), &Arc::default()).await;
    assert_eq!(again.unwrap(), Built { layer: installed.layer.clone(), size: None });
    let source = "import greeting\ndef handle(ctx, payload): return greeting.greet(payload)\n";
    shop.deploy(source, &[installed.layer.digest()]).await;
    let answer = text(shop.pools.call(FUNCTION, &call("\"you\"")).await);
    assert_eq!(answer, "\"hello you\"");
    shop.finish().await;
}

#[tokio::test]
async fn a_package_that_is_not_to_be_had_fails_with_pips_words() {
    let shop = Workshop::new();
    let log = Arc::new(FunctionLog::default());
    let error = shop.builder.pip_install(pip(&shop, "no-such-package\n"), &log).await.unwrap_err();
    let reason = error.reason();
    assert!(reason.contains("No matching distribution found for no-such-package"), "{reason}");
    assert!(reason.starts_with("it exited with status 1"), "{reason}");
    shop.finish().await;
}

#[tokio::test]
async fn equal_trees_of_two_keys_are_one_layer() {
    let shop = Workshop::new();
    let log = Arc::default();
    let (first, _) = shop.builder.run(job(&shop, "echo x > /layer/f"), &log).await.unwrap();
    let other = job(&shop, "printf 'x\\n' > /layer/f");
    let (second, _) = shop.builder.run(other, &log).await.unwrap();
    assert_eq!(first.layer, second.layer);
    assert_eq!(shop.shelves().len(), 2);
    shop.finish().await;
}
