//! Finds objects that a target has before the script creates them: `public`, and what a provider has put there, extensions with
//! their schemas. Creating them again is not an error of the script.

use crate::base::error::Result;
use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::restore::load::failure;
use postgres::Transaction;

/// An object that a statement creates or comments on.
#[derive(Debug, PartialEq)]
pub(crate) enum ScriptObject {
    /// `CREATE SCHEMA name;`
    Schema(String),
    /// `CREATE EXTENSION name`, with the schema that it is to be in; `None` if it names none.
    Extension(String, Option<String>),
    /// `COMMENT ON kind name IS text`; `None` removes the comment.
    Comment(ScriptObjectKind, String, Option<String>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ScriptObjectKind {
    Schema,
    Extension,
}

/// State of an object in the target.
#[derive(Debug, PartialEq)]
pub(crate) enum ObjectState {
    /// The statement must be run.
    Missing,
    /// The target has it as the script would make it.
    Same,
    /// The target has it in another form, and keeps it; with the text for the report.
    Other(String),
}

/// Query for an extension's schema, its comment, and whether the role owns it.
const EXTENSION: &str = "
    SELECT n.nspname::pg_catalog.text, pg_catalog.obj_description(e.oid, 'pg_extension'), pg_catalog.pg_has_role(e.extowner, 'USAGE')
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
    WHERE e.extname::pg_catalog.text OPERATOR(pg_catalog.=) $1";

/// Query for an extension in a schema, if there is one, the schema's comment, and whether the role owns the schema.
const SCHEMA: &str = "
    SELECT (SELECT pg_catalog.min(e.extname::pg_catalog.text) FROM pg_catalog.pg_extension e WHERE e.extnamespace OPERATOR(pg_catalog.=) n.oid),
        pg_catalog.obj_description(n.oid, 'pg_namespace'), pg_catalog.pg_has_role(n.nspowner, 'USAGE')
    FROM pg_catalog.pg_namespace n WHERE n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) $1";

/// A row of one of the queries: a name, the comment, and whether the role owns it.
type ObjectRow = (Option<String>, Option<String>, bool);

impl ScriptObject {
    /// Returns the object that the statement creates or comments on; `None` if it is none that the target may have already.
    pub fn of(statement: &[u8]) -> Option<ScriptObject> {
        let mut tokens = Tokens::new(statement);
        if tokens.accept(&["create", "schema"]) {
            let name = tokens.next()?;
            // With more behind it the statement makes more than the schema.
            let plain = matches!(name, Token::Word(_) | Token::Name(_)) && tokens.next() == Some(Token::Mark(b';'));
            return name
                .name()
                .filter(|_| plain && !name.is("if") && !name.is("authorization"))
                .map(ScriptObject::Schema);
        }
        if tokens.accept(&["create", "extension"]) {
            tokens.accept(&["if", "not", "exists"]);
            let name = tokens.next().as_ref().and_then(Token::name)?;
            tokens.accept(&["with"]);
            let schema = tokens.accept(&["schema"]).then(|| tokens.next().as_ref().and_then(Token::name)).flatten();
            return Some(ScriptObject::Extension(name, schema));
        }
        let kind = match (tokens.accept(&["comment", "on", "extension"]), tokens.accept(&["comment", "on", "schema"])) {
            (true, _) => ScriptObjectKind::Extension,
            (_, true) => ScriptObjectKind::Schema,
            _ => return None,
        };
        let name = tokens.next().as_ref().and_then(Token::name)?;
        let text = tokens.accept(&["is"]).then(|| tokens.next()).flatten()?;
        let text = matches!(text, Token::Literal(_)).then(|| text.name()).flatten();
        Some(ScriptObject::Comment(kind, name, text))
    }

    /// Finds the object in the target. Works whatever search path the script has set.
    pub fn look(&self, transaction: &mut Transaction<'_>, line: u64, text: &[u8]) -> Result<ObjectState> {
        let (query, name) = match self {
            ScriptObject::Schema(name) | ScriptObject::Comment(ScriptObjectKind::Schema, name, _) => (SCHEMA, name),
            ScriptObject::Extension(name, _) | ScriptObject::Comment(ScriptObjectKind::Extension, name, _) => {
                (EXTENSION, name)
            }
        };
        let row = transaction
            .query_opt(query, &[name])
            .and_then(|row| row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).transpose());
        let row: Option<ObjectRow> = row.map_err(|error| failure::of_statement(line, text, &error))?;
        Ok(row.map_or(ObjectState::Missing, |row| self.compare(row)))
    }

    fn compare(&self, (name, comment, own): ObjectRow) -> ObjectState {
        match self {
            ScriptObject::Schema(schema) if schema == "public" || name.is_some() => ObjectState::Same,
            ScriptObject::Schema(_) => ObjectState::Missing,
            ScriptObject::Extension(extension, Some(wanted)) if name.as_ref() != Some(wanted) => {
                ObjectState::Other(format!(
                    "extension \"{extension}\" is in schema \"{}\" of the target already, where the dump has it in \"{wanted}\"",
                    name.unwrap_or_default()
                ))
            }
            ScriptObject::Extension(..) => ObjectState::Same,
            ScriptObject::Comment(_, _, wanted) if *wanted == comment => ObjectState::Same,
            ScriptObject::Comment(..) if own => ObjectState::Missing,
            ScriptObject::Comment(kind, name, _) => {
                let kind = if *kind == ScriptObjectKind::Schema { "schema" } else { "extension" };
                ObjectState::Other(format!("the comment on {kind} \"{name}\", which is another role's"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_may_have_already_is_known_by_the_statement_and_nothing_else_is() {
        let schema = |name: &str| Some(ScriptObject::Schema(name.into()));
        let extension =
            |name: &str, schema: Option<&str>| Some(ScriptObject::Extension(name.into(), schema.map(Into::into)));
        for (text, expected) in [
            ("CREATE SCHEMA public;", schema("public")),
            ("create schema \"A \"\"b\" ;", schema("A \"b")),
            ("CREATE SCHEMA a CREATE TABLE t ();", None),
            ("CREATE SCHEMA a AUTHORIZATION b;", None),
            ("CREATE SCHEMA IF NOT EXISTS a;", None),
            ("CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA \"X\";", extension("hstore", Some("X"))),
            ("CREATE EXTENSION \"uuid-ossp\" SCHEMA public;", extension("uuid-ossp", Some("public"))),
            ("CREATE EXTENSION Hstore;", extension("hstore", None)),
            (
                "COMMENT ON EXTENSION hstore IS 'it''s';",
                Some(ScriptObject::Comment(ScriptObjectKind::Extension, "hstore".into(), Some("it's".into()))),
            ),
            ("COMMENT ON SCHEMA s IS NULL;", Some(ScriptObject::Comment(ScriptObjectKind::Schema, "s".into(), None))),
            ("COMMENT ON TABLE extension IS 'x';", None),
            ("CREATE TABLE extension ();", None),
        ] {
            assert_eq!(ScriptObject::of(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_there_is_made_again_only_where_that_is_needed_and_allowed() {
        let row = |name: Option<&str>, comment: Option<&str>, own| (name.map(Into::into), comment.map(Into::into), own);
        let comment =
            |text: Option<&str>| ScriptObject::Comment(ScriptObjectKind::Extension, "x".into(), text.map(Into::into));
        for own in [true, false] {
            assert_eq!(ScriptObject::Schema("public".into()).compare(row(None, None, own)), ObjectState::Same);
            assert_eq!(ScriptObject::Schema("ext".into()).compare(row(Some("x"), None, own)), ObjectState::Same);
            assert_eq!(ScriptObject::Schema("ext".into()).compare(row(None, None, own)), ObjectState::Missing);
            let extension = |schema: Option<&str>| ScriptObject::Extension("x".into(), schema.map(Into::into));
            assert_eq!(extension(None).compare(row(Some("ext"), None, own)), ObjectState::Same);
            assert_eq!(extension(Some("ext")).compare(row(Some("ext"), None, own)), ObjectState::Same);
            assert!(matches!(extension(Some("public")).compare(row(Some("ext"), None, own)), ObjectState::Other(_)));
            assert_eq!(comment(Some("y")).compare(row(Some("ext"), Some("y"), own)), ObjectState::Same);
            assert_eq!(comment(None).compare(row(Some("ext"), None, own)), ObjectState::Same);
        }
        assert_eq!(comment(Some("y")).compare(row(Some("ext"), None, true)), ObjectState::Missing);
        assert!(matches!(comment(Some("y")).compare(row(Some("ext"), None, false)), ObjectState::Other(_)));
    }
}
