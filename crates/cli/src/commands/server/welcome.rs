//! What a server says when it has started: where it listens, and the first time what to do next.

use std::{fmt::Write as _, path::Path};

use dispatch_broker::postgresql;
use dispatch_runtime::host::{self, Language};
use dispatch_server::server::Addresses;

/// The first line is what scripts wait for.
pub fn addresses(addresses: Addresses) -> String {
    let Addresses { control_plane, gateway, gateway_tls } = addresses;
    format!(
        "dispatch server listens on http://{control_plane}\n\
         API gateway: http://{gateway} and https://{gateway_tls}"
    )
}

/// The way to a first function on this machine as it is.
pub async fn first(client_config: &Path) -> String {
    let looked = tokio::task::spawn_blocking(|| {
        let path = std::env::var_os("PATH");
        let language = Language::ALL
            .into_iter()
            .find(|language| host::find(*language, path.as_deref()).is_ok());
        (language, postgresql::programs().is_ok())
    });
    let (language, has_postgresql) = looked.await.unwrap_or((None, false));
    let mut text = String::new();
    if !client_config.as_os_str().is_empty() {
        writeln!(text, "login for the command line: {}", client_config.display())
            .expect("a String takes everything");
    }
    text + &next(language, has_postgresql)
}

fn next(language: Option<Language>, has_postgresql: bool) -> String {
    let first = match language {
        Some(language) => function(language),
        None => "  there is no interpreter for functions on this machine: apt-get install python3 (or nodejs)\n"
            .to_owned(),
    };
    let service = if has_postgresql {
        ""
    } else {
        "  (first, as this machine has no PostgreSQL: apt-get install postgresql)\n"
    };
    format!(
        "\nA first function, in another terminal:\n{first}\
         A database for it:\n{service}  \
         dispatch create servicebroker pg --builtin postgresql --param managed=true\n  \
         dispatch create serviceinstance db postgresql shared-small --wait\n\
         What this machine allows: dispatch doctor"
    )
}

fn function(language: Language) -> String {
    let (file, code) = match language {
        Language::Python3 => {
            ("hello.py", r#"def handle(ctx, payload): return "Hello, " + payload["name"]"#)
        }
        Language::NodeJs => {
            ("hello.js", r#"module.exports = (context, params) => "Hello, " + params.name"#)
        }
    };
    format!(
        "  echo '{code}' > {file}\n  \
         dispatch create base-image {language}-base host:{language} --language {language}\n  \
         dispatch create image {language} {language}-base\n  \
         dispatch create function {language} hello {file} --wait\n  \
         dispatch exec hello --wait --input '{{\"name\": \"Jon\"}}'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_before_the_command_that_needs_it() {
        let check = |language, has_postgresql, has: &[&str], has_not: &[&str]| {
            let text = next(language, has_postgresql);
            has.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
            has_not.iter().for_each(|part| assert!(!text.contains(part), "{part}: {text}"));
        };
        let install = "apt-get install postgresql";
        check(Some(Language::Python3), true, &["hello.py", "host:python3"], &["apt-get"]);
        check(Some(Language::NodeJs), false, &["hello.js", "host:nodejs", install], &["python3"]);
        check(None, true, &["apt-get install python3"], &["create function", install]);
    }
}
