//! The table of contents of an archive, which stands before all of its data.

use crate::base::error::{Fault, Result};
use crate::format::archive::entry::{ArchiveEntry, LARGE_OBJECTS, written};
use crate::format::archive::fields::{self, CUSTOM, Field, HEAD, KNOWN, MAGIC};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};
use std::ops::Range;

/// Largest table of contents in bytes: those of 20,000 tables take some 15 MB.
pub(crate) const LARGEST: usize = 1 << 30;

/// A table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpContents {
    /// The bytes before the number of entries.
    header: Vec<u8>,
    /// Size of integers in bytes, without the sign.
    integer: usize,
    pub entries: Vec<ArchiveEntry>,
    /// The index of each entry, by its number.
    places: HashMap<i64, usize>,
}

impl DumpContents {
    /// Reads it from the beginning of an archive, and nothing behind it. What is no archive, or of a version that pgbk does not know, is an
    /// error.
    pub fn read(from: &mut dyn Read) -> Result<DumpContents> {
        let mut reader = ContentsReader { from, bytes: Vec::new(), integer: 0, offset: 0, left: LARGEST };
        let minor = reader.head()?;
        let (header, number) = reader.header(minor)?;
        let layout = fields::entry(minor);
        let mut entries = Vec::new();
        for _ in 0..number {
            entries.push(reader.entry(&layout)?);
        }
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.number, place)).collect();
        Ok(DumpContents { header, integer: reader.integer, entries, places })
    }

    /// Returns the entry with this number. `None`: it is of what the dump does not make.
    pub fn entry(&self, number: i64) -> Option<&ArchiveEntry> {
        self.entries.get(*self.places.get(&number)?)
    }

    /// Returns whether the entry with this number is the data of large objects.
    pub fn is_large_objects(&self, number: i64) -> bool {
        self.entry(number).is_some_and(|entry| entry.is(LARGE_OBJECTS))
    }

    /// Returns the name of the encoding of all texts and rows. `None`: the archive does not say.
    pub fn encoding(&self) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.is("ENCODING"))?;
        std::str::from_utf8(entry.definition()).ok()?.split('\'').nth(1)
    }

    /// Returns the table of contents as an archive has it.
    pub fn bytes(&self) -> Vec<u8> {
        self.archive(self.entries.iter().map(|entry| entry.bytes().to_vec()))
    }

    /// Returns the table of contents with the entries that `wanted` names.
    pub fn only(&self, wanted: &BTreeSet<i64>) -> Vec<u8> {
        let chosen = self.entries.iter().filter(|entry| wanted.contains(&entry.number));
        self.archive(chosen.map(|entry| entry.bytes().to_vec()))
    }

    /// Returns the table of contents in the order of these places; entries of the same place keep their order.
    pub fn sorted(&self, place: impl Fn(&ArchiveEntry) -> usize) -> DumpContents {
        let mut entries = self.entries.clone();
        entries.sort_by_key(place);
        let places = entries.iter().enumerate().map(|(place, entry)| (entry.number, place)).collect();
        DumpContents { entries, places, ..self.clone() }
    }

    /// Returns an archive of the entries that `wanted` names, without data. In the place of those that have some is what `text` says.
    pub fn without_data(&self, wanted: &BTreeSet<i64>, text: impl Fn(&ArchiveEntry) -> Vec<u8>) -> Vec<u8> {
        let chosen = self.entries.iter().filter(|entry| wanted.contains(&entry.number));
        self.archive(chosen.map(|entry| match entry.has_data {
            true => entry.replaced(&text(entry), self.integer),
            false => entry.bytes().to_vec(),
        }))
    }

    fn archive(&self, entries: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        let (mut number, mut all) = (0, Vec::new());
        for entry in entries {
            number += 1;
            all.extend(entry);
        }
        [self.header.as_slice(), &written(number, self.integer), &all].concat()
    }
}

/// Reads field by field, and keeps the bytes.
struct ContentsReader<'a> {
    from: &'a mut dyn Read,
    bytes: Vec<u8>,
    integer: usize,
    offset: usize,
    /// How many bytes may still come.
    left: usize,
}

impl ContentsReader<'_> {
    /// Reads the head, and returns the minor version.
    fn head(&mut self) -> Result<u8> {
        let head = self.take(HEAD)?;
        let [major, minor, _, integer, offset, format] = [5, 6, 7, 8, 9, 10].map(|at| self.bytes[head.start + at]);
        if !self.bytes.starts_with(MAGIC) {
            return Err(Fault::failed("pg_dump gave no archive: its output does not begin as one").into());
        }
        let known = major == 1 && KNOWN.contains(&minor) && format == CUSTOM;
        if !known || !(1..=7).contains(&integer) || !(1..=8).contains(&offset) {
            return Err(Fault::failed(format!("pgbk does not know archives of version {major}.{minor}")).into());
        }
        (self.integer, self.offset) = (integer.into(), offset.into());
        Ok(minor)
    }

    /// Reads the header, and returns its bytes up to the number of entries, and that number.
    fn header(&mut self, minor: u8) -> Result<(Vec<u8>, i64)> {
        let mut last = 0..0;
        for field in fields::header(minor) {
            last = self.field(field)?;
        }
        let number = fields::number(&self.bytes[last.clone()]);
        self.bytes.truncate(last.start);
        Ok((std::mem::take(&mut self.bytes), number))
    }

    fn entry(&mut self, layout: &[Field]) -> Result<ArchiveEntry> {
        let (mut parts, mut needs) = (Vec::with_capacity(layout.len()), Vec::new());
        for field in layout {
            if *field == Field::Texts {
                needs = self.texts()?;
                parts.push((*field, 0..0));
            } else {
                let part = self.field(*field)?;
                parts.push((*field, part));
            }
        }
        Ok(ArchiveEntry::new(std::mem::take(&mut self.bytes), &parts, needs))
    }

    /// Reads a field, and returns where its contents are.
    fn field(&mut self, field: Field) -> Result<Range<usize>> {
        match field {
            Field::Byte => self.take(1),
            Field::Integer => self.take(1 + self.integer),
            Field::Offset => self.take(1 + self.offset),
            Field::Text | Field::Texts => Ok(self.text()?.unwrap_or(self.bytes.len()..self.bytes.len())),
        }
    }

    /// Reads a text. `None`: there is none.
    fn text(&mut self) -> Result<Option<Range<usize>>> {
        let length = self.take(1 + self.integer)?;
        match usize::try_from(fields::number(&self.bytes[length])) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Reads numbers written as texts, up to one that is none.
    fn texts(&mut self) -> Result<Vec<i64>> {
        let mut numbers = Vec::new();
        while let Some(text) = self.text()? {
            numbers.extend(String::from_utf8_lossy(&self.bytes[text]).parse::<i64>());
        }
        Ok(numbers)
    }

    /// Reads so many bytes, and returns where they are.
    fn take(&mut self, length: usize) -> Result<Range<usize>> {
        self.left = self.left.checked_sub(length).ok_or_else(|| {
            Fault::failed(format!("the table of contents of the dump is longer than {LARGEST} bytes"))
        })?;
        let begin = self.bytes.len();
        // Grows as the bytes come: a damaged length asks for no memory.
        let read = (&mut *self.from).take(length as u64).read_to_end(&mut self.bytes)?;
        match read == length {
            true => Ok(begin..begin + length),
            false => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the table of contents of the dump is cut short")
                    .into())
            }
        }
    }
}
