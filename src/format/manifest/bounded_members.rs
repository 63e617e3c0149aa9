//! Reads members of a document only as far as pgbk can have written them: limits how many there are and how long a text is.

use crate::base::subject::Subject;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

/// Most roles, extensions or arguments of one dump.
pub const MOST_NAMES: usize = 100_000;
/// Longest word in bytes. Version ids of a host may have as many; all other words are shorter.
pub const LONGEST_WORD: usize = 1_024;
/// Longest text in bytes: no name in a dump and no argument that the system accepts is longer.
pub const LONGEST: usize = 256 << 10;

/// Text without NUL, which no program, path or server accepts.
pub struct BoundedText(String);

impl<'de> Deserialize<'de> for BoundedText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.len() {
            length if length > LONGEST => Err(D::Error::custom(format!("a text of {length} bytes"))),
            _ if text.contains('\0') => Err(D::Error::custom("a text with a NUL in it")),
            _ => Ok(BoundedText(text)),
        }
    }
}

/// Makes such a text: cuts off what is too long, and removes NUL.
pub fn fitting(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text.retain(|c| c != '\0');
    text
}

pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    BoundedText::deserialize(from).map(|text| text.0)
}

pub fn maybe_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<BoundedText>::deserialize(from)?.map(|text| text.0))
}

/// Reads the name of a subject.
pub fn subject<'de, D: Deserializer<'de>>(from: D) -> Result<Subject, D::Error> {
    text(from).map(|text| Subject::of_text(&text))
}

/// Returns whether the text is a word, as versions and identifiers are: short, and printable ASCII.
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
    let texts: Vec<BoundedText> = list::<_, _, MOST_NAMES>(from)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

/// Reads warnings, of which only a few are kept of one child.
pub fn few_texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts: Vec<BoundedText> = list::<_, _, 64>(from)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

pub fn set<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(texts(from)?.into_iter().collect())
}

/// Reads a list of at most `MOST` items; more are an error.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
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
    from.deserialize_seq(ListVisitor::<T, MOST>(PhantomData))
}

/// Reads a map of at most `MOST` members, each of them once; anything else is an error.
pub fn map<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct MapVisitor<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for MapVisitor<T, MOST> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MOST} members")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some((name, value)) = from.next_entry::<BoundedText, T>()? {
                if all.len() == MOST || all.insert(name.0, value).is_some() {
                    return Err(A::Error::custom(format!("more than {MOST} members, or one twice")));
                }
            }
            Ok(all)
        }
    }
    from.deserialize_map(MapVisitor::<T, MOST>(PhantomData))
}
