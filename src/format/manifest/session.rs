//! Session settings of a dump: three names, each with values of its own kind. They reach a server's command line.

use crate::format::manifest::bounded_members;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::collections::BTreeMap;
use std::ops::Deref;

/// A name that a document may state, and the check of its value.
type AllowedSetting = (&'static str, fn(&str) -> bool);

const KNOWN: &[AllowedSetting] = &[
    ("TimeZone", |value| is_of(value, "/_+-:<>,.")),
    ("bytea_output", |value| matches!(value, "hex" | "escape")),
    ("lc_monetary", |value| is_of(value, "_.@- ")),
];

/// Settings whose names and values have all passed the check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SessionSettings(BTreeMap<String, String>);

impl SessionSettings {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the settings that may be stated, and leaves out the rest.
    pub fn of(settings: BTreeMap<String, String>) -> SessionSettings {
        SessionSettings(settings.into_iter().filter(|(name, value)| is_known(name, value)).collect())
    }
}

impl Deref for SessionSettings {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SessionSettings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let settings: BTreeMap<String, String> = bounded_members::map::<_, _, 8>(from)?;
        match settings.iter().find(|(name, value)| !is_known(name, value)) {
            Some(_) => Err(D::Error::custom("a setting of the session that pgbk does not state")),
            None => Ok(SessionSettings(settings)),
        }
    }
}

fn is_known(name: &str, value: &str) -> bool {
    KNOWN.iter().any(|(known, fits)| *known == name && fits(value))
}

/// Returns whether the value has only letters, digits and these marks, as the names of time zones and locales do.
fn is_of(value: &str, marks: &str) -> bool {
    value.len() <= 128 && value.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_of_known_names_with_values_of_their_kind() {
        let read = |text: &str| serde_json::from_str::<SessionSettings>(text).is_ok();
        assert!(read(
            r#"{"TimeZone":"America/Argentina/Buenos_Aires","bytea_output":"escape","lc_monetary":"de_DE.UTF-8@euro"}"#
        ));
        assert!(read(r#"{"TimeZone":"<+0330>-03:30","lc_monetary":""}"#) && read("{}"));
        for name in ["TimeZone", "bytea_output", "lc_monetary", "session_preload_libraries", "timezone", "TimeZone\t-c"]
        {
            for value in ["UTC\\t-c\\tx=y", "UTC\\n", "'", "\\\\", "\\u0000", "a;b", "ä", "x=y", "$(id)"] {
                assert!(!read(&format!(r#"{{"{name}":"{value}"}}"#)), "{name} {value}");
            }
            assert!(!read(&format!(r#"{{"{name}":"{}"}}"#, "a".repeat(129))));
        }
        assert!(!read(r#"{"TimeZone":"UTC","TimeZone":"UTC"}"#) && !read(r#"{"TimeZone":1}"#) && !read("[]"));
    }
}
