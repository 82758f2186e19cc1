//! The SQLite back end: connections, migrations, one thread that writes and a few that read.

mod audit;
mod blobs;
mod columns;
mod group;
mod keys;
mod migrate;
mod objects;
mod open;
mod readers;
mod runs;
mod sealed;
mod shrink;
mod space;
mod writer;

pub(crate) use audit::audit;
pub(crate) use blobs::blob;
pub(crate) use objects::{by_id, by_name, ids, list, names, page, referring};
pub(crate) use open::open;
pub(crate) use readers::Readers;
pub(crate) use runs::{run, runs, surplus, unfinished};
pub(crate) use sealed::sealed;
pub(crate) use writer::Writer;
