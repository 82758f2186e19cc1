//! Who we say we are to a broker (decision 22): organization, space and context, in the shape of the broker's profile.

use dispatch_model::{
    Id, Name, Object,
    organization::Organization,
    service_broker::{Profile, ServiceBroker},
};
use dispatch_store::{ReadError, Stored};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::platform::Platform;

/// What goes into a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub organization_guid: String,
    pub space_guid: String,
    /// Also the application's id of an automatic binding.
    pub space: Uuid,
    pub context: Map<String, Value>,
}

pub async fn of(
    platform: &Platform,
    broker: &Object<ServiceBroker>,
    organization: Id<Organization>,
    instance_name: &Name,
) -> Result<Identity, ReadError> {
    let stored = platform.store.get_by_id::<Organization>(&platform.system, organization).await?;
    let (name, space) = match stored {
        Some(Stored::Readable(found)) => (found.meta.name.to_string(), found.spec.space),
        _ => (String::new(), organization.uuid()),
    };
    Ok(identity(broker.spec.profile, organization.uuid(), &name, space, instance_name.as_str()))
}

fn identity(
    profile: Profile,
    organization: Uuid,
    organization_name: &str,
    space: Uuid,
    instance_name: &str,
) -> Identity {
    let context = match profile {
        Profile::Dispatch | Profile::CloudFoundry => json!({
            "platform": profile.as_str(),
            "organization_guid": organization,
            "organization_name": organization_name,
            "space_guid": space,
            "space_name": "default",
            "instance_name": instance_name,
        }),
        Profile::Kubernetes => json!({
            "platform": profile.as_str(),
            "clusterid": organization,
            "namespace": organization_name,
            "instance_name": instance_name,
        }),
    };
    let context = match context {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    Identity {
        organization_guid: organization.to_string(),
        space_guid: space.to_string(),
        space,
        context,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_has_the_fields_that_its_brokers_expect() {
        let check = |profile, keys: &[&str]| {
            let found = identity(profile, Uuid::from_u128(1), "dispatch", Uuid::from_u128(2), "db");
            let found: Vec<&str> = found.context.keys().map(String::as_str).collect();
            assert_eq!(found, keys, "{profile:?}");
        };
        let ours = [
            "instance_name",
            "organization_guid",
            "organization_name",
            "platform",
            "space_guid",
            "space_name",
        ];
        check(Profile::Dispatch, &ours);
        check(Profile::CloudFoundry, &ours);
        check(Profile::Kubernetes, &["clusterid", "instance_name", "namespace", "platform"]);
    }
}
