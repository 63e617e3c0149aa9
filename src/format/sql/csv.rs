//! Converts rows of COPY to CSV.

use crate::base::error::{Result, into_io};
use crate::format::sql::columns::columns;
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use memchr::memchr;
use std::io::{self, Write};

/// Takes a script with the rows of one table, and writes them as `COPY … FROM … (FORMAT csv, HEADER)` reads them: NULL is nothing, and an
/// empty text is `""`. The encoding is that of the script.
pub(crate) struct CsvWriter<'a> {
    splitter: Splitter,
    rows: CsvRows<'a>,
}

struct CsvRows<'a> {
    out: &'a mut dyn Write,
    /// Whether the names of the columns have been written.
    is_named: bool,
    /// The beginning of a row whose end has not come.
    held: Vec<u8>,
    /// The row that is being written.
    row: Vec<u8>,
}

impl<'a> CsvWriter<'a> {
    pub fn new(out: &'a mut dyn Write) -> CsvWriter<'a> {
        let rows = CsvRows { out, is_named: false, held: Vec::new(), row: Vec::new() };
        CsvWriter { splitter: Splitter::new(StatementLimit::COPY), rows }
    }
}

impl Write for CsvWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rows = &mut self.rows;
        self.splitter.feed_all(bytes, &mut |event| rows.take(&event)).map_err(into_io)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows.out.flush()
    }
}

impl CsvRows<'_> {
    fn take(&mut self, event: &ScriptEvent<'_>) -> Result<()> {
        match event {
            ScriptEvent::CopyStart { header, .. } if !self.is_named => {
                self.is_named = true;
                for name in columns(header) {
                    self.field(Some(name.as_bytes()));
                }
                self.end()?;
            }
            ScriptEvent::CopyData(data) => self.data(data)?,
            _ => {}
        }
        Ok(())
    }

    /// Takes rows, in pieces that may break anywhere.
    fn data(&mut self, mut data: &[u8]) -> io::Result<()> {
        while let Some(end) = memchr(b'\n', data) {
            self.held.extend_from_slice(&data[..end]);
            let line = std::mem::take(&mut self.held);
            for field in line.split(|byte| *byte == b'\t') {
                let value = (field != b"\\N").then(|| unescaped(field));
                self.field(value.as_deref());
            }
            self.end()?;
            data = &data[end + 1..];
        }
        self.held.extend_from_slice(data);
        Ok(())
    }

    /// Adds a value and a comma to the row; `None` is NULL.
    fn field(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else { return self.row.push(b',') };
        let is_quoted = value.is_empty() || value == b"\\." || value.iter().any(|byte| b",\"\r\n".contains(byte));
        if is_quoted {
            self.row.push(b'"');
        }
        for byte in value {
            self.row.extend((*byte == b'"').then_some(b'"'));
            self.row.push(*byte);
        }
        self.row.extend_from_slice(if is_quoted { b"\"," } else { b"," });
    }

    /// Writes the row, with a line break in the place of the last comma.
    fn end(&mut self) -> io::Result<()> {
        self.row.pop();
        self.row.push(b'\n');
        self.out.write_all(&self.row)?;
        self.row.clear();
        Ok(())
    }
}

/// Returns a value without the escapes of COPY's text.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        value.push(match (byte, byte == &b'\\') {
            (byte, false) => *byte,
            (_, true) => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_empty_and_what_csv_gives_a_meaning_are_told_apart_however_the_script_is_cut() {
        let script = b"SET x = 1;\nCOPY public.t (a, \"B, c\") FROM stdin;\n\\N\t\n1\ta\\tb\\\\\\n\n\"q\"\t\\\\.\n\\.\n\nCOPY public.t (a, \"B, c\") FROM stdin;\nlast\tx y\n\\.\n";
        let expected = "a,\"B, c\"\n,\"\"\n1,\"a\tb\\\n\"\n\"\"\"q\"\"\",\"\\.\"\nlast,x y\n";
        for piece in 1..=script.len() {
            let mut out = Vec::new();
            let mut writer = CsvWriter::new(&mut out);
            script.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{piece}");
        }
    }
}
