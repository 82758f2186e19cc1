//! What functions can cost the server's memory, measured in a process of its own.

use std::process::Command;
use std::time::Duration;

use dispatch_runtime::pool::{Call, Settings};

use super::support::{FUNCTION, Stage, call};

/// Set in the process that measures.
const ALONE: &str = "DISPATCH_TEST_ALONE";
const ALLOWED_KIB: u64 = 20 << 10;

#[test]
fn a_function_that_prints_a_gigabyte_costs_the_server_under_20_mib() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(print_a_gigabyte());
        return;
    }
    let name = "memory::a_function_that_prints_a_gigabyte_costs_the_server_under_20_mib";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed") && said.contains("KiB more"), "{said}");
    println!("{said}");
}

async fn print_a_gigabyte() {
    let stage = Stage::with(
        Settings::default(),
        "import os\n\
         LINES = (b'x' * 127 + b'\\n') * 8192\n\
         BLOB = b'y' * (1 << 20)\n\
         def handle(ctx, payload):\n\
         \x20   for _ in range(payload):\n\
         \x20       os.write(1, LINES)\n\
         \x20       os.write(2, BLOB)\n\
         \x20   return 'done'\n",
    );
    stage.text("1").await;
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_kib();
    let gigabyte = Call { timeout: Duration::from_secs(900), ..call("512") };
    let answer = stage.pools.call(FUNCTION, &gigabyte).await.unwrap();
    assert_eq!(answer.result.unwrap(), "\"done\"");
    let more = peak_kib().saturating_sub(before);
    println!("a gigabyte printed in {:?}: {more} KiB more", answer.duration);
    assert!(more < ALLOWED_KIB, "{more} KiB more");
    let kept: usize = answer.logs.stdout.iter().chain(&answer.logs.stderr).map(String::len).sum();
    assert!(kept < 300 << 10, "{kept} bytes are kept");
    stage.finish().await;
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
