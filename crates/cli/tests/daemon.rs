//! The server as a process of the machine: the user it goes on as, and its signals.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixDatagram,
    },
    path::Path,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{Case, real::Server};

/// Debian's user for nobody's files.
const NOBODY: (&str, u32) = ("nobody", 65534);

#[test]
fn a_server_started_as_root_goes_on_as_another_user_and_runs_functions() {
    if !rustix::process::geteuid().is_root() {
        dispatch_testkit::skip("only root can become somebody else");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
    // What an earlier server left while it was root is taken over.
    let server = Server::start(home.path());
    assert_eq!(server.uids().into_iter().collect::<Vec<_>>(), ["0 0 0 0"]);
    server.finish();
    // Twice: the second start finds keys that are not root's.
    Server::start_with(home.path(), &[("DISPATCH_SERVER_USER", NOBODY.0)]).finish();
    let server = Server::start_with(home.path(), &[("DISPATCH_SERVER_USER", NOBODY.0)]);
    let uid = NOBODY.1;
    assert_eq!(server.uids().into_iter().collect::<Vec<_>>(), [format!("{uid} {uid} {uid} {uid}")]);
    let owner = |path: &str| fs::metadata(home.path().join(path)).unwrap().uid();
    for path in ["data/dispatch", "data/dispatch/dispatch.db", "config/dispatch/keys"] {
        assert_eq!(owner(path), uid, "{path}");
    }
    assert_eq!(owner(".dispatch/config.json"), 0, "the login is root's");
    let who = "import os\ndef handle(ctx, payload):\n    return os.getuid()\n";
    Case::on("real/as_nobody", home, server)
        .file("who.py", who)
        .run("create base-image python3-base host:python3 --language python3 --wait")
        .run("create image python3 python3-base --wait")
        .run("create function python3 who who.py --wait")
        .run("exec who --wait")
        .run("delete function who --wait")
        .check();
}

#[test]
fn the_service_manager_is_told_of_the_beginning_and_the_end() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("notify");
    let manager = UnixDatagram::bind(&place).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let environment = [("NOTIFY_SOCKET", place.to_str().unwrap())];
    let server = Server::start_with(home.path(), &environment);
    assert_eq!(told(), "READY=1");
    server.signal(Signal::HUP);
    assert_eq!((told().as_str(), told().as_str()), ("RELOADING=1", "READY=1"));
    server.finish();
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn a_hangup_takes_over_what_can_be_and_names_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let settings = home.path().join("config/dispatch/server.toml");
    let write = |text: &str| {
        fs::create_dir_all(settings.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(&settings, text).unwrap();
    };
    write("log = \"info\"");
    let server = Server::start(home.path());
    write("log = \"warn\"\nskip_auth = true\n");
    server.signal(Signal::HUP);
    server.logged(&["a restart is needed for", "skip_auth"], 1);
    // Now "reloaded the settings" would be no warning; a mistake is still told, and changes nothing.
    write("lgo = \"info\"");
    server.signal(Signal::HUP);
    server.logged(&["stay as they were", "unknown key lgo; did you mean log?"], 1);
    write("log = \"shout=loud\"");
    server.signal(Signal::HUP);
    server.logged(&["stay as they were", "shout=loud"], 1);
    write("log = \"info\"");
    server.signal(Signal::HUP);
    server.logged(&["reloaded the settings"], 1);
    server.finish();
}
