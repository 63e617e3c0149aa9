//! Notes in a segment which tables it covers, and which it does not any more. Nothing that is not covered is passed over in silence.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::message;
use crate::format::changes::delta_writer::DeltaWriter;
use crate::format::changes::table_break::BreakReason;
use crate::format::pgoutput::change_message::ChangeMessage;
use crate::format::pgoutput::relation::Relation;
use crate::postgres::replication::capture_candidate::TableCapture;
use crate::postgres::replication::table_shape::TableShape;
use std::collections::BTreeSet;
use std::io::Write;

/// Compares the tables that the catalog has now with those that are known. Returns whether anything had to be noted.
///
/// The first segment of a generation states all tables: each base of the generation is taken after it. A table that comes later is in no
/// base that was taken before, so it is not covered. The catalog is never older than the stream: a break that it shows is noted at a place
/// before that of the change, or at that place.
pub(crate) fn note<W: Write>(
    writer: &mut DeltaWriter<W>,
    shapes: &[TableShape],
    is_first: bool,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let mut is_noted = false;
    for shape in shapes {
        let oid = shape.relation.oid;
        let known = writer.known().relation(oid).cloned();
        let fault = uncovered(shape.capture);
        let reason = match &known {
            None => {
                writer.cover(shape.relation.clone())?;
                is_noted = true;
                fault.or((!is_first).then_some(BreakReason::Unknown))
            }
            Some(known) => fault.or_else(|| changed(known, &shape.relation)),
        };
        if let Some(reason) = reason {
            is_noted |= break_table(writer, &shape.relation, reason, monitor)?;
        }
    }
    let there: BTreeSet<u32> = shapes.iter().map(|shape| shape.relation.oid).collect();
    let gone: Vec<Relation> = writer.known().covered().filter(|known| !there.contains(&known.oid)).cloned().collect();
    for relation in gone {
        is_noted |= break_table(writer, &relation, BreakReason::Dropped, monitor)?;
    }
    Ok(is_noted)
}

/// Takes a message of the stream. Returns whether a table broke by it: one that it changed, or that nobody knew.
pub(crate) fn take<W: Write>(
    writer: &mut DeltaWriter<W>,
    change: ChangeMessage<'_>,
    is_first: bool,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let ChangeMessage::Relation(relation) = &change else {
        let before = writer.breaks();
        writer.take(change)?;
        return Ok(writer.breaks() > before);
    };
    let relation = relation.clone();
    let was = writer.known().relation(relation.oid).map(|_| writer.known().is_covered(relation.oid));
    writer.take(change)?;
    let is_covered = writer.known().is_covered(relation.oid);
    match was {
        None if is_covered && !is_first => break_table(writer, &relation, BreakReason::Unknown, monitor),
        Some(true) | None if !is_covered => {
            let reason = writer.known().broken().find(|(broken, _)| broken.oid == relation.oid);
            let reason = reason.map_or(BreakReason::Columns, |(_, reason)| reason);
            tell(&relation, reason, monitor);
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn break_table<W: Write>(
    writer: &mut DeltaWriter<W>,
    relation: &Relation,
    reason: BreakReason,
    monitor: &dyn Monitor,
) -> Result<bool> {
    if !writer.known().is_covered(relation.oid) {
        return Ok(false);
    }
    writer.break_table(relation.oid, reason)?;
    tell(relation, reason, monitor);
    Ok(true)
}

fn tell(relation: &Relation, reason: BreakReason, monitor: &dyn Monitor) {
    let table = message(&relation.table.text());
    let why = reason.describe();
    monitor.warn(&format!("changes of {table} are not captured from here on: {why}. Backups have it; \"pgbk capture --new-generation\" begins anew"));
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

/// Returns how a table differs from what is known of it; `None`: it does not.
fn changed(known: &Relation, now: &Relation) -> Option<BreakReason> {
    let columns = |relation: &Relation| -> Vec<_> {
        relation.columns.iter().map(|column| (column.name.clone(), column.type_oid, column.modifier)).collect()
    };
    match () {
        () if known.table != now.table => Some(BreakReason::Renamed),
        () if columns(known) != columns(now) => Some(BreakReason::Columns),
        () => None,
    }
}
