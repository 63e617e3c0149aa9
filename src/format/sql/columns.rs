//! Reads the columns of a COPY statement.

use crate::format::sql::tokens::{Token, Tokens};
use std::collections::BTreeMap;

/// The columns in their order, by the table's name as the dump writes it.
pub type TableColumns = BTreeMap<String, Vec<String>>;

/// Returns the columns that a COPY statement names. An empty list: it names none, which means all columns of the table.
pub fn columns(copy: &[u8]) -> Vec<String> {
    let mut tokens = Tokens::new(copy);
    if !tokens.accept(&["copy"]) || tokens.take_name().is_none() {
        return Vec::new();
    }
    tokens.take_list(|tokens| tokens.next().as_ref().and_then(Token::name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_the_server_understands_them() {
        for (copy, named) in [
            ("COPY public.t (a, \"B c\", \"d\"\"e, f\", G) FROM stdin;", &["a", "B c", "d\"e, f", "g"][..]),
            ("COPY \"S (x)\".\"T, u\" (a) FROM stdin;", &["a"]),
            ("COPY public.t () FROM stdin;", &[]),
            ("COPY public.t FROM stdin;", &[]),
            ("SELECT f (a, b);", &[]),
        ] {
            assert_eq!(columns(copy.as_bytes()), named, "{copy}");
        }
    }
}
