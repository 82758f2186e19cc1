//! The broker of the post of 2018: the fake one with Azure's catalogue, and a real PostgreSQL behind it. A database is
//! called by its instance's id; a login has an `@` in its name, as Azure's have.

use std::sync::Arc;

use async_trait::async_trait;
use dispatch_broker::testing::PostgresCluster;
use dispatch_engine::{Clock as _, ManualClock};
use dispatch_osb::{
    fake::{Backing, Books, FakeBroker, Time, azure},
    types::JsonObject,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use url::Url;

pub struct Azure {
    broker: FakeBroker,
    databases: Arc<Databases>,
    runtime: Arc<Runtime>,
}

impl Azure {
    pub fn start(clock: Arc<ManualClock>, runtime: Arc<Runtime>) -> Self {
        let time = Time::new(move || clock.now());
        let (broker, databases) = runtime.block_on(async {
            let databases = Arc::new(Databases(PostgresCluster::start().await.unwrap()));
            let settings = azure::settings(time, Arc::clone(&databases) as _);
            (FakeBroker::start_with(settings, None).await.unwrap(), databases)
        });
        Self { broker, databases, runtime }
    }

    pub fn url(&self) -> String {
        self.broker.url()
    }

    pub fn books(&self) -> Books {
        self.broker.books()
    }

    /// What PostgreSQL has that is not its own: databases, then logins.
    pub fn found(&self) -> [Vec<String>; 2] {
        self.runtime.block_on(async {
            let admin = self.databases.0.admin("postgres").await.unwrap();
            let queries = [
                "SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template.)$'",
                "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user",
            ];
            let mut found = [Vec::new(), Vec::new()];
            for (names, query) in found.iter_mut().zip(queries) {
                let rows = admin.query(query, &[]).await.unwrap();
                names.extend(rows.iter().map(|row| row.get::<_, String>(0)));
            }
            found
        })
    }

    /// The platform must have treated it well, and left nothing.
    pub fn finish(self) {
        assert_eq!(self.found(), [Vec::<String>::new(), Vec::new()], "left in PostgreSQL");
        let books = self.runtime.block_on(self.broker.finish());
        assert_eq!(books.violations, Vec::<String>::new());
        assert!(books.is_empty(), "left at the broker: {books:#?}");
    }
}

#[derive(Debug)]
struct Databases(PostgresCluster);

impl Databases {
    /// In a database, one statement after the other.
    async fn run(&self, database: &str, statements: &[String]) -> Result<(), String> {
        let session = self.0.admin(database).await.map_err(|error| error.to_string())?;
        for statement in statements {
            session.batch_execute(statement).await.map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    }
}

/// Unlike a binding's id it fits, together with the instance's, into PostgreSQL's 63 bytes.
fn login(instance: &str, binding: &str) -> String {
    format!("{}@{instance}", binding.split('-').next().unwrap_or(binding))
}

fn password(binding: &str) -> String {
    format!("p4ss/word?{}", binding.replace('-', "%"))
}

#[async_trait]
impl Backing for Databases {
    async fn create(&self, instance: &str) -> Result<(), String> {
        let gone = format!("DROP DATABASE IF EXISTS \"{instance}\" WITH (FORCE)");
        self.run("postgres", &[gone, format!("CREATE DATABASE \"{instance}\"")]).await
    }

    async fn bind(&self, instance: &str, binding: &str) -> Result<JsonObject, String> {
        self.unbind(instance, binding).await?;
        let (user, password) = (login(instance, binding), password(binding));
        let role = format!("CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'");
        let right = format!("GRANT ALL ON SCHEMA public TO \"{user}\"");
        self.run(instance, &[role, right]).await?;
        let port = self.0.port();
        let mut uri = Url::parse(&format!("postgresql://127.0.0.1:{port}/{instance}")).unwrap();
        uri.set_username(&user).and_then(|()| uri.set_password(Some(&password))).unwrap();
        uri.set_query(Some("sslmode=require"));
        let credentials = [
            ("host", "127.0.0.1".to_owned()),
            ("port", port.to_string()),
            ("database", instance.to_owned()),
            ("username", user),
            ("password", password),
            ("sslRequired", "true".to_owned()),
            ("uri", uri.into()),
        ];
        Ok(credentials
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .into_iter()
            .collect())
    }

    async fn unbind(&self, instance: &str, binding: &str) -> Result<(), String> {
        let user = login(instance, binding);
        let known = format!("SELECT FROM pg_roles WHERE rolname = '{user}'");
        // What it has made stays, and is the administrator's.
        let away = format!(
            "DO $$ BEGIN IF EXISTS ({known}) THEN \
             REASSIGN OWNED BY \"{user}\" TO CURRENT_USER; DROP OWNED BY \"{user}\"; DROP ROLE \"{user}\"; \
             END IF; END $$"
        );
        self.run(instance, &[away]).await
    }

    async fn remove(&self, instance: &str) -> Result<(), String> {
        let gone = format!("DROP DATABASE IF EXISTS \"{instance}\" WITH (FORCE)");
        self.run("postgres", &[gone]).await
    }
}
