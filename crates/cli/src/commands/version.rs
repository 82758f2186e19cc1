//! `dispatch version`: the client's line first, because it is known even when the server is not.

use dispatch_api::{Operation, version::Version};

use crate::{
    commands::App,
    error::CliError,
    output::json,
    session::{NO_BODY, Received, Session},
};

pub fn run(app: &App) -> Result<(), CliError> {
    let client = client();
    if !app.console.is_for_programs() {
        app.console.line(&format!("Client: {}", client.version))?;
    }
    app.connected(|session| server(session, client)).map(|_| ())
}

async fn server(session: Session, client: Version) -> Result<(), CliError> {
    let server: Received<Version> = session.call(Operation::GetVersion, &[], &[], NO_BODY).await?;
    let console = session.console;
    if !console.is_for_programs() {
        return console.line(&format!("Server: {}", server.body.version));
    }
    // Two spaces here, unlike everywhere else (contract §3.5).
    let client = serde_json::to_string(&client).expect("a version is plain data");
    let both = format!("{{\"client\":{client},\"server\":{}}}", server.raw.get());
    console.block(&format!("{}\n", json::indented(&both, 2)))
}

/// This program. The fields are v0.1.22's, so `goVersion` holds the compiler's version.
fn client() -> Version {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Version {
        version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
        commit: option_env!("DISPATCH_COMMIT").unwrap_or("unknown").to_owned(),
        build_date: option_env!("DISPATCH_BUILD_DATE").unwrap_or("unknown").to_owned(),
        go_version: concat!("rust ", env!("CARGO_PKG_RUST_VERSION")).to_owned(),
        compiler: "rustc".to_owned(),
        platform: format!("{}/{machine}", std::env::consts::OS),
    }
}
