//! A query string or form as a JSON object: a string for a name that comes once, an array for one that is repeated.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use bytes::Bytes;
use serde::ser::{SerializeMap, Serializer};
use url::form_urlencoded;

use super::Refusal;

const MAX_FIELDS: usize = 10_000;

/// Names in the order of their first appearance.
pub(super) fn to_json(encoded: &[u8]) -> Result<Bytes, Refusal> {
    let too_many = Refusal::TooManyFields { max: MAX_FIELDS };
    let mut names = Vec::new();
    let mut values: HashMap<Cow<'_, str>, Vec<Cow<'_, str>>> = HashMap::new();
    for (count, (name, value)) in form_urlencoded::parse(encoded).enumerate() {
        if count >= MAX_FIELDS {
            return Err(too_many);
        }
        match values.entry(name) {
            Entry::Occupied(mut entry) => entry.get_mut().push(value),
            Entry::Vacant(entry) => {
                names.push(entry.key().clone());
                entry.insert(vec![value]);
            }
        }
    }
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let write = |serializer: &mut serde_json::Serializer<_>| {
        let mut map = serializer.serialize_map(Some(names.len()))?;
        for name in &names {
            match values.get(name).map(Vec::as_slice) {
                Some([only]) => map.serialize_entry(name, only)?,
                all => map.serialize_entry(name, all.unwrap_or_default())?,
            }
        }
        map.end()
    };
    write(&mut serializer).map_err(|_: serde_json::Error| too_many)?;
    Ok(json.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_strings_and_repeated_ones_arrays() {
        let check = |encoded: &str, expect: &str| {
            let json = to_json(encoded.as_bytes()).expect("few fields");
            assert_eq!(String::from_utf8_lossy(&json), expect, "{encoded}");
        };
        check("", "{}");
        check("a=1", r#"{"a":"1"}"#);
        check("b=2&a=1", r#"{"b":"2","a":"1"}"#);
        check("a=1&b=2&a=3", r#"{"a":["1","3"],"b":"2"}"#);
        check("flag&empty=", r#"{"flag":"","empty":""}"#);
        check("q=%22x%22&%6E=a+b%2Bc", r#"{"q":"\"x\"","n":"a b+c"}"#);
        check("a=%ff", "{\"a\":\"\u{fffd}\"}");
        check("a=b=c", r#"{"a":"b=c"}"#);
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let at_the_bound = vec!["a=1"; MAX_FIELDS].join("&");
        assert!(to_json(at_the_bound.as_bytes()).is_ok());
        let above = at_the_bound + "&b";
        let refused = Refusal::TooManyFields { max: MAX_FIELDS };
        assert_eq!(to_json(above.as_bytes()), Err(refused));
    }
}
