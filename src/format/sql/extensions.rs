//! Finds the extensions that a script creates at its beginning.

use crate::base::error::Fault;
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use crate::format::sql::tokens::{Token, Tokens};

/// Longest statement that is kept, in bytes: none that creates an extension is longer.
const LONGEST: usize = 64 << 10;

/// One `CREATE EXTENSION` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    pub name: String,
    /// `None`: the extension chooses by itself, or gets the first schema of the search path.
    pub schema: Option<String>,
}

/// Returns the extensions that a script creates before its first rows, in its order. `pg_dump` creates them right after the
/// schemas. A text that cannot be read as a script has none.
pub fn extensions(head: &[u8]) -> Vec<Extension> {
    let mut found = Vec::new();
    let mut splitter = Splitter::new(StatementLimit::Head { limit: LONGEST });
    let mut rest = head;
    loop {
        let taken = splitter.feed(rest, &mut |event| match event {
            ScriptEvent::Statement { text, whole: true, .. } => {
                found.extend(extension(text));
                Ok(())
            }
            ScriptEvent::CopyStart { .. } => Err(Fault::failed("rows begin").into()),
            _ => Ok(()),
        });
        match taken {
            Ok(taken) if taken > 0 && taken < rest.len() => rest = &rest[taken..],
            _ => return found,
        }
    }
}

/// Returns the extension that a statement creates. `None`: it is another statement.
fn extension(statement: &[u8]) -> Option<Extension> {
    let mut tokens = Tokens::new(statement);
    if !tokens.accept(&["create", "extension"]) {
        return None;
    }
    tokens.accept(&["if", "not", "exists"]);
    let name = tokens.next().as_ref().and_then(Token::name)?;
    tokens.accept(&["with"]);
    let schema = if tokens.accept(&["schema"]) { tokens.next().as_ref().and_then(Token::name) } else { None };
    Some(Extension { name, schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extensions_before_the_first_rows_are_found_with_their_schemas() {
        let script = b"SET row_security = off;\nCREATE SCHEMA \"A \"\"b\";\nCREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA \"A \"\"b\";\n\
            COMMENT ON EXTENSION hstore IS 'CREATE EXTENSION x;';\nCREATE EXTENSION \"uuid-ossp\" SCHEMA public;\ncreate extension Plain;\n\
            COPY public.t (v) FROM stdin;\nCREATE EXTENSION late;\n\\.\nCREATE EXTENSION later;\nCREATE EXTEN";
        let expected = [("hstore", Some("A \"b")), ("uuid-ossp", Some("public")), ("plain", None)];
        let found = extensions(script);
        let found: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.schema.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_off_or_no_script_makes_nothing() {
        for text in [&b""[..], b"CREATE EXTENSION hstore", b"\x00\xff'", b"CREATE EXTENSION;", b"CREATE EXTENSION IF;"]
        {
            assert!(extensions(text).iter().all(|one| one.name == "if"), "{text:?}");
        }
    }
}
