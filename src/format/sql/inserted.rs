//! Counts and hashes the rows that a script has as INSERT statements, as `pg_dump --inserts` writes them.

use crate::format::sql::tokens::{Token, Tokens};
use blake2b_simd::{Params, State};

const DIGEST: usize = 32;
/// Most tables that are counted; the rest are ignored. A document cannot list as many.
const MOST: usize = 200_000;

/// The consecutive rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertRows {
    /// The table's name as the script writes it.
    pub table: String,
    pub rows: u64,
    /// Size of the statements, in bytes.
    pub bytes: u64,
    pub blake2b: [u8; DIGEST],
}

/// Counts and hashes INSERT statements, table by table.
#[derive(Debug, Clone, Default)]
pub struct InsertCounter {
    ended: Vec<InsertRows>,
    open: Option<(InsertRows, State)>,
}

impl InsertCounter {
    /// Takes one complete statement; any but an INSERT is ignored.
    pub fn take(&mut self, statement: &[u8]) {
        let Some(table) = into(statement) else { return };
        let same = self.open.as_ref().is_some_and(|(open, _)| open.table.as_bytes() == table);
        if !same {
            self.end();
            if self.ended.len() == MOST {
                return;
            }
            let table = String::from_utf8_lossy(table).into_owned();
            let rows = InsertRows { table, rows: 0, bytes: 0, blake2b: [0; DIGEST] };
            self.open = Some((rows, Params::new().hash_length(DIGEST).to_state()));
        }
        if let Some((open, state)) = &mut self.open {
            open.rows += rows(statement);
            open.bytes += statement.len() as u64;
            hash(statement, &mut |bytes| {
                state.update(bytes);
            });
        }
    }

    /// Returns the counts, in the script's order.
    pub fn finish(mut self) -> Vec<InsertRows> {
        self.end();
        self.ended
    }

    fn end(&mut self) {
        if let Some((mut rows, state)) = self.open.take() {
            rows.blake2b.copy_from_slice(state.finalize().as_bytes());
            self.ended.push(rows);
        }
    }
}

/// Returns the table that a statement adds rows to, as it writes the name. `None`: it is no INSERT.
pub fn into(statement: &[u8]) -> Option<&[u8]> {
    let mut tokens = Tokens::new(statement);
    tokens.accept(&["insert", "into"]).then(|| tokens.take_name()).flatten()
}

/// Returns how many rows an INSERT statement adds: its lists of values, or one if it has none.
pub fn rows(statement: &[u8]) -> u64 {
    let (_, rows) = lists(statement);
    rows.len().max(1) as u64
}

/// Passes the statement to `sink`. If it names its columns, each row's values are passed with their names and sorted by them, so
/// that the order of the columns does not matter.
fn hash(statement: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let (columns, rows) = lists(statement);
    if columns.is_empty() || rows.is_empty() || rows.iter().any(|row| row.len() != columns.len()) {
        return sink(statement);
    }
    for row in rows {
        let mut named: Vec<_> = columns.iter().zip(row).collect();
        named.sort_unstable();
        for part in named.into_iter().flat_map(|(column, value)| [*column, value]) {
            sink(&(part.len() as u64).to_be_bytes());
            sink(part);
        }
    }
}

/// Returns the columns that an INSERT statement names, if any, and the values of each row, all as it writes them.
fn lists(statement: &[u8]) -> (Vec<&[u8]>, Vec<Vec<&[u8]>>) {
    let mut tokens = Tokens::new(statement);
    tokens.accept(&["insert", "into"]);
    tokens.take_name();
    let names = tokens.clone().next() == Some(Token::Mark(b'('));
    let (mut lists, mut depth, mut from) = (Vec::<Vec<&[u8]>>::new(), 0, 0);
    while let Some(token) = tokens.next() {
        let at = statement.len() - tokens.rest().len();
        let mut item = |from: usize| {
            let item = statement.get(from..at - 1).unwrap_or_default().trim_ascii();
            lists.last_mut().into_iter().for_each(|list| list.push(item));
        };
        match token {
            Token::Mark(b'(' | b'[') => {
                if depth == 0 {
                    lists.push(Vec::new());
                    from = at;
                }
                depth += 1;
            }
            Token::Mark(b')' | b']') => {
                if depth == 1 {
                    item(from);
                }
                depth -= 1;
            }
            Token::Mark(b',') if depth == 1 => {
                item(from);
                from = at;
            }
            _ => {}
        }
    }
    let rows = lists.split_off(usize::from(names).min(lists.len()));
    (lists.pop().unwrap_or_default(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_however_pg_dump_writes_their_statements() {
        for (statement, table, count) in [
            ("INSERT INTO public.t VALUES (1, 'a (b), (c)');", "public.t", 1),
            (
                "INSERT INTO public.\"T (x) VALUES\" (a, \"values\", b) VALUES (1, f(2), ARRAY[(3)]);",
                "public.\"T (x) VALUES\"",
                1,
            ),
            ("INSERT INTO public.t (a) OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT DO NOTHING;", "public.t", 1),
            ("INSERT INTO public.t VALUES\n\t(1, 'x'),\n\t(2, ')'),\n\t(3, NULL);", "public.t", 3),
            ("INSERT INTO public.t DEFAULT VALUES;", "public.t", 1),
            ("insert into t values (1)", "t", 1),
        ] {
            assert_eq!(
                (into(statement.as_bytes()), rows(statement.as_bytes())),
                (Some(table.as_bytes()), count),
                "{statement}"
            );
        }
        for other in ["COPY public.t (a) FROM stdin;", "SELECT 'INSERT INTO t';", "UPDATE t SET a = 1;", ""] {
            assert_eq!(into(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn one_value_that_is_another_gives_another_digest_of_its_table_alone() {
        let of = |statements: &[&str]| {
            let mut inserted = InsertCounter::default();
            statements.iter().for_each(|statement| inserted.take(statement.as_bytes()));
            inserted.finish()
        };
        let (a, b) = ("INSERT INTO a VALUES (1);", "INSERT INTO b VALUES (1);");
        let (one, other) = (of(&[a, a, "SELECT 1;", b]), of(&[a, a, "INSERT INTO b VALUES (2);"]));
        let names = |rows: &[InsertRows]| rows.iter().map(|rows| (rows.table.clone(), rows.rows)).collect::<Vec<_>>();
        assert_eq!(names(&one), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!((names(&one), &one[0]), (names(&other), &other[0]));
        assert_ne!(one[1], other[1]);
        assert_eq!(names(&of(&[a, b, a])).len(), 3);
    }

    #[test]
    fn named_columns_may_stand_in_any_order() {
        let digest = |statement: &str| {
            let mut inserted = InsertCounter::default();
            inserted.take(statement.as_bytes());
            inserted.finish()[0].blake2b
        };
        let one = digest("INSERT INTO t (a, \"B, c\") VALUES (1, 'x, (y'), (2, f(3, 4));");
        assert_eq!(one, digest("INSERT INTO t (\"B, c\", a) VALUES ('x, (y', 1), (f(3, 4), 2);"));
        for other in [
            "INSERT INTO t (a, \"B, c\") VALUES ('x, (y', 1), (f(3, 4), 2);",
            "INSERT INTO t (a, \"B, c\") VALUES (2, f(3, 4)), (1, 'x, (y');",
            "INSERT INTO t VALUES (1, 'x, (y'), (2, f(3, 4));",
            "INSERT INTO t (a) VALUES (1, 2);",
        ] {
            assert_ne!(one, digest(other), "{other}");
        }
    }
}
