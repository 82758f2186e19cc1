//! Orphans: attempts that were given up and may have left something at a broker. Removed there for as long as it
//! takes; visible, so that nobody has to wonder.

mod act;
#[cfg(test)]
mod crash;
mod list;

pub use act::Controller;
pub use list::list;

use dispatch_model::{
    Id, Object,
    object::Meta,
    organization::Organization,
    orphan::{Orphan, Spec, Status},
};
use dispatch_store::{ReadError, Stored};
use uuid::Uuid;

use crate::platform::Platform;

/// To be written in the batch that gives the attempt up, with references to its broker and to whom it keeps waiting.
/// Wake its controller then.
pub fn object(platform: &Platform, organization: Id<Organization>, spec: Spec) -> Object<Orphan> {
    let id: Id<Orphan> = Id::from_uuid(platform.entropy.uuid());
    let name = id.to_string().parse().expect("a UUID's text is a name");
    let now = platform.clock.now();
    let meta = Meta::new(id, organization, name, now, Default::default());
    Object { meta, spec, status: Status::default() }
}

/// Why what refers to this object is still there: one fragment for each orphan that could not be removed yet.
pub async fn last_errors(platform: &Platform, of: Uuid) -> Result<Vec<String>, ReadError> {
    let orphans = platform.store.list_referring::<Orphan>(&platform.system, of).await?;
    let words = orphans.iter().filter_map(|stored| {
        let orphan = match stored {
            Stored::Readable(orphan) => orphan,
            Stored::Unreadable { meta, why } => {
                return Some(format!("orphan {} cannot be read: {why}", meta.name));
            }
        };
        let why = orphan.status.retry.last_error.as_ref()?;
        let (what, id) = match orphan.spec.binding {
            Some(binding) => ("binding", binding),
            None => ("instance", orphan.spec.instance),
        };
        Some(format!("{what} {id}, which was given up, is still at the broker: {why}"))
    });
    Ok(words.collect())
}
