//! Python functions on a server, made through its API as anybody would.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{Trouble, wire::Wire};

/// The trivial handler: from the first Dispatch's tutorial, and able to end its process.
pub const HELLO: &str = r#"
import os

def handle(ctx, payload):
    if payload.get("exit"):
        os._exit(0)
    return {"myField": "Hello, %s from %s" % (payload["name"], payload["place"])}
"#;

/// Where the handler is, for a file of this name.
pub const HELLO_FILE: &str = "hello.py";
pub const HELLO_HANDLER: &str = "hello.handle";

#[must_use]
pub fn hello_input() -> Value {
    json!({ "name": "Jon", "place": "Winterfell" })
}

#[must_use]
pub fn hello_output() -> Value {
    json!({ "myField": "Hello, Jon from Winterfell" })
}

/// Makes the base image `python3-base` and the image `python3`, without dependencies.
pub fn make_python3(wire: &mut Wire) -> Result<(), Trouble> {
    make_base(wire)?;
    wire.make("/v1/image", &json!({ "name": "python3", "baseImageName": "python3-base" }))?;
    Ok(())
}

/// Makes the base image `python3-base`.
pub fn make_base(wire: &mut Wire) -> Result<(), Trouble> {
    let base =
        json!({ "name": "python3-base", "dockerUrl": "host:python3", "language": "python3" });
    wire.make("/v1/baseimage", &base)?;
    Ok(())
}

/// What POST /v1/function takes.
pub fn function(
    name: &str,
    image: &str,
    files: &[(&str, &str)],
    handler: &str,
    services: &[&str],
) -> Result<Value, Trouble> {
    let source = STANDARD.encode(archive(files).map_err(Trouble::io("pack a function"))?);
    Ok(json!({
        "name": name, "image": image, "handler": handler, "source": source, "services": services,
    }))
}

/// Makes the trivial function `hello`.
pub fn make_hello(wire: &mut Wire) -> Result<(), Trouble> {
    make_python3(wire)?;
    let hello = function("hello", "python3", &[(HELLO_FILE, HELLO)], HELLO_HANDLER, &[])?;
    wire.make("/v1/function", &hello)?;
    Ok(())
}

/// What POST /v1/runs takes.
#[must_use]
pub fn run(input: &Value) -> Value {
    json!({ "blocking": true, "input": input })
}

/// The output of a run that ended well.
pub fn output(run: &[u8]) -> Result<Value, Trouble> {
    let run: Value = serde_json::from_slice(run)
        .map_err(|error| Trouble::wrong(format!("a run: {error}"), String::from_utf8_lossy(run)))?;
    match run.get("output") {
        Some(output) => Ok(output.clone()),
        None => Err(Trouble::wrong("a run ended without output", run)),
    }
}

/// A gzip-compressed tar of these files.
fn archive(files: &[(&str, &str)]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    tar.into_inner()?.finish()
}
