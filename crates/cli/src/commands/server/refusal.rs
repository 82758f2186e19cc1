//! Why a server does not start, each in one sentence and what to do about it.

use std::io;

use dispatch_server::{StartError, preflight::Obstacle};

use crate::{commands::daemon, error::CliError, files};

pub fn of_start(error: &StartError) -> CliError {
    match error {
        StartError::Listen { key, address, source } => {
            let (flag, variable) = match *key {
                "gateway_listen" => ("--gateway-port PORT", "DISPATCH_SERVER_GATEWAY_LISTEN"),
                "gateway_tls_listen" => {
                    ("--gateway-tls-port PORT", "DISPATCH_SERVER_GATEWAY_TLS_LISTEN")
                }
                _ => ("--port PORT", "DISPATCH_SERVER_LISTEN"),
            };
            let flag = match source.kind() {
                io::ErrorKind::AddrNotAvailable => "--host ADDRESS",
                _ => flag,
            };
            let (why, remedy) = match source.kind() {
                io::ErrorKind::AddrInUse => {
                    ("another program listens there".to_owned(), "end that program, or choose")
                }
                io::ErrorKind::AddrNotAvailable => {
                    ("this machine has no such address".to_owned(), "choose")
                }
                io::ErrorKind::PermissionDenied => {
                    ("ports below 1024 are root's".to_owned(), "choose")
                }
                _ => (files::why(source), "choose"),
            };
            CliError::input(format!("cannot listen on {address}: {why}"))
                .hint(format!("{remedy} another place: {flag} ({key} in server.toml, {variable})"))
        }
        other => daemon::failed(other),
    }
}

pub fn obstacle(obstacle: &Obstacle) -> CliError {
    let key = obstacle.key;
    let flag = match key {
        "data" => "--data DIR, ",
        "keys" => "--keys DIR, ",
        _ => "",
    };
    CliError::input(obstacle.why.clone()).hint(format!(
        "{} ({flag}{key} in server.toml, DISPATCH_SERVER_{})",
        obstacle.remedy,
        key.to_uppercase()
    ))
}
