//! Build jobs: a process in a sandbox that makes a layer (decisions 1, 35, 36).
//!
//! A job reads layers and a few files, writes one tree, says lines, and is bounded in time and
//! size. Dropping its future cancels it: the process is killed and what it wrote is removed. It
//! stores nothing but the layer; the server keeps the log and decides what is built.

mod job;
mod npm;
mod packages;
mod pip;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::layer::{Held, LayerError, Layers, TreeSize};
use crate::network::Dial;
use crate::spawn::{Spawn, SpawnError};
use crate::worker::Ambient;

pub use job::{INPUT, Job, OUTPUT, SCRATCH};
pub use npm::NpmBuild;
pub use packages::PackageSettings;
pub use pip::PipBuild;
pub use source::SourceBuild;

/// Why there is no layer. Each reads after "failed to build: ".
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("failed to start the build's sandbox")]
    Spawn(#[source] SpawnError),
    #[error("failed to take over the build's descriptors")]
    Descriptors(#[source] std::io::Error),
    /// The tool's own words are in the log; the last of them are here.
    #[error("it {how}{said}")]
    Failed { how: String, said: String, report: Vec<u8> },
    #[error("it did not end within {seconds} s")]
    TimedOut { seconds: u64 },
    /// Over its bounds while it ran or at its end, or not a layer.
    #[error("what it made cannot be kept")]
    Layer(#[source] LayerError),
    #[error("failed to write what it reads")]
    Input(#[source] std::io::Error),
    /// The person's input, in words for the person: reads after "the source archive ".
    #[error("the source archive {reason}")]
    Source { reason: String },
    #[error("the sandbox answered what no build answers")]
    Report,
    #[error("the server is stopping")]
    Stopping,
}

impl BuildError {
    /// Whether other input would have been built: the person's fault, not the machine's.
    #[must_use]
    pub fn blames_input(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::TimedOut { .. } | Self::Source { .. } => true,
            Self::Layer(error) => matches!(error, LayerError::Tree(tree) if tree.blames_input()),
            _ => false,
        }
    }

    /// The error with its causes in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        crate::worker::with_causes(self)
    }
}

/// What a job made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Kept until what refers to it is stored: a sweep takes no layer that is held.
    pub layer: Held,
    /// Unknown when it had been made before.
    pub size: Option<TreeSize>,
}

/// Runs build jobs, a bounded number at one time.
#[derive(Debug)]
pub struct Builder {
    spawner: Arc<dyn Spawn>,
    dial: Option<Arc<dyn Dial>>,
    layers: Layers,
    ambient: Ambient,
    executable: PathBuf,
    turns: Semaphore,
}

impl Builder {
    /// `executable` is the program that calls [`crate::layer::unpack_main_if_asked`] first; it must
    /// lie under a base root of the spawner, the layers under a layer root. `dial` connects the
    /// endpoints of jobs that have any. `parallel` jobs run at one time, the others wait.
    #[must_use]
    pub fn new(
        spawner: Arc<dyn Spawn>,
        dial: Option<Arc<dyn Dial>>,
        layers: Layers,
        ambient: Ambient,
        executable: PathBuf,
        parallel: usize,
    ) -> Self {
        let turns = Semaphore::new(parallel.max(1));
        Self { spawner, dial, layers, ambient, executable, turns }
    }

    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }
}
