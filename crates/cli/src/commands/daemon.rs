//! What the long-running commands share: threads, logs on stderr, and signals (decisions 16 and 19a).

use std::{
    future::Future,
    io::{self, IsTerminal as _, Write as _},
};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt as _, reload};

use crate::error::CliError;

/// Runs until the future ends, with all processors.
pub fn run(serving: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serving)
}

/// What is logged, and the way to change that.
pub struct Log(reload::Handle<EnvFilter, Registry>);

/// Logs to stderr: text on a terminal, JSON elsewhere. `wanted` is a level, or a list of `target=level`.
pub fn log_to_stderr(wanted: &str) -> Result<Log, CliError> {
    let (filter, handle) = reload::Layer::new(filter(wanted)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber is no reason not to start.
    let _ = if io::stderr().is_terminal() {
        tracing::subscriber::set_global_default(registry.with(lines.with_target(false)))
    } else {
        tracing::subscriber::set_global_default(registry.with(lines.json()))
    };
    Ok(Log(handle))
}

impl Log {
    pub fn change(&self, wanted: EnvFilter) -> Result<(), CliError> {
        self.0.reload(wanted).map_err(|error| failed(&error))
    }
}

pub fn filter(wanted: &str) -> Result<EnvFilter, CliError> {
    EnvFilter::try_new(wanted).map_err(|error| {
        CliError::input(format!("the log level {wanted:?} is not understood: {error}"))
            .hint("error, warn, info, debug or trace; or target=level, separated by commas")
    })
}

/// An error of a library with everything that led to it.
pub fn failed(error: &dyn std::error::Error) -> CliError {
    let mut text = error.to_string();
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        text.push_str(&format!(": {deeper}"));
        cause = deeper;
    }
    CliError::input(text)
}

/// Tells systemd, where it listens (sd_notify).
pub fn tell_service_manager(state: &str) {
    use std::os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    };
    let Ok(place) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match place.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&place),
    };
    // Nobody to tell is no reason to stop.
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}

/// A line on stdout that scripts can wait for.
pub fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Ends with the first SIGTERM or SIGINT. A second one ends the process at once. Must be called inside a tokio runtime,
/// before anybody is told that there is something to stop: from the call on, not from the first poll, none is missed.
pub fn asked_to_stop() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    }
}

/// SIGHUP, each time that it comes. Must be called inside a tokio runtime; from then on the signal ends nothing.
pub fn asked_to_reload() -> io::Result<tokio::signal::unix::Signal> {
    signal(SignalKind::hangup())
}
