//! The values of a secret, in memory. They are never shown by accident and are wiped when dropped.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

/// A map from key to value. There is no `Serialize`: whoever reveals a value does it by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretValues(BTreeMap<String, Zeroizing<String>>);

impl SecretValues {
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Zeroizing<String>>) {
        self.0.insert(key.into(), value.into());
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.as_str())
    }

    /// Sorted.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON, in one allocation that is never moved, so that no copy stays behind.
    pub(crate) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // A byte becomes six at most (\u00xx); quotes, colon and comma are five.
        let bound = self.iter().map(|(k, v)| 6 * (k.len() + v.len()) + 5).sum::<usize>() + 2;
        let mut json = Zeroizing::new(Vec::with_capacity(bound));
        let plain: BTreeMap<&str, &str> = self.iter().collect();
        serde_json::to_writer(&mut *json, &plain)
            .expect("a map of texts is JSON, and memory does not fail");
        debug_assert!(json.len() <= bound, "the bound was too small");
        json
    }

    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let plain: BTreeMap<String, String> = serde_json::from_slice(json).ok()?;
        Some(plain.into_iter().collect())
    }
}

impl<K: Into<String>, V: Into<Zeroizing<String>>> FromIterator<(K, V)> for SecretValues {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> SecretValues {
        pairs.iter().map(|(k, v)| (*k, (*v).to_owned())).collect()
    }

    #[test]
    fn values_survive_json_whatever_they_hold() {
        let check = |pairs: &[(&str, &str)]| {
            let values = values(pairs);
            assert_eq!(SecretValues::from_json(&values.to_json()), Some(values));
        };
        check(&[]);
        check(&[("password", "pässword\"\\ \n\u{1}\u{0}")]);
        check(&[("a", ""), ("", "b"), ("uri", "postgres://u:p@h/d?x=1")]);
        check(&[("\u{1}\u{1}\u{1}", "\u{1f}\u{1f}")]);
    }

    #[test]
    fn debug_shows_neither_keys_nor_values() {
        assert_eq!(format!("{:?}", values(&[("password", "hunter2")])), "[redacted]");
    }
}
