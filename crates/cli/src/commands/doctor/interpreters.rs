//! The interpreters of this machine, found as a server finds them, and asked inside a sandbox.

use dispatch_engine::{Entropy as _, SystemEntropy};
use dispatch_runtime::{
    host::{self, HostError, Interpreter, Language},
    probe,
    spawner::Spawner,
};

use super::check::Check;
use crate::commands::daemon;

/// In the order of [`Language::ALL`].
pub type Found = Vec<Result<Interpreter, HostError>>;

pub fn find() -> Found {
    let path = std::env::var_os("PATH");
    Language::ALL.into_iter().map(|language| host::find(language, path.as_deref())).collect()
}

pub fn name(language: Language) -> String {
    format!("interpreter.{language}")
}

/// With the tool that installs packages for each.
pub async fn checks(found: Found, spawner: Option<&Spawner>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (language, found) in Language::ALL.into_iter().zip(found) {
        let name = name(language);
        let interpreter = match found {
            Ok(interpreter) => interpreter,
            Err(error) => {
                checks.push(refused(&name, &error));
                continue;
            }
        };
        let place = format!("{} {}", interpreter.version, interpreter.executable.display());
        let said = match spawner {
            Some(spawner) => ask(&interpreter, spawner).await.map(Some),
            None => Ok(None),
        };
        match said {
            Ok(None) => checks.push(Check::ok(&name, format!("{place}, not tried in a sandbox"))),
            Ok(Some(said)) => {
                checks.push(Check::ok(&name, format!("{place}, answers in a sandbox")));
                checks.push(tool(&interpreter, &said));
            }
            Err(why) => checks.push(Check::wrong(
                &name,
                format!("{place} does not answer in a sandbox: {why}"),
                format!("install {language} again, or put another one on the server's PATH"),
            )),
        }
    }
    checks
}

/// Says whether pip is there; for Node.js that is seen in its files.
async fn ask(interpreter: &Interpreter, spawner: &Spawner) -> Result<String, String> {
    let question: &[&str] = match interpreter.language {
        Language::Python3 => {
            &["-I", "-c", "import importlib.util as u; print('pip' if u.find_spec('pip') else '')"]
        }
        Language::NodeJs => &["-e", "console.log('npm')"],
    };
    let program = interpreter.executable.display().to_string();
    let argv = std::iter::once(program).chain(question.iter().map(|word| (*word).to_owned()));
    let asked = probe::run(spawner, SystemEntropy.uuid(), interpreter.base(), argv.collect()).await;
    match asked {
        Ok(answer) => Ok(answer.said),
        Err(error) => Err(daemon::failed(&error).text().trim_end().to_owned()),
    }
}

fn tool(interpreter: &Interpreter, said: &str) -> Check {
    match interpreter.language {
        Language::Python3 if said == "pip" => Check::ok("packages.pip", "importable"),
        Language::Python3 => Check::missing(
            "packages.pip",
            "python3 has no pip: no requirements.txt can be installed",
            "apt-get install python3-pip (Fedora: dnf install python3-pip)",
        ),
        Language::NodeJs => match host::npm(interpreter) {
            Some(npm) => Check::ok("packages.npm", npm.display().to_string()),
            None => Check::missing(
                "packages.npm",
                "there is no npm: no package.json can be installed",
                "apt-get install npm (Fedora: dnf install npm)",
            ),
        },
    }
}

/// The error says both what and what to do, between them a semicolon.
fn refused(name: &str, error: &HostError) -> Check {
    let text = daemon::failed(error).text();
    let (what, remedy) = text.trim_end().split_once("; ").unwrap_or((text.trim_end(), ""));
    match error {
        HostError::Missing { .. } => Check::missing(name, what, remedy),
        HostError::Broken { .. } | HostError::TooOld { .. } => Check::wrong(name, what, remedy),
        HostError::NotGlibc { .. } => {
            Check::wrong(name, what, "put one that is linked with glibc on the server's PATH")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_to_install_are_told_apart() {
        let missing = HostError::Missing { language: Language::NodeJs };
        let check = refused("interpreter.nodejs", &missing);
        assert_eq!(check.detail, "there is no node in /usr/bin or on the PATH");
        let remedy = check.remedy.unwrap();
        assert!(remedy.starts_with("install it (Debian: apt-get install nodejs"), "{remedy}");
    }
}
