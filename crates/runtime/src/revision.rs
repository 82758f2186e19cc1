//! Everything that makes two workers of a function differ, hashed into one number.
//!
//! Deploy, rotation, limits and drain are one mechanism: a pool has a revision, and workers of
//! another one are on their way out. Nothing here is secret: bindings appear by version only.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::frame::Load;
use crate::host::{Interpreter, Language};
use crate::layer::{Digest, Layers};
use crate::spawn::{HostBase, LayerMount, Limits, NetworkSpec, RootSpec, WorkerSpec};
use crate::worker::argv;

/// Which credentials of a binding; versions count up from 1 with each rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BindingVersion {
    pub binding: Uuid,
    pub version: u64,
}

/// What the workers of one interpreter have in common: many kilobytes, so that all functions share it.
#[derive(Debug)]
pub struct Program {
    argv: Vec<String>,
    base: HostBase,
    digest: Digest,
}

impl Program {
    /// `argv`: the program and its arguments, as seen inside: [`argv`].
    #[must_use]
    pub fn new(argv: Vec<String>, base: HostBase) -> Self {
        let text = serde_json::to_vec(&(&argv, &base)).expect("texts and UTF-8 paths only");
        Self { argv, base, digest: Digest::of(&text) }
    }

    #[must_use]
    pub fn of(interpreter: &Interpreter) -> Self {
        let executable = interpreter.executable.to_string_lossy();
        Self::new(argv(interpreter.language, &executable), interpreter.base())
    }

    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    #[must_use]
    pub fn base(&self) -> &HostBase {
        &self.base
    }
}

fn by_digest<S: Serializer>(program: &Arc<Program>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&program.digest)
}

/// What a function's workers are made from.
#[derive(Debug, Clone, Serialize)]
pub struct RevisionSpec {
    pub organization: Uuid,
    #[serde(serialize_with = "by_digest")]
    pub program: Arc<Program>,
    pub environment: Vec<(String, String)>,
    pub layers: Vec<LayerMount>,
    pub load: Load,
    /// Of the layer that the source was unpacked into.
    pub code_digest: String,
    /// Of the base image: for `host:`, of interpreter and ABI.
    pub base_digest: String,
    /// Of the layers in `load.dependencies`, in their order.
    pub dependency_digests: Vec<String>,
    /// The credentials that calls carry.
    pub bindings: Vec<BindingVersion>,
    pub limits: Limits,
    pub network: NetworkSpec,
}

/// Where a function's source is, inside its workers.
pub const CODE: &str = "/function";
/// Below it, each of Python's dependency layers has a directory: `/dependencies/0` and so on.
pub const DEPENDENCIES: &str = "/dependencies";
/// JavaScript's dependency layer, where both `require` and `import` look for what a function's own
/// `node_modules` do not have.
pub const NODE_MODULES: &str = "/node_modules";

impl RevisionSpec {
    /// A function from its layers, with default limits, no network and no bindings.
    #[must_use]
    pub fn new(
        organization: Uuid,
        interpreter: &Interpreter,
        program: Arc<Program>,
        layers: &Layers,
        code: Digest,
        dependencies: &[Digest],
        handler: String,
    ) -> Self {
        let limits = Limits::default();
        let mut mounts =
            vec![LayerMount { host: layers.path(code), inside: CODE.into(), read_only: true }];
        let mut inside = Vec::new();
        for (number, layer) in dependencies.iter().enumerate() {
            let (host, at) = place(interpreter.language, layers.path(*layer), number);
            mounts.push(LayerMount { host, inside: at.clone().into(), read_only: true });
            inside.push(at);
        }
        Self {
            organization,
            program,
            environment: environment(interpreter.language, &limits),
            layers: mounts,
            load: Load { handler, code: CODE.to_owned(), dependencies: inside },
            code_digest: code.to_string(),
            base_digest: interpreter.digest.clone(),
            dependency_digests: dependencies.iter().map(ToString::to_string).collect(),
            bindings: Vec::new(),
            limits,
            network: NetworkSpec::None,
        }
    }
}

/// V8 takes its heap's size from the machine, not from the sandbox: without this it would be killed
/// at the limit with garbage in hand. A quarter is for what is not in the heap.
fn environment(language: Language, limits: &Limits) -> Vec<(String, String)> {
    match language {
        Language::Python3 => Vec::new(),
        Language::NodeJs => {
            let heap = (limits.memory_bytes >> 20) * 3 / 4;
            vec![("NODE_OPTIONS".to_owned(), format!("--max-old-space-size={heap}"))]
        }
    }
}

/// What of a dependency layer is mounted, and where. Node.js looks in one place only, so that its
/// images have one such layer.
fn place(language: Language, layer: PathBuf, number: usize) -> (PathBuf, String) {
    match language {
        Language::Python3 => (layer, format!("{DEPENDENCIES}/{number}")),
        Language::NodeJs => (layer.join("node_modules"), NODE_MODULES.to_owned()),
    }
}

/// The number of a revision. Equal specs have equal ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RevisionId([u8; 16]);

/// A spec with its number.
#[derive(Debug)]
pub struct Revision {
    id: RevisionId,
    spec: RevisionSpec,
}

impl Revision {
    /// The order of bindings and of endpoints makes no difference.
    #[must_use]
    pub fn new(mut spec: RevisionSpec) -> Self {
        spec.bindings.sort_unstable();
        if let NetworkSpec::Bound(endpoints) = &mut spec.network {
            endpoints.sort_unstable_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
            endpoints.dedup();
        }
        let text = serde_json::to_vec(&spec).expect("names, numbers and UTF-8 paths only");
        let hash = Digest::of(&text);
        let id = RevisionId(*hash.bytes().first_chunk().expect("32 bytes begin with 16"));
        Self { id, spec }
    }

    #[must_use]
    pub fn id(&self) -> RevisionId {
        self.id
    }

    #[must_use]
    pub fn spec(&self) -> &RevisionSpec {
        &self.spec
    }

    /// What the spawner gets for one worker of this revision.
    #[must_use]
    pub fn worker_spec(&self, id: Uuid) -> WorkerSpec {
        let spec = &self.spec;
        let program = &spec.program;
        let root = RootSpec { base: program.base.clone(), layers: spec.layers.clone() };
        let mut worker = WorkerSpec::new(id, spec.organization, program.argv.clone(), root);
        worker.environment.clone_from(&spec.environment);
        worker.limits = spec.limits;
        worker.network = spec.network.clone();
        worker
    }
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevisionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::Endpoint;

    fn spec() -> RevisionSpec {
        RevisionSpec {
            organization: Uuid::from_u128(1),
            program: program("/usr/bin/python3"),
            environment: Vec::new(),
            layers: Vec::new(),
            load: Load {
                handler: "a.b".to_owned(),
                code: "/function".to_owned(),
                dependencies: Vec::new(),
            },
            code_digest: "c".to_owned(),
            base_digest: "b".to_owned(),
            dependency_digests: Vec::new(),
            bindings: vec![version(1, 1), version(2, 1)],
            limits: Limits::default(),
            network: NetworkSpec::Bound(vec![endpoint("a"), endpoint("b")]),
        }
    }

    fn program(path: &str) -> Arc<Program> {
        Arc::new(Program::new(vec![path.to_owned()], HostBase::default()))
    }

    fn version(binding: u128, version: u64) -> BindingVersion {
        BindingVersion { binding: Uuid::from_u128(binding), version }
    }

    fn endpoint(host: &str) -> Endpoint {
        Endpoint { host: host.to_owned(), port: 1 }
    }

    fn check(what: &str, change: impl FnOnce(&mut RevisionSpec), same: bool) {
        let mut changed = spec();
        change(&mut changed);
        assert_eq!(Revision::new(changed).id() == Revision::new(spec()).id(), same, "{what}");
    }

    #[test]
    fn whatever_matters_changes_the_number_and_order_does_not() {
        check("nothing", |_| (), true);
        check("order of bindings", |spec| spec.bindings.reverse(), true);
        check(
            "order of endpoints",
            |spec| spec.network = NetworkSpec::Bound(vec![endpoint("b"), endpoint("a")]),
            true,
        );
        check("the same program", |spec| spec.program = program("/usr/bin/python3"), true);
        check("program", |spec| spec.program = program("/usr/bin/python4"), false);
        check("code", |spec| spec.code_digest.push('x'), false);
        check("base", |spec| spec.base_digest.push('x'), false);
        check("handler", |spec| spec.load.handler.push('x'), false);
        check("dependencies", |spec| spec.dependency_digests.push("d".to_owned()), false);
        check("credentials", |spec| spec.bindings = vec![version(1, 2), version(2, 1)], false);
        check("a binding less", |spec| spec.bindings = vec![version(1, 1)], false);
        check("memory", |spec| spec.limits.memory_bytes += 1, false);
        check("network", |spec| spec.network = NetworkSpec::None, false);
        check("environment", |spec| spec.environment.push((String::new(), String::new())), false);
        check("organization", |spec| spec.organization = Uuid::nil(), false);
    }
}
