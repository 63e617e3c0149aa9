//! Counts and hashes the rows of a plain dump as it streams by, at no cost to the server.

use super::lanes::{Lane, Lanes};
use super::tally::DigestKey;
use crate::keys::{Purpose, Working};
use crate::manifest::Table;
use crate::script::{Event, Keep, Requirements, Splitter};
use blake2b_simd::Params;

/// Enough for the longest COPY header that the server's limits allow: 1,600 columns with names of 63 quotes each.
const HEAD: usize = 256 << 10;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One entry per COPY block, in the dump's order.
    pub tables: Vec<Table>,
    /// The dump ends as `pg_dump` ends it.
    pub complete: bool,
    pub requirements: Requirements,
}

/// Watches a plain dump; it never fails, and keeps no more than the beginning of one statement.
pub struct Tables {
    splitter: Splitter,
    seen: Seen,
}

struct Seen {
    tables: Vec<Table>,
    requirements: Requirements,
    lanes: Lanes,
    /// Of the digest of each table.
    key: DigestKey,
    /// Of the COPY block that is going on.
    hash: Option<Lane>,
}

impl Default for Tables {
    fn default() -> Self {
        Self::within(&Lanes::default(), None)
    }
}

impl Tables {
    /// For the dump of a backup that was made with these keys.
    pub fn of(working: Option<&Working>) -> Self {
        Self::within(&Lanes::default(), working.and_then(|working| working.key(Purpose::Table)))
    }

    /// Hashed beside other hashes, under a key where there is one.
    pub fn within(lanes: &Lanes, key: DigestKey) -> Self {
        let (tables, requirements) = (Vec::new(), Requirements::default());
        Tables {
            splitter: Splitter::new(Keep::Head { limit: HEAD }),
            seen: Seen { tables, requirements, lanes: lanes.clone(), key, hash: None },
        }
    }

    /// Takes the next bytes of the dump.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let seen = &mut self.seen;
        let mut sink = |event: Event<'_>| {
            seen.take(event);
            Ok(())
        };
        // Neither the sink nor a splitter that keeps heads can fail.
        while let Ok(taken @ 1..) = self.splitter.feed(bytes, &mut sink) {
            bytes = &bytes[taken..];
        }
    }

    pub fn finish(self) -> Outcome {
        let Tables { splitter, mut seen } = self;
        let ending = splitter.finish(&mut |event| {
            seen.take(event);
            Ok(())
        });
        let complete = ending.is_ok_and(|ending| ending.complete);
        Outcome { tables: seen.tables, complete, requirements: seen.requirements }
    }
}

impl Seen {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Statement { text, whole: true, .. } => self.requirements.scan(text),
            Event::CopyStart { table, .. } => {
                self.tables.push(Table { name: table, rows: 0, bytes: 0, blake2b: [0; 32] });
                let mut params = Params::new();
                params.hash_length(32);
                if let Some(key) = &self.key {
                    params.key(&key[..]);
                }
                self.hash = Some(self.lanes.open(&params));
            }
            Event::CopyData(data) => {
                if let (Some(table), Some(hash)) = (self.tables.last_mut(), &mut self.hash) {
                    hash.update(data);
                    table.bytes += data.len() as u64;
                }
            }
            Event::CopyEnd { rows, .. } => {
                if let (Some(table), Some(hash)) = (self.tables.last_mut(), self.hash.take()) {
                    table.rows = rows;
                    table.blake2b.copy_from_slice(hash.finish().as_bytes());
                }
            }
            Event::Statement { .. } | Event::Meta { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake2::{Blake2b256, Digest};

    /// By the other implementation.
    fn digest(bytes: &[u8]) -> [u8; 32] {
        Blake2b256::digest(bytes).into()
    }

    #[test]
    fn every_copy_block_is_an_entry_of_its_own() {
        let dump = "CREATE EXTENSION hstore;\nALTER TABLE a OWNER TO me;\n\
                    COPY public.a (x) FROM stdin;\n1\n\\N\n\\.\nCOPY public.\"B\" (x) FROM stdin;\n\\.\n\
                    COPY public.a (x) FROM stdin;\n3\n\\.\n-- PostgreSQL database dump complete\n";
        for size in [1, 7, dump.len()] {
            let mut tables = Tables::default();
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
    fn a_dump_that_stops_among_the_rows_is_not_complete() {
        let mut tables = Tables::default();
        tables.update(b"COPY a (x) FROM stdin;\n1\n-- PostgreSQL database dump complete\n");
        assert!(!tables.finish().complete);
    }
}
