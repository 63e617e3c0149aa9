//! Tells what a statement of a script of globals is about.

use crate::base::error::Fault;
use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::globals::attributes::Attributes;

#[derive(Debug, PartialEq)]
pub(crate) struct Statement {
    pub line: u64,
    pub text: String,
    pub what: StatementKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StatementKind {
    CreateRole(String),
    CreateTablespace(String),
    /// A statement about a tablespace that exists by then.
    Tablespace,
    Setting(String),
    Attributes(Attributes),
    Other,
}

impl Statement {
    pub fn about_tablespace(&self) -> bool {
        matches!(self.what, StatementKind::CreateTablespace(_) | StatementKind::Tablespace)
    }

    /// Returns the statement's line and first words. Never the whole text: it may hold a password.
    pub fn describe(&self) -> String {
        format!("line {}, {}", self.line, beginning(self.text.as_bytes()))
    }
}

/// Returns the first three words, without literals.
fn beginning(statement: &[u8]) -> String {
    let words = Tokens::new(statement).take(3).filter_map(|token| match token {
        Token::Word(word) | Token::Name(word) => Some(String::from_utf8_lossy(word).into_owned()),
        Token::Literal(_) | Token::Mark(_) => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns what a statement does; `None` where `pg_dumpall --globals-only` writes no such statement.
pub(crate) fn what(statement: &[u8]) -> Option<StatementKind> {
    let mut tokens = Tokens::new(statement);
    let verb = tokens.next()?;
    let name = |mut tokens: Tokens<'_>| tokens.next().as_ref().and_then(Token::name);
    if verb.is("create") {
        if tokens.accept(&["tablespace"]) {
            return name(tokens).map(StatementKind::CreateTablespace);
        }
        if about_mapping(&tokens) {
            return None;
        }
        let role = ["role", "user", "group"].iter().any(|word| tokens.accept(&[word]));
        return if role { name(tokens).map(StatementKind::CreateRole) } else { None };
    }
    if verb.is("alter") {
        if about_mapping(&tokens) {
            return None;
        }
        return match tokens.next()? {
            word if word.is("tablespace") => Some(StatementKind::Tablespace),
            word if ["role", "user", "group"].iter().any(|known| word.is(known)) => {
                Some(Attributes::of(statement).map_or(StatementKind::Other, StatementKind::Attributes))
            }
            _ => None,
        };
    }
    if verb.is("set") {
        let setting = tokens.take_name()?;
        return Some(StatementKind::Setting(String::from_utf8_lossy(setting).to_lowercase()));
    }
    let about = ["comment", "security", "grant", "revoke"].iter().any(|known| verb.is(known));
    if about { object(tokens, verb.is("grant") || verb.is("revoke")) } else { None }
}

/// Returns whether it is about a user mapping, a login on a foreign server, which belongs to a database.
fn about_mapping(tokens: &Tokens<'_>) -> bool {
    tokens.clone().accept(&["user", "mapping", "for"])
        || tokens.clone().accept(&["user", "mapping", "if", "not", "exists", "for"])
}

/// Returns the object that is granted, revoked or described; `None` if it does not belong to the whole server. `membership`:
/// whether the statement, without an ON, is about membership in a role.
fn object(mut tokens: Tokens<'_>, membership: bool) -> Option<StatementKind> {
    while let Some(token) = tokens.next() {
        if token.is("on") {
            return match tokens.next()? {
                kind if kind.is("tablespace") => Some(StatementKind::Tablespace),
                kind if kind.is("role") || kind.is("parameter") => Some(StatementKind::Other),
                _ => None,
            };
        }
    }
    // Only a membership is in nothing.
    membership.then_some(StatementKind::Other)
}

pub(crate) fn foreign(line: u64, text: &[u8]) -> Fault {
    Fault::failed(format!("line {line}, {}: this is about no role and no tablespace", beginning(text)))
        .hint("a backup of globals is what \"pg_dumpall --globals-only\" writes")
}
