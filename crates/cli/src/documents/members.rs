//! The names of the members that a wire type has. The types say them to their deserializer and to nobody else, so that
//! this is a deserializer which only listens.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};

/// The members of a wish and of the object that comes of it, and what documents have besides.
pub fn of<'de, W: Deserialize<'de>, O: Deserialize<'de>>() -> Vec<&'static str> {
    [&["kind", "sourcePath"], fields::<W>(), fields::<O>()].concat()
}

fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut heard: &'static [&'static str] = &[];
    // It fails in any case: there is nothing to read.
    let _ = T::deserialize(Listener(&mut heard));
    heard
}

struct Listener<'h>(&'h mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("heard"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Kind;

    #[test]
    fn every_kind_says_its_members() {
        for kind in Kind::ALL {
            let members = (kind.spec().members)();
            assert!(members.contains(&"name") && members.len() > 6, "{kind:?}: {members:?}");
            for member in kind.spec().replaced {
                assert!(members.contains(member), "{kind:?} has no member {member}");
            }
        }
    }
}
