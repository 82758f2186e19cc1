//! Makes the cluster of an instance: initdb, a start on a port of its own, the database.
//!
//! Each step finds what an attempt that was cut off has made, and goes on from there.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::super::names::InstanceNames;
use super::super::parameters::Parameters;
use super::super::{provision, server};
use super::Dedicated;
use super::error::ClusterError;
use super::keeper::Kept;
use super::postmaster;
use crate::books::{Instance, State};

/// For a new server to start. It takes about a tenth of a second.
const START: Duration = Duration::from_secs(120);

/// For everything. A platform gives up later.
const ALL: Duration = Duration::from_secs(540);

/// Makes what is missing, and writes down that the instance is ready.
pub(super) async fn make(
    dedicated: &Dedicated,
    row: &Instance,
    kept: &Kept,
) -> Result<(), ClusterError> {
    let limit_ms = ALL.as_millis();
    timeout(ALL, within(dedicated, row.clone(), kept))
        .await
        .map_err(|_| ClusterError::TooSlow { what: "do all that", limit_ms })?
}

async fn within(dedicated: &Dedicated, row: Instance, kept: &Kept) -> Result<(), ClusterError> {
    let cluster = dedicated.cluster(&row.id);
    if !cluster.is_initialised() {
        kept.say("initialising the cluster");
        dedicated.pass()?;
        let certificate = dedicated.certificate()?;
        let verifier = dedicated.key.administrator_verifier(&row.id);
        cluster.initialise(&certificate, &verifier).await?;
        dedicated.pass()?;
    }
    // What initdb wrote reaches the disk meanwhile; what comes after it, PostgreSQL syncs itself.
    let started = async {
        let row = start(dedicated, row, kept).await?;
        kept.say("creating the database");
        dedicated.pass()?;
        create_database(dedicated, &row).await?;
        Ok::<_, ClusterError>(row)
    };
    let (row, ()) = tokio::try_join!(started, cluster.sync())?;
    dedicated.pass()?;
    dedicated.books.made(Instance { state: State::Ready, ..row }).await?;
    Ok(dedicated.pass()?)
}

/// Starts the cluster, on another port if somebody has taken its own. The entry with the port.
async fn start(
    dedicated: &Dedicated,
    mut row: Instance,
    kept: &Kept,
) -> Result<Instance, ClusterError> {
    let cluster = dedicated.cluster(&row.id);
    let mut in_use = BTreeSet::new();
    loop {
        let port = row.port.unwrap_or_default();
        if let Some(process) = postmaster::find(&cluster)? {
            postmaster::wait(&cluster, &process, Some(START)).await?;
            return Ok(row);
        }
        kept.say(format!("cluster initialised, starting on port {port}"));
        cluster.configure(&dedicated.configuration(&row))?;
        dedicated.pass()?;
        match postmaster::start(&cluster, Some(START)).await {
            Err(ClusterError::PortTaken) => {
                tracing::info!(instance_id = row.id, port, "somebody else has the port");
                in_use.insert(port);
                row = dedicated.move_port(row, &in_use).await?;
            }
            result => {
                result?;
                dedicated.pass()?;
                return Ok(row);
            }
        }
    }
}

async fn create_database(dedicated: &Dedicated, row: &Instance) -> Result<(), ClusterError> {
    let (server, names) = (dedicated.server(row), InstanceNames::of(&row.id));
    server::ready(&server.pool, START).await?;
    let session = server.pool.locked(names.lock).await?;
    let extensions = Parameters::stored(&row.parameters).extensions;
    let connections = dedicated.connections();
    provision::provision(&session, &names, connections, &extensions, server.superuser).await?;
    session.give_back().await;
    Ok(())
}
