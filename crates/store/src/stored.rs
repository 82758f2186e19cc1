//! Objects as they come out of the store: readable, or of a form that this program does not know.

use std::fmt;

use dispatch_model::{Meta, Name, Noun, Object, object::UnreadableForm};

/// A stored object. An unreadable one keeps its head, so that it can be listed, shown as ERROR and deleted;
/// it never keeps a server from starting (decision 6).
pub enum Stored<K: Noun> {
    Readable(Object<K>),
    Unreadable { meta: Meta<K>, why: UnreadableForm },
}

/// A part of a list in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The last name of the page before.
    pub after: Option<Name>,
    /// In objects; 1 to [`Page::LIMIT_MAX`], other values are taken as the nearest of these.
    pub limit: usize,
}

impl Page {
    pub const LIMIT_MAX: usize = 1_000;

    pub(crate) fn rows(&self) -> i64 {
        self.limit.clamp(1, Self::LIMIT_MAX).try_into().unwrap_or(i64::MAX)
    }
}

impl<K: Noun> Stored<K> {
    pub const fn meta(&self) -> &Meta<K> {
        match self {
            Self::Readable(object) => &object.meta,
            Self::Unreadable { meta, .. } => meta,
        }
    }

    pub fn readable(self) -> Result<Object<K>, UnreadableForm> {
        match self {
            Self::Readable(object) => Ok(object),
            Self::Unreadable { why, .. } => Err(why),
        }
    }
}

impl<K: Noun> Clone for Stored<K>
where
    Object<K>: Clone,
    Meta<K>: Clone,
{
    fn clone(&self) -> Self {
        match self {
            Self::Readable(object) => Self::Readable(object.clone()),
            Self::Unreadable { meta, why } => {
                Self::Unreadable { meta: meta.clone(), why: why.clone() }
            }
        }
    }
}

impl<K: Noun> fmt::Debug for Stored<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = self.meta();
        let mut shown = f.debug_struct("Stored");
        shown.field("kind", &K::KIND).field("name", &meta.name).field("id", &meta.id);
        if let Self::Unreadable { why, .. } = self {
            shown.field("unreadable", why);
        }
        shown.finish_non_exhaustive()
    }
}
