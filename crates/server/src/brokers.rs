//! Clients of registered brokers, and their catalogues, by value and cached. Nothing here calls a broker.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dispatch_model::{
    Id, Object,
    secret::Secret,
    service_broker::{Authentication, ServiceBroker},
};
use dispatch_osb::{
    client::{self, Client, Endpoint, Tls},
    types::{ApiVersion, Catalog},
};
use dispatch_store::{BlobDigest, ReadError, SecretValues};

use crate::{connector::Connector, platform::Platform};

/// Catalogues that are kept parsed. More brokers than this only cost time.
const CATALOGS_MAX: usize = 256;

/// One per server.
#[derive(Debug)]
pub struct Brokers {
    connector: Arc<Connector>,
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
}

impl Brokers {
    pub fn new(connector: Arc<Connector>, request_timeout_ms: u64) -> Self {
        let brokers = Self {
            connector,
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

    /// The client for a broker, with the login as it is now.
    pub async fn client(
        &self,
        platform: &Platform,
        broker: &Object<ServiceBroker>,
    ) -> Result<Arc<Client>, NoClient> {
        let scope = platform.system.organization(broker.meta.organization);
        let login = match broker.spec.authentication.secret() {
            None => None,
            Some(name) => {
                let missing = || NoClient::SecretMissing { secret: name.to_string() };
                let stored =
                    platform.store.get::<Secret>(&scope, name).await?.ok_or_else(missing)?;
                Some(stored.readable().map_err(|_| missing())?)
            }
        };
        let version = login.as_ref().map(|secret| (secret.meta.id, secret.spec.version));
        if let Some(client) = self.cached(broker, version) {
            return Ok(client);
        }
        let values = match &login {
            None => SecretValues::default(),
            Some(secret) => {
                let found = platform
                    .store
                    .secret_values(&scope, secret.meta.id, secret.spec.version)
                    .await?;
                found.unwrap_or_default()
            }
        };
        let mut endpoint = endpoint(broker, &values)?;
        let request_timeout_ms = self.request_timeout_ms.load(Ordering::Relaxed);
        endpoint.limits.request = Duration::from_millis(request_timeout_ms);
        let client = Client::new(endpoint, Arc::clone(&self.connector) as _)
            .map_err(|error| NoClient::Unusable { why: error.to_string() })?;
        let client = Arc::new(client);
        let made = Made {
            generation: broker.meta.generation,
            login: version,
            client: Arc::clone(&client),
        };
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(broker.meta.id, made);
        Ok(client)
    }

    fn cached(&self, broker: &Object<ServiceBroker>, login: Option<Login>) -> Option<Arc<Client>> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let made = clients.get(&broker.meta.id)?;
        let fits = made.generation == broker.meta.generation && made.login == login;
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

fn endpoint(broker: &Object<ServiceBroker>, values: &SecretValues) -> Result<Endpoint, NoClient> {
    let value = |secret: &dispatch_model::Name, key: &'static str| {
        let found = values.get(key).map(str::to_owned);
        found.ok_or_else(|| NoClient::KeyMissing { secret: secret.to_string(), key })
    };
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
    let agreed =
        broker.status.catalog.as_ref().and_then(|catalog| catalog.api_version.parse().ok());
    endpoint.api_version = agreed.unwrap_or(ApiVersion::LATEST);
    Ok(endpoint)
}
