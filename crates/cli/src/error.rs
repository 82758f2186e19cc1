//! What can go wrong in a command, and how a person reads it. Every error of v0.1.22 ends with code 1.

use std::{error::Error, fmt::Write as _, io};

use dispatch_api::{ClientError, ErrorBody, Fault};

use crate::output::clean;

/// An error with what to do about it.
#[derive(Debug)]
pub struct CliError {
    pub kind: Kind,
    /// Whole lines below the message. They name only commands that exist.
    pub hints: Vec<String>,
}

#[derive(Debug)]
pub enum Kind {
    /// The command line itself is wrong; the usage of the command follows.
    Arguments(String),
    /// A file, value or setting that was given is wrong.
    Input(String),
    /// The server refused, or could not be asked.
    Client(ClientError),
    /// The answer or the result line could not be written.
    Output(io::Error),
    /// Everything has been said on the progress line.
    Said,
    /// What was waited for is there and cannot be used, which has been said as well.
    NotReady,
}

impl CliError {
    pub fn arguments(message: impl Into<String>) -> Self {
        Kind::Arguments(message.into()).into()
    }

    pub fn input(message: impl Into<String>) -> Self {
        Kind::Input(message.into()).into()
    }

    /// What the server would say, had it been asked.
    pub fn exists(what: &str) -> Self {
        let message = format!("{what} already exists");
        let body = ErrorBody { code: 409, message, error: None, faults: Vec::new() };
        ClientError::Refused { status: 409, body }.into()
    }

    #[must_use]
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Client(ClientError::Refused { status, .. }) => Some(*status),
            _ => None,
        }
    }

    pub fn refusal(&self) -> Option<&ErrorBody> {
        match &self.kind {
            Kind::Client(ClientError::Refused { body, .. }) => Some(body),
            _ => None,
        }
    }

    /// What is written to stderr, without the usage of `Arguments`. Empty when there is nothing left to say.
    pub fn text(&self) -> String {
        let mut text = match &self.kind {
            Kind::Arguments(message) => format!("Error: {message}\n"),
            Kind::Input(message) => format!("{}\n", clean::text(message)),
            Kind::Client(error) => client_text(error),
            Kind::Output(error) => format!("failed to write the output: {error}\n"),
            Kind::Said | Kind::NotReady => String::new(),
        };
        for hint in &self.hints {
            text.push_str(&clean::text(hint));
            text.push('\n');
        }
        text
    }
}

impl From<Kind> for CliError {
    fn from(kind: Kind) -> Self {
        Self { kind, hints: Vec::new() }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Kind::Output(error).into()
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let hints = match &error {
            ClientError::Unreachable { source, .. } if is_about_certificates(source) => {
                Some("to do without that check: --insecure")
            }
            ClientError::Unreachable { base, .. } if is_loopback(base) => {
                Some("start one with: dispatch server")
            }
            ClientError::Unreachable { .. } | ClientError::Unexpected { .. } => {
                Some("which server is meant: dispatch manage context")
            }
            ClientError::Refused { status: 401, .. } => {
                Some("log in with: dispatch login --token TOKEN")
            }
            ClientError::Refused { body, .. } if is_about_organization(body) => {
                Some("choose one with --organization NAME; which is meant: dispatch manage context")
            }
            _ => None,
        };
        Self { kind: Kind::Client(error), hints: hints.map(str::to_owned).into_iter().collect() }
    }
}

fn is_about_organization(refusal: &ErrorBody) -> bool {
    let words = &refusal.message;
    words.starts_with(dispatch_api::ORGANIZATION_HEADER) || words.starts_with("organization ")
}

/// Neither library has a type for it that can be asked here.
fn is_about_certificates(error: &dyn Error) -> bool {
    let cause = root_cause(error);
    cause.contains("certificate") && cause.contains("invalid") || cause.contains("CA certificates")
}

fn is_loopback(base: &url::Url) -> bool {
    match base.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn client_text(error: &ClientError) -> String {
    match error {
        ClientError::Refused { body, .. } => refused_text(body),
        ClientError::Unreachable { base, source } => {
            format!("server {} cannot be reached: {}\n", place(base), root_cause(source))
        }
        other => format!("{}\n", clean::text(&other.to_string())),
    }
}

/// Scheme, host and port: a URL that was given may hold a password.
fn place(base: &url::Url) -> String {
    base.origin().ascii_serialization()
}

fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = clean::line(&cause.to_string());
    // "Connection refused (os error 111)"
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

fn refused_text(body: &ErrorBody) -> String {
    let message = clean::text(&body.message);
    let first = message.lines().next().unwrap_or_default();
    let said = match body.faults.as_slice() {
        [] => true,
        [only] => first.contains(&clean::line(&only.message)),
        _ => false,
    };
    if said {
        return format!("[Code: {}] {message}\n", body.code);
    }
    format!("[Code: {}] {first}\n{}", body.code, faults_text(&body.faults))
}

fn faults_text(faults: &[Fault]) -> String {
    let paths: Vec<String> = faults.iter().map(|fault| clean::line(&fault.path)).collect();
    let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (fault, path) in faults.iter().zip(&paths) {
        let message = clean::line(&fault.message);
        writeln!(text, "  {path:<width$}   {message}").expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str, faults: &[(&str, &str)]) -> CliError {
        let faults = faults
            .iter()
            .map(|(path, message)| Fault { path: (*path).into(), message: (*message).into() })
            .collect();
        let body = ErrorBody { code: 422, message: message.into(), error: None, faults };
        ClientError::Refused { status: 422, body }.into()
    }

    #[test]
    fn a_refusal_prints_its_code_and_every_fault_in_a_column() {
        let check = |error: CliError, expect: &str| assert_eq!(error.text(), expect);
        check(refused("secret a not found", &[]), "[Code: 422] secret a not found\n");
        check(
            refused("/url has no scheme", &[("/url", "has no scheme")]),
            "[Code: 422] /url has no scheme\n",
        );
        check(
            refused(
                "serviceinstance db: 2 faults\nand more",
                &[("/storage", "is not an integer"), ("/size", "unknown")],
            )
            .hint("nothing was created"),
            "[Code: 422] serviceinstance db: 2 faults\n  /storage   is not an integer\n  /size      unknown\nnothing was created\n",
        );
    }

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        let error = refused("bad \u{1b}[2Jthing\u{9b}1m", &[("/a\nb", "x\u{202e}y")]);
        assert_eq!(error.text(), "[Code: 422] bad thing1m\n  /a b   xy\n");
    }
}
