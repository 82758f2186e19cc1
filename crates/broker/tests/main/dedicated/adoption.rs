//! Clusters outlive the broker, and come back when they die.

use std::fs;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::{Place, bind, bound, made, removed, working_in};
use crate::support::{Broker, Credentials, eventually, new_id};

async fn connects(credentials: &Credentials) -> tokio_postgres::Client {
    eventually(async || credentials.connect().await.map_err(|error| format!("{error:?}"))).await
}

#[tokio::test]
async fn a_cluster_survives_a_kill_of_the_broker_and_is_adopted() {
    let place = Place::new();
    let broker = Broker::exits_after(&place.data(), u32::MAX / 2).await;
    let instance = made(&broker).await;
    let credentials = bound(&broker, &instance).await;
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("CREATE TABLE t (n int)").await.expect("made");
    let pid = place.postmaster(&instance);
    assert!(!broker.kill(), "it was killed");
    session.batch_execute("INSERT INTO t VALUES (1)").await.expect("nothing has happened");
    let broker = place.broker().await;
    let other = bound(&broker, &instance).await.connect().await.expect("connected");
    other.batch_execute("INSERT INTO t VALUES (2)").await.expect("the same server");
    session.batch_execute("INSERT INTO t VALUES (3)").await.expect("nothing has happened");
    assert_eq!(place.postmaster(&instance), pid, "adopted, not started again");
    // What is adopted is watched, too.
    kill(Pid::from_raw(pid), Signal::SIGQUIT).expect("ended");
    connects(&credentials).await.batch_execute("SELECT * FROM t").await.expect("there again");
    assert_ne!(place.postmaster(&instance), pid);
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

#[tokio::test]
async fn a_cluster_that_dies_is_started_again_with_its_data() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = made(&broker).await;
    let credentials = bound(&broker, &instance).await;
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("CREATE TABLE t (n int)").await.expect("made");
    // One of its processes does not end with it, and would keep another server from starting.
    let row = session.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row");
    kill(Pid::from_raw(row.get(0)), Signal::SIGSTOP).expect("stopped");
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let pid = place.postmaster(&instance);
        kill(Pid::from_raw(pid), signal).expect("ended");
        eventually(|| async {
            match fs::read_to_string(place.cluster(&instance).join("data/postmaster.pid")) {
                Ok(text) if !text.starts_with(&pid.to_string()) => Ok(()),
                found => Err(format!("{found:?}")),
            }
        })
        .await;
        connects(&credentials).await.batch_execute("SELECT * FROM t").await.expect("kept");
    }
    removed(&place, &broker, &instance).await;
    broker.finish().await.expect("ended well");
}

/// A process of the user who runs PostgreSQL that has nothing to do with it.
struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new("/bin/sleep");
        if nix::unistd::Uid::effective().is_root() {
            use std::os::unix::process::CommandExt as _;
            let user = nix::unistd::User::from_name("postgres").expect("asked").expect("there");
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Self(command.arg("600").current_dir("/").spawn().expect("started"))
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("asked").is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As after a reboot: the processes are gone, `postmaster.pid` is not, and its id is somebody else's.
async fn reboot(place: &Place, broker: Broker, instance: &str, id: u32) {
    broker.finish().await.expect("ended well");
    let file = place.cluster(instance).join("data/postmaster.pid");
    let text = fs::read_to_string(&file).expect("read");
    eventually(|| async {
        let pids = working_in(&place.cluster(instance));
        for pid in &pids {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if pids.is_empty() { Ok(()) } else { Err(format!("{pids:?}")) }
    })
    .await;
    let (_, rest) = text.split_once('\n').expect("lines");
    fs::write(&file, format!("{id}\n{rest}")).expect("written");
}

#[tokio::test]
async fn after_a_reboot_a_cluster_is_started_again_and_whoever_has_its_id_is_left_alone() {
    let place = Place::new();
    let broker = place.broker().await;
    let instance = made(&broker).await;
    let (_, body) = bind(&broker, &instance, &new_id()).await;
    let credentials = Credentials::of(&body);
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("CREATE TABLE t (n int)").await.expect("made");
    let mut stranger = Stranger::start();
    reboot(&place, broker, &instance, stranger.0.id()).await;
    let broker = place.broker().await;
    connects(&credentials).await.batch_execute("SELECT * FROM t").await.expect("kept");
    assert!(stranger.lives());
    // Nor is it ended by a removal that comes before the cluster was started again.
    reboot(&place, broker, &instance, stranger.0.id()).await;
    let books = rusqlite::Connection::open(place.data().join("books.db")).expect("opened");
    books.execute("UPDATE instances SET state = 'deleting'", []).expect("written");
    drop(books);
    let broker = place.broker().await;
    removed(&place, &broker, &instance).await;
    assert!(stranger.lives());
    broker.finish().await.expect("ended well");
}
