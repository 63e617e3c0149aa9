//! Names entries of an archive as the target knows them.

use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::postgres::restore::present::DumpedObject;

/// Returns the object of the entry with this number. `None`: it is of what the dump does not make.
pub(crate) fn object(contents: &DumpContents, number: i64) -> Option<DumpedObject> {
    contents.entry(number).map(DumpedObject::of)
}

/// Returns the object in words. Empty for what the dump does not make.
pub(crate) fn words(contents: &DumpContents, number: i64) -> String {
    object(contents, number).map(|object| object.describe()).unwrap_or_default()
}

impl DumpedObject {
    pub fn of(entry: &ArchiveEntry) -> DumpedObject {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        DumpedObject {
            number: entry.number,
            kind: text(&entry.kind),
            schema: text(&entry.schema),
            name: text(&entry.name),
        }
    }
}
