//! Housekeeping: runs are kept for a time and a count (decision 15); blobs and layers as long as something needs them
//! (decision 17).

use std::{collections::HashSet, sync::Arc, time::Duration};

use dispatch_model::{Noun, Object, function::Function, image::Image};
use dispatch_runtime::layer::{Digest, LayerError};
use dispatch_store::{CommitError, PruneError, ReadError};
use jiff::SignedDuration;

use crate::{platform::Platform, time};

/// How long a run is kept.
const RUNS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Of each function.
const RUNS_KEPT_MAX: u32 = 1_000;
const EVERY: Duration = Duration::from_secs(3_600);

/// Why something that nobody needs is still there. Each reads after "failed to ".
#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error("delete old runs")]
    Runs(#[from] PruneError),
    #[error("delete blobs that nothing refers to")]
    Blobs(#[from] CommitError),
    #[error("give back what the database does not need")]
    Shrink(#[source] CommitError),
    #[error("read which layers are in use")]
    Read(#[from] ReadError),
    #[error("delete layers that nothing refers to")]
    Layers(#[from] LayerError),
    #[error("sweep the layers: {kind} {name} is of a form that this program does not know")]
    Unreadable { kind: &'static str, name: String },
    #[error("sweep the layers: the sweep panicked")]
    Panicked,
}

/// Once an hour, until the server stops.
pub async fn keep(platform: Arc<Platform>) {
    loop {
        let next = time::after(platform.clock.now(), EVERY);
        tokio::select! {
            () = platform.clock.sleep_until(next) => {}
            () = platform.stopping.cancelled() => return,
        }
        tell("old runs", prune_runs(&platform).await);
        tell("blobs", platform.store.sweep_blobs(&platform.system).await.map_err(Into::into));
        tell("layers", sweep_layers(&platform).await);
        let pages = platform.store.shrink(&platform.system).await;
        tell("pages of the database", pages.map_err(UpkeepError::Shrink));
    }
}

fn tell(what: &'static str, outcome: Result<u64, UpkeepError>) {
    match outcome {
        Ok(0) => {}
        Ok(count) => tracing::info!(what, count, "what nobody needs was deleted"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(what, error, "the upkeep failed");
        }
    }
}

async fn prune_runs(platform: &Platform) -> Result<u64, UpkeepError> {
    let oldest = platform.clock.now().saturating_sub(RUNS_KEPT).unwrap_or(jiff::Timestamp::MIN);
    Ok(platform.store.prune_runs(&platform.system, oldest, RUNS_KEPT_MAX).await?)
}

/// Removes the layers that no image, function or worker needs. A build holds what it makes or uses, and what is held
/// since the sweep began stays: the objects may have been read before the build was stored.
async fn sweep_layers(platform: &Arc<Platform>) -> Result<u64, UpkeepError> {
    let layers = platform.workers.builder.layers().clone();
    let Some(sweep) = layers.begin_sweep() else { return Ok(0) };
    // The store first: whoever leaves it for a newer revision is still among the workers.
    let mut used = stored_layers(platform).await?;
    for revision in platform.workers.pools.revisions() {
        let spec = revision.spec();
        let digests = std::iter::once(&spec.code_digest).chain(&spec.dependency_digests);
        used.extend(digests.filter_map(|digest| digest.parse::<Digest>().ok()));
    }
    tokio::task::spawn_blocking(move || sweep.finish(|layer| used.contains(&layer)))
        .await
        .map_err(|_| UpkeepError::Panicked)?
        .map(|removed| removed as u64)
        .map_err(UpkeepError::Layers)
}

async fn stored_layers(platform: &Platform) -> Result<HashSet<Digest>, UpkeepError> {
    let mut used = HashSet::new();
    let mut note = |text: &String| used.extend(text.parse::<Digest>().ok());
    for image in readable::<Image>(platform).await? {
        image.status.built.iter().filter_map(|built| built.layer.as_ref()).for_each(&mut note);
    }
    for function in readable::<Function>(platform).await? {
        if let Some(deployed) = &function.status.deployed {
            note(&deployed.code);
            deployed.dependencies.iter().for_each(&mut note);
        }
    }
    Ok(used)
}

/// All of a kind. One that cannot be read may need any layer.
async fn readable<K: Noun>(platform: &Platform) -> Result<Vec<Object<K>>, UpkeepError> {
    let all = platform.store.list::<K>(&platform.system).await?;
    let readable = all.into_iter().map(|stored| {
        let name = stored.meta().name.to_string();
        stored.readable().map_err(|_| UpkeepError::Unreadable { kind: K::KIND.noun(), name })
    });
    readable.collect()
}

#[cfg(test)]
mod tests {
    use dispatch_store::Batch;
    use serde_json::json;

    use super::*;
    use crate::{packages::Build, testing::TestServer};

    fn on_disk(server: &TestServer) -> usize {
        let root = server.running.platform().workers.builder.layers().root().to_owned();
        let names = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().parse::<Digest>().is_ok()).count()
    }

    async fn sweep(server: &TestServer) -> u64 {
        sweep_layers(server.running.platform()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_layer_stays_while_a_function_or_a_worker_needs_it_and_then_goes() {
        let server = TestServer::with_python(Build::default()).await;
        let text = "import time\ndef handle(ctx, seconds):\n    time.sleep(seconds)\n    import lazy\n    return lazy.N\n";
        let handler = || json!({"handler": "hello.handle"});
        let files =
            |number: &str| [("hello.py", text.to_owned()), ("lazy.py", format!("N = {number}"))];
        server.function("f", &files("1"), handler()).await;
        assert_eq!((on_disk(&server), sweep(&server).await), (1, 0), "it is deployed");

        // A call of the old revision goes on while a new one is deployed.
        let running = server.call("f", json!(0.5));
        let updated = async {
            let platform = server.running.platform();
            let busy = || !platform.workers.pools.workers_with(|_| true).is_empty();
            crate::testing::until(busy, || "no worker".to_owned()).await;
            server.update("f", &files("2"), handler()).await;
            assert_eq!(on_disk(&server), 2);
            let swept = sweep(&server).await;
            let workers = platform.workers.pools.workers_with(|_| true);
            (swept, workers.len())
        };
        let (old, (swept, workers)) = tokio::join!(running, updated);
        assert_eq!((&old["output"], swept), (&json!(1), 0), "{workers} workers: {old}");
        server.no_worker("f").await;
        assert_eq!((sweep(&server).await, on_disk(&server)), (1, 1));
        assert_eq!(server.call("f", json!(0)).await["output"], 2);

        server.delete("/v1/function/f").await;
        server.eventually("/v1/function/f", |f| (f.status == 404).then_some(())).await;
        server.no_worker("f").await;
        assert_eq!((sweep(&server).await, on_disk(&server)), (1, 0));
        server.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_layer_that_is_gone_is_made_again_for_the_call_that_misses_it() {
        let server = TestServer::with_python(Build::default()).await;
        server
            .function(
                "f",
                &[("hello.py", "def handle(ctx, x):\n    return x\n".to_owned())],
                json!({}),
            )
            .await;
        let layers = server.running.platform().workers.builder.layers().clone();
        // What was built is held for a moment longer than it takes to see that it is READY.
        let removed =
            || layers.begin_sweep().is_some_and(|sweep| sweep.finish(|_| false).unwrap() == 1);
        crate::testing::until(removed, || "it is held".to_owned()).await;
        let missed = server.call("f", json!(1)).await;
        assert_eq!(missed["error"]["type"], "SystemError", "{missed}");
        crate::testing::until(|| on_disk(&server) == 1, || "it was not made again".to_owned())
            .await;
        server.quiet().await;
        assert_eq!(server.call("f", json!(1)).await["output"], 1);
        server.finish().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_build_that_ends_during_a_sweep_keeps_its_layer() {
        let server = TestServer::with_python(Build::default()).await;
        let files = [("hello.py", "def handle(ctx, x):\n    return x\n".to_owned())];
        server.function("f", &files, json!({})).await;
        server.delete("/v1/function/f").await;
        server.eventually("/v1/function/f", |f| (f.status == 404).then_some(())).await;
        let platform = server.running.platform();
        let sweep = platform.workers.builder.layers().begin_sweep().unwrap();
        let used = stored_layers(platform).await.unwrap();
        assert!(used.is_empty());
        // The same source again: its layer is found, and stored, after it was asked what is in use.
        server.function("g", &files, json!({})).await;
        assert_eq!(sweep.finish(|layer| used.contains(&layer)).unwrap(), 0);
        assert_eq!(server.call("g", json!(3)).await["output"], 3);
        server.finish().await;
    }

    #[tokio::test]
    async fn what_nothing_needs_goes_within_the_hour_and_the_database_gets_shorter() {
        let server = TestServer::start().await;
        let platform = server.running.platform();
        let mut batch = Batch::system("test");
        let blob = batch.put_blob(vec![7; 8 << 20]);
        platform.store.commit(batch).await.unwrap();
        let layer = platform.workers.builder.layers().path(Digest::of(b"nobody's"));
        std::fs::create_dir(&layer).unwrap();
        let begun = std::time::Instant::now();
        let database = server.world.directory.path().join("data/dispatch.db");
        let database = rusqlite::Connection::open(database).unwrap();
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let is_long =
            || database.query_row(size, (), |row| row.get::<_, i64>(0)).unwrap() > 8 << 20;
        assert!(is_long());
        while layer.exists() || platform.store.blob(&blob).await.unwrap().is_some() || is_long() {
            assert!(begun.elapsed() < Duration::from_secs(60), "still there");
            server.world.clock.advance(EVERY);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.finish().await;
    }
}
