//! Writing down what was decided about a class: the only thing of it that is an object of ours.

use dispatch_model::{
    Id, Kind, Object,
    object::{Meta, NoStatus},
    service_class::{ServiceClass, Spec},
};
use dispatch_store::Batch;

use super::{Offering, Which, find_class};
use crate::http::{ApiError, Call, commit_on};

/// Writes what `change` makes of the decision about the class that `find` finds; the offering as it is then.
pub(super) async fn decide<F>(
    call: &Call,
    find: impl Fn() -> F,
    change: impl Fn(&Offering, &mut Spec) -> Result<(), ApiError>,
) -> Result<Offering, ApiError>
where
    F: Future<Output = Result<Offering, ApiError>>,
{
    let offering = commit_on(call, &[Kind::ServiceBroker, Kind::ServiceClass], || async {
        let offering = find().await?;
        let batch = batch(call, &offering, &change)?;
        Ok((batch.require(&offering.broker.meta), offering))
    })
    .await?;
    let which = Which {
        name: None,
        id: Some(offering.id()),
        broker: Some(offering.broker.meta.name.as_str()),
    };
    let after = find_class(&call.platform, &call.scope, which, true).await?;
    after.ok_or_else(|| ApiError::not_found(Kind::ServiceClass, &offering.service().name))
}

fn batch(
    call: &Call,
    offering: &Offering,
    change: impl Fn(&Offering, &mut Spec) -> Result<(), ApiError>,
) -> Result<Batch, ApiError> {
    let broker = offering.broker.meta.id;
    let batch = call.batch(Kind::ServiceClass, &offering.service().name, offering.id());
    if let Some(mut class) = offering.decision().cloned() {
        change(offering, &mut class.spec)?;
        class.meta.modified = call.now;
        return Ok(batch.update_spec(&class, &[broker.uuid()], &[]));
    }
    let service = offering.service().id.clone();
    let mut spec = Spec { broker, service, enabled: None, default_plan: None };
    change(offering, &mut spec)?;
    // A catalogue's name can hold any characters; the object's name is the class's id instead.
    let name = offering.id().to_string().parse()?;
    let id = Id::from_uuid(call.platform.entropy.uuid());
    let meta = Meta::new(id, call.organization, name, call.now, Default::default());
    let class = Object::<ServiceClass> { meta, spec, status: NoStatus {} };
    Ok(batch.create(&class, &[broker.uuid()], &[]))
}
