//! Sets the attributes of a role, one by one. A server lets only a superuser mention most of them, even without a change. So
//! another role sets only those that differ.

use crate::format::sql::tokens::{Token, Tokens};
use crate::postgres::session::command;
use crate::postgres::session::quote::identifier;
use postgres::{Row, Transaction};
use std::str;

/// Attributes as `pg_dumpall` writes them, each with the catalog's column. `NO` in front removes one.
const FLAGS: [(&str, &str); 7] = [
    ("SUPERUSER", "rolsuper"),
    ("INHERIT", "rolinherit"),
    ("CREATEROLE", "rolcreaterole"),
    ("CREATEDB", "rolcreatedb"),
    ("LOGIN", "rolcanlogin"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attributes {
    role: String,
    /// Flags as their index in [`FLAGS`], and whether they are set.
    flags: Vec<(usize, bool)>,
    /// The rest of the statement: a limit of connections, a password, an expiry.
    values: String,
}

/// The attribute that the server refused, and its error.
pub(crate) type RefusedAttribute = (String, postgres::Error);

impl Attributes {
    /// Reads the statement; `None` if it is about something else of a role.
    pub fn of(statement: &[u8]) -> Option<Attributes> {
        let mut tokens = Tokens::new(statement);
        let role = tokens.nth(2)?.name()?;
        tokens.accept(&["with"]);
        let mut flags = Vec::new();
        let mut ahead = tokens.clone();
        while let Some(flag) = ahead.next().and_then(flag) {
            flags.push(flag);
            tokens = ahead.clone();
        }
        let values = str::from_utf8(tokens.rest()).ok()?.trim().trim_end_matches(';');
        (!flags.is_empty()).then(|| Attributes { role, flags, values: values.to_owned() })
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    /// Sets the attributes that differ, each by itself, so that the error names the one that was refused.
    pub fn set(&self, transaction: &mut Transaction<'_>) -> Result<(), RefusedAttribute> {
        let columns = FLAGS.map(|(_, column)| column).join(", ");
        let query = format!("SELECT {columns} FROM pg_catalog.pg_roles WHERE rolname = $1");
        let now = transaction.query_opt(&query, &[&self.role]).map_err(|error| ("attributes".to_owned(), error))?;
        let is_so = |(flag, wanted): &&(usize, bool)| {
            now.as_ref().is_some_and(|row: &Row| row.try_get(*flag).is_ok_and(|is: bool| is == *wanted))
        };
        let flags = self.flags.iter().filter(|flag| !is_so(flag)).map(|(flag, wanted)| word(*flag, *wanted));
        let mut due: Vec<(String, String)> = flags.map(|word| (word.clone(), word)).collect();
        if !self.values.is_empty() {
            due.push((self.named_values(), self.values.clone()));
        }
        for (attribute, text) in due {
            let statement = format!("ALTER ROLE {} WITH {text}", identifier(&self.role));
            command::run(transaction, &statement).map_err(|error| (attribute, error))?;
        }
        Ok(())
    }

    /// Returns the names of the values. Never the values: one may be a password.
    fn named_values(&self) -> String {
        let is_there = |word: &str| Tokens::new(self.values.as_bytes()).any(|token| token.is(word));
        let known = [("limit", "CONNECTION LIMIT"), ("password", "PASSWORD"), ("until", "VALID UNTIL")];
        known.iter().filter(|(word, _)| is_there(word)).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}

fn flag(token: Token<'_>) -> Option<(usize, bool)> {
    let Token::Word(word) = token else { return None };
    let word = str::from_utf8(word).ok()?.to_ascii_uppercase();
    let place = |word: &str| FLAGS.iter().position(|(known, _)| *known == word);
    place(&word).map(|flag| (flag, true)).or_else(|| Some((place(word.strip_prefix("NO")?)?, false)))
}

fn word(flag: usize, wanted: bool) -> String {
    let name = FLAGS.get(flag).map_or("", |(name, _)| *name);
    format!("{}{name}", if wanted { "" } else { "NO" })
}

/// Returns a membership's statement without its grantor, whom only a superuser may name. `None` if it names none.
pub(crate) fn without_grantor(statement: &str) -> Option<&str> {
    let mut tokens = Tokens::new(statement.as_bytes());
    if !tokens.accept(&["grant"]) {
        return None;
    }
    loop {
        if tokens.clone().accept(&["granted", "by"]) {
            return statement.get(..statement.len() - tokens.rest().len());
        }
        tokens.next()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_values_and_a_role_may_have_any_name() {
        let text = "ALTER ROLE \"with NOLOGIN\" WITH NOSUPERUSER LOGIN CONNECTION LIMIT 3 PASSWORD 'x; NOLOGIN' VALID UNTIL 'y';";
        let found = Attributes::of(text.as_bytes()).unwrap();
        assert_eq!((found.role.as_str(), &found.flags[..]), ("with NOLOGIN", &[(0, false), (4, true)][..]));
        assert_eq!(found.values, "CONNECTION LIMIT 3 PASSWORD 'x; NOLOGIN' VALID UNTIL 'y'");
        assert_eq!(found.named_values(), "CONNECTION LIMIT, PASSWORD, VALID UNTIL");
        assert_eq!(Attributes::of(b"ALTER ROLE a SET work_mem TO '1MB'"), None);
    }

    #[test]
    fn a_grantor_is_left_out_and_a_name_is_none() {
        assert_eq!(
            without_grantor("GRANT \"granted by\" TO b WITH ADMIN OPTION GRANTED BY c;"),
            Some("GRANT \"granted by\" TO b WITH ADMIN OPTION")
        );
        assert_eq!(without_grantor("GRANT a TO b;"), None);
    }
}
