//! What Node.js says of itself, and where its npm is.

use std::path::{Path, PathBuf};

use super::{Interpreter, language::Program};

/// A program outside of a `bin` is its own prefix: what is above it may be anything.
const QUESTION: &str = "
const fs = require('fs'), path = require('path');
const executable = fs.realpathSync(process.execPath), directory = path.dirname(executable);
const { header } = process.report.getReport();
console.log(JSON.stringify({
    executable,
    version: process.versions.node,
    abi: ['node', process.versions.modules, process.platform, process.arch].join('-'),
    prefixes: [path.basename(directory) === 'bin' ? path.dirname(directory) : executable],
    glibc: header.glibcVersionRuntime || null,
}));
";

pub(super) const PROGRAM: Program = Program {
    name: "node",
    usual: "/usr/bin/node",
    title: "Node.js",
    oldest: (18, 0),
    question: &["-e", QUESTION],
};

/// Below a prefix: where Node.js brings npm along, and where Debian has it.
const NPM: [&str; 2] = ["lib/node_modules/npm/bin/npm-cli.js", "share/nodejs/npm/bin/npm-cli.js"];

/// The program of npm that belongs to this interpreter. It is run with the interpreter.
#[must_use]
pub fn npm(node: &Interpreter) -> Option<PathBuf> {
    let prefix = node.executable.parent().and_then(Path::parent);
    let prefixes = prefix.into_iter().chain([Path::new("/usr")]);
    prefixes
        .flat_map(|prefix| NPM.map(|path| prefix.join(path)))
        .find_map(|path| path.canonicalize().ok().filter(|path| path.is_file()))
}
