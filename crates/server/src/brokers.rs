//! Clients of registered brokers, and their catalogues, by value and cached. Nothing here calls a broker; that one of
//! the server's own runs (`included`) is what its client begins with.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dispatch_model::{
    Id, Name, Object,
    secret::Secret,
    service_broker::{Authentication, Builtin, ServiceBroker},
};
use dispatch_osb::{
    client::{self, AddressPolicy, Client, Endpoint, Tls},
    types::{ApiVersion, Catalog},
};
use dispatch_store::{BlobDigest, OrgScope, ReadError, SecretValues};

use crate::{
    connector::{Connector, Only},
    included::{
        Included, NotUp, Up, Wish, arguments,
        line::{self, Order, Task},
    },
    platform::Platform,
};

/// Catalogues that are kept parsed. More brokers than this only cost time.
const CATALOGS_MAX: usize = 256;

/// The usual port of PostgreSQL.
const POSTGRESQL: u16 = 5432;

/// One per server.
#[derive(Debug)]
pub struct Brokers {
    connector: Arc<Connector>,
    /// The processes of those that the server runs itself.
    pub included: Included,
    /// For one request, from connecting to the last byte of the answer.
    request_timeout_ms: AtomicU64,
    clients: Mutex<HashMap<Id<ServiceBroker>, Made>>,
    catalogs: Mutex<HashMap<String, Arc<Catalog>>>,
}

/// A client, and what it was made from. It is made again when that changes, so that new logins count at once.
#[derive(Debug)]
struct Made {
    generation: u64,
    login: Option<Login>,
    /// Which process, of a broker that the server runs itself.
    start: Option<u64>,
    client: Arc<Client>,
}

/// Which secret and version: one that was made anew under the same name begins at version 1 again.
type Login = (Id<Secret>, u64);

/// Why there is no client. A fragment for people; the request was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    #[error("the secret {secret} with the broker's login does not exist")]
    SecretMissing { secret: String },
    #[error("the secret {secret} with the broker's login has no key {key}")]
    KeyMissing { secret: String, key: &'static str },
    #[error("the broker's address or login cannot be used: {why}")]
    Unusable { why: String },
    #[error("the store cannot be read")]
    Store(#[from] ReadError),
    #[error(transparent)]
    NotUp(#[from] NotUp),
}

impl Brokers {
    pub fn new(connector: Arc<Connector>, included: Included, request_timeout_ms: u64) -> Self {
        let brokers = Self {
            connector,
            included,
            request_timeout_ms: AtomicU64::default(),
            clients: Mutex::default(),
            catalogs: Mutex::default(),
        };
        brokers.set_request_timeout_ms(request_timeout_ms);
        brokers
    }

    /// Counts for requests from now on.
    pub fn set_request_timeout_ms(&self, request_timeout_ms: u64) {
        self.request_timeout_ms.store(request_timeout_ms, Ordering::Relaxed);
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The client for a broker, with the login as it is now. One that the server runs itself is started if need be,
    /// and waited for.
    pub async fn client(
        &self,
        platform: &Platform,
        broker: &Object<ServiceBroker>,
    ) -> Result<Arc<Client>, NoClient> {
        let scope = platform.system.organization(broker.meta.organization);
        let login = login(platform, &scope, broker).await?;
        let version = login.as_ref().map(version);
        let request_timeout =
            Duration::from_millis(self.request_timeout_ms.load(Ordering::Relaxed));
        let up = match broker.spec.builtin {
            None => None,
            Some(kind) => {
                self.keep_with(platform, broker, kind, login.as_ref()).await?;
                Some(self.included.up(broker.meta.id, request_timeout).await?)
            }
        };
        let start = up.as_ref().map(|up| up.start);
        if let Some(client) = self.cached(broker, version, start) {
            return Ok(client);
        }
        let (mut endpoint, policy): (_, Arc<dyn AddressPolicy>) = match up {
            Some(up) => (endpoint_of_own(&up), Arc::new(Only(up.address))),
            None => {
                let values = values(platform, &scope, login.as_ref()).await?;
                (endpoint(broker, &values)?, Arc::clone(&self.connector) as _)
            }
        };
        let catalog = broker.status.catalog.as_ref();
        let agreed = catalog.and_then(|catalog| catalog.api_version.parse().ok());
        endpoint.api_version = agreed.unwrap_or(ApiVersion::LATEST);
        endpoint.limits.request = request_timeout;
        let client = Client::new(endpoint, policy)
            .map_err(|error| NoClient::Unusable { why: error.to_string() })?;
        let client = Arc::new(client);
        let made = Made {
            generation: broker.meta.generation,
            login: version,
            start,
            client: Arc::clone(&client),
        };
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(broker.meta.id, made);
        Ok(client)
    }

    /// Has a broker of the server's own run as it is wished now. It is not waited for.
    pub async fn keep(
        &self,
        platform: &Platform,
        broker: &Object<ServiceBroker>,
    ) -> Result<(), NoClient> {
        let Some(kind) = broker.spec.builtin else { return Ok(()) };
        let scope = platform.system.organization(broker.meta.organization);
        let login = login(platform, &scope, broker).await?;
        self.keep_with(platform, broker, kind, login.as_ref()).await
    }

    async fn keep_with(
        &self,
        platform: &Platform,
        broker: &Object<ServiceBroker>,
        kind: Builtin,
        login: Option<&Object<Secret>>,
    ) -> Result<(), NoClient> {
        let arguments = arguments::check(kind, broker.spec.parameters.as_ref());
        let unusable = |why| NoClient::Unusable { why };
        let arguments = arguments.map_err(|faults| {
            unusable(faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; "))
        })?;
        let (ca_cert, login_version) = (broker.spec.tls.ca_cert.clone(), login.map(version));
        let wish = Wish { kind, arguments, ca_cert, login: login_version };
        if self.included.is_kept(broker.meta.id, &wish) {
            return Ok(());
        }
        if let Some(host) = &wish.arguments.host {
            let port = wish.arguments.port.unwrap_or(POSTGRESQL);
            self.connector.admits(host, port).await.map_err(unusable)?;
        }
        let mut order = Order::new(Task::Serve);
        order.arguments = wish.arguments.clone();
        order.ca_cert.clone_from(&wish.ca_cert);
        if let Some(secret) = broker.spec.authentication.secret() {
            let scope = platform.system.organization(broker.meta.organization);
            let values = values(platform, &scope, login).await?;
            let (username, password) =
                (value(&values, secret, "username")?, value(&values, secret, "password")?);
            order.login = Some(line::Login { username, password });
        }
        Ok(self.included.keep(broker.meta.id, &broker.meta.name, wish, order)?)
    }

    fn cached(
        &self,
        broker: &Object<ServiceBroker>,
        login: Option<Login>,
        start: Option<u64>,
    ) -> Option<Arc<Client>> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let made = clients.get(&broker.meta.id)?;
        let fits =
            made.generation == broker.meta.generation && made.login == login && made.start == start;
        fits.then(|| Arc::clone(&made.client))
    }

    /// Forgets a broker that is gone.
    pub fn forget(&self, broker: Id<ServiceBroker>) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&broker);
    }

    /// The catalogue that a broker has now; `None` if none was read yet.
    pub async fn catalog(
        &self,
        platform: &Platform,
        broker: &Object<ServiceBroker>,
    ) -> Result<Option<Arc<Catalog>>, ReadError> {
        let Some(reference) = &broker.status.catalog else { return Ok(None) };
        let digest = &reference.digest;
        let known =
            self.catalogs.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let damaged = |why: String| ReadError::Damaged { what: format!("catalogue {digest}"), why };
        let key: BlobDigest = digest.parse().map_err(|_| damaged("not a digest".to_owned()))?;
        let bytes = platform.store.blob(&key).await?;
        let bytes = bytes.ok_or_else(|| damaged("it is not there".to_owned()))?;
        let catalog: Catalog =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let catalog = Arc::new(catalog);
        let mut catalogs = self.catalogs.lock().unwrap_or_else(PoisonError::into_inner);
        if catalogs.len() >= CATALOGS_MAX {
            catalogs.clear();
        }
        catalogs.insert(digest.clone(), Arc::clone(&catalog));
        Ok(Some(catalog))
    }
}

async fn login(
    platform: &Platform,
    scope: &OrgScope,
    broker: &Object<ServiceBroker>,
) -> Result<Option<Object<Secret>>, NoClient> {
    let Some(name) = broker.spec.authentication.secret() else { return Ok(None) };
    let missing = || NoClient::SecretMissing { secret: name.to_string() };
    let stored = platform.store.get::<Secret>(scope, name).await?.ok_or_else(missing)?;
    Ok(Some(stored.readable().map_err(|_| missing())?))
}

fn version(secret: &Object<Secret>) -> Login {
    (secret.meta.id, secret.spec.version)
}

async fn values(
    platform: &Platform,
    scope: &OrgScope,
    login: Option<&Object<Secret>>,
) -> Result<SecretValues, ReadError> {
    let Some(secret) = login else { return Ok(SecretValues::default()) };
    let found = platform.store.secret_values(scope, secret.meta.id, secret.spec.version).await?;
    Ok(found.unwrap_or_default())
}

fn value(values: &SecretValues, secret: &Name, key: &'static str) -> Result<String, NoClient> {
    let found = values.get(key).map(str::to_owned);
    found.ok_or_else(|| NoClient::KeyMissing { secret: secret.to_string(), key })
}

fn endpoint(broker: &Object<ServiceBroker>, values: &SecretValues) -> Result<Endpoint, NoClient> {
    let value = |secret, key| value(values, secret, key);
    let authentication = match &broker.spec.authentication {
        Authentication::None => client::Authentication::None,
        Authentication::Basic { secret } => client::Authentication::Basic {
            username: value(secret, "username")?,
            password: value(secret, "password")?,
        },
        Authentication::Bearer { secret } => {
            client::Authentication::Bearer { token: value(secret, "token")? }
        }
    };
    let mut endpoint = Endpoint::new(broker.spec.url.clone());
    endpoint.authentication = authentication;
    endpoint.tls =
        Tls { ca_pem: broker.spec.tls.ca_cert.clone(), skip_verify: broker.spec.tls.skip_verify };
    Ok(endpoint)
}

fn endpoint_of_own(up: &Up) -> Endpoint {
    let mut endpoint = Endpoint::new(format!("http://{}", up.address));
    endpoint.authentication =
        client::Authentication::Bearer { token: up.token.expose().to_owned() };
    endpoint
}
