//! `dispatch create servicebroker NAME URL`: registers a broker and shows what it offers. With `--builtin KIND` instead
//! of the URL the server runs the broker itself.
//!
//! A login that is given here becomes the secret `broker-NAME` first, and goes again if the broker is refused.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use dispatch_api::{
    Operation,
    secret::{Secret, SecretInput},
    service_broker::{
        Authentication, ClassSelection, SelectedPlans, ServiceBroker, ServiceBrokerInput, Tls,
    },
};

use crate::{
    commands::{arity, create},
    error::CliError,
    files,
    nouns::Noun as _,
    output::{Console, Format, clean, time},
    progress::Progress,
    session::{NO_BODY, Received, Session},
    suggest, wait,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Secret with the login: keys username and password, or token
    #[arg(long, value_name = "NAME", conflicts_with_all = ["username", "token_file"])]
    auth_secret: Option<String>,
    /// User name for the broker; becomes the secret broker-NAME together with the password
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// File with a bearer token; becomes the secret broker-NAME
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    token_file: Option<PathBuf>,
    /// File with the certificate of the authority that signed the broker's certificate
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// Offer this class only, perhaps with some of its plans only; may be repeated
    #[arg(long = "service-class", value_name = "NAME[:PLAN,…]")]
    service_classes: Vec<String>,
    /// A broker that the server runs itself, instead of a URL: postgresql
    #[arg(long, value_name = "KIND", conflicts_with_all = ["username", "token_file"])]
    builtin: Option<String>,
    /// Argument of that broker, as managed=true or host=db.example; may be repeated
    #[arg(
        long = "param",
        value_name = "KEY=VALUE",
        requires = "builtin",
        conflicts_with = "params",
        allow_hyphen_values = true
    )]
    arguments: Vec<String>,
    /// Default parameters of all instances of this broker, a JSON object or @FILE
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    params: Option<String>,
    /// Whose shape the broker is sent: dispatch, cloudfoundry or kubernetes
    #[arg(long)]
    profile: Option<String>,
    /// Wait until the catalogue has been read, however long it takes
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let (name, url) = match &args.builtin {
        Some(_) => {
            let [name] = arity::exactly::<1>(&args.names)?;
            (name, None)
        }
        None => {
            let [name, url] = arity::exactly::<2>(&args.names)?;
            (name, Some(url))
        }
    };
    let mut body = wish(&args, name, url)?;
    if let Some(secret) = &args.auth_secret {
        body.authentication = Some(authentication(&session, secret).await?);
    }
    let Some(secret) = login(&args, name)? else {
        return register(&session, &args, &body).await;
    };
    let secret_name = secret.name.clone();
    let is_new = keep_login(&session, name, &secret).await?;
    let kind = if args.token_file.is_some() { "bearer" } else { "basic" };
    body.authentication =
        Some(Authentication { kind: kind.to_owned(), secret: secret_name.clone() });
    let result = register(&session, &args, &body).await;
    match result {
        Err(error) if is_new && was_refused(&error) => {
            let secret = secret_name.unwrap_or_default();
            let removed = session.tell(Operation::DeleteSecret, &[&secret], &[]).await;
            Err(match removed {
                Ok(_) => error,
                Err(_) => error.hint(format!("left over: secret {secret}")),
            })
        }
        other => other,
    }
}

/// Stores the login. One that an earlier broker of this name has left is replaced; that of a living one is not.
/// Tells whether the secret is new.
async fn keep_login(
    session: &Session,
    broker: &str,
    secret: &SecretInput,
) -> Result<bool, CliError> {
    let create = Operation::CreateSecret;
    match session.call::<Secret>(create, &[], &[], Some(secret)).await {
        Ok(_) => return Ok(true),
        Err(error) if error.status() == Some(409) => {
            let get = Operation::GetServiceBroker;
            let living = session.call::<ServiceBroker>(get, &[broker], &[], NO_BODY).await;
            match living {
                Ok(_) => return Err(CliError::exists(&format!("service broker {broker}"))),
                Err(absent) if absent.status() == Some(404) => {}
                Err(_) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    }
    let name = secret.name.as_deref().unwrap_or_default();
    session.call::<Secret>(Operation::UpdateSecret, &[name], &[], Some(secret)).await?;
    Ok(false)
}

/// The registration itself was turned down, so that the secret belongs to nothing.
fn was_refused(error: &CliError) -> bool {
    error.status().is_some()
}

fn wish(args: &Args, name: &str, url: Option<&str>) -> Result<ServiceBrokerInput, CliError> {
    let ca_cert = args.ca_cert.as_deref().map(files::text).transpose().map_err(CliError::input)?;
    let parameters = match (&args.params, args.arguments.as_slice()) {
        (Some(json), _) => Some(files::json_map(json)?),
        (None, []) => None,
        (None, arguments) => Some(arguments_of(arguments)?),
    };
    Ok(ServiceBrokerInput {
        name: Some(name.to_owned()),
        url: url.map(str::to_owned),
        builtin: args.builtin.clone(),
        parameters,
        authentication: None,
        tls: ca_cert.map(|pem| Tls { ca_cert: Some(pem), skip_verify: false }),
        profile: args.profile.clone(),
        service_classes: selection(&args.service_classes),
        tags: args.tag.tags(),
    })
}

/// `port=5432` and others, with the values as text: the server knows what they are to be. One that is wrong is not
/// repeated, because it may hold a password.
fn arguments_of(arguments: &[String]) -> Result<serde_json::Value, CliError> {
    let pairs = arguments.iter().map(|argument| match argument.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.into())),
        _ => {
            Err(CliError::input("--param is not of the form KEY=VALUE, as in --param managed=true"))
        }
    });
    Ok(serde_json::Value::Object(pairs.collect::<Result<_, _>>()?))
}

/// Which kind of login a secret holds, by its keys.
async fn authentication(session: &Session, secret: &str) -> Result<Authentication, CliError> {
    let found: Result<Received<Secret>, CliError> =
        session.call(Operation::GetSecret, &[secret], &[], NO_BODY).await;
    let keys = match found {
        Ok(found) => found.body.secrets,
        Err(error) => return Err(suggest::similar::<Secret>(session, secret, error).await),
    };
    let has = |key: &str| keys.contains_key(key);
    let kind = match (has("username") && has("password"), has("token")) {
        (true, _) => "basic",
        (false, true) => "bearer",
        (false, false) => {
            let needs = "needs the keys username and password, or the key token";
            return Err(CliError::input(format!("secret {secret} {needs}")));
        }
    };
    Ok(Authentication { kind: kind.to_owned(), secret: Some(secret.to_owned()) })
}

/// The secret that is made of a login given on the command line.
fn login(args: &Args, broker: &str) -> Result<Option<SecretInput>, CliError> {
    let values = match (&args.username, &args.password_file, &args.token_file) {
        (Some(username), Some(file), _) => BTreeMap::from([
            ("username".to_owned(), username.clone()),
            ("password".to_owned(), files::password(file)?),
        ]),
        (_, _, Some(file)) => BTreeMap::from([("token".to_owned(), files::password(file)?)]),
        _ => return Ok(None),
    };
    let name = Some(format!("broker-{broker}"));
    Ok(Some(SecretInput { name, secrets: Some(values), tags: None }))
}

/// `postgresql`, or `postgresql:small,large`. None given: all classes, also later ones.
fn selection(classes: &[String]) -> Option<ClassSelection> {
    if classes.is_empty() {
        return None;
    }
    let one = |class: &String| match class.split_once(':') {
        Some((name, plans)) => {
            let plans = plans.split(',').filter(|plan| !plan.is_empty()).map(str::to_owned);
            (name.to_owned(), SelectedPlans { plans: Some(plans.collect()) })
        }
        None => (class.clone(), SelectedPlans { plans: None }),
    };
    Some(ClassSelection::Plans(classes.iter().map(one).collect()))
}

async fn register(
    session: &Session,
    args: &Args,
    body: &ServiceBrokerInput,
) -> Result<(), CliError> {
    // The answer is held until the catalogue has been read, which a person may want to see happening.
    let progress = Progress::new(body.name.as_deref().unwrap_or_default());
    let answer = session.call(Operation::CreateServiceBroker, &[], &[], Some(body));
    let mut received: Received<ServiceBroker> = progress.during(answer).await?;
    let took = progress.elapsed();
    progress.clear();
    let console = session.console;
    let name = received.body.name.clone();
    console.done("Created servicebroker", &name)?;
    let state = received.body.state();
    if state.at_rest && !state.good {
        return Err(progress.fail(&state));
    }
    if args.wait && !state.at_rest {
        received = wait::until_ready(session, &name).await?;
    } else if !state.at_rest {
        console.note(&format!(
            "  its catalogue is still being read: dispatch get servicebroker {name}"
        ));
    }
    match console.format {
        Format::Json | Format::Yaml => console.document(&received.raw),
        Format::Name => Ok(()),
        Format::Table | Format::Wide => show_classes(console, &received.body, took),
    }
}

/// One line per class, with its plans.
fn show_classes(console: Console, broker: &ServiceBroker, took: Duration) -> Result<(), CliError> {
    let enabled: Vec<_> =
        broker.service_classes.iter().filter(|(_, class)| class.enabled).collect();
    let width = enabled.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (index, (name, class)) in enabled.iter().enumerate() {
        let plans = clean::line(&class.plans.join(", "));
        let read = if index == 0 {
            format!("   (catalogue read in {})", time::span(took))
        } else {
            String::new()
        };
        console.line(&format!("  {:<width$}   {plans}{read}", clean::line(name)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_given_with_or_without_plans() {
        let check = |given: &[&str], expect: serde_json::Value| {
            let given: Vec<String> = given.iter().map(|class| (*class).to_owned()).collect();
            assert_eq!(serde_json::to_value(selection(&given)).unwrap(), expect);
        };
        check(&[], serde_json::Value::Null);
        check(
            &["postgresql:small,large", "redis"],
            serde_json::json!({"postgresql": {"plans": ["small", "large"]}, "redis": {"plans": null}}),
        );
    }
}
