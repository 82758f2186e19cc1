//! How builds get out, whichever tool they run: hosts besides those of its URLs, and the proxy in between.

use super::{Address, Lookup, plan::host_and_port};

/// The first thing that cannot be used, as key and fragment.
pub(super) fn check(hosts: &[String], proxy: &Address) -> Result<(), (&'static str, String)> {
    for host in hosts {
        host_and_port(host).ok_or(("hosts", format!("{host:?} is not HOST[:PORT]")))?;
    }
    let good = proxy.is_empty() || proxy.proxy().is_some();
    let why = "it must be http://[USER:PASSWORD@]HOST:PORT; other kinds of proxy are not known";
    good.then_some(()).ok_or(("proxy", why.to_owned()))
}

/// The proxy that the tool was told, or else the environment's for such a URL. What cannot be used is noted.
pub(super) fn proxy(
    told: Option<&str>,
    url: &Address,
    variable: Lookup<'_>,
    not_used: &mut Vec<String>,
) -> Address {
    let Some(text) = told.map(str::to_owned).or_else(|| of_environment(url, variable)) else {
        return Address::default();
    };
    let address = Address::new(text);
    if address.proxy().is_some() {
        return address;
    }
    not_used.push("the proxy is not of the form http://HOST:PORT".to_owned());
    Address::default()
}

/// As HTTP libraries look for it; small letters win.
fn of_environment(url: &Address, variable: Lookup<'_>) -> Option<String> {
    let names: [&str; 4] = if url.web().is_some_and(|web| web.plain) {
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    };
    names.iter().find_map(|name| variable(name))
}

/// Hosts that are reached without it: those that the tool was told, or else the environment's.
pub(super) fn bypass(told: Option<&str>, variable: Lookup<'_>) -> Vec<String> {
    let of_environment = || ["no_proxy", "NO_PROXY"].iter().find_map(|name| variable(name));
    let hosts = told.map(str::to_owned).or_else(of_environment).unwrap_or_default();
    let hosts = hosts.split([',', ' ']).map(str::trim).filter(|host| !host.is_empty());
    hosts.map(str::to_owned).collect()
}
