//! `dispatch broker postgresql --included`: as the server starts it (`builtin`). What it is told comes as one line on
//! stdin, which stays open for as long as the broker is wanted; where it listens, or why not, goes to stdout.

use std::{
    io::{self, Read as _},
    path::PathBuf,
    thread,
    time::Duration,
};

use dispatch_broker::{
    DataError,
    postgresql::{
        AdminUrlSource, AuthenticationSource, DedicatedOptions, ManagedOptions, Opened, Options,
        ServeError, open, remove,
    },
};
use dispatch_server::included::{
    arguments::Arguments,
    line::{Login, Order, Report, Task},
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant, sleep},
};
use url::Url;
use zeroize::Zeroizing;

use super::postgresql::{DEDICATED_PORTS, range};
use crate::{commands::daemon, error::CliError};

/// Of the shared server, where the broker makes it.
const MANAGED_PORTS: &str = "41800-41899";
/// For requests under way when the server asks it to stop, or is no more.
const STOP: Duration = Duration::from_secs(10);
/// For a broker whose server was killed to let go of the data directory.
const PREDECESSOR: Duration = Duration::from_secs(25);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

pub fn run(data: PathBuf) -> Result<(), CliError> {
    let result = told(data);
    if let Err(error) = &result {
        report(&Report::Failed(error.text()));
    }
    result
}

fn told(data: PathBuf) -> Result<(), CliError> {
    let order = Order::read(&mut io::stdin())
        .map_err(|error| CliError::input(error.to_string()).hint("only a server starts it so"))?;
    let log = std::env::var("DISPATCH_LOG").unwrap_or_else(|_| "info".to_owned());
    daemon::log_to_stderr(&log)?;
    daemon::run(async {
        let hung_up = hang_up();
        match order.task {
            Task::Remove => remove(&data).await.map_err(|error| daemon::failed(&error)),
            Task::Serve => {
                let options = options(data, &order)?;
                drop(order);
                serve(options, hung_up).await
            }
        }
    })
}

async fn serve(options: Options, hung_up: oneshot::Receiver<()>) -> Result<(), CliError> {
    let mut hung_up = hung_up;
    let opened = tokio::select! {
        opened = opened(options) => opened.map_err(|error| daemon::failed(&error))?,
        _ = &mut hung_up => return Ok(()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    report(&Report::Listening(listener.local_addr()?));
    let asked_to_stop = daemon::asked_to_stop();
    let over = async {
        tokio::select! {
            _ = hung_up => {}
            () = asked_to_stop => {}
        }
    };
    opened.serve(listener, over).await;
    Ok(())
}

/// Waits for an earlier process that still has the data directory: its server was killed, and it is about to notice.
async fn opened(options: Options) -> Result<Opened, ServeError> {
    let deadline = Instant::now() + PREDECESSOR;
    loop {
        match open(options.clone()).await {
            Err(ServeError::Data(DataError::InUse { .. })) if Instant::now() < deadline => {
                sleep(LOOK).await;
            }
            result => return result,
        }
    }
}

/// Tells when stdin ends. A thread of its own does it, and ends the process when nothing else does.
fn hang_up() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(1)) {}
        let _nobody_waits = tell.send(());
        thread::park_timeout(STOP * 2);
        std::process::exit(1);
    });
    told
}

fn report(report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        daemon::say(&line);
    }
}

fn options(data: PathBuf, order: &Order) -> Result<Options, CliError> {
    let arguments = &order.arguments;
    let url = if arguments.managed {
        let mut settings = ManagedOptions::new(range(MANAGED_PORTS)?);
        settings.port = arguments.port;
        AdminUrlSource::Managed(settings)
    } else {
        let login = order.login.as_ref();
        let login = login.ok_or_else(|| CliError::input("the administrator's login is missing"))?;
        let has_ca = order.ca_cert.is_some();
        let url = admin_url(arguments, login, has_ca);
        AdminUrlSource::Value(url.ok_or_else(|| {
            CliError::input("the administrator's login or the server's address makes no URL")
        })?)
    };
    let mut options = Options::new(data, url);
    options.ca_pem.clone_from(&order.ca_cert);
    options.authentication = AuthenticationSource::Bearer(Zeroizing::new(order.token.clone()));
    options.stop = STOP;
    options.dedicated = match arguments.dedicated_ports.as_deref() {
        Some("none") => None,
        ports => {
            let mut dedicated = DedicatedOptions::new(range(ports.unwrap_or(DEDICATED_PORTS))?);
            dedicated.required = ports.is_some();
            Some(dedicated)
        }
    };
    Ok(options)
}

/// The URL that the broker reads; it never leaves this process. With an authority's certificate the server has to
/// prove its name, unless something else was said.
fn admin_url(arguments: &Arguments, login: &Login, has_ca: bool) -> Option<Zeroizing<String>> {
    let mut url = Url::parse("postgresql://host/postgres").ok()?;
    let host = arguments.host.as_deref()?;
    let literal = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    url.set_host(Some(&literal)).ok()?;
    url.set_port(arguments.port).ok()?;
    url.set_username(&login.username).ok()?;
    url.set_password(Some(&login.password)).ok()?;
    if let Some(database) = &arguments.database {
        url.path_segments_mut().ok()?.clear().push(database);
    }
    let mode = arguments.sslmode.as_deref().or(has_ca.then_some("verify-full"));
    if let Some(mode) = mode {
        url.query_pairs_mut().append_pair("sslmode", mode);
    }
    Some(Zeroizing::new(String::from(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_url_holds_whatever_the_secret_holds() {
        let check = |host: &str, login: (&str, &str), has_ca: bool, expect: &str| {
            let arguments =
                Arguments { host: Some(host.to_owned()), port: Some(1), ..Arguments::default() };
            let login = Login { username: login.0.to_owned(), password: login.1.to_owned() };
            let url = admin_url(&arguments, &login, has_ca).unwrap();
            assert_eq!(*url, expect);
        };
        check("db", ("u", "p"), false, "postgresql://u:p@db:1/postgres");
        check("::1", ("u@x", "p/@:?#%20"), true, {
            "postgresql://u%40x:p%2F%40%3A%3F%23%20@[::1]:1/postgres?sslmode=verify-full"
        });
    }
}
