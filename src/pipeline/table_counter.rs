//! Counts and hashes the rows of a plain dump as it streams by, at no cost to the server.

use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::digest_key::DigestKey;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::bounded_members::{MOST_NAMES, fitting};
use crate::format::manifest::extent::{self, Extent};
use crate::format::manifest::{FORMAT, TABLES_LIMIT, Table, UNORDERED};
use crate::format::row_block::RowPiece;
use crate::format::sql::columns::{TableColumns, columns};
use crate::format::sql::inserted::InsertCounter;
use crate::format::sql::requirements::Requirements;
use crate::format::sql::schema::Schema;
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use crate::pipeline::row_rearranger::RowRearranger;
use crate::pipeline::table_digest::TableDigest;
use std::collections::HashMap;

/// Bytes that are kept of a statement. Enough for the longest COPY header that the server's limits allow: 1,600
/// columns with names of 63 quotes each.
const HEAD: usize = 256 << 10;

/// Longest statement that is kept whole, in bytes. No server takes a longer one.
const LONGEST_STATEMENT: usize = 1 << 30;

/// Bytes that an entry takes in a document besides its name, with figures of any length, and those of each further part of its table.
const ENTRY: usize = 256;
const EXTENT: usize = 42;
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
    /// One entry per table, in the order in which the dump begins them; for a format before 3 one per COPY block.
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
    /// Number of bytes of the dump so far.
    passed: u64,
    seen: CounterState,
}

struct CounterState {
    /// Whether the COPY blocks of one table are one entry, and their order does not matter: from format 3 on.
    unordered: bool,
    tables: Vec<Table>,
    digests: Vec<TableDigest>,
    /// The entry of each name, where they are one.
    by_name: HashMap<String, usize>,
    /// The COPY block that the dump is in. `None`: in none, or in one that is not listed.
    block: Option<CopyBlock>,
    /// Bytes that the tables take in a document.
    listed: usize,
    more_tables: bool,
    requirements: Requirements,
    /// Length of the statements that named something new, in bytes.
    naming: usize,
    /// The key of each table's digest.
    key: DigestKey,
    /// The order in which the columns of each table are hashed, if it may differ from their order in the dump.
    order: TableColumns,
    rearranged: Option<RowRearranger>,
    /// The schema that the statements make, and the rows that they add. None: they are not wanted.
    statements: Option<(Schema, InsertCounter)>,
}

/// A COPY block that the dump is in.
struct CopyBlock {
    /// The index of its table's entry.
    entry: usize,
    /// Length of the statement that begins it, in bytes.
    header: u64,
    /// The place of its first byte. `None` until the statement has been passed.
    begin: Option<u64>,
    over: bool,
}

impl Default for TableCounter {
    fn default() -> Self {
        Self::of(None, FORMAT)
    }
}

impl TableCounter {
    /// Returns the counter for the dump of a backup of this format that was made with these keys. None: without a key.
    pub fn of(derived_keys: Option<&DerivedKeys>, format: u32) -> Self {
        let unordered = format >= UNORDERED;
        let purpose = if unordered { Purpose::Row } else { Purpose::Table };
        TableCounter {
            splitter: Splitter::new(StatementLimit::Head { limit: HEAD }),
            passed: 0,
            seen: CounterState {
                unordered,
                tables: Vec::new(),
                digests: Vec::new(),
                by_name: HashMap::new(),
                block: None,
                listed: 0,
                more_tables: false,
                requirements: Requirements::default(),
                naming: 0,
                key: derived_keys.and_then(|derived_keys| derived_keys.key(purpose)),
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
        loop {
            // Neither the sink nor a splitter that keeps heads can fail. What is longer than any server takes, no dump holds.
            let taken = self.splitter.feed(bytes, &mut |event| {
                self.seen.take(event);
                Ok(())
            });
            let Ok(taken @ 1..) = taken else { return };
            bytes = &bytes[taken..];
            self.passed += taken as u64;
            // A feed ends where the statement of a COPY ends, and where its rows do.
            self.seen.place(self.passed);
        }
    }

    /// Takes the next piece of the dump, whose blocks were counted where it was made.
    pub(crate) fn rows(&mut self, piece: &RowPiece) {
        for block in &piece.blocks {
            let Some(entry) = self.seen.entry(fitting(block.table.clone())) else { continue };
            let table = &mut self.seen.tables[entry];
            table.rows += block.sum.rows();
            table.bytes += block.row_bytes;
            let extent = Extent { at: self.passed + block.at as u64, bytes: block.bytes as u64 };
            self.seen.listed -= if extent::add(&mut table.at, extent) { EXTENT } else { 0 };
            self.seen.digests[entry].join(&block.sum);
        }
        self.passed += piece.text.len() as u64;
    }

    pub fn finish(self) -> TableCounts {
        let TableCounter { splitter, passed, mut seen } = self;
        let ending = splitter.finish(&mut |event| {
            seen.take(event);
            Ok(())
        });
        seen.place(passed);
        let complete = ending.is_ok_and(|ending| ending.complete);
        let CounterState { mut tables, digests, more_tables, mut requirements, statements, .. } = seen;
        for (table, digest) in tables.iter_mut().zip(digests) {
            table.blake2b = digest.finish();
        }
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

    /// Returns the index of the entry for a COPY block of this table. `None`: there are more than a document may list.
    fn entry(&mut self, table: String) -> Option<usize> {
        let known = self.by_name.get(&table).copied();
        self.listed += EXTENT + known.map_or_else(|| ENTRY + written(&table), |_| 0);
        if self.listed > TABLES_LIMIT {
            self.more_tables = true;
            return None;
        }
        if known.is_some() {
            return known;
        }
        self.digests.push(TableDigest::new(self.unordered, &self.key, &table));
        if self.unordered {
            self.by_name.insert(table.clone(), self.tables.len());
        }
        self.tables.push(Table { name: table, rows: 0, bytes: 0, blake2b: [0; 32], at: Vec::new() });
        Some(self.tables.len() - 1)
    }

    /// Notes where the COPY block begins or ends: behind this many bytes of the dump.
    fn place(&mut self, passed: u64) {
        let Some(block) = &mut self.block else { return };
        let begin = *block.begin.get_or_insert(passed - block.header);
        if block.over {
            // Earlier formats do not say it.
            if self.unordered {
                let extent = Extent { at: begin, bytes: passed - begin };
                self.listed -= if extent::add(&mut self.tables[block.entry].at, extent) { EXTENT } else { 0 };
            }
            self.block = None;
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
                let entry = self.entry(fitting(table));
                self.block =
                    entry.map(|entry| CopyBlock { entry, header: header.len() as u64, begin: None, over: false });
            }
            ScriptEvent::CopyData(data) => {
                if let Some(CopyBlock { entry, .. }) = self.block {
                    let digest = &mut self.digests[entry];
                    match &mut self.rearranged {
                        None => digest.update(data),
                        Some(rearranged) => rearranged.update(data, &mut |row| digest.update(row)),
                    }
                    self.tables[entry].bytes += data.len() as u64;
                }
            }
            ScriptEvent::CopyEnd { rows, .. } => {
                if let Some(block) = &mut self.block {
                    self.tables[block.entry].rows += rows;
                    block.over = true;
                }
            }
            ScriptEvent::Statement { .. } | ScriptEvent::Meta { .. } => {}
        }
    }
}

/// Returns rows that are INSERT statements as entries like those of COPY blocks.
pub(crate) fn as_tables(inserted: InsertCounter) -> Vec<Table> {
    let rows = inserted.finish().into_iter();
    rows.map(|rows| Table {
        name: fitting(rows.table),
        rows: rows.rows,
        bytes: rows.bytes,
        blake2b: rows.blake2b,
        at: Vec::new(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::row_block::RowBlock;
    use crate::format::row_sum::RowSum;
    use blake2::{Blake2b256, Digest};

    /// Returns the digest by another implementation.
    fn digest(bytes: &[u8]) -> [u8; 32] {
        Blake2b256::digest(bytes).into()
    }

    const DUMP: &str = "CREATE EXTENSION hstore;\nALTER TABLE a OWNER TO me;\n\
                        COPY public.a (x) FROM stdin;\n1\n\\N\n\\.\nCOPY public.\"B\" (x) FROM stdin;\n\\.\n\
                        COPY public.a (x) FROM stdin;\n3\n\\.\nCOPY public.a (x) FROM stdin;\n4\n\\.\n\
                        -- PostgreSQL database dump complete\n";

    /// Counts the dump given in pieces of all kinds of sizes, and returns the one result.
    fn counted(format: u32) -> TableCounts {
        let mut outcomes = [1, 7, DUMP.len()].map(|size| {
            let mut tables = TableCounter::of(None, format);
            DUMP.as_bytes().chunks(size).for_each(|piece| tables.update(piece));
            tables.finish()
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
        std::mem::take(&mut outcomes[0])
    }

    #[test]
    fn every_table_is_one_entry_that_says_where_its_rows_are() {
        let outcome = counted(FORMAT);
        assert!(outcome.complete);
        let counted: Vec<_> =
            outcome.tables.iter().map(|table| (table.name.as_str(), table.rows, table.bytes)).collect();
        assert_eq!(counted, [("public.a", 4, 9), ("public.\"B\"", 0, 0)]);
        assert!(outcome.requirements.roles.contains("me") && outcome.requirements.extensions.contains("hstore"));
        let parts = |table: &Table| -> Vec<&str> {
            table.at.iter().map(|part| &DUMP[part.at as usize..(part.at + part.bytes) as usize]).collect()
        };
        assert_eq!(
            parts(&outcome.tables[0]),
            [
                "COPY public.a (x) FROM stdin;\n1\n\\N\n\\.\n",
                "COPY public.a (x) FROM stdin;\n3\n\\.\nCOPY public.a (x) FROM stdin;\n4\n\\.\n"
            ]
        );
        assert_eq!(parts(&outcome.tables[1]), ["COPY public.\"B\" (x) FROM stdin;\n\\.\n"]);
        let mut sum = TableDigest::new(true, &None, "public.a");
        sum.update(b"4\n3\n\\N\n1\n");
        assert_eq!(outcome.tables[0].blake2b, sum.finish());
    }

    #[test]
    fn blocks_that_were_counted_elsewhere_count_as_those_that_pass_by() {
        let (before, rest) = DUMP.split_at(DUMP.find("COPY public.\"B\"").unwrap());
        let (block, behind) = rest.split_at(rest.find("COPY public.a").unwrap());
        let mut counter = TableCounter::default();
        counter.update(before.as_bytes());
        let sum = RowSum::new(&None, "public.\"B\"");
        let of = RowBlock { table: "public.\"B\"".into(), at: 0, bytes: block.len(), row_bytes: 0, sum };
        counter.rows(&RowPiece { text: block.as_bytes().to_vec(), blocks: vec![of] });
        counter.update(behind.as_bytes());
        assert_eq!(counter.finish(), counted(FORMAT));
    }

    #[test]
    fn before_format_3_every_copy_block_is_an_entry_of_its_own() {
        let tables = counted(2).tables;
        let entries: Vec<_> = tables.iter().map(|table| (table.name.as_str(), table.rows, table.bytes)).collect();
        assert_eq!(entries, [("public.a", 2, 5), ("public.\"B\"", 0, 0), ("public.a", 1, 2), ("public.a", 1, 2)]);
        assert_eq!(tables[0].blake2b, digest(b"1\n\\N\n"));
        assert_eq!(tables[1].blake2b, digest(b""));
        assert!(tables.iter().all(|table| table.at.is_empty()));
    }

    #[test]
    fn of_more_tables_and_names_than_a_document_may_list_no_more_are_kept() {
        let mut tables = TableCounter::default();
        let table = |n: usize| format!("COPY a{n} (x) FROM stdin;\n\\.\n");
        let grant = |n: usize| format!("GRANT a TO role{n};\n");
        (0..TABLES_LIMIT / ENTRY).for_each(|n| tables.update(table(n).as_bytes()));
        (0..MOST_NAMES + 1000).for_each(|n| tables.update(grant(n).as_bytes()));
        let outcome = tables.finish();
        assert!(outcome.more_tables && outcome.tables.len() * (ENTRY + 1) <= TABLES_LIMIT);
        assert_eq!(outcome.requirements.roles.len(), MOST_NAMES);
        let part = Extent { at: u64::MAX, bytes: u64::MAX };
        for parts in 1..4 {
            let at = vec![part; parts];
            let entry = Table { name: "\"\u{1}é".into(), rows: u64::MAX, bytes: u64::MAX, blake2b: [0; 32], at };
            let pretty = serde_json::to_string_pretty(&entry).unwrap();
            let room = ENTRY + parts * EXTENT + written(&entry.name);
            assert!(pretty.len() + 4 * pretty.lines().count() + 2 <= room, "{pretty}");
        }
    }

    #[test]
    fn blocks_of_one_table_that_follow_each_other_are_one_part_however_many_they_are() {
        let mut counter = TableCounter::default();
        let text = b"COPY t (x) FROM stdin;\n\\.\n".to_vec();
        let sum = RowSum::new(&None, "t");
        let block = RowBlock { table: "t".into(), at: 0, bytes: text.len(), row_bytes: 0, sum };
        let piece = RowPiece { text, blocks: vec![block] };
        let count = TABLES_LIMIT / EXTENT + 2;
        (0..count).for_each(|_| counter.rows(&piece));
        let outcome = counter.finish();
        assert!(!outcome.more_tables);
        assert_eq!(outcome.tables[0].at, [Extent { at: 0, bytes: (count * piece.text.len()) as u64 }]);
    }

    #[test]
    fn a_dump_that_stops_among_the_rows_is_not_complete() {
        let mut tables = TableCounter::default();
        tables.update(b"COPY a (x) FROM stdin;\n1\n-- PostgreSQL database dump complete\n");
        assert!(!tables.finish().complete);
    }
}
