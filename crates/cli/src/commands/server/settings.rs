//! Settings of the server, put together. Nothing is opened here but `server.toml`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use dispatch_server::{config::Settings, packages::Build};

use crate::{
    commands::{daemon, server::Args},
    error::CliError,
};

/// Names the file; everything else with this prefix is a key of it.
const CONFIG_VARIABLE: &str = "DISPATCH_SERVER_CONFIG";

pub(super) fn resolve(
    args: &Args,
    environment: &[(String, String)],
    is_root: bool,
) -> Result<Settings, CliError> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let places = Places::new(&variable, is_root);
    let file = file(args, &variable, &places);
    let defaults = Settings {
        data: places.data,
        keys: places.config.join("keys"),
        client_config: places.client_config,
        build: Build::found(&variable),
        ..Settings::default()
    };
    let keys = environment.iter().filter(|(name, _)| name != CONFIG_VARIABLE).cloned();
    let keys: Vec<(String, String)> = keys.collect();
    let load = |flags: Vec<(String, String)>| {
        let all = keys.iter().cloned().chain(flags);
        Settings::load(&defaults, file.as_deref(), all).map_err(|error| daemon::failed(&error))
    };
    // Once to learn the addresses that flags change in part, and once with the flags.
    let before = load(vec![pair("INSECURE_LISTEN", "true")])?;
    load(flags(args, &before)?)
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
    args: &Args,
    variable: &dyn Fn(&str) -> Option<String>,
    places: &Places,
) -> Option<PathBuf> {
    let named = args.config.clone().or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    let usual = places.config.join("server.toml");
    named.or_else(|| usual.exists().then_some(usual))
}

/// The flags as if they were the last variables of the environment.
fn flags(args: &Args, before: &Settings) -> Result<Vec<(String, String)>, CliError> {
    let mut flags = Vec::new();
    for (key, path) in [("DATA", &args.data), ("KEYS", &args.keys)] {
        if let Some(path) = path {
            let text = path.to_str().ok_or_else(|| {
                CliError::input(format!("{} has a name that is not UTF-8", path.display()))
            })?;
            flags.push(pair(key, text));
        }
    }
    let host = args.host.as_deref().map(address).transpose()?;
    let mut listen = match args.listen.as_deref().map(place).transpose()? {
        Some((ip, port)) => SocketAddr::new(ip, port.unwrap_or(before.listen.port())),
        None => before.listen,
    };
    listen.set_port(args.port.unwrap_or(listen.port()));
    let mut add = |key: &str, mut at: SocketAddr, port: Option<u16>| {
        at.set_ip(host.unwrap_or(at.ip()));
        at.set_port(port.unwrap_or(at.port()));
        flags.push(pair(key, &at.to_string()));
    };
    add("LISTEN", listen, None);
    add("GATEWAY_LISTEN", before.gateway_listen, args.gateway_port);
    add("GATEWAY_TLS_LISTEN", before.gateway_tls_listen, args.gateway_tls_port);
    for (key, given) in [("SKIP_AUTH", args.skip_auth), ("INSECURE_LISTEN", args.insecure_listen)] {
        if given {
            flags.push(pair(key, "true"));
        }
    }
    Ok(flags)
}

fn pair(key: &str, value: &str) -> (String, String) {
    (format!("DISPATCH_SERVER_{key}"), value.to_owned())
}

fn address(text: &str) -> Result<IpAddr, CliError> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let text = text.trim_start_matches('[').trim_end_matches(']');
    text.parse().map_err(|_| CliError::input(format!("{text:?} is not an address of this machine")))
}

/// `127.0.0.1`, `127.0.0.1:8080`, `[::1]:8080`.
fn place(text: &str) -> Result<(IpAddr, Option<u16>), CliError> {
    match text.parse::<SocketAddr>() {
        Ok(place) => Ok((place.ip(), Some(place.port()))),
        Err(_) => match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => Ok((Ipv4Addr::LOCALHOST.into(), Some(port))),
            _ => Ok((address(text)?, None)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(args: &Args, environment: &[(&str, &str)], is_root: bool) -> Settings {
        let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        resolve(args, &owned.collect::<Vec<_>>(), is_root).unwrap()
    }

    #[test]
    fn places_are_the_users_the_machines_or_where_xdg_says() {
        let check = |environment: &[(&str, &str)], is_root, data: &str, keys: &str| {
            let settings = resolved(&Args::default(), environment, is_root);
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
        let settings = resolved(&Args::default(), &xdg, true);
        assert_eq!(settings.client_config, Path::new("/h/.dispatch/config.json"));
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listen = \"127.0.0.2:1\"\nskip_auth = true\n").unwrap();
        let config = Some(file.path().to_owned());
        let check = |args: Args, environment: &[(&str, &str)], listen: &str, gateway: &str| {
            let settings = resolved(&args, environment, false);
            let got = (settings.listen.to_string(), settings.gateway_listen.to_string());
            assert_eq!(got, (listen.to_owned(), gateway.to_owned()));
        };
        let variable = [("DISPATCH_SERVER_LISTEN", "127.0.0.3:2")];
        check(Args::default(), &[], "127.0.0.1:8080", "127.0.0.1:8081");
        check(
            Args { config: config.clone(), ..Args::default() },
            &[],
            "127.0.0.2:1",
            "127.0.0.1:8081",
        );
        check(Args { config, ..Args::default() }, &variable, "127.0.0.3:2", "127.0.0.1:8081");
        let named = [("DISPATCH_SERVER_CONFIG", file.path().to_str().unwrap())];
        check(Args::default(), &named, "127.0.0.2:1", "127.0.0.1:8081");
        check(
            Args { port: Some(0), ..Args::default() },
            &variable,
            "127.0.0.3:0",
            "127.0.0.1:8081",
        );
        let host = Args { host: Some("::1".into()), gateway_port: Some(7), ..Args::default() };
        check(host, &variable, "[::1]:2", "[::1]:7");
        let listen = Args { listen: Some("localhost:9".into()), ..Args::default() };
        check(listen, &variable, "127.0.0.1:9", "127.0.0.1:8081");
    }

    #[test]
    fn an_open_address_and_an_unknown_key_are_refused() {
        let check = |args: &Args, environment: &[(&str, &str)], expect: &str| {
            let owned = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let error = resolve(args, &owned.collect::<Vec<_>>(), false).unwrap_err().text();
            assert!(error.contains(expect), "{error}");
        };
        let open = || Args { host: Some("0.0.0.0".into()), ..Args::default() };
        check(&open(), &[], "insecure_listen");
        check(&Args::default(), &[("DISPATCH_SERVER_LISTNE", "x")], "did you mean listen?");
        check(
            &Args { listen: Some("nowhere".into()), ..Args::default() },
            &[],
            "is not an address",
        );
        check(&Args { config: Some("/nowhere".into()), ..Args::default() }, &[], "/nowhere");
        let meant = Args { insecure_listen: true, ..open() };
        assert_eq!(resolved(&meant, &[], false).listen.to_string(), "0.0.0.0:8080");
    }
}
