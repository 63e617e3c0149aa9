//! One entry of an archive's table of contents.

use crate::format::archive::fields::{self, Field};
use crate::format::sql::object_name::{ObjectName, TableName};
use std::ops::Range;

/// An entry: the object that it makes, and the bytes that it has in the archive. Texts are in the encoding of the dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveEntry {
    pub number: i64,
    pub has_data: bool,
    /// The object's number, unique among those of one catalog; 0 for what is no object.
    pub oid: u32,
    pub name: Vec<u8>,
    /// Such as `TABLE`, `TABLE DATA` or `FK CONSTRAINT`.
    pub kind: Vec<u8>,
    /// The statement of COPY before its data, with its line break; empty for what has none.
    pub copy: Vec<u8>,
    /// Empty for what is in no schema.
    pub schema: Vec<u8>,
    /// The numbers of the entries that it needs.
    pub needs: Vec<i64>,
    bytes: Vec<u8>,
    /// Where in the bytes the mark that it has data stands, and its definition, without the length before it.
    mark: Range<usize>,
    definition: Range<usize>,
}

/// The kind of the entries with the data of large objects.
pub(crate) const LARGE_OBJECTS: &str = "BLOBS";

/// The places of fields in an entry.
const NUMBER: usize = 0;
const MARK: usize = 1;
const OID: usize = 3;
const NAME: usize = 4;
const KIND: usize = 5;
const DEFINITION: usize = 7;
const COPY: usize = 9;
const SCHEMA: usize = 10;

impl ArchiveEntry {
    /// Returns the name of the table that the entry is about. `None`: no server has such a name.
    pub fn table(&self) -> Option<TableName> {
        Some(TableName { schema: ObjectName::new(&self.schema)?, name: ObjectName::new(&self.name)? })
    }

    /// Makes an entry of its bytes. `parts` are the places of its fields, each text without the length before it.
    pub fn new(bytes: Vec<u8>, parts: &[(Field, Range<usize>)], needs: Vec<i64>) -> ArchiveEntry {
        let part = |at: usize| parts.get(at).map(|(_, range)| range.clone()).unwrap_or_default();
        let text = |at| bytes[part(at)].to_vec();
        let number = |at| fields::number(&bytes[part(at)]);
        let oid = String::from_utf8_lossy(&text(OID)).parse().unwrap_or(0);
        ArchiveEntry {
            number: number(NUMBER),
            has_data: number(MARK) != 0,
            oid,
            name: text(NAME),
            kind: text(KIND),
            copy: text(COPY),
            schema: text(SCHEMA),
            needs,
            mark: part(MARK),
            definition: part(DEFINITION),
            bytes,
        }
    }

    /// Returns the entry as an archive has it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the statements that make the object; empty for what has none.
    pub fn definition(&self) -> &[u8] {
        &self.bytes[self.definition.clone()]
    }

    /// Returns an entry without data whose only statement is this text. `integer` is the size of integers in the archive.
    pub fn replaced(&self, text: &[u8], integer: usize) -> Vec<u8> {
        let mut bytes = self.bytes[..self.mark.start].to_vec();
        bytes.extend(written(0, integer));
        let before = self.definition.start.saturating_sub(1 + integer);
        bytes.extend_from_slice(&self.bytes[self.mark.end..before]);
        bytes.extend(written(text.len() as i64, integer));
        bytes.extend_from_slice(text);
        bytes.extend_from_slice(&self.bytes[self.definition.end..]);
        bytes
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind.as_bytes()
    }
}

/// Returns an integer as an archive has it.
pub(crate) fn written(number: i64, integer: usize) -> Vec<u8> {
    let mut bytes = vec![u8::from(number < 0)];
    bytes.extend_from_slice(&number.unsigned_abs().to_le_bytes()[..integer]);
    bytes
}
