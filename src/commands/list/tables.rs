//! `pgbk list ID`: the tables in one backup.

use crate::base::error::Result;
use crate::base::shown::Lines;
use crate::cli::console::{Console, bytes};
use crate::cli::table::TextTable;
use crate::format::backup_id::BackupId;
use crate::format::manifest::{Format, Manifest, Table};
use crate::repository::Repository;
use serde_json::{Value, json};

/// Prints the tables of a backup as its `.meta` states them, in the order of the dump. Nothing is authenticated, as in the list of
/// backups.
pub(crate) fn run(repository: &Repository, id: &BackupId, console: &Console) -> Result<u8> {
    let manifest = repository.sealed(id)?.claims()?;
    console.result_of(|| text(&manifest), || document(&manifest))?;
    Ok(0)
}

fn text(manifest: &Manifest) -> Lines {
    let mut table = TextTable::new(&["TABLE", "ROWS", "SIZE"]);
    for Table { name, rows, bytes: size, .. } in &manifest.tables {
        table.row([name.clone(), rows.to_string(), bytes(*size)]);
    }
    table.text(nothing(manifest.dump.format))
}

/// Says why there is no table.
fn nothing(format: Format) -> &'static str {
    match format {
        Format::Plain => "no tables",
        Format::Custom => {
            "an archive, whose tables are not in its .meta: pgbk download it, and pg_restore --list shows them"
        }
        Format::Tar => "files, and no tables",
    }
}

fn document(manifest: &Manifest) -> Value {
    let tables = manifest.tables.iter();
    let tables = tables.map(|table| json!({"name": table.name, "rows": table.rows, "bytes": table.bytes}));
    json!({"id": manifest.id, "tables": tables.collect::<Vec<Value>>()})
}
