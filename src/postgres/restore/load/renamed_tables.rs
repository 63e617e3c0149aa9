//! Renames tables for their rows if the connection cannot carry their names as text: a database without an encoding accepts any
//! bytes in a name. A statement with such a name is run from within the server; a COPY cannot be, so its table has another name
//! meanwhile.

use crate::format::sql::tokens::{Token, Tokens};

const TABLE: &str = "pgbk_rows";
const COLUMN: &str = "pgbk_column_";

/// Statements that rename a table for its rows, and back.
#[derive(Debug, PartialEq)]
pub(crate) struct RenamedCopy {
    pub before: Vec<Vec<u8>>,
    /// The COPY with the temporary names.
    pub copy: Vec<u8>,
    pub after: Vec<Vec<u8>>,
}

/// Returns the statements for this COPY; `None` if it is not one that `pg_dump` writes.
pub(crate) fn renamed(copy: &[u8]) -> Option<RenamedCopy> {
    let mut tokens = Tokens::new(copy);
    let start = tokens.accept(&["copy"]).then(|| copy.len() - tokens.rest().len())?;
    let qualified = tokens.take_name()?;
    let schema = &qualified[..last_part(qualified)];
    let table = &qualified[schema.len()..];
    let columns = tokens.take_list(Tokens::take_name);
    let meanwhile = [schema, TABLE.as_bytes()].concat();
    let alter = |of: &[u8], from: &[&[u8]], to: &[u8]| {
        [b"ALTER TABLE ", of, b" RENAME ", &from.concat(), b"TO ", to, b";"].concat()
    };
    let mut before = vec![alter(qualified, &[], TABLE.as_bytes())];
    let mut after = Vec::new();
    let mut listed: Vec<Vec<u8>> = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let other = format!("{COLUMN}{number}").into_bytes();
        before.push(alter(&meanwhile, &[b"COLUMN ", column, b" "], &other));
        after.push(alter(&meanwhile, &[b"COLUMN ", &other, b" "], column));
        listed.push(other);
    }
    after.push(alter(&meanwhile, &[], table));
    let list = if listed.is_empty() { Vec::new() } else { [b"(", &listed.join(&b", "[..])[..], b") "].concat() };
    let copy = [&copy[..start], b" ", &meanwhile, b" ", &list, b"FROM stdin;"].concat();
    Some(RenamedCopy { before, copy, after })
}

/// Returns the position at which the last part of a qualified name begins.
fn last_part(qualified: &[u8]) -> usize {
    let mut tokens = Tokens::new(qualified);
    let mut start = 0;
    while let Some(token) = tokens.next() {
        if token == Token::Mark(b'.') {
            start = qualified.len() - tokens.rest().len();
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(texts: &[&[u8]]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.to_vec()).collect()
    }

    #[test]
    fn a_table_has_another_name_for_its_rows_and_its_own_again_afterwards() {
        let found = renamed(b"COPY public.\"t_\xe9\" (i, \"\xe8, \"\"x\") FROM stdin;").unwrap();
        assert_eq!(found.copy, b"COPY public.pgbk_rows (pgbk_column_0, pgbk_column_1) FROM stdin;");
        assert_eq!(
            found.before,
            bytes(&[
                b"ALTER TABLE public.\"t_\xe9\" RENAME TO pgbk_rows;",
                b"ALTER TABLE public.pgbk_rows RENAME COLUMN i TO pgbk_column_0;",
                b"ALTER TABLE public.pgbk_rows RENAME COLUMN \"\xe8, \"\"x\" TO pgbk_column_1;",
            ])
        );
        assert_eq!(
            found.after,
            bytes(&[
                b"ALTER TABLE public.pgbk_rows RENAME COLUMN pgbk_column_0 TO i;",
                b"ALTER TABLE public.pgbk_rows RENAME COLUMN pgbk_column_1 TO \"\xe8, \"\"x\";",
                b"ALTER TABLE public.pgbk_rows RENAME TO \"t_\xe9\";",
            ])
        );
        assert_eq!(renamed(b"COPY \"\xe9\" FROM stdin;").unwrap().copy, b"COPY pgbk_rows FROM stdin;");
        assert_eq!(renamed(b"SELECT 1;"), None);
    }
}
