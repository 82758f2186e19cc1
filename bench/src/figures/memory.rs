//! What a server holds in memory when nothing happens, its spawn helper included and shown apart.

use crate::stage::{
    Trouble, note,
    process::{descendants, resident_bytes, settles},
    server::Server,
};

/// Resident megabytes (10⁶ bytes) of the server and its helper. Pages that both have mapped are counted twice.
pub(super) fn idle(server: &Server, what: &str) -> Result<f64, Trouble> {
    if !settles(server.pid()) {
        note(&format!(
            "  the server ({what}) did not settle in a minute: it works without a request"
        ));
    }
    let own = resident_bytes(server.pid());
    let own = own.ok_or_else(|| Trouble::Missing("the server has ended".to_owned()))?;
    let below: Vec<u64> =
        descendants(server.pid()).into_iter().filter_map(resident_bytes).collect();
    let (own, below, processes) = (megabytes(own), megabytes(below.iter().sum()), below.len());
    note(&format!(
        "  idle server ({what}): {own:.1} MB, and {below:.1} MB in {processes} process of its spawn helper"
    ));
    Ok(own + below)
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0
}
