//! Completion of commands, flags, and names of objects that the server knows. The shell calls this program with
//! `DISPATCH_COMPLETE` set; `dispatch completion SHELL` prints what tells it to.

use std::{ffi::OsStr, time::Duration};

use clap::{Arg, ArgAction, Command};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter},
    env::Shells,
};
use dispatch_api::Operation;
use serde::Deserialize;

use crate::{
    commands::App,
    config::Flags,
    error::CliError,
    output::{Console, Format, shell},
    session::{NO_BODY, Received},
    usage::tree,
};

/// Set by the shell for the time of one completion.
const VARIABLE: &str = "DISPATCH_COMPLETE";
/// Whoever presses a key does not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Completes a command line if a shell asks for it. Called before there are threads.
pub fn main_if_asked() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(with_names).var(VARIABLE);
    // A shell shows errors in the middle of the line that is being written.
    asked.try_complete(std::env::args_os(), folder.as_deref()).unwrap_or(true)
}

/// What a shell has to read once to call this program for completion.
pub fn registration(shell: &str) -> Result<String, CliError> {
    let shells = Shells::builtins();
    let completer =
        shells.completer(shell).expect("only shells that the library knows are offered");
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "dispatch", "dispatch", "dispatch", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// What a word of the command line names.
#[derive(Debug, Clone, Copy)]
enum Slot {
    /// An object that this lists.
    Object(Operation),
    File,
    /// Something new.
    Free,
}

const FUNCTION: Slot = Slot::Object(Operation::ListFunctions);
const CLASS: Slot = Slot::Object(Operation::ListServiceClasses);

/// The nouns of verbs that take the name of one object.
const NOUNS: &[(&str, Slot)] = &[
    ("api", Slot::Object(Operation::ListApis)),
    ("base-image", Slot::Object(Operation::ListBaseImages)),
    ("function", FUNCTION),
    ("image", Slot::Object(Operation::ListImages)),
    ("run", FUNCTION),
    ("secret", Slot::Object(Operation::ListSecrets)),
    ("servicebinding", Slot::Object(Operation::ListServiceBindings)),
    ("servicebroker", Slot::Object(Operation::ListServiceBrokers)),
    ("serviceclass", CLASS),
    ("serviceinstance", Slot::Object(Operation::ListServiceInstances)),
];

/// Commands whose words mean something else.
const WORDS: &[(&str, &[Slot])] = &[
    ("catalog", &[CLASS]),
    ("create api", &[Slot::Free, FUNCTION]),
    ("create function", &[Slot::Object(Operation::ListImages), Slot::Free, Slot::File]),
    ("create image", &[Slot::Free, Slot::Object(Operation::ListBaseImages)]),
    ("create secret", &[Slot::Free, Slot::File]),
    ("create servicebinding", &[Slot::Free, Slot::Object(Operation::ListServiceInstances)]),
    ("create serviceinstance", &[Slot::Free, CLASS]),
    ("exec", &[FUNCTION]),
    ("logs", &[FUNCTION]),
];

/// Flags that name an object, in every command that has them.
const FLAGS: &[(&str, Slot)] = &[
    ("auth-secret", Slot::Object(Operation::ListSecrets)),
    ("binding-secret", Slot::Object(Operation::ListSecrets)),
    ("broker", Slot::Object(Operation::ListServiceBrokers)),
    ("image", Slot::Object(Operation::ListImages)),
    ("secret", Slot::Object(Operation::ListSecrets)),
    ("service", Slot::Object(Operation::ListServiceInstances)),
];

/// The tree of commands with what each word names.
fn with_names() -> Command {
    named(tree::command(), &[])
}

fn named(command: Command, path: &[&str]) -> Command {
    let words = words(path);
    let first = words.first().copied().unwrap_or(Slot::Free);
    let command = command.mut_args(|arg| {
        let flag = FLAGS.iter().find(|(long, _)| arg.get_long() == Some(long));
        match flag {
            Some((_, slot)) => arg.add(ArgValueCompleter::new(*slot)),
            // The words of a command are one argument to the parser. Here each is one of its own, for the library
            // tells words apart by their arguments.
            None if arg.is_positional() => {
                arg.action(ArgAction::Set).num_args(1).add(ArgValueCompleter::new(first))
            }
            None => arg,
        }
    });
    let further = ["second", "third"].into_iter().zip(words.into_iter().skip(1)).zip(2..);
    let command = further.fold(command, |command, ((id, slot), index)| {
        let word = Arg::new(id).index(index).num_args(1);
        command.arg(word.add(ArgValueCompleter::new(slot)))
    });
    command.mut_subcommands(|below| {
        let name = below.get_name().to_owned();
        named(below, &[path, &[name.as_str()]].concat())
    })
}

fn words(path: &[&str]) -> Vec<Slot> {
    let line = path.join(" ");
    if let Some((_, slots)) = WORDS.iter().find(|(command, _)| *command == line) {
        return slots.to_vec();
    }
    match path {
        // Only what is made now has a name that nobody knows.
        ["create", _] => Vec::new(),
        [_, noun] => {
            let slot = NOUNS.iter().find(|(name, _)| name == noun);
            slot.map(|(_, slot)| *slot).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

impl ValueCompleter for Slot {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        match self {
            // A flag is being written.
            _ if current.as_encoded_bytes().starts_with(b"-") => Vec::new(),
            Self::Object(list) => {
                let begun = current.to_string_lossy();
                let names = names(*list).unwrap_or_default().into_iter();
                let fitting = names.filter(|name| name.starts_with(begun.as_ref()));
                fitting.map(CompletionCandidate::new).collect()
            }
            Self::File => PathCompleter::any().complete(current),
            Self::Free => Vec::new(),
        }
    }
}

/// The names that the server lists; an error is nobody's business now.
fn names(list: Operation) -> Result<Vec<String>, CliError> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let app = App { flags: Flags::default(), console: Console { format: Format::Name } };
    let session = app.session()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listed = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, session.call(list, &[], &[], NO_BODY)).await
    });
    let Ok(answer) = listed else { return Ok(Vec::new()) };
    let received: Received<Vec<Named>> = answer?;
    // A shell puts it on the line as it is.
    let names = received.body.into_iter().map(|object| object.name);
    Ok(names.filter(|name| shell::is_plain(name)).collect())
}
