//! An image: a base image and a layer with what functions depend on.

use serde::{Deserialize, Serialize};

use crate::{Id, Kind, Name, Noun, Object, Phase, base_image::BaseImage};

#[derive(Debug)]
pub enum Image {}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub base_image: Id<BaseImage>,
    pub base_image_name: Name,
    pub language: String,
    /// Text of requirements.txt or its like; empty for none.
    pub manifest: String,
    pub system_packages: Vec<SystemPackage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPackage {
    pub name: String,
    pub version: String,
}

/// What its controller has learnt, and what it is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub observed_generation: u64,
    pub built: Option<Built>,
    pub failure: Option<String>,
    /// The digest of the base that the failed build was on: on the same one it is not tried again. `None` if nothing
    /// was tried, because of the base image.
    #[serde(default)]
    pub failed_on: Option<String>,
    /// The last lines of the last build, at most 200.
    pub log: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The base image's: `python3`.
    #[serde(default = "python3")]
    pub runtime: String,
    /// Digest of the dependency layer; `None` without dependencies.
    pub layer: Option<String>,
    /// The base image's digest that it was built on.
    pub base_digest: String,
}

/// What images had before there was another runtime.
fn python3() -> String {
    "python3".to_owned()
}

impl Noun for Image {
    const KIND: Kind = Kind::Image;
    type Spec = Spec;
    type Status = Status;
}

/// The status that clients see, and the one reason: the table of decision 13, as its test has it. A reason that is
/// no failure says what is waited for.
pub fn phase(image: &Object<Image>) -> (Phase, Option<String>) {
    let status = &image.status;
    let observed = status.observed_generation == image.meta.generation;
    match (&status.failure, &status.built, observed) {
        (Some(failure), _, true) => (Phase::Error, Some(failure.clone())),
        (None, Some(_), true) => (Phase::Ready, None),
        (_, _, false) if image.meta.generation > 1 => (Phase::Updating, None),
        // Waiting for its base image says why, and is no failure.
        (reason, _, false) => (Phase::Initialized, reason.clone()),
        (None, None, true) => (Phase::Initialized, None),
    }
}
