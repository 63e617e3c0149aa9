//! Counts and hashes the rows of a plain dump as it streams by, at no cost to the server.

use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::bounded_members::{MOST_NAMES, fitting};
use crate::format::manifest::{TABLES_LIMIT, Table};
use crate::format::sql::columns::{TableColumns, columns};
use crate::format::sql::inserted::InsertCounter;
use crate::format::sql::requirements::Requirements;
use crate::format::sql::schema::Schema;
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use crate::pipeline::digest_key::DigestKey;
use crate::pipeline::multi_hash::{HashLane, MultiHash};
use crate::pipeline::row_rearranger::RowRearranger;
use blake2b_simd::Params;

/// Bytes that are kept of a statement. Enough for the longest COPY header that the server's limits allow: 1,600
/// columns with names of 63 quotes each.
const HEAD: usize = 256 << 10;

/// Longest statement that is kept whole, in bytes. No server takes a longer one.
const LONGEST_STATEMENT: usize = 1 << 30;

/// Bytes that an entry takes in a document besides its name, with figures of any length.
const ENTRY: usize = 192;
/// Most bytes of statements that name a role or an extension for the first time: enough for some 100,000.
const NAMING_LIMIT: usize = 4 << 20;

/// Returns how many bytes a name takes as JSON writes it.
fn written(name: &str) -> usize {
    name.bytes()
        .map(|byte| {
            if byte < b' ' {
                6
            } else if matches!(byte, b'"' | b'\\') {
                2
            } else {
                1
            }
        })
        .sum()
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// One entry per COPY block, in the dump's order.
    pub tables: Vec<Table>,
    /// Whether the dump ends as `pg_dump` ends it.
    pub complete: bool,
    /// Whether there are more tables than a document may list. Then `tables` holds only the first of them.
    pub more_tables: bool,
    pub requirements: Requirements,
    /// The schema that the statements make. Empty without `with_statements`, as is `inserted`.
    pub schema: Schema,
    /// Rows that are INSERT statements.
    pub inserted: Vec<Table>,
}

/// Counts the rows of a plain dump as it streams by. It never fails, and keeps no more than the beginning of one
/// statement, unless `with_statements` asks for more.
pub struct TableCounter {
    splitter: Splitter,
    seen: CounterState,
}

struct CounterState {
    tables: Vec<Table>,
    /// Bytes that the tables take in a document.
    listed: usize,
    more_tables: bool,
    requirements: Requirements,
    /// Length of the statements that named something new, in bytes.
    naming: usize,
    lanes: MultiHash,
    /// The key of each table's digest.
    key: DigestKey,
    /// The hash of the current COPY block. None: there is no block, or its table is not listed.
    hash: Option<HashLane>,
    /// The order in which the columns of each table are hashed, if it may differ from their order in the dump.
    order: TableColumns,
    rearranged: Option<RowRearranger>,
    /// The schema that the statements make, and the rows that they add. None: they are not wanted.
    statements: Option<(Schema, InsertCounter)>,
}

impl Default for TableCounter {
    fn default() -> Self {
        Self::within(&MultiHash::default(), None)
    }
}

impl TableCounter {
    /// Returns the counter for the dump of a backup that was made with these keys. None: without a key.
    pub fn of(derived_keys: Option<&DerivedKeys>) -> Self {
        Self::within(&MultiHash::default(), derived_keys.and_then(|derived_keys| derived_keys.key(Purpose::Table)))
    }

    /// Returns a counter whose hashes are computed together with the others in `lanes`, with a key if there is one.
    pub fn within(lanes: &MultiHash, key: DigestKey) -> Self {
        let (tables, requirements) = (Vec::new(), Requirements::default());
        TableCounter {
            splitter: Splitter::new(StatementLimit::Head { limit: HEAD }),
            seen: CounterState {
                tables,
                listed: 0,
                more_tables: false,
                requirements,
                naming: 0,
                lanes: lanes.clone(),
                key,
                hash: None,
                order: TableColumns::new(),
                rearranged: None,
                statements: None,
            },
        }
    }

    /// Keeps the schema that the statements make and the rows that they add, too, however long a statement is.
    pub fn with_statements(mut self) -> Self {
        self.splitter = Splitter::new(StatementLimit::Whole { limit: LONGEST_STATEMENT });
        self.seen.statements = Some(Default::default());
        self
    }

    /// Hashes the columns of tables in this order. A table that is not in it, or has other columns, is hashed as it comes.
    pub fn in_order(mut self, order: TableColumns) -> Self {
        self.seen.order = order;
        self
    }

    /// Takes the next bytes of the dump.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let seen = &mut self.seen;
        let mut sink = |event: ScriptEvent<'_>| {
            seen.take(event);
            Ok(())
        };
        // Neither the sink nor a splitter that keeps heads can fail. What is longer than any server takes, no dump holds.
        while let Ok(taken @ 1..) = self.splitter.feed(bytes, &mut sink) {
            bytes = &bytes[taken..];
        }
    }

    pub fn finish(self) -> TableCounts {
        let TableCounter { splitter, mut seen } = self;
        let ending = splitter.finish(&mut |event| {
            seen.take(event);
            Ok(())
        });
        let complete = ending.is_ok_and(|ending| ending.complete);
        let CounterState { tables, more_tables, mut requirements, statements, .. } = seen;
        requirements.trim(MOST_NAMES);
        let (schema, inserted) = statements.unwrap_or_default();
        TableCounts { tables, complete, more_tables, requirements, schema, inserted: as_tables(inserted) }
    }
}

impl CounterState {
    /// Collects the roles and extensions that a statement names, up to a limit that no real dump reaches.
    fn name(&mut self, statement: &[u8]) {
        if self.naming > NAMING_LIMIT {
            return;
        }
        let before = self.requirements.count();
        self.requirements.scan(statement);
        if self.requirements.count() > before {
            self.naming += statement.len();
        }
    }

    fn take(&mut self, event: ScriptEvent<'_>) {
        match event {
            ScriptEvent::Statement { line, text, whole: true } => {
                self.name(text);
                if let Some((schema, inserted)) = &mut self.statements {
                    schema.take(line, text);
                    inserted.take(text);
                }
            }
            ScriptEvent::CopyStart { header, table, .. } => {
                self.rearranged = self.order.get(&table).and_then(|order| RowRearranger::new(order, &columns(header)));
                let table = fitting(table);
                self.listed += ENTRY + written(&table);
                if self.listed > TABLES_LIMIT {
                    self.more_tables = true;
                    return;
                }
                self.tables.push(Table { name: table, rows: 0, bytes: 0, blake2b: [0; 32] });
                let mut params = Params::new();
                params.hash_length(32);
                if let Some(key) = &self.key {
                    params.key(&key[..]);
                }
                self.hash = Some(self.lanes.open(&params));
            }
            ScriptEvent::CopyData(data) => {
                if let (Some(table), Some(hash)) = (self.tables.last_mut(), &mut self.hash) {
                    match &mut self.rearranged {
                        None => hash.update(data),
                        Some(rearranged) => rearranged.update(data, &mut |row| hash.update(row)),
                    }
                    table.bytes += data.len() as u64;
                }
            }
            ScriptEvent::CopyEnd { rows, .. } => {
                if let (Some(table), Some(mut hash)) = (self.tables.last_mut(), self.hash.take()) {
                    if self.key.is_some() {
                        // Else tables that hold the same would show it.
                        hash.update(table.name.as_bytes());
                        hash.update(&(table.name.len() as u64).to_be_bytes());
                    }
                    table.rows = rows;
                    table.blake2b.copy_from_slice(hash.finish().as_bytes());
                }
            }
            ScriptEvent::Statement { .. } | ScriptEvent::Meta { .. } => {}
        }
    }
}

/// Returns rows that are INSERT statements as entries like those of COPY blocks.
pub(crate) fn as_tables(inserted: InsertCounter) -> Vec<Table> {
    let rows = inserted.finish().into_iter();
    rows.map(|rows| Table { name: fitting(rows.table), rows: rows.rows, bytes: rows.bytes, blake2b: rows.blake2b })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake2::{Blake2b256, Digest};

    /// Returns the digest by another implementation.
    fn digest(bytes: &[u8]) -> [u8; 32] {
        Blake2b256::digest(bytes).into()
    }

    #[test]
    fn every_copy_block_is_an_entry_of_its_own() {
        let dump = "CREATE EXTENSION hstore;\nALTER TABLE a OWNER TO me;\n\
                    COPY public.a (x) FROM stdin;\n1\n\\N\n\\.\nCOPY public.\"B\" (x) FROM stdin;\n\\.\n\
                    COPY public.a (x) FROM stdin;\n3\n\\.\n-- PostgreSQL database dump complete\n";
        for size in [1, 7, dump.len()] {
            let mut tables = TableCounter::default();
            for piece in dump.as_bytes().chunks(size) {
                tables.update(piece);
            }
            let outcome = tables.finish();
            assert!(outcome.complete);
            let counted: Vec<_> =
                outcome.tables.iter().map(|table| (table.name.as_str(), table.rows, table.bytes)).collect();
            assert_eq!(counted, [("public.a", 2, 5), ("public.\"B\"", 0, 0), ("public.a", 1, 2)]);
            assert_eq!(outcome.tables[0].blake2b, digest(b"1\n\\N\n"));
            assert_eq!(outcome.tables[1].blake2b, digest(b""));
            assert!(outcome.requirements.roles.contains("me") && outcome.requirements.extensions.contains("hstore"));
        }
    }

    #[test]
    fn of_more_tables_and_names_than_a_document_may_list_no_more_are_kept() {
        let mut tables = TableCounter::default();
        let (table, grant) = ("COPY a (x) FROM stdin;\n\\.\n", |n: usize| format!("GRANT a TO role{n};\n"));
        tables.update(table.repeat(TABLES_LIMIT / ENTRY + 10).as_bytes());
        (0..MOST_NAMES + 1000).for_each(|n| tables.update(grant(n).as_bytes()));
        let outcome = tables.finish();
        assert!(outcome.more_tables && outcome.tables.len() * (ENTRY + 1) <= TABLES_LIMIT);
        assert_eq!(outcome.requirements.roles.len(), MOST_NAMES);
        let entry = Table { name: "\"\u{1}é".into(), rows: u64::MAX, bytes: u64::MAX, blake2b: [0; 32] };
        let pretty = serde_json::to_string_pretty(&entry).unwrap();
        assert!(pretty.len() + 4 * pretty.lines().count() + 2 <= ENTRY + written(&entry.name), "{pretty}");
    }

    #[test]
    fn a_dump_that_stops_among_the_rows_is_not_complete() {
        let mut tables = TableCounter::default();
        tables.update(b"COPY a (x) FROM stdin;\n1\n-- PostgreSQL database dump complete\n");
        assert!(!tables.finish().complete);
    }
}
