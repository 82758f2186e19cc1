//! Names that people give (`Name`) and names that brokers give (`CatalogName`), parsed at the edge.
//! Nothing on disk is ever made from either: directories, cgroups and sockets are made from ids.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of one of our objects: `^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A name from a broker's catalogue: any characters, 1 to 255 bytes (OSB-033).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CatalogName(String);

/// Why a text is not a name. The wording is that of the first Dispatch, which scripts show to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("name in body is required")]
    Empty,
    #[error(
        "name should start with letter or number and may only contain letters, numbers, underscores and dashes"
    )]
    Pattern,
    #[error("name in body should be at most {max} chars long")]
    TooLong { max: usize },
}

impl Name {
    pub const MAX_LENGTH: usize = 128;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CatalogName {
    pub const MAX_LENGTH_BYTES: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        // An empty one too is said to be wrong, not missing, as the first Dispatch did.
        let first = bytes.next().ok_or(NameError::Pattern)?;
        let rest_fits = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !first.is_ascii_alphanumeric() || !rest_fits {
            return Err(NameError::Pattern);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { max: Self::MAX_LENGTH });
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for CatalogName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::MAX_LENGTH_BYTES {
            return Err(NameError::TooLong { max: Self::MAX_LENGTH_BYTES });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<String> for CatalogName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl From<CatalogName> for String {
    fn from(name: CatalogName) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for CatalogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CatalogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters_digits_dashes_and_underscores() {
        let check = |text: &str, expect: Result<(), NameError>| {
            assert_eq!(text.parse::<Name>().map(|_| ()), expect, "{text:?}");
        };
        check("azure-pg", Ok(()));
        check("0_a", Ok(()));
        check(&"a".repeat(128), Ok(()));
        check(&"a".repeat(129), Err(NameError::TooLong { max: 128 }));
        check("", Err(NameError::Pattern));
        check("-a", Err(NameError::Pattern));
        check("../etc", Err(NameError::Pattern));
        check("naïve", Err(NameError::Pattern));
    }

    #[test]
    fn a_catalogue_name_may_hold_anything_but_has_a_length() {
        assert!("p.mysql / größe".parse::<CatalogName>().is_ok());
        assert!("ß".repeat(127).parse::<CatalogName>().is_ok());
        assert!("ß".repeat(128).parse::<CatalogName>().is_err());
    }
}
