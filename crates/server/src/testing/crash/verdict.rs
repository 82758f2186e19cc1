//! Whether the broker's books and the store agree.

use std::{collections::BTreeSet, fmt::Write as _};

use dispatch_model::{
    Phase,
    broker_operation::Presence,
    orphan::Orphan,
    secret::{Owner, Secret},
    service_binding::{ServiceBinding, phase},
    service_broker::ServiceBroker,
    service_instance::ServiceInstance,
};
use dispatch_osb::fake::{FakeBroker, Standing};
use uuid::Uuid;

use super::{Cell, run::all};
use crate::{features::service_binding::save::document_key, platform::Platform, testing::World};

/// For a state in which everything has settled.
pub(super) async fn check(platform: &Platform, world: &World, broker: &FakeBroker, cell: &Cell) {
    let mut wrong = Vec::new();
    accounts(platform, broker, &mut wrong).await;
    credentials(platform, broker, &mut wrong).await;
    sealed(platform, world, &mut wrong).await;
    if !wrong.is_empty() {
        let (state, books) = (state(platform).await, broker.books());
        panic!("{wrong:#?}\nin {cell:#?}\nstored: {state}\nbooks: {books:#?}");
    }
}

/// Everything at the broker belongs to somebody, and what is said to be there is.
async fn accounts(platform: &Platform, broker: &FakeBroker, wrong: &mut Vec<String>) {
    let books = broker.books();
    let instances = all::<ServiceInstance>(platform).await;
    let bindings = all::<ServiceBinding>(platform).await;
    let owned: BTreeSet<Uuid> =
        instances.iter().filter_map(|instance| instance.status.broker_instance_id).collect();
    for id in books.instances.keys() {
        if !owned.contains(&id.parse().unwrap()) {
            wrong.push(format!("nobody accounts for instance {id}"));
        }
    }
    let owned: BTreeSet<Uuid> = bindings
        .iter()
        .flat_map(|binding| {
            let status = &binding.status;
            let current = status.credentials.as_ref().map(|it| it.broker_binding_id);
            let old = status.predecessor.as_ref().map(|it| it.broker_binding_id);
            [current, old, status.attempt]
        })
        .flatten()
        .collect();
    for id in books.bindings.keys() {
        if !owned.contains(&id.parse().unwrap()) {
            wrong.push(format!("nobody accounts for binding {id}"));
        }
    }
    // Whoever is READY has one binding there, and nothing of a rotation.
    for binding in bindings.iter().filter(|binding| phase(binding).0 == Phase::Ready) {
        let status = &binding.status;
        let current = status.credentials.as_ref().map(|it| it.broker_binding_id);
        let old = status.predecessor.as_ref().map(|it| it.broker_binding_id);
        let ids = BTreeSet::from([current, old, status.attempt]);
        let known = |id: &Uuid| books.bindings.contains_key(&id.to_string());
        let there: Vec<Uuid> = ids.into_iter().flatten().filter(known).collect();
        if there.as_slice() != current.as_slice() {
            wrong.push(format!("{} is READY, and has {there:?} of {status:?}", binding.meta.name));
        }
    }
    for instance in instances {
        let id = instance.status.broker_instance_id.map(|id| id.to_string()).unwrap_or_default();
        let standing = books.instances.get(&id).map(|record| record.standing);
        if instance.status.presence == Presence::Present && standing != Some(Standing::Ready) {
            wrong.push(format!(
                "instance {} is READY, at the broker {standing:?}",
                instance.meta.name
            ));
        }
    }
}

/// Stored credentials are those that exist, and no secret outlives its binding.
async fn credentials(platform: &Platform, broker: &FakeBroker, wrong: &mut Vec<String>) {
    let books = broker.books();
    let bindings = all::<ServiceBinding>(platform).await;
    for binding in &bindings {
        let Some(credentials) = &binding.status.credentials else { continue };
        let record = books.bindings.get(&credentials.broker_binding_id.to_string());
        let real = record.and_then(|record| record.credentials.get("password")?.as_str());
        let stored = platform
            .store
            .secret_values(&platform.system, credentials.secret, credentials.version)
            .await
            .unwrap();
        let stored = stored.as_ref().and_then(|values| values.get("password"));
        if real.is_none() || real != stored {
            wrong.push(format!("{} has {stored:?}, the broker {real:?}", binding.meta.name));
        }
    }
    for secret in all::<Secret>(platform).await {
        let Owner::Binding(owner) = secret.spec.owner else { continue };
        let used = bindings.iter().any(|binding| {
            let credentials = binding.status.credentials.as_ref();
            binding.meta.id == owner && credentials.is_some_and(|it| it.secret == secret.meta.id)
        });
        if !used {
            wrong.push(format!("secret {} belongs to nothing", secret.meta.name));
        }
    }
}

/// Of what is encrypted there is one item for each secret and one for each binding's document: no body of a request.
async fn sealed(platform: &Platform, world: &World, wrong: &mut Vec<String>) {
    let mut expect: BTreeSet<(Uuid, u64)> = BTreeSet::from([(Uuid::nil(), 0)]);
    for secret in all::<Secret>(platform).await {
        expect.insert((secret.meta.id.uuid(), secret.spec.version));
    }
    for binding in all::<ServiceBinding>(platform).await {
        if let Some(credentials) = &binding.status.credentials {
            let key = document_key(binding.meta.id.uuid(), credentials.version);
            expect.insert((key.owner, key.version));
        }
    }
    let path = world.directory.path().join("data/dispatch.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let mut rows = database.prepare("SELECT owner, version FROM sealed").unwrap();
    let found: BTreeSet<(Uuid, u64)> = rows
        .query_map((), |row| {
            let (owner, version): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
            Ok((Uuid::from_slice(&owner).unwrap(), version.cast_unsigned()))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    if found != expect {
        wrong.push(format!("sealed are {found:?} instead of {expect:?}"));
    }
}

/// For people.
pub(super) async fn state(platform: &Platform) -> String {
    let mut text = String::new();
    for one in all::<ServiceBroker>(platform).await {
        let _ =
            writeln!(text, "broker {}: {:?} {:?}", one.meta.name, one.meta.deleting, one.status);
    }
    for one in all::<ServiceInstance>(platform).await {
        let _ =
            writeln!(text, "instance {}: {:?} {:#?}", one.meta.name, one.meta.deleting, one.status);
    }
    for one in all::<ServiceBinding>(platform).await {
        let _ =
            writeln!(text, "binding {}: {:?} {:#?}", one.meta.name, one.meta.deleting, one.status);
    }
    for one in all::<Orphan>(platform).await {
        let _ = writeln!(text, "orphan {:?} {:#?}", one.spec, one.status);
    }
    text
}
