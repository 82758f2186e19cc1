//! The tests of builds and sandboxed functions again, as a user with no rights at all (decision 43).

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A uid and gid that nobody on a machine has.
const USER: u32 = 61_235;

#[test]
fn builds_and_sandboxed_functions_work_as_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root can become an ordinary user");
        return;
    }
    let readable = std::fs::Permissions::from_mode(0o755);
    let place =
        tempfile::Builder::new().permissions(readable.clone()).tempdir().expect("a directory");
    let copy = place.path().join("worker-tests");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, readable).unwrap();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(USER), Some(USER)).unwrap();
    let output = Command::new(&copy)
        .args(["builds::", "sandboxed::", "--test-threads=2"])
        .uid(USER)
        .gid(USER)
        .current_dir(&home)
        .env_clear()
        .envs([("HOME", &home), ("TMPDIR", &home)])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok") && !said.contains(" 0 passed"), "{said}");
}
