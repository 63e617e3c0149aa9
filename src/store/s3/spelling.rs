//! Finds out how a listing spells its keys: as they are, or encoded as in a URL. Hosts encode them if they are asked
//! to, and some if they are not.

use std::borrow::Cow;

/// Bytes that one encoder or another leaves as they are, besides letters and digits. A key with any other byte is not encoded.
const PLAIN: &[u8] = b"%+-_.~/!*'()@,;:$&=#?";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    AsIs,
    /// Encoded as in a path.
    Percent,
    /// Encoded as in a form, where a plus is a blank.
    Form,
}

/// The result of looking at a page of keys that were asked for by a prefix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SpellingEvidence<'a> {
    It(Spelling),
    /// This key means one object as it is and another one decoded; only the host knows which.
    Either(&'a str),
}

impl Spelling {
    /// Finds the spelling from what the host declares, from the prefix that every key must begin with, and from
    /// characters that no encoding leaves.
    pub fn seen<'a>(declared: Option<&str>, keys: &[&'a str], prefix: &str) -> SpellingEvidence<'a> {
        let fits = |spelling: &Spelling| keys.iter().all(|key| spelling.reads(key, prefix));
        if declared.is_some_and(|declared| declared.eq_ignore_ascii_case("url")) {
            return SpellingEvidence::It(
                [Spelling::Form, Spelling::Percent].into_iter().find(fits).unwrap_or(Spelling::AsIs),
            );
        }
        if !fits(&Spelling::AsIs) {
            return SpellingEvidence::It(
                [Spelling::Percent, Spelling::Form].into_iter().find(fits).unwrap_or(Spelling::AsIs),
            );
        }
        let is_proof = prefix.contains('%') || keys.iter().any(|key| !is_encoded(key));
        let odd = keys.iter().copied().find(|key| key.contains('%')).filter(|_| !is_proof);
        odd.map_or(SpellingEvidence::It(Spelling::AsIs), SpellingEvidence::Either)
    }

    /// Returns the key. None: this is not a key in this spelling.
    pub fn read<'a>(self, key: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Spelling::AsIs => Some(Cow::Borrowed(key)),
            Spelling::Percent => decode(key, false).map(Cow::Owned),
            Spelling::Form => decode(key, true).map(Cow::Owned),
        }
    }

    fn reads(self, key: &str, prefix: &str) -> bool {
        self.read(key).is_some_and(|key| key.starts_with(prefix))
    }
}

/// Returns whether an encoder could have written this.
fn is_encoded(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte)) && decode(key, false).is_some()
}

fn decode(key: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex::decode([rest.next()?, rest.next()?]).ok()?[0],
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How hosts encode: AWS and MinIO, Python's and JavaScript's libraries, and whole.
    const ENCODERS: [fn(u8) -> Option<&'static str>; 4] = [
        |byte| (byte == b' ').then_some("+").or(keep(byte, b"-_.*/")),
        |byte| keep(byte, b"-_.~/"),
        |byte| keep(byte, b"-_.~/!*'()@,;:$&=+#?"),
        |byte| keep(byte, b"-_.~"),
    ];

    fn keep(byte: u8, plain: &[u8]) -> Option<&'static str> {
        (byte.is_ascii_alphanumeric() || plain.contains(&byte)).then_some("")
    }

    fn encoded(key: &str, encoder: fn(u8) -> Option<&'static str>) -> String {
        key.bytes()
            .map(|byte| match encoder(byte) {
                Some("") => char::from(byte).to_string(),
                Some(other) => other.to_owned(),
                None => format!("%{byte:02x}"),
            })
            .collect()
    }

    fn read(declared: Option<&str>, listed: &[String], prefix: &str, is_raw: bool) -> Vec<String> {
        let keys: Vec<&str> = listed.iter().map(String::as_str).collect();
        let spelling = match Spelling::seen(declared, &keys, prefix) {
            SpellingEvidence::It(spelling) => spelling,
            SpellingEvidence::Either(_) if is_raw => Spelling::AsIs,
            SpellingEvidence::Either(_) => Spelling::Percent,
        };
        keys.iter().map(|key| spelling.read(key).unwrap().into_owned()).collect()
    }

    /// Makes keys as pgbk has them in a bucket: databases of any name below a folder of any name.
    fn keys(folder: &str, databases: &[String]) -> Vec<String> {
        let key = |name: &String| {
            format!(
                "{folder}{0}/{0}-20261127T044500Z.meta",
                crate::base::subject::Subject::from(name.as_str()).series()
            )
        };
        databases.iter().map(key).collect()
    }

    proptest! {
        #[test]
        fn every_key_is_read_as_it_is_in_the_bucket_however_it_is_spelt(
            folder in "([a-z +%üx@]{1,8}/){0,2}",
            databases in proptest::collection::vec("[a-zA-Z +%ü/.]{1,12}|@globals", 1..4),
            encoder in 0..ENCODERS.len(),
        ) {
            let keys = keys(&folder, &databases);
            let listed: Vec<String> = keys.iter().map(|key| encoded(key, ENCODERS[encoder])).collect();
            for prefix in [folder.clone(), format!("{folder}{}/", crate::base::subject::Subject::from(databases[0].as_str()).series())] {
                let below = |all: &[String]| {
                    all.iter().zip(&keys).filter(|(_, key)| key.starts_with(&prefix)).map(|(one, _)| one.clone()).collect::<Vec<_>>()
                };
                prop_assert_eq!(read(None, &below(&keys), &prefix, true), below(&keys));
                // JavaScript leaves a plus as it is, and whoever says "url" means a form: what pgbk writes itself has none.
                prop_assert_eq!(read(None, &below(&listed), &prefix, false), below(&keys));
                prop_assert_eq!(read(Some("url"), &below(&listed), &prefix, false), below(&keys));
            }
        }
    }

    #[test]
    fn what_nobody_can_have_encoded_is_taken_as_it_is_and_only_what_means_two_things_is_asked_about() {
        let seen = |keys: &[&'static str], prefix| Spelling::seen(None, keys, prefix);
        assert_eq!(seen(&[], ""), SpellingEvidence::It(Spelling::AsIs));
        assert_eq!(seen(&["shop/a.meta"], ""), SpellingEvidence::It(Spelling::AsIs));
        assert_eq!(seen(&["my%20db/a.meta", "über/a.meta"], ""), SpellingEvidence::It(Spelling::AsIs));
        assert_eq!(seen(&["100%/a.meta"], ""), SpellingEvidence::It(Spelling::AsIs));
        assert_eq!(seen(&["my%20db/a.meta"], "my%20db/"), SpellingEvidence::It(Spelling::AsIs));
        assert_eq!(seen(&["my%2520db/a.meta"], "my%20db/"), SpellingEvidence::It(Spelling::Percent));
        assert_eq!(seen(&["shop/a.meta", "my%20db/a.meta"], ""), SpellingEvidence::Either("my%20db/a.meta"));
        // A host that gives what it was not asked for is not believed to have encoded it.
        assert_eq!(seen(&["other/a.meta"], "shop/"), SpellingEvidence::It(Spelling::AsIs));
    }
}
