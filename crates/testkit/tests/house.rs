//! The house's rules, read off the sources: who may depend on whom, who may call what, and how files look.
//! ARCHITECTURE.md says why; each of these fails when a rule is broken.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics says where, and clippy knows only functions marked as tests"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All Rust sources of a crate, with their text.
fn sources(name: &str, folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates").join(name).join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn crates() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A file's text without its tests, which may do what the rest may not.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

/// Without comments, which may name what the code must not.
fn code(text: &str) -> String {
    let lines = without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    matches!(name.as_ref(), "tests" | "crash" | "testing")
        || parts.iter().any(|part| matches!(part.as_str(), "tests" | "testing" | "crash"))
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("model", &[] as &[&str]),
        ("api", &["model"]),
        ("store", &["model"]),
        ("engine", &[]),
        ("osb", &[]),
        ("runtime", &[]),
        ("gateway", &[]),
        ("server", &["model", "api", "store", "engine", "osb", "runtime", "gateway"]),
        ("broker", &["osb"]),
        ("cli", &["model", "api", "server", "broker", "engine", "runtime"]),
        ("testkit", &[]),
    ]);
    for name in crates() {
        let manifest = root().join("crates").join(&name).join("Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
        let ours: BTreeSet<String> = manifest
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .map(|table| {
                table
                    .keys()
                    .filter_map(|key| key.strip_prefix("dispatch-"))
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default();
        let allowed =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no row here"));
        let extra: Vec<&String> =
            ours.iter().filter(|one| !allowed.contains(&one.as_str())).collect();
        assert!(extra.is_empty(), "{name} depends on {extra:?}");
    }
}

#[test]
fn the_model_does_no_input_or_output_and_the_engine_names_no_kind() {
    for (path, text) in sources("model", "src") {
        for word in ["tokio", "std::fs", "std::net", "std::process", "std::env", "http::"] {
            assert!(!code(&text).contains(word), "{}: {word}", path.display());
        }
    }
    for (path, text) in sources("engine", "src") {
        for word in ["dispatch_model", "broker", "binding", "function"] {
            assert!(!code(&text).contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn only_act_calls_brokers_and_only_those_on_the_map_call_the_runtime() {
    let broker_calls = [
        ".send_provision(",
        ".send_update(",
        ".send_bind(",
        ".deprovision(",
        ".unbind(",
        ".poll_instance(",
        ".poll_binding(",
        ".get_instance(&",
        ".get_binding(&",
        ".catalog(&context",
    ];
    let runtime_calls = [
        (".pip_install(", "install.rs"),
        (".npm_install(", "install.rs"),
        ("workers.install(", "build.rs"),
        (".unpack(", "build.rs"),
        ("Interpreter::start(", "build.rs"),
        ("Interpreter::prove(", "proof.rs"),
        ("pools.call(", "execute.rs"),
        ("pools.set(", "project.rs"),
        ("pools.switch(", "project.rs"),
        ("pools.remove(", "act.rs"),
        ("pools.retire(", "consumers.rs"),
        ("pools.forget_binding(", "consumers.rs"),
        ("pools.revisions(", "upkeep.rs"),
    ];
    for (path, text) in sources("server", "src") {
        if is_test(&path) {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = without_tests(&text);
        for call in broker_calls {
            assert!(!text.contains(call) || name == "act.rs", "{}: {call}", path.display());
        }
        for (call, caller) in runtime_calls {
            assert!(!text.contains(call) || name == caller, "{}: {call}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    // As CONTRIBUTING asks.
    const LINES_MAX: usize = 400;
    let mut long = Vec::new();
    for name in crates() {
        for folder in ["src", "tests"] {
            for (path, text) in sources(&name, folder) {
                assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
                let lines = text.lines().count();
                if lines > LINES_MAX {
                    long.push(format!("{} ({lines})", path.display()));
                }
            }
        }
    }
    assert!(long.is_empty(), "split these by what they do: {long:#?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    for document in documents {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            assert!(root().join(target).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn architecture_is_a_map_and_not_a_book() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 250);
    let named: Vec<String> = crates();
    for name in named.iter().filter(|name| *name != "testkit") {
        assert!(text.contains(&format!("crates/{name}")), "crates/{name} is not on the map");
    }
}
