//! The schema that a script creates, statement by statement, to compare it with the schema of a copy.
//!
//! `pg_dump` writes functions and operators with their schemas, except in places where SQL has no syntax for one. There the server
//! searches for an operator. In a restore it finds another one than at the source if the source's operator is not in a system
//! schema. The copy then states what it compares by, with casts that the source does not have.

use crate::format::sql::requirements::owner;
use crate::format::sql::tokens::{Token, Tokens};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many characters of a statement are shown.
const SHOWN: usize = 80;
/// How many differences are reported.
const TOLD: usize = 10;

/// The statements of a script that create its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    made: Vec<SchemaStatement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SchemaStatement {
    line: u64,
    /// Hash of its text.
    exact: u64,
    /// Hash of its text without casts and parentheses.
    loose: u64,
    /// The beginning of the statement, if the server searches for an operator that the statement does not name; else `None`.
    looks: Option<String>,
}

/// The differences between a schema and the copy that was made from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Beginnings of the statements that compare by something else in the copy.
    pub meaning: Vec<String>,
    /// Line of the first statement that is worded in another way, and how many there are. `None`: all are the same.
    pub wording: Option<(u64, usize)>,
}

impl Schema {
    /// Takes one complete statement. Owners, privileges, settings, rows and the contents of extensions are no part of a schema.
    pub fn take(&mut self, line: u64, statement: &[u8]) {
        if !makes(statement) {
            return;
        }
        let looks = looks(statement).then(|| {
            let text = String::from_utf8_lossy(statement);
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
        });
        self.made.push(SchemaStatement { line, exact: hash(statement), loose: loose(statement), looks });
    }

    /// Returns how a copy differs from this schema; the order of the statements does not matter.
    pub fn differences(&self, copy: &Schema) -> Differences {
        let mut left: HashMap<u64, usize> = HashMap::new();
        copy.made.iter().for_each(|made| *left.entry(made.exact).or_default() += 1);
        let others: Vec<&SchemaStatement> = self
            .made
            .iter()
            .filter(|made| match left.get_mut(&made.exact) {
                Some(count @ 1..) => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        let loose: HashSet<u64> = copy.made.iter().map(|made| made.loose).collect();
        let meaning = others
            .iter()
            .filter(|made| loose.contains(&made.loose))
            .filter_map(|made| made.looks.as_ref().map(|text| format!("line {}, {text}…", made.line)));
        Differences {
            meaning: meaning.take(TOLD).collect(),
            wording: others.first().map(|first| (first.line, others.len())),
        }
    }
}

fn makes(statement: &[u8]) -> bool {
    let mut tokens = Tokens::new(statement);
    match tokens.next() {
        Some(verb) if verb.is("create") => !["extension", "schema"].iter().any(|kind| tokens.accept(&[kind])),
        Some(verb) if verb.is("alter") => {
            let other = ["default", "extension", "database", "role"].iter().any(|kind| tokens.accept(&[kind]));
            !other && owner(tokens).is_none()
        }
        _ => false,
    }
}

/// Returns whether the statement uses an operator in a place where SQL has no syntax for its schema.
fn looks(statement: &[u8]) -> bool {
    let mut tokens = Tokens::new(statement);
    // Its USING holds an expression.
    let is_policy = tokens.accept(&["create", "policy"]);
    while let Some(token) = tokens.next() {
        let mut ahead = tokens.clone();
        let next = ahead.next();
        let is = |word: &str| next.is_some_and(|next| next.is(word));
        let found = token.is("distinct") && is("from")
            || token.is("nullif")
            || token.is("case") && !is("when")
            || token.is("using") && next == Some(Token::Mark(b'(')) && !is_policy
            || token.is("natural") && is("join")
            || ["in", "any", "all", "some"].iter().any(|word| token.is(word)) && ahead.accept(&["select"]);
        if found {
            return true;
        }
    }
    false
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Hashes the statement's tokens except parentheses and casts.
fn loose(statement: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut tokens = Tokens::new(statement);
    while let Some(token) = tokens.next() {
        match token {
            Token::Mark(b'(' | b')') => {}
            Token::Mark(b':') if tokens.clone().next() == Some(Token::Mark(b':')) => {
                tokens.next();
                pass_type(&mut tokens);
            }
            Token::Mark(mark) => mark.hash(&mut hasher),
            Token::Word(text) | Token::Name(text) | Token::Literal(text) => text.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Skips the name of a type after a cast, with what may follow it.
fn pass_type(tokens: &mut Tokens<'_>) {
    if tokens.take_name().is_none() {
        return;
    }
    tokens.accept(&["varying"]);
    tokens.accept(&["precision"]);
    let mut ahead = tokens.clone();
    if ahead.next() == Some(Token::Mark(b'('))
        && matches!(ahead.next(), Some(Token::Word(word)) if word.iter().all(u8::is_ascii_digit))
    {
        // A length, and where there is one a scale.
        while ahead.next().is_some_and(|token| token != Token::Mark(b')')) {}
        *tokens = ahead;
    }
    if tokens.accept(&["with", "time", "zone"]) || tokens.accept(&["without", "time", "zone"]) {
        return;
    }
    let mut ahead = tokens.clone();
    while ahead.next() == Some(Token::Mark(b'[')) && ahead.next() == Some(Token::Mark(b']')) {
        *tokens = ahead.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(statements: &[&str]) -> Schema {
        let mut schema = Schema::default();
        (1..).zip(statements).for_each(|(line, statement)| schema.take(line, statement.as_bytes()));
        schema
    }

    #[test]
    fn an_operator_that_is_looked_for_elsewhere_is_another_meaning_wherever_sql_has_no_room_for_its_schema() {
        let pairs = [
            ("SELECT NULLIF(u.e, 'A'::ext.citext)", "SELECT NULLIF((u.e)::text, ('A'::ext.citext)::text)"),
            ("SELECT a.e IS DISTINCT FROM b.e", "SELECT (a.e)::text IS DISTINCT FROM (b.e)::text"),
            ("SELECT a.e IS NOT DISTINCT FROM b.e", "SELECT ((a.e)::text IS NOT DISTINCT FROM (b.e)::text)"),
            (
                "SELECT CASE u.e WHEN 'A'::ext.citext THEN 1 END",
                "SELECT CASE (u.e)::text WHEN ('A'::ext.citext)::text THEN 1 END",
            ),
            ("SELECT 1 FROM a JOIN b USING (e)", "SELECT 1 FROM (a JOIN b USING (e))"),
            ("SELECT a.e IN (SELECT b.e FROM b)", "SELECT ((a.e)::text IN (SELECT (b.e)::text FROM b))"),
        ];
        for (source, copy) in pairs {
            let (source, copy) =
                (format!("CREATE VIEW public.v AS {source};"), format!("CREATE VIEW public.v AS {copy};"));
            let found =
                of(&["CREATE TABLE public.t ();", &source]).differences(&of(&[&copy, "CREATE TABLE public.t ();"]));
            assert_eq!((found.meaning.len(), found.wording), (1, Some((2, 1))), "{source}");
            assert!(found.meaning[0].starts_with("line 2, CREATE VIEW public.v AS"), "{found:?}");
            assert_eq!(of(&[&source]).differences(&of(&[&source])), Differences::default());
        }
    }

    #[test]
    fn what_the_server_words_in_another_way_is_no_other_meaning() {
        let check =
            |text: &str| format!("CREATE TABLE public.t (\n v character varying(2), CONSTRAINT c CHECK ({text})\n);");
        let source = check("(v)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])");
        let copy = check("(v)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])");
        let found = of(&[&source]).differences(&of(&[&copy]));
        assert_eq!(found, Differences { meaning: Vec::new(), wording: Some((1, 1)) });
        for (one, other) in [
            ("a::numeric(10,2)", "a"),
            ("(a)::timestamp(3) without time zone", "a"),
            ("a::double precision[][]", "((a))"),
        ] {
            assert_eq!(loose(one.as_bytes()), loose(other.as_bytes()), "{one}");
        }
        assert_ne!(loose(b"a = b"), loose(b"a = c"));
    }

    #[test]
    fn owners_privileges_settings_and_extensions_are_no_part_of_a_schema() {
        for text in [
            "ALTER TABLE public.t OWNER TO a;",
            "GRANT SELECT ON TABLE public.t TO a;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;",
            "SET default_tablespace = '';",
            "SELECT pg_catalog.setval('public.s', 1, true);",
            "CREATE EXTENSION hstore;",
            "CREATE SCHEMA ext;",
            "COMMENT ON TABLE public.t IS 'x';",
        ] {
            assert_eq!(of(&[text]), Schema::default(), "{text}");
        }
        assert_eq!(
            of(&["CREATE INDEX i ON public.t (a);", "ALTER TABLE ONLY public.t ADD CONSTRAINT p PRIMARY KEY (a);"])
                .made
                .len(),
            2
        );
    }
}
