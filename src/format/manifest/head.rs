//! Reads from a document what must be known before its seal can be checked: the format and the key. Nothing else is kept, and
//! nothing is allocated for it.

use crate::base::error::Fault;
use crate::format::keys::note::KeyNote;
use crate::format::manifest::{FORMAT, OLDEST};
use serde::Deserialize;

/// Deepest nesting that is read: deeper than pgbk writes, with room for later formats.
const DEEPEST: usize = 16;

/// Two members of the document, wherever they are in it. All others are skipped.
#[derive(Debug, Deserialize)]
pub(crate) struct ManifestHead {
    pgbk: u64,
    pub(crate) key: Option<KeyNote>,
}

impl ManifestHead {
    /// Reads them from a document that is not authenticated. `name` is for messages.
    pub(crate) fn read(name: &str, text: &str) -> Result<ManifestHead, Fault> {
        if is_deep(text) {
            return Err(damaged(name, "it is nested deeper than pgbk writes"));
        }
        let head: ManifestHead =
            serde_json::from_str(text).map_err(|error| otherwise(name, text, &error.to_string()))?;
        is_read(name, head.pgbk)?;
        // Format 2 begins where each backup has keys of its own.
        let has_nonce = head.key.as_ref().is_some_and(|note| note.nonce().is_some());
        if head.key.is_some() && has_nonce != (head.pgbk > 1) {
            return Err(damaged(name, "its key is not that of its format"));
        }
        Ok(head)
    }
}

/// Returns the error of a document that cannot be read. A later format is reported first, because there `key` may be anything.
fn otherwise(name: &str, text: &str, why: &str) -> Fault {
    #[derive(Deserialize)]
    struct FormatVersion {
        pgbk: u64,
    }
    let version = serde_json::from_str(text).map(|FormatVersion { pgbk }| is_read(name, pgbk));
    version.ok().and_then(Result::err).unwrap_or_else(|| damaged(name, why))
}

/// Returns an error if this pgbk does not read this format version.
fn is_read(name: &str, version: u64) -> Result<(), Fault> {
    match version {
        0 => Err(damaged(name, "there is no format version 0")),
        version if version < u64::from(OLDEST) || version > u64::from(FORMAT) => Err(newer(name, version)),
        _ => Ok(()),
    }
}

/// Returns whether brackets outside of strings are nested deeper than [`DEEPEST`].
pub(crate) fn is_deep(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

pub(crate) fn damaged(name: &str, why: &str) -> Fault {
    Fault::damaged(format!("\"{name}\" is not a whole .meta document: {why}"))
}

fn newer(name: &str, version: u64) -> Fault {
    Fault::failed(format!("\"{name}\" has format version {version}; this pgbk reads versions {OLDEST} to {FORMAT}"))
        .hint("use a newer pgbk")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;

    #[test]
    fn the_key_is_found_wherever_it_stands_and_only_in_a_document_of_its_format() {
        let raw = r#"{"mode":"raw","check":"0000000000000000"}"#;
        let newer = r#"{"mode":"raw","check":"0000000000000000","nonce":"00000000000000000000000000000000"}"#;
        let read = |text: String| ManifestHead::read("x", &text).map(|head| head.key.is_some());
        assert!(read(format!(r#"{{"pgbk":1,"x":[[],{{}}],"key":{raw}}}"#)).unwrap());
        assert!(read(format!(r#"{{"key":{newer},"x":"}}]\"[[[[[[[[[[[[[[[[[[","pgbk":2}}"#)).unwrap());
        assert!(!read(r#"{"pgbk":2,"key":null}"#.to_owned()).unwrap());
        for text in [
            format!(r#"{{"pgbk":2,"key":{raw}}}"#),
            format!(r#"{{"pgbk":1,"key":{newer}}}"#),
            format!(r#"{{"pgbk":1,"key":{raw},"key":{raw}}}"#),
            format!(r#"{{"pgbk":1,"pgbk":1,"key":{raw}}}"#),
            r#"{"pgbk":0,"key":null}"#.to_owned(),
            r#"{"pgbk":-1,"key":null}"#.to_owned(),
            r#"{"pgbk":1e0,"key":null}"#.to_owned(),
            r#"{"key":null}"#.to_owned(),
            "[]".to_owned(),
            format!(r#"{{"pgbk":1,"key":null,"x":{}{}}}"#, "[".repeat(17), "]".repeat(17)),
        ] {
            assert_eq!(read(text.clone()).unwrap_err().kind(), Kind::Damaged, "{text}");
        }
        assert_eq!(read(r#"{"pgbk":4,"key":[1,2]}"#.to_owned()).unwrap_err().kind(), Kind::Failed);
    }
}
