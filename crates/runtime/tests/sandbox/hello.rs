//! The least: a program runs in a sandbox, speaks over its channel, and its end is known.

use std::time::Instant;

use dispatch_runtime::spawn::{DirectSpawner, Exit, RootSpec, Spawn, WorkerSpec};

use crate::support::{Lab, ORGANIZATION, ended, fresh_id, python, text};

const HELLO: &str =
    "import os; os.write(3, b'hello'); print('out'); os.write(2, b'err'); raise SystemExit(7)";

#[tokio::test]
async fn a_python_program_says_hello_over_its_channel() {
    let lab = Lab::new();
    let spawned = lab.spawn(lab.spec(HELLO)).await.unwrap();
    println!("{}", spawned.confinement);
    assert_eq!(text(spawned.channel).await, "hello");
    let (stdout, stderr) = (text(spawned.stdout).await, text(spawned.stderr).await);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err"));
    assert_eq!(ended(&spawned.process).await, Exit::Code(7));
    assert!(!spawned.process.is_alive());
    lab.finish().await;
}

/// Prints what a sandbox costs; asserts nothing about it.
#[tokio::test]
async fn the_cost_of_a_sandbox_is_shown() {
    let lab = Lab::new();
    let mut rows: [Vec<u128>; 3] = Default::default();
    for _ in 0..20 {
        let begun = Instant::now();
        let spawned = lab.spawn(lab.spec(HELLO)).await.unwrap();
        let started = begun.elapsed().as_micros();
        assert_eq!(text(spawned.channel).await, "hello");
        let sandboxed = begun.elapsed().as_micros();
        ended(&spawned.process).await;
        let begun = Instant::now();
        let spec = WorkerSpec::new(fresh_id(), ORGANIZATION, python(HELLO), RootSpec::default());
        let spawned = DirectSpawner.spawn(spec).await.unwrap();
        assert_eq!(text(spawned.channel).await, "hello");
        let direct = begun.elapsed().as_micros();
        ended(&spawned.process).await;
        for (row, value) in rows.iter_mut().zip([started, sandboxed, direct]) {
            row.push(value);
        }
    }
    for (name, row) in ["spawn answered", "sandboxed hello", "direct hello"].iter().zip(&mut rows) {
        row.sort_unstable();
        println!("{name}: p50 {} µs, min {} µs, max {} µs", row[10], row[0], row[19]);
    }
    lab.finish().await;
}
