//! Counts and hashes the rows of a database as the `.meta` of a backup does.

use crate::base::error::{Fault, Result};
use crate::base::process::reader::ChildReader;
use crate::base::progress::{Monitor, Progress};
use crate::format::backup_id::BackupId;
use crate::format::manifest::{Manifest, ServerNote};
use crate::pipeline::drain;
use crate::pipeline::table_counter::{TableCounter, TableCounts};
use crate::postgres::connect::preamble;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::tools;
use crate::postgres::tools::dump::second_dump::again;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Longest time without output before a dump counts as stopped.
const STALL: Duration = Duration::from_secs(3600);

/// The tables of a database, counted again.
pub struct TableRecount {
    pub found: TableCounts,
    /// Says that pg_dump and server have the backup's major versions: then pg_dump writes the same definitions in the same words.
    pub is_worded_alike: bool,
}

/// Dumps the database as the backup was dumped, through the counter that counted for its `.meta`, under the same key; nothing is stored.
///
/// This proves the rows: `pg_dump` writes the rows of a table in the order in which they are stored, and a restore stores them in the order
/// in which the backup has them, for each COPY goes into a table that the same transaction has made, where no free space is looked for. So
/// the same rows give the same bytes, and one changed byte gives another BLAKE2b. Everything else that the text of a value depends on is
/// the same: the user's arguments, the encoding, and the settings of the session.
pub fn recount(
    manifest: &Manifest,
    mut tables: TableCounter,
    scratch: &ConnectionSettings,
    server_major: u32,
    bin_dir: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<TableRecount> {
    let pg_dump = tools::find("pg_dump", server_major, bin_dir)?;
    let server = manifest.server.as_ref();
    let mut session = server.map(|server| (*server.session).clone()).unwrap_or_default();
    // Before format 2 a dump was in whatever encoding the role or the database asked for.
    if let Some(server) = server.filter(|_| manifest.pgbk >= 2) {
        session.insert("client_encoding".to_owned(), server.encoding.as_str().to_owned());
    }
    session.extend(preamble::unhurried(server_major));
    let environment = scratch.with_session(&session).child_environment()?;
    let mut arguments = again(&manifest.dump.arguments)?;
    if manifest.server.as_ref().is_some_and(|server| server.in_recovery) {
        // A standby has no rows of unlogged tables, and pg_dump passes over them there.
        arguments.push("--no-unlogged-table-data".to_owned());
    }
    let monitor = &Progress::begin(monitor, &format!("compare {}", manifest.id), Some(manifest.plain.bytes));
    let mut dump = ChildReader::spawn(&pg_dump.path, &arguments, &environment, STALL)?;
    let count = |dump: &mut dyn Read| {
        drain(dump, monitor, |bytes| {
            tables.update(bytes);
            Ok(())
        })
    };
    let ((), remarks) = dump.through(count)?;
    remarks.tell(monitor);
    let found = all_listed(&manifest.id, tables.finish())?;
    Ok(TableRecount { found, is_worded_alike: is_worded_alike(manifest, pg_dump.major, server_major) })
}

/// Fails if not all tables were counted: the document of a script lists all that it has, and that of an archive lists none.
fn all_listed(id: &BackupId, found: TableCounts) -> Result<TableCounts> {
    match found.more_tables {
        false => Ok(found),
        true => Err(Fault::failed(format!("{id} was restored, and has more tables than a proof can list"))
            .hint("\"pgbk restore --to\" shows whether it can be restored, and \"pgbk verify --level content\" reads all of it")
            .into()),
    }
}

fn is_worded_alike(manifest: &Manifest, ours: u32, server_major: u32) -> bool {
    let of = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let theirs = manifest.tools.pg_dump.as_deref().and_then(of);
    theirs == Some(ours) && manifest.server.as_ref().map(ServerNote::major) == Some(server_major)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};

    /// An archive may have more tables than any script that is stored.
    #[test]
    fn a_copy_of_which_not_all_tables_were_counted_is_not_proven_and_not_damaged() {
        let id: BackupId = "shop-20260822T031500Z".parse().unwrap();
        assert!(all_listed(&id, TableCounts::default()).is_ok());
        let error = all_listed(&id, TableCounts { more_tables: true, ..TableCounts::default() }).unwrap_err();
        assert_eq!(error.to_string(), format!("{id} was restored, and has more tables than a proof can list"));
        assert_eq!((kind(&error), hints(&error).len()), (Kind::Failed, 1));
    }
}
