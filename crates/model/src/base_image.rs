//! A base image: a language and where its interpreter and file system come from (design §5).

use serde::{Deserialize, Serialize};

use crate::{Kind, Noun, Object, Phase};

#[derive(Debug)]
pub enum BaseImage {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// `host:python3`, or an image of the first Dispatch that stands for it.
    pub docker_url: String,
    /// As the user gave it; may be empty.
    pub language: String,
    /// Clients of v0.1.22 expect to see INITIALIZED first: the proof begins so many milliseconds later (decision 14).
    pub delay_ms: u64,
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub observed_generation: u64,
    /// What the interpreter said of itself, in the full sandbox.
    pub proof: Option<Proof>,
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// `python3`.
    pub runtime: String,
    pub version: String,
    /// Over interpreter, version and ABI: another one builds anew.
    pub digest: String,
}

impl Noun for BaseImage {
    const KIND: Kind = Kind::BaseImage;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(base: &Object<BaseImage>) -> (Phase, Option<String>) {
    let status = &base.status;
    let observed = status.observed_generation == base.meta.generation;
    match (&status.failure, &status.proof, observed) {
        (Some(failure), _, true) => (Phase::Error, Some(failure.clone())),
        (None, Some(_), true) => (Phase::Ready, None),
        // Whatever became of the wish before this one.
        (_, _, false) if base.meta.generation > 1 => (Phase::Updating, None),
        _ => (Phase::Initialized, None),
    }
}
