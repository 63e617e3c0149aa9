//! Checks whether an archive of `pg_dump --format=custom` is whole.
//!
//! An archive has no trailer. Its table of contents says which entries have data. The data follow, entry by entry, in
//! pieces that state their lengths, up to one of length 0. So an archive is whole if it ends after such a piece, or
//! after the table, and the data of every entry that has some have come. Nothing else is checked, as the archive
//! streams by.

use crate::format::archive::fields::{self, CUSTOM, Field, HEAD, KNOWN, MAGIC};
use std::collections::BTreeSet;

/// Kinds of data.
const ROWS: i64 = 1;
const LARGE_OBJECTS: i64 = 3;
/// Indexes of an entry's fields that come after its name and after its kind.
const BEHIND_NAME: usize = 5;
const BEHIND_KIND: usize = 6;
const EXTENSION: &[u8] = b"EXTENSION";
/// Limits on what is kept: no server has longer names, or makes so many extensions.
const LONGEST_NAME: usize = 64;
const MOST_EXTENSIONS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    Whole,
    /// Something is missing, or it is damaged so that nothing can be found in it.
    Cut,
    /// It does not begin as an archive.
    Foreign,
    /// The version, major and minor, is not known, so that the archive cannot be checked.
    Unknown(u8, u8),
}

/// The part of the archive that comes next.
#[derive(Clone, Copy)]
enum ArchiveStep {
    Head,
    /// This field of the header. The last one is the number of entries.
    Header(usize),
    /// This field of an entry. The first is its number, the second whether it has data.
    Entry(usize),
    /// The kind of the next entry's data.
    Kind,
    /// The number of the entry that data of this kind belong to.
    Owner(i64),
    Rows,
    /// The number of the next large object, or 0.
    Object,
    ObjectPiece,
    /// Nothing: the result is known, and the rest is ignored.
    Over(Completeness),
}

pub struct Archive {
    step: ArchiveStep,
    /// The small piece that is being put together, and how much of it is there.
    piece: [u8; 16],
    filled: usize,
    /// Number of the next bytes to skip.
    skip: u64,
    integer: usize,
    offset: usize,
    header: Vec<Field>,
    entry: Vec<Field>,
    entries: i64,
    number: i64,
    /// The entries whose data have not come yet.
    awaited: BTreeSet<i64>,
    /// The beginning of the text that is being skipped. None: it is not kept.
    text: Option<Vec<u8>>,
    /// The name of the entry that is being read.
    name: Vec<u8>,
    extensions: BTreeSet<String>,
}

impl Default for Archive {
    fn default() -> Self {
        Archive {
            step: ArchiveStep::Head,
            piece: [0; 16],
            filled: 0,
            skip: 0,
            integer: 0,
            offset: 0,
            header: Vec::new(),
            entry: Vec::new(),
            entries: 0,
            number: 0,
            awaited: BTreeSet::new(),
            text: None,
            name: Vec::new(),
            extensions: BTreeSet::new(),
        }
    }
}

impl Archive {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !matches!(self.step, ArchiveStep::Over(_)) {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len() as u64);
                if let Some(text) = &mut self.text {
                    text.extend(bytes[..count as usize].iter().take(LONGEST_NAME.saturating_sub(text.len())));
                }
                self.skip -= count;
                bytes = &bytes[count as usize..];
                continue;
            }
            let wanted = self.wanted();
            let count = (wanted - self.filled).min(bytes.len());
            self.piece[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled == wanted {
                self.filled = 0;
                self.step = self.next();
            }
        }
    }

    /// Returns the names of the extensions that the archive makes, as far as it has been read.
    pub fn extensions(&self) -> &BTreeSet<String> {
        &self.extensions
    }

    /// Returns the result for the bytes so far, if there are no more.
    pub fn verdict(&self) -> Completeness {
        match self.step {
            ArchiveStep::Over(verdict) => verdict,
            ArchiveStep::Head if !self.piece[..self.filled].starts_with(MAGIC) => Completeness::Foreign,
            ArchiveStep::Kind if self.filled == 0 && self.skip == 0 && self.awaited.is_empty() => Completeness::Whole,
            _ => Completeness::Cut,
        }
    }

    fn wanted(&self) -> usize {
        match self.step {
            ArchiveStep::Head => HEAD,
            ArchiveStep::Header(at) => self.size(self.header[at]),
            ArchiveStep::Entry(at) => self.size(self.entry[at]),
            ArchiveStep::Kind | ArchiveStep::Over(_) => 1,
            ArchiveStep::Owner(_) | ArchiveStep::Rows | ArchiveStep::Object | ArchiveStep::ObjectPiece => {
                self.size(Field::Integer)
            }
        }
    }

    fn size(&self, field: Field) -> usize {
        match field {
            Field::Byte => 1,
            Field::Offset => 1 + self.offset,
            Field::Integer | Field::Text | Field::Texts => 1 + self.integer,
        }
    }

    fn number(&self) -> i64 {
        fields::number(&self.piece[..=self.integer])
    }

    /// Takes in the piece that is complete now. Returns the part that comes after it.
    fn next(&mut self) -> ArchiveStep {
        match self.step {
            ArchiveStep::Head => self.head(),
            ArchiveStep::Header(at) => self.header(at),
            ArchiveStep::Entry(at) => self.entry(at),
            ArchiveStep::Kind => ArchiveStep::Owner(i64::from(self.piece[0])),
            ArchiveStep::Owner(kind) => {
                let number = self.number();
                self.awaited.remove(&number);
                match kind {
                    ROWS => ArchiveStep::Rows,
                    LARGE_OBJECTS => ArchiveStep::Object,
                    _ => ArchiveStep::Over(Completeness::Cut),
                }
            }
            ArchiveStep::Rows => self.data(ArchiveStep::Rows, ArchiveStep::Kind),
            ArchiveStep::Object if self.number() == 0 => ArchiveStep::Kind,
            ArchiveStep::Object => ArchiveStep::ObjectPiece,
            ArchiveStep::ObjectPiece => self.data(ArchiveStep::ObjectPiece, ArchiveStep::Object),
            ArchiveStep::Over(verdict) => ArchiveStep::Over(verdict),
        }
    }

    fn data(&mut self, more: ArchiveStep, over: ArchiveStep) -> ArchiveStep {
        match self.number() {
            0 => over,
            length if length > 0 => {
                self.skip = length as u64;
                more
            }
            _ => ArchiveStep::Over(Completeness::Cut),
        }
    }

    fn head(&mut self) -> ArchiveStep {
        let [major, minor, _, integer, offset, format] = [5, 6, 7, 8, 9, 10].map(|at| self.piece[at]);
        if !self.piece.starts_with(MAGIC) {
            return ArchiveStep::Over(Completeness::Foreign);
        }
        if major != 1 || !KNOWN.contains(&minor) {
            return ArchiveStep::Over(Completeness::Unknown(major, minor));
        }
        if format != CUSTOM || !(1..=7).contains(&integer) || !(1..=8).contains(&offset) {
            return ArchiveStep::Over(Completeness::Cut);
        }
        (self.integer, self.offset) = (integer.into(), offset.into());
        self.header = fields::header(minor);
        self.entry = fields::entry(minor);
        ArchiveStep::Header(0)
    }

    fn header(&mut self, at: usize) -> ArchiveStep {
        match self.header[at] {
            Field::Text => self.skip = self.number().max(0) as u64,
            _ if at + 1 == self.header.len() => {
                self.entries = self.number();
                return if self.entries > 0 { ArchiveStep::Entry(0) } else { ArchiveStep::Kind };
            }
            _ => {}
        }
        ArchiveStep::Header(at + 1)
    }

    fn entry(&mut self, at: usize) -> ArchiveStep {
        match (at, self.text.take()) {
            (BEHIND_NAME, Some(name)) => self.name = name,
            (BEHIND_KIND, Some(kind)) if kind == EXTENSION && self.extensions.len() < MOST_EXTENSIONS => {
                self.extensions.insert(String::from_utf8_lossy(&self.name).into_owned());
            }
            _ => {}
        }
        if at + 1 == BEHIND_NAME || at + 1 == BEHIND_KIND {
            self.text = Some(Vec::new());
        }
        match self.entry[at] {
            Field::Integer if at == 0 => self.number = self.number(),
            Field::Integer if at == 1 && self.number() != 0 => drop(self.awaited.insert(self.number)),
            Field::Text => self.skip = self.number().max(0) as u64,
            Field::Texts if self.number() >= 0 => {
                self.skip = self.number() as u64;
                return ArchiveStep::Entry(at);
            }
            _ => {}
        }
        if at + 1 < self.entry.len() {
            return ArchiveStep::Entry(at + 1);
        }
        self.entries -= 1;
        if self.entries > 0 { ArchiveStep::Entry(0) } else { ArchiveStep::Kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(number: i32) -> Vec<u8> {
        [&[u8::from(number < 0)][..], &number.unsigned_abs().to_le_bytes()].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        [integer(text.len() as i32), text.as_bytes().to_vec()].concat()
    }

    /// Returns an archive with an entry without data, one with rows, and one with two large objects.
    fn archive(minor: u8) -> Vec<u8> {
        let mut made = [MAGIC, &[1, minor, 0, 4, 8, CUSTOM]].concat();
        made.extend(if minor >= 15 { vec![0] } else { integer(0) });
        (0..7).for_each(|number| made.extend(integer(number)));
        ["shop", "17.0", "17.1"].iter().for_each(|name| made.extend(text(name)));
        made.extend(integer(3));
        for (number, data) in [(7, 0), (300, 1), (9, 1)] {
            [number, data].iter().for_each(|number| made.extend(integer(*number)));
            ["1259", "16384", "a table", "TABLE DATA"].iter().for_each(|name| made.extend(text(name)));
            made.extend(integer(3));
            made.extend(text("CREATE TABLE"));
            made.extend(integer(-1));
            ["COPY", "public", ""].iter().for_each(|name| made.extend(text(name)));
            if minor >= 14 {
                made.extend(text("heap"));
            }
            if minor >= 16 {
                made.extend(integer(114));
            }
            ["owner", "false", "12", "13"].iter().for_each(|name| made.extend(text(name)));
            made.extend(integer(-1));
            made.extend([if data == 0 { 3 } else { 1 }, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        made.push(1);
        [integer(300), text("1\tone\n"), text("2\ttwo\n"), integer(0)].iter().for_each(|piece| made.extend(piece));
        made.push(3);
        made.extend(integer(9));
        for number in [4242, 4243] {
            [integer(number), text("bytes"), integer(0)].iter().for_each(|piece| made.extend(piece));
        }
        made.extend(integer(0));
        made
    }

    #[test]
    fn only_the_whole_of_an_archive_is_whole() {
        for minor in KNOWN {
            let bytes = archive(minor);
            for length in 0..bytes.len() {
                let mut archive = Archive::default();
                bytes[..length].chunks(1 + length % 40).for_each(|piece| archive.update(piece));
                let expected = if length < MAGIC.len() { Completeness::Foreign } else { Completeness::Cut };
                assert_eq!(archive.verdict(), expected, "1.{minor} cut to {length} bytes");
            }
            let mut archive = Archive::default();
            archive.update(&bytes);
            assert_eq!(archive.verdict(), Completeness::Whole, "1.{minor}");
            archive.update(&[1]);
            assert_eq!(archive.verdict(), Completeness::Cut, "1.{minor} with a byte more");
        }
    }

    #[test]
    fn the_extensions_that_an_archive_makes_are_known_by_its_table_of_contents() {
        for minor in KNOWN {
            let bytes = archive(minor);
            let table = [text("a table"), text("TABLE DATA")].concat();
            let at = bytes.windows(table.len()).position(|window| window == table).unwrap();
            let extension = [text("pg_cron"), text("EXTENSION")].concat();
            let bytes = [&bytes[..at], &extension, &bytes[at + table.len()..]].concat();
            for size in [1, 7, bytes.len()] {
                let mut archive = Archive::default();
                bytes.chunks(size).for_each(|piece| archive.update(piece));
                assert_eq!(archive.verdict(), Completeness::Whole, "1.{minor}");
                assert_eq!(archive.extensions().iter().collect::<Vec<_>>(), ["pg_cron"], "1.{minor}");
            }
        }
    }

    #[test]
    fn what_cannot_be_looked_into_is_told_apart() {
        for (bytes, expected) in [
            (&b"PGDMQ\x01\x0e\x00\x04\x08\x01"[..], Completeness::Foreign),
            (b"PGDMP\x01\x11\x00\x04\x08\x01and more", Completeness::Unknown(1, 17)),
            (b"PGDMP\x02\x00\x00\x04\x08\x01", Completeness::Unknown(2, 0)),
            (b"PGDMP\x01\x0e\x00\x04\x08\x05", Completeness::Cut),
            (b"PGDMP\x01\x0e\x00\xff\x08\x01", Completeness::Cut),
        ] {
            let mut archive = Archive::default();
            archive.update(bytes);
            assert_eq!(archive.verdict(), expected, "{bytes:?}");
        }
    }
}
