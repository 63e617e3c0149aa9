//! The note in the manifest of an anonymised backup that says how it was made.

use crate::base::secret::Secret;
use crate::format::keys::hash::keyed;
use crate::format::manifest::bounded_members;
use blake2b_simd::Params;
use serde::{Deserialize, Serialize};

const LABEL: &[u8; 32] = b"pgbk: check of anonymise secret!";

/// Names the rules and the secret of an anonymised backup. Neither is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnonymisedNote {
    /// The name of the file with the rules.
    #[serde(deserialize_with = "bounded_members::text")]
    rules: String,
    /// BLAKE2b-256 of that file, which `b2sum -l 256` prints.
    #[serde(with = "hex::serde")]
    rules_blake2b: [u8; 32],
    /// Whether every column had to have a rule.
    strict: bool,
    /// Tells which secret the values were made by: the same value for the same one.
    #[serde(with = "hex::serde")]
    secret_check: [u8; 8],
}

impl AnonymisedNote {
    /// Makes the note. `text` is what the file of rules holds.
    pub(crate) fn of(rules: String, text: &str, strict: bool, secret: &Secret) -> AnonymisedNote {
        let mut rules_blake2b = [0; 32];
        rules_blake2b.copy_from_slice(Params::new().hash_length(32).hash(text.as_bytes()).as_bytes());
        let mut secret_check = [0; 8];
        secret_check.copy_from_slice(&keyed(LABEL, &[secret.reveal().as_bytes()])[..8]);
        AnonymisedNote { rules: bounded_members::fitting(rules), rules_blake2b, strict, secret_check }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_tells_rules_and_secrets_apart_and_holds_neither() {
        let secret = Secret::new("a secret of many letters");
        let note = AnonymisedNote::of("rules.toml".to_owned(), "strict = true", true, &secret);
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(serde_json::from_str::<AnonymisedNote>(&text).unwrap(), note);
        assert!(text.contains("\"rules.toml\"") && !text.contains("secret of") && !text.contains("strict ="), "{text}");
        let other =
            |text, secret: &str| AnonymisedNote::of("rules.toml".to_owned(), text, true, &Secret::new(secret)) != note;
        assert!(other("strict = false", "a secret of many letters") && other("strict = true", "another one of them"));
    }
}
