//! The fields of an archive's header and of its entries, by the version of the archive.

/// The bytes that an archive begins with.
pub(crate) const MAGIC: &[u8] = b"PGDMP";
/// Length of the head in bytes: the magic, three bytes of version, the sizes of integers and offsets, the format.
pub(crate) const HEAD: usize = 11;
/// The number of the custom format, and the minor versions 1.x that are known: PostgreSQL 9.0 to 18.
pub(crate) const CUSTOM: u8 = 1;
pub(crate) const KNOWN: std::ops::RangeInclusive<u8> = 12..=16;

/// The kinds of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Byte,
    Integer,
    /// A length, and so many bytes; a negative length: none.
    Text,
    /// Texts up to one that is none.
    Texts,
    Offset,
}

/// Returns the fields of the header: compression, time in seven numbers, database, versions of server and pg_dump,
/// number of entries.
pub(crate) fn header(minor: u8) -> Vec<Field> {
    let compression = if minor >= 15 { Field::Byte } else { Field::Integer };
    [&[compression][..], &[Field::Integer; 7], &[Field::Text; 3], &[Field::Integer]].concat()
}

/// Returns the fields of an entry: number, whether it has data, four names, section, four statements and names,
/// tablespace, access method, kind of relation, owner, a flag, the entries that it depends on, where its data are.
pub(crate) fn entry(minor: u8) -> Vec<Field> {
    let mut fields = [&[Field::Integer; 2][..], &[Field::Text; 4], &[Field::Integer], &[Field::Text; 5]].concat();
    if minor >= 14 {
        fields.push(Field::Text);
    }
    if minor >= 16 {
        fields.push(Field::Integer);
    }
    fields.extend([Field::Text, Field::Text, Field::Texts, Field::Offset]);
    fields
}

/// Returns an integer: a sign, and then the number, its lowest byte first.
pub(crate) fn number(bytes: &[u8]) -> i64 {
    let Some((sign, digits)) = bytes.split_first() else { return 0 };
    let number = digits.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte));
    if *sign == 0 { number } else { -number }
}
