//! Orphans: attempts that were given up and may have left something at a broker. Removed there for as long as it
//! takes; visible, so that nobody has to wonder.

mod act;
#[cfg(test)]
mod crash;
mod list;
#[cfg(test)]
mod once_more;

pub use act::Controller;
pub use list::list;

use dispatch_model::{
    Id, Object,
    object::Meta,
    organization::Organization,
    orphan::{Orphan, Spec, Status},
};
use dispatch_store::{ReadError, Stored};
use jiff::Timestamp;
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

/// Why there is one of what was removed, for people.
const ASKED_FOR_TWICE: &str =
    "its request was sent twice, and the broker may carry out the first one late";

/// For what was asked for twice: to be written in the batch that gives up its id, with a reference to its broker alone.
/// Nothing waits for it but that.
pub fn once_more(
    platform: &Platform,
    organization: Id<Organization>,
    spec: Spec,
    not_before: Timestamp,
) -> Object<Orphan> {
    let (cause, not_before) = (ASKED_FOR_TWICE.to_owned(), Some(not_before));
    let spec = Spec { cause, not_before, unanswered: false, waiting: Vec::new(), ..spec };
    object(platform, organization, spec)
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
        let (what, id) = match orphan.spec.binding {
            Some(binding) => ("binding", binding),
            None => ("instance", orphan.spec.instance),
        };
        let (cause, why) = (&orphan.spec.cause, &orphan.status.retry.last_error);
        let once_more = "purge=true does not wait for that";
        match (orphan.spec.not_before, why) {
            (None, None) => None,
            (None, Some(why)) => {
                Some(format!("{what} {id}, which was given up, is still at the broker: {why}"))
            }
            (Some(at), None) => {
                let at = at.strftime("%FT%TZ");
                Some(format!("{what} {id} is removed once more at {at}: {cause}; {once_more}"))
            }
            (Some(_), Some(why)) => {
                Some(format!("{what} {id} is removed once more: {why}; {once_more}"))
            }
        }
    });
    Ok(words.collect())
}
