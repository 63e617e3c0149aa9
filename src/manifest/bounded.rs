//! Members of a document that are read no further than pgbk can have written them: how many there may be, and how long a text.

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// Roles, extensions and arguments of one dump.
pub const MOST_NAMES: usize = 100_000;
/// Of a host's version ids; all other words are shorter.
pub const LONGEST_WORD: usize = 1_024;
/// No name that is found in a dump is longer, nor any argument that the system lets through.
pub const LONGEST: usize = 256 << 10;

/// Text without NUL, which no program, path or server takes.
pub struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.len() {
            length if length > LONGEST => Err(D::Error::custom(format!("a text of {length} bytes"))),
            _ if text.contains('\0') => Err(D::Error::custom("a text with a NUL in it")),
            _ => Ok(Text(text)),
        }
    }
}

/// Makes it such a text: what is more than that is left out.
pub fn fitting(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text.retain(|c| c != '\0');
    text
}

pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Text::deserialize(from).map(|text| text.0)
}

/// Whether it is a word as versions, identifiers and the like are: short, and printable as it stands.
pub fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

pub fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if is_word(&text) { Ok(text) } else { Err(D::Error::custom("a word that is too long, or not printable")) }
}

pub fn maybe_word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if !is_word(&text) => Err(D::Error::custom("a word that is too long, or not printable")),
        text => Ok(text),
    }
}

pub fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts: Vec<Text> = list::<_, _, MOST_NAMES>(from)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

/// Warnings, of which a child is heard with a few.
pub fn few_texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts: Vec<Text> = list::<_, _, 64>(from)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

pub fn set<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(texts(from)?.into_iter().collect())
}

/// A list of at most so many.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error> {
    struct Of<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Of<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a list of at most {MOST}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = from.next_element()? {
                if all.len() == MOST {
                    return Err(A::Error::custom(format!("a list of more than {MOST}")));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Of::<T, MOST>(PhantomData))
}

/// A map of at most so many members, each once.
pub fn map<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Of<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Of<T, MOST> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MOST} members")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, value)) = from.next_entry::<Text, T>()? {
                if all.len() == MOST || all.insert(name.0, value).is_some() {
                    return Err(A::Error::custom(format!("more than {MOST} members, or one twice")));
                }
            }
            Ok(all)
        }
    }
    from.deserialize_map(Of::<T, MOST>(PhantomData))
}
