//! Notes in a segment which tables it covers, and across which places it does not carry them. Nothing is passed over in silence.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::message;
use crate::format::changes::delta_writer::DeltaWriter;
use crate::format::changes::relations::{KnownTable, changed};
use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::changes::table_definition::TableDefinition;
use crate::format::pgoutput::change_message::ChangeMessage;
use crate::format::pgoutput::relation::Relation;
use crate::jobs::capture::table_look::TableLook;
use crate::jobs::capture::table_watch::LISTED;
use crate::postgres::replication::capture_candidate::TableCapture;
use crate::postgres::replication::table_shape::TableShape;
use std::collections::BTreeSet;
use std::io::Write;

/// Says what came of a look at the tables.
#[derive(Default)]
pub(crate) struct NotedTables {
    /// Whether anything had to be noted.
    pub is_noted: bool,
    /// Whether a table is not covered yet because of a transaction that may have written to it before its changes were streamed.
    pub is_waiting: bool,
}

/// Compares the tables that a look found with those that are known, in the transaction that was made behind the look.
///
/// The first segment of a generation states all tables: each base of the generation is taken after it. A table that changes or comes later is
/// covered from that transaction on; a base that does not hold it does not reach further with the table.
pub(crate) fn note<W: Write>(
    writer: &mut DeltaWriter<W>,
    look: TableLook,
    is_first: bool,
    monitor: &dyn Monitor,
) -> Result<NotedTables> {
    let mut noted = NotedTables::default();
    let breaks = writer.breaks().len();
    // The stream has told their break already, and this is the look that follows it.
    let untold = |known: &&KnownTable| known.definition.is_none() && known.broken.is_none();
    let told: BTreeSet<u32> = writer.known().all().filter(untold).map(|known| known.relation.oid).collect();
    let there: BTreeSet<u32> = look.shapes.iter().map(|shape| shape.relation.oid).collect();
    for shape in look.shapes {
        let known = writer.known().known(shape.relation.oid).cloned();
        match known {
            None => note_new(writer, shape, is_first, &mut noted)?,
            Some(known) => note_known(writer, known, shape, is_first, &mut noted)?,
        }
    }
    let gone = writer.known().all().map(|known| known.relation.oid).filter(|oid| !there.contains(oid));
    for oid in gone.collect::<Vec<u32>>() {
        writer.drop_table(oid)?;
    }
    noted.is_noted |= writer.breaks().len() > breaks;
    let is_new = |one: &&TableBreak| one.reason != BreakReason::Definition || !told.contains(&one.oid);
    writer.breaks()[breaks..].iter().filter(is_new).for_each(|one| tell(one, monitor));
    Ok(noted)
}

fn note_new<W: Write>(
    writer: &mut DeltaWriter<W>,
    shape: TableShape,
    is_first: bool,
    noted: &mut NotedTables,
) -> Result<()> {
    let TableShape { relation, capture, definition, is_written } = shape;
    let (oid, fault) = (relation.oid, uncovered(capture));
    noted.is_noted = true;
    if !is_first && fault.is_none() && !is_written {
        return writer.resume(relation, definition, BreakReason::Unknown);
    }
    writer.state(relation, definition)?;
    let waits = !is_first && fault.is_none();
    noted.is_waiting |= waits;
    match fault.or(waits.then_some(BreakReason::Unknown)) {
        Some(reason) => writer.break_table(oid, reason),
        None => Ok(()),
    }
}

fn note_known<W: Write>(
    writer: &mut DeltaWriter<W>,
    known: KnownTable,
    shape: TableShape,
    is_first: bool,
    noted: &mut NotedTables,
) -> Result<()> {
    let TableShape { relation, capture, definition, is_written } = shape;
    let oid = relation.oid;
    match (uncovered(capture), known.broken) {
        (Some(reason), _) => writer.break_table(oid, reason),
        (None, Some(_)) if is_written => {
            noted.is_waiting = true;
            Ok(())
        }
        (None, Some(reason)) => writer.resume(relation, definition, reason),
        (None, None) if is_first => writer.state(relation, definition),
        (None, None) => match differs(&known, &relation, &definition) {
            Some(reason) => writer.resume(relation, definition, reason),
            None => {
                writer.learn(oid, definition);
                Ok(())
            }
        },
    }
}

/// Returns whether a look found nothing that has to be noted.
pub(crate) fn is_known<W: Write>(writer: &DeltaWriter<W>, look: &TableLook) -> bool {
    let is_same = |shape: &TableShape| {
        let known = writer.known().known(shape.relation.oid);
        known.is_some_and(|known| match (uncovered(shape.capture), known.broken) {
            // Whatever it is by now, it stays broken up to the mark.
            (_, Some(_)) => true,
            (None, None) => differs(known, &shape.relation, &shape.definition).is_none(),
            (Some(_), None) => false,
        })
    };
    look.shapes.len() == writer.known().all().count() && look.shapes.iter().all(is_same)
}

/// Returns how a table differs from what is known of it; `None`: rows of the one fit the other.
fn differs(known: &KnownTable, relation: &Relation, definition: &TableDefinition) -> Option<BreakReason> {
    // Of a table that the stream alone has told it is not known what changed besides.
    let is_other = known.definition.as_ref().is_none_or(|known| known.differs(definition));
    changed(&known.relation, relation).or(is_other.then_some(BreakReason::Definition))
}

/// Takes a message of the stream. Returns whether a table broke by it: one that it changed, or that nobody knew.
pub(crate) fn take<W: Write>(
    writer: &mut DeltaWriter<W>,
    change: ChangeMessage<'_>,
    is_first: bool,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let before = writer.breaks().len();
    let mut told = None;
    if let ChangeMessage::Relation(relation) = &change {
        told = Some(relation.oid).filter(|oid| writer.known().known(*oid).is_none());
    }
    if let ChangeMessage::Logical(message) = &change
        && message.prefix == LISTED
    {
        for oid in listed(message.content) {
            writer.break_table(oid, BreakReason::Unstreamed)?;
        }
    }
    writer.take(change)?;
    // Where its changes began to be streamed, transactions may have been half over.
    if let Some(oid) = told.filter(|_| !is_first) {
        writer.break_table(oid, BreakReason::Unknown)?;
    }
    writer.breaks()[before..].iter().for_each(|one| tell(one, monitor));
    Ok(writer.breaks().len() > before)
}

/// Reads which tables were taken into a publication, or out of it.
fn listed(content: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(content);
    text.split(' ').filter_map(|oid| oid.parse().ok()).collect()
}

fn tell(one: &TableBreak, monitor: &dyn Monitor) {
    let (table, why) = (message(&one.table.text()), one.reason.describe());
    match one.until {
        Some(_) => monitor.info(&format!("no base from before {} reaches further with {table}: {why}", one.from)),
        None => {
            monitor.warn(&format!("changes of {table} are not captured from {} on: {why}. Backups have it", one.from))
        }
    }
}

/// Returns why no changes of a table can be captured; `None`: they can.
fn uncovered(capture: TableCapture) -> Option<BreakReason> {
    match capture {
        TableCapture::Keyed | TableCapture::WholeRow => None,
        // Its updates and deletes are in no stream.
        TableCapture::InsertsOnly => Some(BreakReason::Unidentified),
        TableCapture::Uncaptured(_) => Some(BreakReason::Unstreamed),
    }
}
