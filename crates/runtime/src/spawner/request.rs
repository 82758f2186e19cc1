//! The check of a spawn request: every size against its bound, every path against the roots. Pure.

use std::path::{Component, Path, PathBuf};

use super::SpawnerConfig;
use crate::host;
use crate::sandbox::DEVICES;
use crate::sandbox::endpoints::{self, MAX_ENDPOINTS};
use crate::sandbox::tree::{Kind, Source};
use crate::spawn::{Endpoint, Limits, NetworkSpec, WorkerSpec};

const MAX_ARGUMENTS: usize = 64;
const MAX_VARIABLES: usize = 512;
const MAX_TEXT_BYTES: usize = 64 << 10;
const MAX_MOUNTS: usize = 64;
const MAX_LINKS: usize = 64;

/// The roots under which paths are taken, as given and without symbolic links.
#[derive(Debug)]
pub(super) struct Roots {
    layers: Vec<(PathBuf, PathBuf)>,
    base: Vec<(PathBuf, PathBuf)>,
    unconfined: bool,
}

impl Roots {
    /// Layer roots have to exist; base roots that do not are left out.
    pub(super) fn new(config: &SpawnerConfig) -> Result<Self, String> {
        let mut layers = Vec::new();
        for root in &config.layer_roots {
            let real = root
                .canonicalize()
                .map_err(|error| format!("layer root {}: {error}", root.display()))?;
            too_wide(&real)?;
            layers.push((root.clone(), real));
        }
        let mut base = Vec::new();
        let given = config.base_roots.iter().cloned();
        for root in base_roots().map(PathBuf::from).chain(given) {
            if let Ok(real) = root.canonicalize() {
                too_wide(&real)?;
                base.push((root, real));
            }
        }
        Ok(Self { layers, base, unconfined: config.allow_unconfined_network })
    }
}

/// What any base may use of this machine, besides the configured roots.
fn base_roots() -> impl Iterator<Item = &'static str> {
    std::iter::once("/usr").chain(host::TOP).chain(host::ETC)
}

/// Directories that hold what no worker may see: never roots themselves.
fn too_wide(root: &Path) -> Result<(), String> {
    const NEVER: [&str; 12] = [
        "/", "/etc", "/root", "/home", "/var", "/var/lib", "/proc", "/sys", "/dev", "/run",
        "/boot", "/tmp",
    ];
    if root.is_absolute() && !NEVER.iter().any(|never| Path::new(never) == root) {
        Ok(())
    } else {
        Err(format!("{} cannot be a root", root.display()))
    }
}

/// The sources to mount, in order, or the first fault in words.
pub(super) fn check(spec: &WorkerSpec, roots: &Roots) -> Result<Vec<Source>, String> {
    check_texts(spec)?;
    check_limits(&spec.limits)?;
    match &spec.network {
        NetworkSpec::Bound(list) => check_endpoints(list)?,
        NetworkSpec::Unconfined if !roots.unconfined => {
            return Err("an unconfined network is not allowed".to_owned());
        }
        NetworkSpec::None | NetworkSpec::Unconfined => {}
    }
    let base = &spec.root.base;
    if base.mounts.len() + spec.root.layers.len() > MAX_MOUNTS || base.links.len() > MAX_LINKS {
        return Err(format!("more than {MAX_MOUNTS} mounts or {MAX_LINKS} links"));
    }
    for (path, target) in &base.links {
        if path != Path::new(host::LOCALTIME) {
            check_inside(path)?;
        }
        let plain = |part| matches!(part, Component::Normal(_) | Component::RootDir);
        if !target.components().all(plain) {
            return Err(format!("link target {}", target.display()));
        }
    }
    let mut sources: Vec<Source> = DEVICES.iter().map(|name| Source::device(name)).collect();
    for (host, inside) in &base.mounts {
        // The few files of /etc that a base needs are mounted where programs look for them.
        if host::ETC.iter().any(|root| inside.starts_with(root)) {
            plain(inside)?;
        } else {
            check_inside(inside)?;
        }
        sources.push(source(host, inside, &roots.base, Kind::ReadOnly)?);
    }
    for layer in &spec.root.layers {
        check_inside(&layer.inside)?;
        let kind = if layer.read_only { Kind::ReadOnly } else { Kind::Writable };
        sources.push(source(&layer.host, &layer.inside, &roots.layers, kind)?);
    }
    Ok(sources)
}

fn source(
    host: &Path,
    inside: &Path,
    roots: &[(PathBuf, PathBuf)],
    kind: Kind,
) -> Result<Source, String> {
    plain(host)?;
    let below = roots.iter().find_map(|(given, real)| {
        let relative = host.strip_prefix(given).or_else(|_| host.strip_prefix(real)).ok()?;
        Some((real.clone(), relative.to_owned()))
    });
    let (root, relative) =
        below.ok_or_else(|| format!("{} is under no allowed root", host.display()))?;
    Ok(Source { root, relative, inside: inside.to_owned(), kind })
}

fn plain(path: &Path) -> Result<(), String> {
    let normal = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if path.is_absolute() && normal && path.as_os_str().len() <= 4000 {
        Ok(())
    } else {
        Err(format!("{} is not an absolute path without dots", path.display()))
    }
}

fn check_inside(inside: &Path) -> Result<(), String> {
    plain(inside)?;
    let taken = ["/proc", "/dev", "/sys", "/etc"];
    let whole = ["/", "/tmp", "/var", "/var/tmp"];
    if taken.iter().any(|taken| inside.starts_with(taken))
        || whole.iter().any(|whole| inside == Path::new(whole))
    {
        return Err(format!("nothing can be put at {}", inside.display()));
    }
    Ok(())
}

fn check_texts(spec: &WorkerSpec) -> Result<(), String> {
    if spec.argv.is_empty() || spec.argv.len() > MAX_ARGUMENTS {
        return Err(format!("argv has {} words; 1 to {MAX_ARGUMENTS} can be", spec.argv.len()));
    }
    if !spec.argv.first().is_some_and(|program| program.starts_with('/')) {
        return Err("the program is not an absolute path".to_owned());
    }
    if spec.environment.len() > MAX_VARIABLES {
        return Err(format!("more than {MAX_VARIABLES} environment variables"));
    }
    let pairs = spec.environment.iter();
    let size = spec.argv.iter().map(String::len).sum::<usize>()
        + pairs.clone().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    if size > MAX_TEXT_BYTES {
        return Err(format!("arguments and environment have {size} bytes of {MAX_TEXT_BYTES}"));
    }
    for (name, value) in pairs {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("environment variable {name:?}"));
        }
    }
    if spec.argv.iter().any(|argument| argument.contains('\0')) {
        return Err("an argument with a NUL".to_owned());
    }
    if spec.umask > 0o777 { Err(format!("umask {:o}", spec.umask)) } else { Ok(()) }
}

fn check_limits(limits: &Limits) -> Result<(), String> {
    let within = |name: &str, value: u64, low: u64, high: u64| {
        if (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(format!("{name} is {value}; {low} to {high} can be"))
        }
    };
    within("memory_bytes", limits.memory_bytes, 8 << 20, 1 << 44)?;
    within("processes", limits.processes.into(), 1, 1 << 15)?;
    within("cpu_millis", limits.cpu_millis.into(), 10, 1_024_000)?;
    within("tmp_bytes", limits.tmp_bytes, 64 << 10, 1 << 40)?;
    within("descriptors", limits.descriptors.into(), 16, 1 << 16)
}

fn check_endpoints(list: &[Endpoint]) -> Result<(), String> {
    if list.len() > MAX_ENDPOINTS {
        return Err(format!("{} endpoints; {MAX_ENDPOINTS} can be", list.len()));
    }
    list.iter().find_map(endpoints::fault).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::spawn::{LayerMount, RootSpec};

    fn roots() -> Roots {
        let pair = |path: &str| (PathBuf::from(path), PathBuf::from(path));
        Roots {
            layers: vec![pair("/data/layers")],
            base: vec![pair("/usr"), pair("/etc/ssl/certs")],
            unconfined: false,
        }
    }

    fn check_spec(change: impl FnOnce(&mut WorkerSpec), expect: Result<(), &str>) {
        let argv = vec!["/usr/bin/python3".to_owned()];
        let mut spec = WorkerSpec::new(Uuid::nil(), Uuid::nil(), argv, RootSpec::default());
        change(&mut spec);
        let found = check(&spec, &roots()).map(|_| ());
        match (&found, expect) {
            (Ok(()), Ok(())) => {}
            (Err(fault), Err(part)) if fault.contains(part) => {}
            _ => panic!("{found:?}, not {expect:?}, for {spec:?}"),
        }
    }

    fn layer(host: &str, inside: &str) -> impl FnOnce(&mut WorkerSpec) {
        let mount = LayerMount { host: host.into(), inside: inside.into(), read_only: true };
        move |spec| spec.root.layers.push(mount)
    }

    fn base(host: &str, inside: &str) -> impl FnOnce(&mut WorkerSpec) {
        let pair = (host.into(), inside.into());
        move |spec| spec.root.base.mounts.push(pair)
    }

    #[test]
    fn paths_outside_the_roots_are_refused() {
        check_spec(layer("/data/layers/x", "/app"), Ok(()));
        check_spec(layer("/data/layers", "/app"), Ok(()));
        check_spec(layer("/data/layersx", "/app"), Err("under no allowed root"));
        check_spec(layer("/data/layers/../secret", "/app"), Err("without dots"));
        check_spec(layer("data/layers", "/app"), Err("without dots"));
        check_spec(layer("/usr/lib", "/app"), Err("under no allowed root"));
        check_spec(base("/usr", "/usr"), Ok(()));
        check_spec(base("/etc/ssl/certs", "/etc/ssl/certs"), Ok(()));
        check_spec(base("/etc/shadow", "/x"), Err("under no allowed root"));
        check_spec(base("/data/layers/x", "/x"), Err("under no allowed root"));
    }

    #[test]
    fn nothing_lands_on_what_the_sandbox_makes() {
        for inside in
            ["/", "/proc", "/proc/self", "/dev/null", "/sys", "/etc", "/etc/passwd", "/tmp"]
        {
            check_spec(layer("/data/layers/x", inside), Err("nothing can be put"));
        }
        check_spec(layer("/data/layers/x", "/app/../etc"), Err("without dots"));
        check_spec(layer("/data/layers/x", "/tmp/x"), Ok(()));
        check_spec(base("/usr/share/x", "/etc"), Err("nothing can be put"));
    }

    #[test]
    fn every_size_is_bounded() {
        check_spec(|spec| spec.argv.clear(), Err("argv has 0"));
        check_spec(|spec| spec.argv = vec!["python3".to_owned()], Err("not an absolute path"));
        let words = |count: usize| vec!["/x".to_owned(); count];
        check_spec(|spec| spec.argv = words(MAX_ARGUMENTS), Ok(()));
        check_spec(|spec| spec.argv = words(MAX_ARGUMENTS + 1), Err("argv has 65"));
        let variable = |size: usize| vec![("A".to_owned(), "x".repeat(size))];
        check_spec(|spec| spec.environment = variable(MAX_TEXT_BYTES - 19), Ok(()));
        check_spec(|spec| spec.environment = variable(MAX_TEXT_BYTES - 18), Err("bytes of"));
        check_spec(|spec| spec.environment = vec![("A=".to_owned(), String::new())], Err("A="));
        check_spec(|spec| spec.limits.processes = 0, Err("processes is 0"));
        check_spec(|spec| spec.limits.memory_bytes = (8 << 20) - 1, Err("memory_bytes"));
        check_spec(|spec| spec.limits.tmp_bytes = 1, Err("tmp_bytes"));
        check_spec(|spec| spec.limits.descriptors = 15, Err("descriptors"));
        check_spec(|spec| spec.umask = 0o1000, Err("umask"));
        let list = |count: u16| {
            NetworkSpec::Bound(
                (1..=count).map(|port| Endpoint { host: "a".to_owned(), port }).collect(),
            )
        };
        check_spec(|spec| spec.network = list(32), Ok(()));
        check_spec(|spec| spec.network = list(33), Err("33 endpoints"));
        check_spec(|spec| spec.network = NetworkSpec::Unconfined, Err("unconfined"));
    }

    #[test]
    fn no_root_may_be_as_wide_as_the_machine() {
        for root in ["/", "/etc", "/root", "/home", "/proc", "/tmp"] {
            let mut config = SpawnerConfig::new(Uuid::nil(), vec![root.into()]);
            assert!(Roots::new(&config).unwrap_err().contains("cannot be a root"), "{root}");
            config.base_roots = std::mem::take(&mut config.layer_roots);
            assert!(Roots::new(&config).unwrap_err().contains("cannot be a root"), "{root}");
        }
    }
}
