//! One example for each command: below its help, in its manual page, and after a slip.

/// The example of the command at this path, such as `get function`.
pub fn of(path: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(command, _)| *command == path).map(|(_, example)| *example)
}

const EXAMPLES: &[(&str, &str)] = &[
    ("create", "dispatch create -f resources.yaml"),
    ("create api", "dispatch create api hello-api hello --method GET --path /hello"),
    (
        "create base-image",
        "dispatch create base-image python3-base host:python3 --language python3",
    ),
    ("create function", "dispatch create function python3 hello hello.py --wait"),
    (
        "create image",
        "dispatch create image python3-pg python3-base --runtime-deps requirements.txt --wait",
    ),
    ("create seed-images", "dispatch create seed-images --wait"),
    ("create secret", "dispatch create secret mail-login secret.json"),
    (
        "create servicebroker",
        "dispatch create servicebroker pg http://127.0.0.1:8090 --auth-secret pg-admin",
    ),
    ("create serviceclass", "dispatch create serviceclass postgresql --broker pg"),
    ("create serviceinstance", "dispatch create serviceinstance my-db postgresql --wait"),
    ("create servicebinding", "dispatch create servicebinding my-db-reader my-db --wait"),
    ("get", "dispatch get functions"),
    ("get api", "dispatch get api"),
    ("get base-image", "dispatch get base-image python3-base"),
    ("get function", "dispatch get function hello -o wide"),
    ("get image", "dispatch get image python3"),
    ("get run", "dispatch get run hello --last --json"),
    ("get secret", "dispatch get secret mail-login --all"),
    ("get servicebroker", "dispatch get servicebroker pg"),
    ("get serviceclass", "dispatch get serviceclass --available"),
    ("get serviceinstance", "dispatch get serviceinstance my-db"),
    ("get servicebinding", "dispatch get servicebinding -o wide"),
    ("get orphans", "dispatch get orphans -o wide"),
    ("apply", "dispatch apply -f resources.yaml --wait"),
    ("update", "dispatch update -f resources.yaml"),
    ("update serviceclass", "dispatch update serviceclass postgresql --default-plan shared-small"),
    ("delete", "dispatch delete -f resources.yaml --wait"),
    ("delete api", "dispatch delete api hello-api"),
    ("delete base-image", "dispatch delete base-image python3-base"),
    ("delete function", "dispatch delete function hello"),
    ("delete image", "dispatch delete image python3-pg --if-unused"),
    ("delete secret", "dispatch delete secret mail-login"),
    ("delete servicebroker", "dispatch delete servicebroker pg --cascade --wait"),
    ("delete serviceclass", "dispatch delete serviceclass postgresql --broker pg"),
    ("delete serviceinstance", "dispatch delete serviceinstance my-db --wait"),
    ("delete servicebinding", "dispatch delete servicebinding my-db-reader --wait"),
    ("describe", "dispatch describe serviceclass postgresql"),
    ("describe api", "dispatch describe api hello-api"),
    ("describe base-image", "dispatch describe base-image python3-base"),
    ("describe function", "dispatch describe function hello"),
    ("describe image", "dispatch describe image python3-pg"),
    ("describe secret", "dispatch describe secret mail-login"),
    ("describe serviceclass", "dispatch describe serviceclass postgresql"),
    ("describe servicebroker", "dispatch describe servicebroker pg"),
    ("describe serviceinstance", "dispatch describe serviceinstance my-db"),
    ("describe servicebinding", "dispatch describe servicebinding my-db-reader"),
    ("catalog", "dispatch catalog postgresql"),
    ("exec", "dispatch exec hello --wait --input '{\"name\": \"Jon\"}'"),
    ("logs", "dispatch logs hello -f --tail 20"),
    ("rotate", "dispatch rotate servicebinding my-db --wait"),
    ("rotate servicebinding", "dispatch rotate servicebinding my-db --wait"),
    ("retry", "dispatch retry serviceinstance my-db --wait"),
    ("retry serviceinstance", "dispatch retry serviceinstance my-db --wait"),
    ("refresh", "dispatch refresh servicebroker pg --wait"),
    ("refresh servicebroker", "dispatch refresh servicebroker pg --wait"),
    ("login", "dispatch login --service-account ci --jwt-private-key ci.key"),
    ("logout", "dispatch logout"),
    ("version", "dispatch version --json"),
    ("manage", "dispatch manage context"),
    ("manage context", "dispatch manage context --set production"),
    ("completion", "source <(dispatch completion bash)"),
    ("completion bash", "source <(dispatch completion bash)"),
    ("completion zsh", "source <(dispatch completion zsh)"),
    ("completion fish", "dispatch completion fish | source"),
    ("doctor", "dispatch doctor -o json"),
    ("help", "dispatch help create function"),
    ("server", "dispatch server --port 8080"),
    ("server check-config", "dispatch server check-config --config server.toml"),
    ("broker", "dispatch broker postgresql --data pg-broker --admin-url-file admin.url"),
    ("broker postgresql", "dispatch broker postgresql --data pg-broker --admin-url-file admin.url"),
];

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::usage::tree;

    /// As a shell splits it, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('\'').enumerate().flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        quoted.collect()
    }

    fn paths(command: &Command, above: &str, all: &mut Vec<String>) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let path = format!("{above} {}", below.get_name()).trim_start().to_owned();
            paths(below, &path, all);
            all.push(path);
        }
    }

    #[test]
    fn every_command_has_an_example_and_no_other_has_one() {
        let mut all = Vec::new();
        paths(&tree::command(), "", &mut all);
        let known: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        for path in &all {
            assert!(known.contains(&path.as_str()), "{path} has no example");
        }
        for path in known {
            assert!(all.iter().any(|known| known == path), "{path} is no command");
        }
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        for (path, example) in EXAMPLES {
            let command = example.trim_start_matches("source <(").trim_end_matches(')');
            let command = command.trim_end_matches(" | source");
            let matches = tree::command().try_get_matches_from(words(command));
            let matches = matches.unwrap_or_else(|error| panic!("{example}: {error}"));
            let chosen = crate::usage::path(&matches).join(" ");
            assert!(chosen.starts_with(path), "{example} is of {chosen}, not of {path}");
        }
    }
}
