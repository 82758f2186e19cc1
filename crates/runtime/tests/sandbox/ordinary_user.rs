//! Every other test of this file again, as a user with no rights at all (decision 43).

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::is_root;

/// A uid and gid that nobody on a machine has.
const USER: u32 = 61_234;

#[test]
fn all_tests_pass_as_an_ordinary_user() {
    if !is_root() {
        dispatch_testkit::skip("only root can become an ordinary user");
        return;
    }
    let place = tempfile::Builder::new()
        .prefix("dispatch-user-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let copy = place.path().join("sandbox-tests");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(USER), Some(USER)).unwrap();
    let output = Command::new(&copy)
        .args(["--nocapture", "--test-threads=1", "--skip", "all_tests_pass_as_an_ordinary_user"])
        .uid(USER)
        .gid(USER)
        .current_dir(&home)
        .env_clear()
        .envs([("HOME", &home), ("TMPDIR", &home)])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "as an ordinary user: {}", output.status);
}
