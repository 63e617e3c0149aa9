//! Patterns for tables, as `pg_dump --table` has them.

use crate::base::error::{Fault, Result};
use crate::format::sql::tokens::{Token, Tokens};
use regex::bytes::Regex;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// A pattern: `schema.name`, or a name in any schema. `*` is any characters and `?` one; other signs have the meaning that they have in a
/// regular expression. Letters are taken for small ones, and signs for themselves, between double quotes.
#[derive(Debug, Clone)]
pub struct TablePattern {
    text: String,
    /// `None`: any schema.
    schema: Option<Regex>,
    name: Regex,
}

impl FromStr for TablePattern {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<TablePattern> {
        let parts = parts(text).ok_or_else(|| wrong(text, "a double quote is not closed"))?;
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema), name),
            _ => return Err(wrong(text, "more than one dot stands outside of double quotes").into()),
        };
        if name.is_empty() {
            return Err(wrong(text, "it names no table").into());
        }
        let compiled = |part: &String| {
            Regex::new(&format!("^(?:{part})$"))
                .map_err(|_| wrong(text, "it is no regular expression; double quotes make signs stand for themselves"))
        };
        Ok(TablePattern { text: text.to_owned(), schema: schema.map(compiled).transpose()?, name: compiled(name)? })
    }
}

fn wrong(text: &str, why: &str) -> Fault {
    Fault::usage(format!("{text:?} is no pattern for tables: {why}"))
}

/// Splits a pattern at its dots, and returns each part as a regular expression. `None`: a double quote is not closed.
fn parts(text: &str) -> Option<Vec<String>> {
    let (mut parts, mut part, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => part.push('"'),
            '"' => quoted = !quoted,
            _ if quoted => part.push_str(&regex::escape(&letter.to_string())),
            '.' => parts.push(std::mem::take(&mut part)),
            '*' => part.push_str("(?s:.*)"),
            '?' => part.push_str("(?s:.)"),
            // A dollar is a letter of names.
            '$' => part.push_str("\\$"),
            letter => part.extend(letter.to_lowercase()),
        }
    }
    parts.push(part);
    (!quoted).then_some(parts)
}

impl Display for TablePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TablePattern {
    /// Returns a hint if this looks like several patterns with commas; `None` if it does not.
    pub fn several(&self) -> Option<String> {
        let parts: Vec<String> = self.text.split(',').map(|part| format!("--table {}", part.trim())).collect();
        (parts.len() > 1).then(|| format!("say it once for each pattern: {}", parts.join(" ")))
    }

    /// Returns whether these names match. A pattern without a schema looks at the name alone.
    pub fn matches_names(&self, schema: &[u8], name: &[u8]) -> bool {
        self.schema.as_ref().is_none_or(|pattern| pattern.is_match(schema)) && self.name.is_match(name)
    }

    /// Returns whether a table matches. `table` is its name as a dump writes it, such as `public."My Table"`.
    pub fn matches(&self, table: &str) -> bool {
        let tokens = Tokens::new(table.as_bytes()).filter(|token| !matches!(token, Token::Mark(_)));
        let names: Vec<String> = tokens.filter_map(|token| token.name()).collect();
        match names.as_slice() {
            [schema, name] => self.matches_names(schema.as_bytes(), name.as_bytes()),
            // Dumps before PostgreSQL 10.3 may name a table without its schema.
            [name] => self.schema.is_none() && self.name.is_match(name.as_bytes()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_pg_dump() {
        for (pattern, matching, others) in [
            ("orders", &["public.orders", "sales.orders"][..], &["public.orders2", "public.\"Orders\""][..]),
            ("Orders", &["public.orders"], &["public.\"Orders\""]),
            ("\"Orders\"", &["public.\"Orders\""], &["public.orders"]),
            ("public.orders", &["public.orders"], &["sales.orders", "public.orderss"]),
            ("public.*", &["public.orders", "public.\"My Table\""], &["sales.orders"]),
            ("s*.order?", &["sales.orders", "s.order1"], &["sales.order", "public.orders"]),
            ("*.*", &["a.b", "\"A.B\".\"c.d\""], &[]),
            ("\"a.b\".c", &["\"a.b\".c"], &["a.b"]),
            ("\"a\"\"b\"", &["public.\"a\"\"b\""], &["public.ab"]),
            ("(orders|items)", &["public.orders", "x.items"], &["public.orders|items"]),
            ("t[0-9]+", &["public.t17"], &["public.t", "public.tx"]),
            ("\"t*\"", &["public.\"t*\""], &["public.tt"]),
            ("a$b", &["public.a$b"], &["public.ab"]),
            ("ü?", &["public.\"üÜ\"", "public.\"ü\n\""], &["public.\"üxx\""]),
        ] {
            let parsed: TablePattern = pattern.parse().unwrap();
            matching.iter().for_each(|table| assert!(parsed.matches(table), "{pattern} {table}"));
            others.iter().for_each(|table| assert!(!parsed.matches(table), "{pattern} {table}"));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for (pattern, why) in [
            ("", "names no table"),
            ("public.", "names no table"),
            ("\"a", "not closed"),
            ("a.b.c", "more than one dot"),
            ("a(b", "no regular expression"),
            ("[", "no regular expression"),
        ] {
            let error = pattern.parse::<TablePattern>().unwrap_err();
            assert!(error.to_string().contains(why), "{pattern}: {error}");
        }
    }
}
