//! What the things in PostgreSQL are called: all names follow from the ids of the platform, so that
//! a repeated request finds what an earlier one has made.
//!
//! An instance's database bears the instance's id. Only a UUID in its usual form is taken as it is:
//! any other id (`postgres`, say) could be the name of something that is not ours, so it is hashed.
//! PostgreSQL reserves `pg_…` for itself, so no name begins with that. All are ASCII of at most 63
//! bytes, the length at which PostgreSQL cuts.

use aws_lc_rs::digest::{self, SHA256};

/// The names of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceNames {
    /// The database: the instance's id.
    pub(crate) database: String,
    /// The role that owns what is in the database. Nobody logs in with it.
    pub(crate) owner: String,
    /// With which the names of all the instance's logins begin.
    pub(crate) login_prefix: String,
    /// Key of the advisory lock under which the instance is changed.
    pub(crate) lock: i64,
}

impl InstanceNames {
    /// The names that belong to an instance id (any text).
    pub(crate) fn of(instance_id: &str) -> Self {
        let hash = digest::digest(&SHA256, instance_id.as_bytes());
        let hash = hash.as_ref();
        let database = match is_plain_uuid(instance_id) {
            true => instance_id.to_owned(),
            false => format!("db_{}", hex(hash.get(..20).unwrap_or(hash))),
        };
        let short: String =
            database.trim_start_matches("db_").bytes().take(8).map(char::from).collect();
        let lock = hash.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        Self {
            owner: format!("{database}_owner"),
            login_prefix: format!("u_{short}_"),
            database,
            lock,
        }
    }

    /// The login role of one of the instance's bindings.
    pub(crate) fn login(&self, binding_id: &str) -> String {
        let mut context = digest::Context::new(&SHA256);
        context.update(self.database.as_bytes());
        context.update(b"\0");
        context.update(binding_id.as_bytes());
        let hash = context.finish();
        format!("{}{}", self.login_prefix, hex(hash.as_ref().get(..16).unwrap_or_default()))
    }
}

/// Whether the id is a UUID as it is usually written: lower case, hyphens at 8, 13, 18 and 23.
fn is_plain_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "5b1f6c1e-0c3d-4c8e-9a52-7d1e6a0f9d02";

    fn check(id: &str, database: Option<&str>) {
        let names = InstanceNames::of(id);
        match database {
            Some(database) => assert_eq!(names.database, database),
            None => {
                assert!(names.database.starts_with("db_"), "{id:?} gave {}", names.database);
                assert_eq!(names.database.len(), 43);
            }
        }
        for name in
            [&names.database, &names.owner, &names.login("x"), &names.login(&"é".repeat(500))]
        {
            assert!(name.len() <= 63 && name.is_ascii(), "{name}");
            assert!(!name.starts_with("pg_"), "{name}");
        }
        assert_eq!(names, InstanceNames::of(id));
    }

    #[test]
    fn a_database_bears_the_instance_id_and_no_id_reaches_what_is_not_ours() {
        check(UUID, Some(UUID));
        for id in
            ["postgres", "template1", "", "db_1", &UUID.to_uppercase(), &format!("{UUID} "), "a\"b"]
        {
            check(id, None);
        }
    }

    #[test]
    fn different_ids_have_different_names() {
        let (one, two) = (InstanceNames::of(UUID), InstanceNames::of(&UUID.replace('5', "6")));
        let ids = ["1", "2", "1\0", ""];
        let mut logins: Vec<_> = ids.iter().flat_map(|id| [one.login(id), two.login(id)]).collect();
        logins.sort();
        logins.dedup();
        assert_eq!(logins.len(), 2 * ids.len());
        assert_ne!(one.owner, two.owner);
        assert_ne!(one.lock, two.lock);
    }
}
