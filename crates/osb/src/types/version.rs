//! The version of the API: `MAJOR.MINOR`, as in `X-Broker-API-Version` (OSB-001, OSB-007).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version of the API. Ordered by major, then minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    pub major: u16,
    pub minor: u16,
}

impl ApiVersion {
    /// The newest version that this crate speaks: 2.17.
    pub const LATEST: Self = Self::v2(17);
    /// The oldest version that this crate speaks: 2.11.
    pub const OLDEST: Self = Self::v2(11);

    /// Version 2 with the given minor number.
    pub const fn v2(minor: u16) -> Self {
        Self { major: 2, minor }
    }

    /// Bindings can be made and removed asynchronously, and both kinds fetched, since 2.14.
    pub fn has_asynchronous_bindings(self) -> bool {
        self >= Self::v2(14)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a version of the form MAJOR.MINOR")]
pub struct UnreadableVersion;

impl FromStr for ApiVersion {
    type Err = UnreadableVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse().map_err(|_| UnreadableVersion),
            false => Err(UnreadableVersion),
        };
        let (major, minor) = text.trim().split_once('.').ok_or(UnreadableVersion)?;
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl Serialize for ApiVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<(u16, u16)>) {
        let read = text.parse::<ApiVersion>().ok().map(|v| (v.major, v.minor));
        assert_eq!(read, expect, "{text:?}");
    }

    #[test]
    fn versions_are_two_numbers() {
        check("2.17", Some((2, 17)));
        check(" 2.9 ", Some((2, 9)));
        check("3.0", Some((3, 0)));
        for bad in ["", "2", "2.", ".1", "2.17.1", "2.x", "+2.1", "2.+1", "2.70000"] {
            check(bad, None);
        }
    }

    #[test]
    fn minor_numbers_are_ordered_as_numbers() {
        assert!(ApiVersion::v2(9) < ApiVersion::v2(13));
        assert!(ApiVersion::v2(17) < ApiVersion { major: 3, minor: 0 });
    }
}
