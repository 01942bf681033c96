//! Fields of a study that take one value or a list of them.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// One value, or a list of them. (An untagged enum would lose what is wrong, and where.)
pub(super) fn one_or_more<'de, D: Deserializer<'de>, T: OneOf<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrMore(PhantomData))
}

pub(super) fn some_or_more<'de, D: Deserializer<'de>, T: OneOf<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    one_or_more(deserializer).map(Some)
}

/// What may stand in a list or alone.
pub(super) trait OneOf<'de>: Deserialize<'de> {
    /// A text that stands for it.
    fn of_text<E: Error>(text: &str) -> Result<Self, E> {
        Self::deserialize(text.into_deserializer())
    }
}

impl OneOf<'_> for String {}

struct One<T>(PhantomData<T>);

impl<'de, T: OneOf<'de>> Visitor<'de> for One<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de, T: OneOf<'de>> DeserializeSeed<'de> for One<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

struct OneOrMore<T>(PhantomData<T>);

impl<'de, T: OneOf<'de>> Visitor<'de> for OneOrMore<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a table, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        One(PhantomData).visit_str(text).map(|one| vec![one])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        One(PhantomData).visit_map(map).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element_seed(One(PhantomData))? {
            all.push(one);
        }
        Ok(all)
    }
}
