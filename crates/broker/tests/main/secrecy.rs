//! Where a password is not.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::support::{Broker, cluster, new_id};

#[tokio::test]
async fn no_password_is_in_postgresql_s_log_its_views_the_books_or_the_broker_s_log() {
    let data = tempfile::tempdir().expect("a directory");
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .finish();
    // All tasks of this test run on its thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let (instance, binding) = (new_id(), new_id());
    let broker = Broker::on(data.path()).await;
    let credentials = broker.bound(&instance, &binding).await;
    let session = credentials.connect().await.expect("connected");
    session.batch_execute("SELECT 1").await.expect("a row");
    assert_eq!(broker.bind(&instance, &binding).await.0, 200);

    let password = credentials.get("password");
    let postgresql = cluster().await.log();
    let login = credentials.get("username");
    assert!(postgresql.contains(&format!("ALTER ROLE \"{login}\" LOGIN")), "all is logged");
    assert!(!postgresql.contains(password), "PostgreSQL has logged the password");
    let admin = cluster().await.admin("postgres").await.expect("connected");
    let query =
        "SELECT count(*), count(*) FILTER (WHERE strpos(query, $1) > 0) FROM pg_stat_activity";
    let row = admin.query_one(query, &[&password]).await.expect("a row");
    assert!(row.get::<_, i64>(0) > 0);
    // The question itself holds the password as a parameter, not in its text.
    assert_eq!(row.get::<_, i64>(1), 0);

    assert_eq!(broker.unbind(&instance, &binding).await.0, 200);
    assert_eq!(broker.deprovision(&instance).await.0, 200);
    broker.finish().await.expect("ended well");
    for entry in fs::read_dir(data.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        let found = bytes.windows(password.len()).any(|window| window == password.as_bytes());
        assert!(!found, "the password is in {}", path.display());
    }
    let text = log.text();
    assert!(text.contains(&instance), "the broker has logged what it did: {text}");
    assert!(!text.contains(password), "the broker has logged the password");
    assert!(!text.contains("SCRAM-SHA-256$"), "the broker has logged a verifier");
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("unpoisoned")).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
