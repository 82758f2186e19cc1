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
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::pip::{Address, Config};

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
        let own =
            with_tls.then(|| tls::load_or_create(&directory.path().join("tls"), &[]).unwrap());
        let shelf = Arc::new(Shelf { directory, hangs, asked: Mutex::default() });
        let service = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        let service = service
            .map_request(|request: http::Request<hyper::body::Incoming>| request.map(Body::new))
            .map_err(|never: Infallible| never);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if with_tls { "https" } else { "http" };
        let place =
            format!("{scheme}://{{}}127.0.0.1:{}/simple/", socket.local_addr().unwrap().port());
        let config =
            own.as_ref().map(|own| Arc::new(arc_swap::ArcSwap::from(Arc::clone(&own.config))));
        let stop = CancellationToken::new();
        let limits = listener::Limits::default();
        tokio::spawn(listener::serve(socket, config, service, limits, stop.clone()));
        let certificate = own.map(|own| own.certificate);
        Self { place, shelf, certificate, _stop: stop.drop_guard() }
    }

    /// Its URL with `user:password@`, or nothing, before the host.
    pub fn url(&self, user: &str) -> String {
        self.place.replace("{}", user)
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
        let made = Command::new("/usr/bin/python3")
            .args(["-I", "-S", "-c", make])
            .arg(directory)
            .args([name, version])
            .status()
            .unwrap();
        assert!(made.success());
    }
}
