//! A package index on loopback (PEP 503) with two small packages, over HTTP or HTTPS.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use dispatch_gateway::{listener, tls};
use http::{StatusCode, header};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::packages::{Address, Build, npm, pip::Config};

/// What a manifest asks for.
pub const PACKAGE: &str = "greeting==1.0\n";
/// What there is: `greeting`, and a namesake of a famous one.
const WHEELS: [(&str, &str); 2] = [("greeting", "1.0"), ("requests", "2")];

#[derive(Debug)]
pub struct Index {
    place: String,
    shelf: Arc<Shelf>,
    certificate: Option<PathBuf>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shelf {
    directory: TempDir,
    hangs: bool,
    is_tls: bool,
    asked: Mutex<Vec<String>>,
}

impl Index {
    pub async fn plain() -> Self {
        Self::start(false, false).await
    }

    pub async fn tls() -> Self {
        Self::start(true, false).await
    }

    /// Takes every request and answers none.
    pub async fn hanging() -> Self {
        Self::start(false, true).await
    }

    async fn start(with_tls: bool, hangs: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_wheels(directory.path());
        make_package(directory.path());
        let own =
            with_tls.then(|| tls::load_or_create(&directory.path().join("tls"), &[]).unwrap());
        let shelf = Arc::new(Shelf { directory, hangs, is_tls: with_tls, asked: Mutex::default() });
        let service = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        let service = service
            .map_request(|request: http::Request<hyper::body::Incoming>| request.map(Body::new))
            .map_err(|never: Infallible| never);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if with_tls { "https" } else { "http" };
        let place = format!("{scheme}://{{}}127.0.0.1:{}/", socket.local_addr().unwrap().port());
        let config =
            own.as_ref().map(|own| Arc::new(arc_swap::ArcSwap::from(Arc::clone(&own.config))));
        let stop = CancellationToken::new();
        let limits = listener::Limits::default();
        tokio::spawn(listener::serve(socket, config, service, limits, stop.clone()));
        let certificate = own.map(|own| own.certificate);
        Self { place, shelf, certificate, _stop: stop.drop_guard() }
    }

    /// The URL of its wheels with `user:password@`, or nothing, before the host.
    pub fn url(&self, user: &str) -> String {
        self.place.replace("{}", user) + "simple/"
    }

    /// Settings under which packages come from here.
    pub fn settings(&self, user: &str) -> Config {
        Config {
            index_url: Address::new(self.url(user)),
            trusted_hosts: if self.certificate.is_none() {
                vec!["127.0.0.1".to_owned()]
            } else {
                Vec::new()
            },
            hosts: Vec::new(),
            certificates: self.certificate.clone().unwrap_or_default(),
            ..Config::default()
        }
    }

    pub fn build(&self, user: &str) -> Build {
        let npm = npm::Config {
            registry: Address::new(self.place.replace("{}", user) + "npm/"),
            certificates: self.certificate.clone().unwrap_or_default(),
            ..npm::Config::default()
        };
        Build { pip: self.settings(user), npm }
    }

    /// Paths that were asked for, and by whom.
    pub fn asked(&self) -> Vec<String> {
        self.shelf.asked.lock().unwrap().clone()
    }

    pub async fn until_asked(&self, count: usize) {
        for _ in 0..20_000 {
            if self.asked().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("nobody asked: {:?}", self.asked());
    }
}

async fn answer(State(shelf): State<Arc<Shelf>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let user = request.headers().get(header::AUTHORIZATION).and_then(|value| {
        let pair = value.to_str().ok()?.strip_prefix("Basic ")?;
        String::from_utf8(STANDARD.decode(pair).ok()?).ok()
    });
    let user = user.unwrap_or_else(|| "nobody".to_owned());
    shelf.asked.lock().unwrap().push(format!("{path} as {user}"));
    if shelf.hangs {
        std::future::pending::<()>().await;
    }
    if let Some(path) = path.strip_prefix("/npm/") {
        return answer_npm(&shelf, path, request.headers());
    }
    let Some((name, version)) = WHEELS.iter().find(|(name, _)| path.contains(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let wheel = format!("{name}-{version}-py3-none-any.whl");
    if path == format!("/simple/{name}/") {
        let page = format!("<!DOCTYPE html><a href=\"/files/{wheel}\">{wheel}</a>");
        ([(header::CONTENT_TYPE, "text/html")], page).into_response()
    } else if path == format!("/files/{wheel}") {
        std::fs::read(shelf.directory.path().join(wheel)).unwrap().into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// A registry with one package, `greeting`.
fn answer_npm(shelf: &Shelf, path: &str, headers: &http::HeaderMap) -> Response {
    const TARBALL: &str = "greeting-1.0.0.tgz";
    if path == "greeting" {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap();
        let scheme = if shelf.is_tls { "https" } else { "http" };
        let version = json!({
            "name": "greeting", "version": "1.0.0",
            "dist": {"tarball": format!("{scheme}://{host}/npm/-/{TARBALL}")},
        });
        let page = json!({
            "name": "greeting", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version},
        });
        axum::Json(page).into_response()
    } else if path == format!("-/{TARBALL}") {
        std::fs::read(shelf.directory.path().join(TARBALL)).unwrap().into_response()
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// Packs npm's package into this directory.
fn make_package(directory: &Path) {
    let make = r#"
import io, sys, tarfile
with tarfile.open(f"{sys.argv[1]}/greeting-1.0.0.tgz", "w:gz") as tar:
    for name, text in [
        ("package/package.json", '{"name": "greeting", "version": "1.0.0", "main": "index.js"}'),
        ("package/index.js", "exports.greet = (name) => 'hello ' + name"),
    ]:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
"#;
    python(&["-c", make, directory.to_str().unwrap()]);
}

fn python(words: &[&str]) {
    let made = Command::new("/usr/bin/python3").args(["-I", "-S"]).args(words).status().unwrap();
    assert!(made.success());
}

/// Builds the packages into this directory.
pub fn make_wheels(directory: &Path) {
    let make = r#"
import sys, zipfile
directory, name, version = sys.argv[1:]
with zipfile.ZipFile(f"{directory}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    wheel.writestr(f"{name}.py", "def greet(name): return 'hello ' + name\n")
    info = f"{name}-{version}.dist-info/"
    wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
"#;
    for (name, version) in WHEELS {
        python(&["-c", make, directory.to_str().unwrap(), name, version]);
    }
}
