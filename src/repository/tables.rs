//! Reads single tables out of a backup.

use crate::base::error::{Fault, Result, into_io};
use crate::base::progress::{Monitor, Progress};
use crate::format::archive::contents::DumpContents;
use crate::format::archive::entry::ArchiveEntry;
use crate::format::archive::selection::shared_rows::SharedRows;
use crate::format::manifest::Table;
use crate::format::manifest::encoding::EncodingName;
use crate::format::manifest::extent::Extent;
use crate::format::manifest::{Format, Manifest};
use crate::format::sql::csv::CsvWriter;
use crate::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use crate::format::table_pattern::TablePattern;
use crate::pipeline::drain;
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::repository::reader::BackupReader;
use std::io::Write;

/// Says what to do with an archive, which has no table of contents that pgbk reads.
pub(crate) const OF_ARCHIVE: &str = "the plain backup of the same run has a table of contents: take that if there is one; else download this whole, and pg_restore --table takes tables out of it";
/// Most names in one message.
const NAMED: usize = 10;

/// How the rows of tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    /// COPY blocks, for psql.
    Script,
    /// CSV with a line of names; of one table.
    Csv,
}

/// The result of reading tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablesRead {
    pub tables: usize,
    pub rows: u64,
    /// Number of bytes of the payload that were read.
    pub fetched: u64,
}

/// Returns the tables of a backup that match one of the patterns. It is an error if a pattern matches none, or the rows of a partition that
/// stand among those of others.
pub fn chosen(opened: &BackupReader, patterns: &[TablePattern]) -> Result<Vec<Table>> {
    let manifest = &opened.manifest;
    if manifest.dump.format != Format::Plain {
        let format = manifest.dump.format.extension();
        return Err(Fault::usage(format!("{} is a .{format}, whose tables are not listed in its .meta", manifest.id))
            .hint(OF_ARCHIVE)
            .into());
    }
    let contents = opened.contents()?;
    let shared = contents.as_ref().map(SharedRows::of).unwrap_or_default();
    let is_partition = |pattern: &TablePattern| {
        shared.0.values().flatten().any(|entry| pattern.matches_names(&entry.schema, &entry.name))
    };
    for pattern in patterns {
        if !manifest.tables.iter().any(|table| pattern.matches(&table.name)) && !is_partition(pattern) {
            return Err(none_matches(manifest, pattern).into());
        }
    }
    let is_chosen = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let is_named =
        |entry: &ArchiveEntry| patterns.iter().any(|pattern| pattern.matches_names(&entry.schema, &entry.name));
    shared.check(|root, entry| is_chosen(root) || is_named(entry))?;
    let has_named = |name: &str| shared.0.get(name).is_some_and(|entries| entries.iter().any(|entry| is_named(entry)));
    let wanted = manifest.tables.iter().filter(|table| is_chosen(&table.name) || has_named(&table.name));
    Ok(wanted.cloned().collect())
}

fn none_matches(manifest: &Manifest, pattern: &TablePattern) -> Fault {
    let names: Vec<&str> = manifest.tables.iter().take(NAMED).map(|table| table.name.as_str()).collect();
    let more = if manifest.tables.len() > NAMED { ", …" } else { "" };
    let fault = Fault::usage(format!("no table of {} matches \"{pattern}\"", manifest.id));
    if let Some(hint) = pattern.several() {
        return fault.hint(hint);
    }
    match names.is_empty() {
        true => fault.hint("it holds no tables with rows in COPY blocks"),
        false => fault.hint(format!("it holds {}{more}; pgbk list {} shows all", names.join(", "), manifest.id)),
    }
}

/// Writes the rows of tables: `chosen` must be of this backup. Of the payload it reads no more than they need, if the `.meta` says where they
/// are; else all of it.
pub fn write(
    opened: BackupReader,
    chosen: &[Table],
    form: RowForm,
    out: &mut dyn Write,
    monitor: &dyn Monitor,
) -> Result<TablesRead> {
    match form {
        RowForm::Csv => blocks(opened, chosen, &mut CsvWriter::new(out), monitor),
        RowForm::Script => {
            if let Some(encoding) = encoding(&opened)? {
                writeln!(out, "SET client_encoding = '{encoding}';\n")?;
            }
            blocks(opened, chosen, out, monitor)
        }
    }
}

/// Returns the name of the encoding of the dump. `None`: neither its contents nor its server say.
fn encoding(opened: &BackupReader) -> Result<Option<String>> {
    let contents = opened.contents()?;
    let told = contents.as_ref().and_then(DumpContents::encoding).and_then(EncodingName::named);
    let encoding = told.or(opened.manifest.server.as_ref().map(|server| server.encoding));
    Ok(encoding.map(|encoding| encoding.as_str().to_owned()))
}

/// Writes the COPY blocks of tables, as the dump has them.
fn blocks(opened: BackupReader, chosen: &[Table], out: &mut dyn Write, monitor: &dyn Monitor) -> Result<TablesRead> {
    let manifest = opened.manifest.clone();
    let (is_placed, at) = (chosen.iter().all(|table| !table.at.is_empty()), chosen.iter().flat_map(|table| &table.at));
    let due =
        if is_placed { at.fold(0, |sum: u64, part| sum.saturating_add(part.bytes)) } else { manifest.plain.bytes };
    let monitor = &Progress::begin(monitor, &format!("download {}", manifest.id), Some(due));
    let fetched = match is_placed {
        true => parts(&opened, chosen, out, monitor)?,
        false => filtered(opened, chosen, out, monitor)?,
    };
    let rows = chosen.iter().fold(0, |rows: u64, table| rows.saturating_add(table.rows));
    Ok(TablesRead { tables: chosen.len(), rows, fetched })
}

/// Reads the parts of the dump where the tables are. What was read is compared with the `.meta` at the end.
fn parts(opened: &BackupReader, chosen: &[Table], out: &mut dyn Write, monitor: &dyn Monitor) -> Result<u64> {
    let BackupReader { manifest, derived_keys, object } = opened;
    let mut reader = PartReader::new(object.as_ref(), manifest, derived_keys.as_ref())?;
    let mut counter = TableCounter::of(derived_keys.as_ref(), manifest.pgbk);
    let mut extents: Vec<Extent> = chosen.iter().flat_map(|table| table.at.iter().copied()).collect();
    extents.sort_by_key(|extent| extent.at);
    for extent in extents {
        reader.read(extent, &mut |bytes| {
            counter.update(bytes);
            out.write_all(bytes)?;
            monitor.advance(bytes.len() as u64);
            Ok(())
        })?;
    }
    let found = counter.finish().tables;
    chosen.iter().try_for_each(|table| table.compare(&found))?;
    Ok(reader.fetched())
}

/// Reads the whole dump, and writes the COPY blocks of the tables.
fn filtered(opened: BackupReader, chosen: &[Table], out: &mut dyn Write, monitor: &dyn Monitor) -> Result<u64> {
    let stored = opened.manifest.stored.bytes;
    let mut splitter = Splitter::new(StatementLimit::COPY);
    let mut wanted = false;
    let mut sink = |event: ScriptEvent<'_>| {
        match event {
            ScriptEvent::CopyStart { header, table, .. } => {
                wanted = chosen.iter().any(|chosen| chosen.name == table);
                if wanted {
                    out.write_all(header)?;
                    out.write_all(b"\n")?;
                }
            }
            ScriptEvent::CopyData(data) if wanted => out.write_all(data)?,
            ScriptEvent::CopyEnd { .. } if wanted => {
                out.write_all(b"\\.\n")?;
                wanted = false;
            }
            _ => {}
        }
        Ok(())
    };
    drain(&mut opened.plain()?, monitor, |bytes| splitter.feed_all(bytes, &mut sink).map_err(into_io))?;
    splitter.finish(&mut sink)?;
    Ok(stored)
}
