//! Sends the rows of one COPY block.

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::format::sql::splitter::ScriptEvent;
use crate::postgres::restore::load::failure;
use crate::postgres::restore::load::header::Header;
use crate::postgres::restore::load::script::Script;
use postgres::{CopyInWriter, Transaction};
use std::io::Write;

/// Bytes of a message, because small messages cost more than they carry.
const MESSAGE: usize = 256 << 10;
/// Bytes of one COPY. The driver reports an error only when a COPY ends, so a large table is sent in several.
const STRETCH: u64 = 256 << 20;

/// Says why rows were not taken.
pub(crate) struct RowRefusal {
    pub error: anyhow::Error,
    /// Whether the script has been read to the end of the rows.
    pub ended: bool,
    /// Whether the server refused the rows; otherwise the script or the connection failed.
    pub by_server: bool,
}

impl RowRefusal {
    fn script(error: anyhow::Error) -> RowRefusal {
        RowRefusal { error, ended: false, by_server: false }
    }

    fn server(header: &Header, error: &postgres::Error, ended: bool) -> RowRefusal {
        let by_server = failure::is_refusal(error);
        RowRefusal { error: failure::of_statement(header.line, &header.text, error), ended, by_server }
    }

    /// Returns the refusal for rows of which the server took only a part, `of`.
    fn short(header: &Header, of: &str) -> RowRefusal {
        let at = if header.line == Header::UNKNOWN { String::new() } else { format!(" (line {})", header.line) };
        let error = Fault::refused(format!("the server took {of}{at}"))
            .hint("a trigger or rule of the target may drop rows")
            .into();
        RowRefusal { error, ended: true, by_server: true }
    }
}

/// Rows of one COPY block: how many the server took, and how many the script held.
pub(crate) struct CopyCounts {
    pub rows: u64,
    pub lines: u64,
}

/// Rows of one COPY block that the server took.
pub(crate) struct WholeRows {
    pub rows: u64,
    /// Says that an extension has taken fewer than the script holds; else `None`.
    pub remark: Option<String>,
}

/// Query for the extension that a table belongs to. Works whatever search path the script has set.
const EXTENSION: &str = "
    SELECT e.extname::pg_catalog.text
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)::pg_catalog.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'";

/// Returns the extension that the table of these rows belongs to; `None` if it is a table of the dump's.
fn extension(transaction: &mut Transaction<'_>, header: &Header) -> std::result::Result<Option<String>, RowRefusal> {
    let row = transaction.query_opt(EXTENSION, &[&header.table]);
    let found = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    found.map_err(|error| RowRefusal::server(header, &error, true))
}

/// Returns the number of rows that the server took. It is an error if the script held more, except for tables of an extension, which may
/// have rows of their own, and triggers for them; no table of the dump has a trigger yet.
pub(crate) fn whole(
    transaction: &mut Transaction<'_>,
    header: &Header,
    sent: CopyCounts,
) -> std::result::Result<WholeRows, RowRefusal> {
    let CopyCounts { rows, lines } = sent;
    if rows == lines {
        return Ok(WholeRows { rows, remark: None });
    }
    let of = format!("{rows} of the {} of table {}", many(lines, "row"), header.table);
    match extension(transaction, header)? {
        Some(extension) => {
            let remark = Some(format!("the extension \"{extension}\" took {of}, which is its own"));
            Ok(WholeRows { rows, remark })
        }
        None => Err(RowRefusal::short(header, &of)),
    }
}

/// Sends everything up to the end of the rows.
pub(crate) fn send(
    transaction: &mut Transaction<'_>,
    query: &str,
    header: &Header,
    script: &mut Script<'_>,
) -> std::result::Result<CopyCounts, RowRefusal> {
    let mut total = CopyCounts { rows: 0, lines: 0 };
    let mut held = Vec::with_capacity(2 * MESSAGE);
    loop {
        let mut stretch = Stretch::open(transaction, query, header, std::mem::take(&mut held))?;
        let ended = stretch.run(script).map_err(RowRefusal::script)?;
        let (sent, rest) = stretch.finish(ended)?;
        total.rows += sent.rows;
        total.lines += sent.lines;
        held = rest;
        if ended {
            return Ok(total);
        }
    }
}

/// Skips the rows, and returns how many there are.
pub(crate) fn skip(header: &Header, script: &mut Script<'_>) -> Result<u64> {
    let mut ended = None;
    while ended.is_none() {
        let mut sink = |event: ScriptEvent<'_>| {
            if let ScriptEvent::CopyEnd { rows, .. } = event {
                ended = Some(rows);
            }
            Ok(())
        };
        if !script.feed(&mut sink)? {
            script.end_line(&mut sink)?;
            break;
        }
    }
    ended.ok_or_else(|| cut(header))
}

/// A part of the rows, which is one COPY for the server.
struct Stretch<'a> {
    header: &'a Header,
    writer: CopyInWriter<'a>,
    held: Vec<u8>,
    lines: u64,
    bytes: u64,
}

impl<'a> Stretch<'a> {
    fn open(
        transaction: &'a mut Transaction<'_>,
        query: &str,
        header: &'a Header,
        held: Vec<u8>,
    ) -> std::result::Result<Self, RowRefusal> {
        let writer = transaction.copy_in(query).map_err(|error| RowRefusal::server(header, &error, false))?;
        Ok(Stretch { header, writer, held, lines: 0, bytes: 0 })
    }

    /// Sends rows until they end (returns true) or are enough for one COPY (false).
    fn run(&mut self, script: &mut Script<'_>) -> Result<bool> {
        let mut ended = false;
        while !(ended || self.is_full()) {
            let mut sink = |event: ScriptEvent<'_>| match event {
                ScriptEvent::CopyData(data) => self.take(data),
                ScriptEvent::CopyEnd { .. } => {
                    ended = true;
                    Ok(())
                }
                _ => Ok(()),
            };
            if !script.feed(&mut sink)? {
                script.end_line(&mut sink)?;
                if !ended {
                    return Err(cut(self.header));
                }
            }
        }
        Ok(ended)
    }

    /// Returns whether the rows are enough for one COPY, and it can end: the next one begins where a line ends.
    fn is_full(&self) -> bool {
        self.bytes >= STRETCH && self.held.contains(&b'\n')
    }

    fn take(&mut self, data: &[u8]) -> Result<()> {
        if self.held.is_empty() && data.len() >= MESSAGE && self.bytes < STRETCH {
            return self.send(data);
        }
        self.held.extend_from_slice(data);
        if self.held.len() >= MESSAGE && !self.is_full() { self.flush(self.held.len()) } else { Ok(()) }
    }

    fn flush(&mut self, length: usize) -> Result<()> {
        let rest = self.held.split_off(length);
        let piece = std::mem::replace(&mut self.held, rest);
        self.send(&piece)
    }

    fn send(&mut self, piece: &[u8]) -> Result<()> {
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.bytes += piece.len() as u64;
        self.writer.write_all(piece).map_err(|error| failure::of_rows(self.header.line, &self.header.text, &error))
    }

    /// Ends the COPY behind the last whole row. Returns the rest for the next COPY.
    fn finish(mut self, ended: bool) -> std::result::Result<(CopyCounts, Vec<u8>), RowRefusal> {
        let whole = if ended { self.held.len() } else { memchr::memrchr(b'\n', &self.held).map_or(0, |last| last + 1) };
        self.flush(whole).map_err(RowRefusal::script)?;
        let Stretch { header, writer, held, lines, .. } = self;
        let rows = writer.finish().map_err(|error| RowRefusal::server(header, &error, ended))?;
        Ok((CopyCounts { rows, lines }, held))
    }
}

fn cut(header: &Header) -> anyhow::Error {
    let at = match header.line {
        Header::UNKNOWN => format!("for table {}", header.table),
        line => format!("at line {line}"),
    };
    Fault::refused(format!("the dump ends inside the rows of the COPY {at}")).into()
}
