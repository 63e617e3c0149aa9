//! Restores a script by several connections: what makes the tables, then their rows, then all else.
//!
//! The rows are read where the `.meta` says that they are, by as many threads as there are connections. Each chunk of the payload is
//! checked against its tag before it is decrypted, and the rows of each table against the `.meta` before they are committed.

pub(crate) mod places;
pub(crate) mod row_reader;
pub(crate) mod script_text;
pub(crate) mod spread;

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::threads;
use crate::jobs::restore::parallel::places::RowPlaces;
use crate::jobs::restore::parallel::row_reader::{RowReader, SharedReading, send_tables};
use crate::jobs::restore::parallel::script_text::{PassedText, ScriptText};
use crate::jobs::restore::parallel::spread::spread;
use crate::postgres::restore::load::loader_thread::{LoadPipes, hand_over};
use crate::postgres::restore::load::script_pipe::ScriptSender;
use crate::repository::reader::BackupReader;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

/// Sends the script of a backup without its rows, and the rows beside it.
pub(crate) fn feed(opened: &BackupReader, pipes: &mut LoadPipes, monitor: &dyn Monitor) -> Result<()> {
    let places = RowPlaces::of(&opened.manifest, pipes.rows.len())?;
    let shared = SharedReading { opened, monitor, passed: PassedText::default(), lines: AtomicU64::new(0) };
    hand_over(&mut ScriptText::new(opened, places.before(), &shared.passed)?, &pipes.script, monitor)?;
    pipes.script.pause();
    let mut rows: Vec<&mut ScriptSender> = pipes.rows.iter_mut().collect();
    if !places.shared.is_empty() {
        let mut reader = RowReader::new(&shared)?;
        for table in &places.shared {
            if !spread(&mut reader, table, &rows)? {
                return Ok(());
            }
        }
    }
    scope(|scope| {
        let own = rows.pop();
        for pipe in rows {
            let (shared, places) = (&shared, &places);
            threads::begin_in(scope, "rows", move || send_tables(shared, places, pipe))?;
        }
        own.into_iter().for_each(|pipe| send_tables(&shared, &places, pipe));
        Ok::<_, anyhow::Error>(())
    })?;
    pipes.lines.store(shared.lines.load(Ordering::Relaxed), Ordering::Relaxed);
    hand_over(&mut ScriptText::new(opened, places.after(), &shared.passed)?, &pipes.script, monitor)
}
