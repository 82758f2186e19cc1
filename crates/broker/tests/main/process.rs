//! A broker in a process of its own, so that it can die like one: this test binary, run again with
//! the one test below, which does nothing otherwise.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dispatch_broker::postgresql::{AdminUrlSource, Options, Steps, serve};
use nix::sys::signal::Signal;
use tokio::net::TcpListener;

use crate::support::{be_patient, cluster, eventually};

const DATA: &str = "DISPATCH_BROKER_TEST_DATA";
const POINTS: &str = "DISPATCH_BROKER_TEST_POINTS";

/// A broker that runs until it is ended or exits at its point.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) async fn start(data: &Path, points: u32) -> (Self, String) {
        fs::write(data.join("admin-url"), cluster().await.admin_url()).expect("written");
        fs::copy(cluster().await.ca_file(), data.join("ca.pem")).expect("copied");
        let address = data.join("address");
        let log = data.join("process.log");
        let _ = fs::remove_file(&address);
        let test = "process::a_broker_runs_here_when_another_test_says_so";
        // Not by its path: a build may be replacing the file right now.
        let child = Command::new("/proc/self/exe")
            .args(["--exact", test, "--nocapture"])
            .env(DATA, data)
            .env(POINTS, points.to_string())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("started");
        let mut process = Self(child);
        let mut url = String::new();
        eventually(|| {
            let found = match fs::read_to_string(&address) {
                Ok(text) if text.ends_with('\n') => {
                    url = format!("http://{}", text.trim());
                    Ok(())
                }
                _ => {
                    let said = fs::read_to_string(&log).unwrap_or_default();
                    Err(format!("no broker: {:?}: {said}", process.0.try_wait()))
                }
            };
            async { found }
        })
        .await;
        (process, url)
    }

    /// Ends it; whether it had died at its point before.
    pub(crate) fn end(&mut self) -> bool {
        let _ = self.0.kill();
        self.0.wait().expect("its end").signal() == Some(Signal::SIGUSR1 as i32)
    }
}

impl Process {
    /// Whether it has died at its point.
    pub(crate) fn has_died(&mut self) -> bool {
        self.0.try_wait().expect("asked").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test]
async fn a_broker_runs_here_when_another_test_says_so() {
    let Ok(data) = env::var(DATA) else { return };
    let data = Path::new(&data);
    let points = env::var(POINTS).expect("points").parse().expect("a number");
    let mut options = Options::new(data, AdminUrlSource::File(data.join("admin-url")));
    options.ca_file = Some(data.join("ca.pem"));
    be_patient(&mut options);
    options.steps = Steps::exits_after(points);
    options.dedicated =
        fs::read_to_string(data.join("ports")).ok().map(|ports| crate::dedicated::settings(&ports));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    fs::write(data.join("address"), format!("{address}\n")).expect("written");
    serve(options, listener, std::future::pending()).await.expect("served");
}
