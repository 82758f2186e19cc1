//! Which layers of protection a worker really has, for `-o wide` and the log at start.

use serde::{Deserialize, Serialize};

/// One way in which a worker is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    Namespaces,
    FileSystem,
    Network,
    Identity,
    Capabilities,
    Memory,
    Processes,
    Cpu,
    Seccomp,
    Landlock,
}

/// Whether a layer is on, and if not or not wholly, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "detail")]
pub enum LayerState {
    /// On; the words say by what means (`cgroup v2`).
    On(String),
    /// A weaker means stands in (`watched`).
    Partial(String),
    /// Off, with the reason.
    Off(String),
}

/// The report on one worker: each layer once, in the order of [`Layer`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    pub layers: Vec<(Layer, LayerState)>,
}

impl Confinement {
    /// The state of one layer; `None` only if the report does not speak of it.
    #[must_use]
    pub fn get(&self, layer: Layer) -> Option<&LayerState> {
        self.layers.iter().find(|(name, _)| *name == layer).map(|(_, state)| state)
    }
}

impl Confinement {
    pub(crate) fn set(&mut self, layer: Layer, state: LayerState) {
        self.layers.retain(|(name, _)| *name != layer);
        self.layers.push((layer, state));
        self.layers.sort_by_key(|(name, _)| *name);
    }
}

impl std::fmt::Display for Confinement {
    /// `namespaces: on (user, mount, …); memory: watched; seccomp: off (…)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (layer, state)) in self.layers.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            let name = layer.name();
            match state {
                LayerState::On(how) => write!(f, "{name}: {how}")?,
                LayerState::Partial(how) => write!(f, "{name}: {how}")?,
                LayerState::Off(why) => write!(f, "{name}: off ({why})")?,
            }
        }
        Ok(())
    }
}

impl Layer {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::FileSystem => "file system",
            Self::Network => "network",
            Self::Identity => "identity",
            Self::Capabilities => "capabilities",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Cpu => "cpu",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
        }
    }
}
