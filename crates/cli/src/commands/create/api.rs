//! `dispatch create api NAME FUNCTION`: a function at an address of the gateway.

use dispatch_api::{
    Operation,
    api::{Api, ApiInput},
};

use crate::{
    commands::{arity, create},
    error::CliError,
    session::Session,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Domain names that route requests to the API; may be repeated
    #[arg(short, long = "domain", value_name = "NAME")]
    domains: Vec<String>,
    /// Paths that route requests to the API; may be repeated
    #[arg(short, long = "path", default_value = "/")]
    paths: Vec<String>,
    /// Methods that route requests to the API; may be repeated
    #[arg(short, long = "method", default_value = "GET")]
    methods: Vec<String>,
    /// Only support HTTPS
    #[arg(long)]
    https_only: bool,
    /// Create it, but do not serve it
    #[arg(long)]
    disable: bool,
    /// Enable CORS
    #[arg(long)]
    cors: bool,
    /// Who may call it: public
    #[arg(long, default_value = "public")]
    auth: String,
    /// Wait until the gateway serves it
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    tag: create::TagArgs,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [name, function] = arity::exactly::<2>(&args.names)?;
    let protocols: &[&str] = if args.https_only { &["https"] } else { &["http", "https"] };
    let body = ApiInput {
        name: Some(name.to_owned()),
        function: Some(function.to_owned()),
        uris: Some(args.paths),
        methods: Some(args.methods),
        protocols: Some(protocols.iter().map(|protocol| (*protocol).to_owned()).collect()),
        hosts: Some(args.domains),
        authentication: args.auth,
        enabled: !args.disable,
        cors: args.cors,
        tls: String::new(),
        tags: args.tag.tags(),
    };
    let made = create::create::<Api>(&session, Operation::CreateApi, &body, args.wait).await?;
    let authentication = &made.body.authentication;
    if !matches!(authentication.as_str(), "" | "public") {
        session.console.note(&format!(
            "warning: nobody can call {name}: this server checks no logins of type {authentication}; only --auth public is served"
        ));
    }
    Ok(())
}
