//! Settings of the server, put together. Nothing is opened here but `server.toml`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use dispatch_server::{
    config::{Given, Resolved, Settings, SettingsError},
    packages::Build,
};

use super::Flags;
use crate::{commands::daemon, error::CliError, files};

/// Names the file; everything else with this prefix is a key of it.
const CONFIG_VARIABLE: &str = "DISPATCH_SERVER_CONFIG";

/// What a server is told, and the file that was read for it, if there is one.
#[derive(Debug)]
pub struct Read {
    pub resolved: Resolved,
    pub file: Option<PathBuf>,
}

/// Everything that is wrong is told at once.
pub fn resolve(
    flags: &Flags,
    environment: &[(String, String)],
    is_root: bool,
) -> Result<Read, CliError> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let places = Places::new(&variable, is_root);
    let file = file(flags, &variable, &places);
    let mut given = Given::new(Settings {
        data: places.data,
        keys: places.config.join("keys"),
        client_config: places.client_config,
        build: Build::found(&variable),
        ..Settings::default()
    });
    if let Some(file) = &file {
        given.file(file).map_err(|error| match error {
            SettingsError::Unreadable { path, source } => {
                let why = files::why_not(&path, &source);
                CliError::input(format!("cannot read the configuration {}: {why}", path.display()))
                    .hint("name another file: --config FILE (DISPATCH_SERVER_CONFIG)")
            }
            wrong @ SettingsError::Wrong { .. } => daemon::failed(&wrong),
        })?;
    }
    let keys = environment.iter().filter(|(name, _)| name != CONFIG_VARIABLE);
    given.variables(keys.cloned());
    flags.put(&mut given);
    if let Err(error) = daemon::filter(&given.settings().log) {
        given.refuse("log", &error.text().trim_end().replace('\n', "; "));
    }
    let resolved = given.finish().map_err(|error| daemon::failed(&error))?;
    Ok(Read { resolved, file })
}

/// The environment of this process, as far as it is text.
pub fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Where things are by default: XDG directories, and for root the machine's, unless XDG variables say otherwise.
struct Places {
    data: PathBuf,
    config: PathBuf,
    client_config: PathBuf,
}

impl Places {
    fn new(variable: &dyn Fn(&str) -> Option<String>, is_root: bool) -> Self {
        let home = PathBuf::from(variable("HOME").unwrap_or_else(|| "/".to_owned()));
        let place = |name: &str, of_root: &str, of_user: &str| match variable(name) {
            Some(folder) => Path::new(&folder).join("dispatch"),
            None if is_root => PathBuf::from(of_root),
            None => home.join(of_user),
        };
        Self {
            data: place("XDG_DATA_HOME", "/var/lib/dispatch", ".local/share/dispatch"),
            config: place("XDG_CONFIG_HOME", "/etc/dispatch", ".config/dispatch"),
            client_config: home.join(".dispatch").join("config.json"),
        }
    }
}

/// A file that was named has to exist; the usual one may be missing.
fn file(
    flags: &Flags,
    variable: &dyn Fn(&str) -> Option<String>,
    places: &Places,
) -> Option<PathBuf> {
    let named = flags.config.clone().or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    let usual = places.config.join("server.toml");
    named.or_else(|| usual.exists().then_some(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(args: &Flags, environment: &[(&str, &str)], is_root: bool) -> Settings {
        let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        resolve(args, &owned.collect::<Vec<_>>(), is_root).unwrap().resolved.settings
    }

    #[test]
    fn places_are_the_users_the_machines_or_where_xdg_says() {
        let check = |environment: &[(&str, &str)], is_root, data: &str, keys: &str| {
            let settings = resolved(&Flags::default(), environment, is_root);
            assert_eq!(
                (settings.data.as_path(), settings.keys.as_path()),
                (Path::new(data), Path::new(keys))
            );
        };
        let xdg = [("HOME", "/h"), ("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c")];
        check(&xdg[..1], false, "/h/.local/share/dispatch", "/h/.config/dispatch/keys");
        check(&xdg[..1], true, "/var/lib/dispatch", "/etc/dispatch/keys");
        check(&xdg, false, "/d/dispatch", "/c/dispatch/keys");
        check(&xdg, true, "/d/dispatch", "/c/dispatch/keys");
        let settings = resolved(&Flags::default(), &xdg, true);
        assert_eq!(settings.client_config, Path::new("/h/.dispatch/config.json"));
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"127.0.0.2:1\"\nskip_auth = true\n").unwrap();
        let config = Some(file.path().to_owned());
        let check = |args: Flags, environment: &[(&str, &str)], listen: &str, gateway: &str| {
            let settings = resolved(&args, environment, false);
            let got = (settings.listen.to_string(), settings.gateway_listen.to_string());
            assert_eq!(got, (listen.to_owned(), gateway.to_owned()));
        };
        let variable = [("DISPATCH_SERVER_LISTEN", "127.0.0.3:2")];
        check(Flags::default(), &[], "127.0.0.1:8080", "127.0.0.1:8081");
        check(
            Flags { config: config.clone(), ..Flags::default() },
            &[],
            "127.0.0.2:1",
            "127.0.0.1:8081",
        );
        check(Flags { config, ..Flags::default() }, &variable, "127.0.0.3:2", "127.0.0.1:8081");
        let named = [("DISPATCH_SERVER_CONFIG", file.path().to_str().unwrap())];
        check(Flags::default(), &named, "127.0.0.2:1", "127.0.0.1:8081");
        check(
            Flags { port: Some(0), ..Flags::default() },
            &variable,
            "127.0.0.3:0",
            "127.0.0.1:8081",
        );
        let host = Flags { host: Some("::1".into()), gateway_port: Some(7), ..Flags::default() };
        check(host, &variable, "[::1]:2", "[::1]:7");
        let listen = Flags { listen: Some("localhost:9".into()), ..Flags::default() };
        check(listen, &variable, "127.0.0.1:9", "127.0.0.1:8081");
    }

    #[test]
    fn an_open_address_and_an_unknown_key_are_refused() {
        let check = |args: &Flags, environment: &[(&str, &str)], expect: &str| {
            let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let error = resolve(args, &owned.collect::<Vec<_>>(), false).unwrap_err().text();
            assert!(error.contains(expect), "{error}");
        };
        let open = || Flags { host: Some("0.0.0.0".into()), ..Flags::default() };
        check(&open(), &[], "--host: listen: 0.0.0.0:8080 is not a loopback");
        check(
            &Flags::default(),
            &[("DISPATCH_SERVER_LISTNE", "x")],
            "did you mean DISPATCH_SERVER_LISTEN?",
        );
        check(
            &Flags { listen: Some("nowhere".into()), ..Flags::default() },
            &[],
            "--listen: \"nowhere\" is not an address",
        );
        let both =
            Flags { host: Some("0.0.0.0".into()), listen: Some("x".into()), ..Flags::default() };
        check(&both, &[("DISPATCH_SERVER_LGO", "x")], "DISPATCH_SERVER_LOG?\n--listen");
        check(&Flags { config: Some("/nowhere".into()), ..Flags::default() }, &[], "/nowhere");
        let meant = Flags { insecure_listen: true, ..open() };
        assert_eq!(resolved(&meant, &[], false).listen.to_string(), "0.0.0.0:8080");
    }
}
