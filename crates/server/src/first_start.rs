//! What the first start makes: the organization, the administrator's key, and a login for the command line
//! (decision 18). Later starts find it there.

use std::{
    io::Write,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{digest, rand};
use dispatch_engine::{Clock, Entropy};
use dispatch_model::{
    Id, Name, Noun, Object,
    access_key::{self, AccessKey, Role},
    object::{Meta, NoStatus},
    organization::{self, Organization},
};
use dispatch_store::{Batch, CommitError, ReadError, Store, Stored, SystemScope};
use serde_json::{Map, Value, json};

/// The organization that there always is.
pub const DEFAULT_ORGANIZATION: &str = "dispatch";

#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    #[error("read what an earlier start has made")]
    Read(#[from] ReadError),
    #[error("store organization and administrator's key")]
    Commit(#[from] CommitError),
    #[error("make the administrator's key")]
    Random,
    #[error("write the command line's configuration {path}")]
    ClientConfig {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Where this server can be reached, for the command line's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    pub control_plane: SocketAddr,
    pub gateway: SocketAddr,
    pub gateway_tls: SocketAddr,
}

/// What a start finds or makes.
#[derive(Debug)]
pub struct Found {
    /// SHA-256 of the keys that may come in.
    pub administrators: Vec<[u8; 32]>,
    /// The key that was made just now. It is shown nowhere but in the client's configuration.
    pub new_key: Option<String>,
}

pub async fn prepare(
    store: &Store,
    system: &SystemScope,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Found, FirstStartError> {
    let organization = organization(store, system, clock, entropy).await?;
    let mut administrators = Vec::new();
    for stored in store.list::<AccessKey>(system).await? {
        let Stored::Readable(key) = stored else { continue };
        administrators.extend(from_hex(&key.spec.sha256));
    }
    if !administrators.is_empty() {
        return Ok(Found { administrators, new_key: None });
    }
    let text = new_key()?;
    let hash = hash(&text);
    let name = name("administrator");
    let id = Id::from_uuid(entropy.uuid());
    let key = object::<AccessKey>(
        id,
        organization,
        name,
        clock,
        access_key::Spec { sha256: to_hex(&hash), role: Role::Administrator },
    );
    store.commit(Batch::system("first start").create(&key, &[], &[])).await?;
    Ok(Found { administrators: vec![hash], new_key: Some(text) })
}

async fn organization(
    store: &Store,
    system: &SystemScope,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Id<Organization>, FirstStartError> {
    let name = name(DEFAULT_ORGANIZATION);
    if let Some(stored) = store.get::<Organization>(system, &name).await? {
        return Ok(stored.meta().id);
    }
    let id = Id::from_uuid(entropy.uuid());
    let spec = organization::Spec { space: entropy.uuid() };
    let organization = object::<Organization>(id, id, name, clock, spec);
    store.commit(Batch::system("first start").create(&organization, &[], &[])).await?;
    Ok(id)
}

fn object<K: Noun<Status = NoStatus>>(
    id: Id<K>,
    organization: Id<Organization>,
    name: Name,
    clock: &dyn Clock,
    spec: K::Spec,
) -> Object<K> {
    let meta = Meta::new(id, organization, name, clock.now(), Default::default());
    Object { meta, spec, status: NoStatus {} }
}

fn name(text: &str) -> Name {
    text.parse().expect("a constant that is a name")
}

fn new_key() -> Result<String, FirstStartError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| FirstStartError::Random)?;
    Ok(format!("dk_{}", to_hex(&bytes)))
}

fn hash(key: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    out
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    (text.len() == 64).then_some(out)
}

/// Adds a context for this server to the command line's configuration and makes it the current one. Other contexts
/// stay. Without a new key only the ports of a context that is there are brought up to date; without a path nothing is
/// written.
pub fn write_client_config(
    path: &Path,
    addresses: Addresses,
    key: Option<&str>,
) -> Result<(), FirstStartError> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let failed = |source| FirstStartError::ClientConfig { path: path.to_owned(), source };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(failed(error)),
    };
    let Some(after) = with_context(before, addresses, key) else { return Ok(()) };
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    serde::Serialize::serialize(&after, &mut serializer)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    write_private(path, &text).map_err(failed)
}

/// `None` if there is nothing to change.
fn with_context(
    mut config: Map<String, Value>,
    addresses: Addresses,
    key: Option<&str>,
) -> Option<Map<String, Value>> {
    let host = addresses.control_plane.ip().to_string();
    let context_name = host.to_lowercase().replace(['.', ':'], "-");
    let contexts = config.entry("contexts").or_insert_with(|| json!({}));
    if !contexts.is_object() {
        *contexts = json!({});
    }
    let contexts = contexts.as_object_mut()?;
    let known = contexts.contains_key(&context_name);
    if key.is_none() && !known {
        return None;
    }
    let context = contexts.entry(&context_name).or_insert_with(|| json!({})).as_object_mut()?;
    context.insert("host".to_owned(), json!(host));
    context.insert("port".to_owned(), json!(addresses.control_plane.port()));
    context.insert("scheme".to_owned(), json!("http"));
    context.insert("api-http-port".to_owned(), json!(addresses.gateway.port()));
    context.insert("api-https-port".to_owned(), json!(addresses.gateway_tls.port()));
    if let Some(key) = key {
        context.insert("organization".to_owned(), json!(DEFAULT_ORGANIZATION));
        context.insert("cookie".to_owned(), json!(key));
        context.insert("insecure".to_owned(), json!(false));
        config.insert("current".to_owned(), json!(context_name));
    }
    Some(config)
}

/// Whole or not at all, and readable by nobody else at any moment.
fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = path.with_extension("json.new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(port: u16) -> Addresses {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addresses { control_plane: at(port), gateway: at(81), gateway_tls: at(84) }
    }

    #[test]
    fn the_context_is_added_others_are_kept_and_nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".dispatch/config.json");
        std::fs::create_dir(directory.path().join(".dispatch")).unwrap();
        std::fs::write(&path, r#"{"current": "old", "contexts": {"old": {"host": "x"}}}"#).unwrap();
        write_client_config(&path, addresses(80), Some("dk_1")).unwrap();
        let read =
            || -> Value { serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap() };
        assert_eq!(read()["current"], "127-0-0-1");
        assert_eq!(read()["contexts"]["old"]["host"], "x");
        assert_eq!(read()["contexts"]["127-0-0-1"]["cookie"], "dk_1");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        write_client_config(&path, addresses(90), None).unwrap();
        let context = read()["contexts"]["127-0-0-1"].clone();
        assert_eq!((&context["port"], &context["cookie"]), (&json!(90), &json!("dk_1")));
    }

    #[test]
    fn a_hash_survives_being_written_down() {
        let found = from_hex(&to_hex(&hash("dk_x")));
        assert_eq!(found, Some(hash("dk_x")));
        assert_eq!(from_hex("zz"), None);
    }
}
