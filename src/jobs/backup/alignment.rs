//! Aligns a backup to the changes that are captured of its database, so that they can be applied to it.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::format::changes::generation_id::GenerationId;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::transaction_snapshot::TransactionSnapshot;
use crate::postgres::session::control::{Control, Snapshot};
use crate::postgres::session::large_object_count::large_object_count;
use crate::repository::Repository;

/// The generation of changes that a backup is aligned to.
pub(crate) struct AlignedGeneration {
    id: GenerationId,
    /// How many changes of large objects the server has counted.
    large_objects: u64,
}

impl AlignedGeneration {
    /// Returns the newest generation of the database, if its slot is on this server. `None`: no changes are captured, or people have been
    /// told why the backup is no base for them.
    pub fn find(
        repository: &Repository,
        control: &mut Control,
        database: &str,
        monitor: &dyn Monitor,
    ) -> Option<AlignedGeneration> {
        let found = find(repository, control, database);
        found.unwrap_or_else(|error| {
            // Who may only write sees no generations.
            if kind(&error) != Kind::Denied {
                monitor.warn(&format!("the backup is no base for captured changes: {error:#}"));
            }
            None
        })
    }
}

fn find(repository: &Repository, control: &mut Control, database: &str) -> Result<Option<AlignedGeneration>> {
    // What a standby's snapshot sees is not known well enough.
    if control.server().in_recovery || control.server().version_num < 100_000 {
        return Ok(None);
    }
    let Some(listing) = repository.newest_generation(&Subject::from(database))? else { return Ok(None) };
    let generation = repository.generation(&listing)?;
    // The first segment states all tables, and a cut what the removed ones stated. A base from before it may lack some.
    if listing.cut().is_none() && !listing.segments.contains_key(&generation.start) {
        return Ok(None);
    }
    if !control.has_slot(&generation.slot)? {
        return Ok(None);
    }
    if let Some((start, listed)) = listing.of_chain().last() {
        let last = repository.link(&listing, start, listed)?.segment;
        let of_chain = last.timelines.map_or(generation.timeline, |timelines| timelines.timeline);
        same_timeline(control.server().timeline, of_chain)?;
    }
    // Before the snapshot: what is changed meanwhile counts as changed behind the base.
    let large_objects = control.ask_within(large_object_count)?;
    Ok(Some(AlignedGeneration { id: generation.id, large_objects }))
}

/// Fails if the server's log is not the one that is captured. `None`: the server does not say.
fn same_timeline(of_server: Option<u32>, of_chain: u32) -> Result<()> {
    match of_server.filter(|of_server| *of_server != of_chain) {
        None => Ok(()),
        Some(other) => Err(Fault::failed(format!(
            "the server is on timeline {other}, and the stored changes come from timeline {of_chain}: a capture has not gone on here since a server was promoted"
        ))
        .into()),
    }
}

/// Returns how a dump of this snapshot is aligned. It is asked for when the dump has ended, and so had all its locks before. `None`: people
/// have been told why it is not.
pub(crate) fn alignment(
    generation: &AlignedGeneration,
    snapshot: &Snapshot,
    control: &mut Control,
    monitor: &dyn Monitor,
) -> Option<BaseAlignment> {
    let locked_lsn = control.insert_lsn().ok().flatten();
    let seen = TransactionSnapshot::of_text(&snapshot.pg_snapshot);
    let aligned = seen.zip(snapshot.insert_lsn.zip(locked_lsn));
    let aligned = aligned.and_then(|(seen, positions)| BaseAlignment::new(generation.id, seen, positions));
    if aligned.is_none() {
        monitor
            .warn("the backup is no base for captured changes: the server did not tell its snapshot or its position");
    }
    aligned.map(|aligned| aligned.with_large_objects(Some(generation.large_objects)))
}
