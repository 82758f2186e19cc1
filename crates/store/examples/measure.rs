//! Prints how long the store takes for common things, on this machine and in this build. Not a test.

#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use std::{
    error::Error,
    future::Future,
    time::{Duration, Instant},
};

use dispatch_model::{
    Meta, Object,
    object::NoStatus,
    secret::{Owner, Secret, Spec},
};
use dispatch_store::{Batch, Keyring, Options, OrgScope, RunRecord, RunState, SecretValues, Store};
use jiff::Timestamp;
use tokio::task::JoinSet;
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const OBJECTS: u128 = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let keys = directory.path().join("keys");
    let options = || -> Result<Options> {
        Ok(Options::new(directory.path().join("dispatch.db"), Keyring::open(&keys)?))
    };
    let started = Instant::now();
    let (store, system) = Store::open(options()?).await?;
    show("first open", started.elapsed());
    let org = system.organization(Uuid::from_u128(1).into());

    let objects: Vec<_> = (0..OBJECTS).map(|n| secret(&org, n)).collect::<Result<_>>()?;
    let started = Instant::now();
    for object in objects.iter().take(200) {
        store.commit(create(&org, object)).await?;
    }
    show("create with sealed values, one after another, each", started.elapsed() / 200);

    let (started, before) = (Instant::now(), store.counters().commits);
    let mut commits = JoinSet::new();
    for object in objects.iter().skip(200) {
        let (store, batch) = (store.clone(), create(&org, object));
        commits.spawn(async move { store.commit(batch).await.map(|_| ()) });
    }
    while let Some(done) = commits.join_next().await {
        done??;
    }
    show("create with sealed values, 800 at once, each", started.elapsed() / 800);
    println!("  in {} syncs", store.counters().commits - before);

    store.close().await;
    let started = Instant::now();
    let (store, system) = Store::open(options()?).await?;
    show("open with 1,000 objects", started.elapsed());
    let org = system.organization(Uuid::from_u128(1).into());

    each("list 1,000 objects", 50, async || store.list::<Secret>(&org).await.map(|_| ())).await?;
    let first = objects.first().ok_or("no object")?;
    each("get by name", 2_000, async || {
        store.get::<Secret>(&org, &first.meta.name).await.map(|_| ())
    })
    .await?;
    each("values of a secret", 2_000, async || {
        store.secret_values(&org, first.meta.id, 1).await.map(|_| ())
    })
    .await?;
    each("list those that refer to one", 2_000, async || {
        store.list_referring::<Secret>(&org, first.meta.id.uuid()).await.map(|_| ())
    })
    .await?;

    let started = Instant::now();
    for n in 0..10_000 {
        store.record_run(run(&org, n));
    }
    show("record_run, each", started.elapsed() / 10_000);
    store.clone().close().await;
    show("  10,000 of them on disk and closed after", started.elapsed());
    println!("  {:?}", store.counters());
    Ok(())
}

fn secret(org: &OrgScope, n: u128) -> Result<Object<Secret>> {
    let meta = Meta {
        id: Uuid::from_u128(0x1000 + n).into(),
        organization: org.organization(),
        name: format!("secret-{n}").parse()?,
        generation: 1,
        status_revision: 0,
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        deleting: None,
        tags: [("team".to_owned(), "a".to_owned())].into(),
    };
    let keys = vec!["password".to_owned(), "username".to_owned()];
    Ok(Object { meta, spec: Spec { keys, version: 1, owner: Owner::User }, status: NoStatus {} })
}

fn create(org: &OrgScope, object: &Object<Secret>) -> Batch {
    let values: SecretValues =
        [("username", "someone".to_owned()), ("password", "x".repeat(40))].into_iter().collect();
    let refs = [Uuid::from_u128(object.meta.id.uuid().as_u128() + 1)];
    Batch::system("measure").create(object, &refs, &[]).put_secret_values(
        org.organization(),
        object.meta.id,
        1,
        &values,
    )
}

fn run(org: &OrgScope, n: u128) -> RunRecord {
    RunRecord {
        id: Uuid::from_u128(n),
        organization: org.organization(),
        function: Uuid::from_u128(7),
        state: RunState::Done,
        created: Timestamp::UNIX_EPOCH,
        finished: Some(Timestamp::UNIX_EPOCH),
        body: "x".repeat(600),
    }
}

async fn each<E: Error + 'static, F: Future<Output = std::result::Result<(), E>>>(
    what: &str,
    times: u32,
    work: impl Fn() -> F,
) -> Result<()> {
    let started = Instant::now();
    for _ in 0..times {
        work().await?;
    }
    show(what, started.elapsed() / times);
    Ok(())
}

fn show(what: &str, took: Duration) {
    println!("{what}: {took:.1?}");
}
