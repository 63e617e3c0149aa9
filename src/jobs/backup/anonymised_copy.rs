//! The anonymised backup while it is written beside the plain one, which goes on whatever happens to it.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::format::archive::contents::DumpContents;
use crate::format::keys::digest_key::DigestKey;
use crate::format::manifest::Manifest;
use crate::jobs::backup::copy_plan::{AnonymiseRecipe, CopyPlan};
use crate::pipeline::piece_writer::SharedPiece;
use crate::postgres::parallel::item::TableToRead;
use crate::postgres::parallel::script_piece::OutputPiece;
use crate::postgres::session::snapshot_tables::SnapshotTable;
use crate::repository::writer::{BackupWriter, ManifestDetails};
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An anonymised backup that is being made, or what keeps it from being made.
pub(crate) struct AnonymisedCopy<'r> {
    pub recipe: &'r AnonymiseRecipe,
    state: Result<OpenCopy<'r>>,
    /// Set once it has failed: nobody wants its rows any more.
    over: Arc<AtomicBool>,
}

struct OpenCopy<'r> {
    writer: BackupWriter<'r>,
    plan: CopyPlan,
    warnings: Vec<String>,
    wanted: BTreeSet<i64>,
    /// The table of contents of what it has.
    contents: Vec<u8>,
    is_written: bool,
}

impl<'r> AnonymisedCopy<'r> {
    /// Begins it. An error is kept, and told at the end.
    pub fn begin(
        recipe: &'r AnonymiseRecipe,
        begun: Result<(CopyPlan, BackupWriter<'r>)>,
        monitor: &dyn Monitor,
    ) -> AnonymisedCopy<'r> {
        let open = |(plan, writer): (CopyPlan, BackupWriter<'r>)| {
            let warnings = plan.warnings.clone();
            warnings.iter().for_each(|warning| warn(warning, monitor));
            OpenCopy { writer, plan, warnings, wanted: BTreeSet::new(), contents: Vec::new(), is_written: false }
        };
        AnonymisedCopy { recipe, state: begun.map(open), over: Arc::new(AtomicBool::new(false)) }
    }

    /// Returns whether nothing has gone wrong, and its rows have not been written yet.
    pub fn is_wanted(&self) -> bool {
        self.state.as_ref().is_ok_and(|open| !open.is_written)
    }

    /// Returns a mark that is set once nobody wants its rows any more.
    pub fn over(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.over)
    }

    /// Gives it up. The first error counts.
    pub fn fail(&mut self, error: anyhow::Error) {
        self.over.store(true, Ordering::Relaxed);
        // What has been written is discarded with the writer.
        if self.state.is_ok() {
            self.state = Err(error);
        }
    }

    /// Does something for it; `None`: it has failed, before or with this.
    pub fn attempt<T>(&mut self, work: impl FnOnce(&mut AnonymisedCopy<'r>) -> Result<T>) -> Option<T> {
        if self.state.is_err() {
            return None;
        }
        work(self).map_err(|error| self.fail(error)).ok()
    }

    /// Chooses what it has of a dump, and returns its tables.
    pub fn choose(
        &mut self,
        contents: &DumpContents,
        sources: &HashMap<u32, SnapshotTable>,
        monitor: &dyn Monitor,
    ) -> Result<Vec<TableToRead>> {
        let open = self.open()?;
        let chosen = open.plan.choose(contents, sources)?;
        chosen.warnings.iter().for_each(|warning| warn(warning, monitor));
        open.warnings.extend(chosen.warnings);
        open.contents = contents.only(&chosen.wanted);
        open.wanted = chosen.wanted;
        Ok(chosen.tables)
    }

    /// Returns the numbers of the entries that it has.
    pub fn wanted(&mut self) -> Result<&BTreeSet<i64>> {
        self.open().map(|open| &open.wanted)
    }

    /// Returns the key of its tables' digests; `None`: they have none.
    pub fn row_key(&self) -> DigestKey {
        self.state.as_ref().ok()?.writer.row_key()
    }

    /// Writes text of the script.
    pub fn text(&mut self, text: &[u8]) {
        self.attempt(|copy| Ok(copy.open()?.writer.write_all(text)?));
    }

    /// Writes rows. `shared` holds them as the plain backup has compressed them; `None`: they are compressed here.
    pub fn rows(&mut self, piece: OutputPiece, shared: Option<SharedPiece>) {
        self.attempt(|copy| {
            if let Some(found) = piece.anonymised.as_ref().and_then(|part| part.found.as_ref()) {
                return Err(address_left(found).into());
            }
            let Some(piece) = piece.into_anonymised() else { return Ok(()) };
            let writer = &mut copy.open()?.writer;
            match shared {
                Some(shared) => writer.shared_rows(&piece, shared)?,
                None => writer.rows(&piece)?,
            }
            Ok(())
        });
    }

    /// Says that the whole script is written.
    pub fn written(&mut self) {
        if let Ok(open) = &mut self.state {
            open.is_written = true;
        }
    }

    /// Makes a backup of it. `about` is what all backups of the snapshot have in common.
    pub fn finish(self, about: ManifestDetails, monitor: &dyn Monitor) -> Result<Manifest> {
        let open = self.state?;
        if !open.is_written {
            return Err(Fault::failed("its rows were not read").into());
        }
        let mut warnings = about.warnings;
        warnings.extend(open.warnings);
        let about = ManifestDetails {
            warnings,
            contents: Some(open.contents),
            anonymised: Some(self.recipe.note.clone()),
            ..about
        };
        open.writer.finish(about, monitor)
    }

    fn open(&mut self) -> Result<&mut OpenCopy<'r>> {
        match &mut self.state {
            Ok(open) => Ok(open),
            Err(_) => Err(Fault::failed("it has failed already").into()),
        }
    }
}

fn warn(what: &str, monitor: &dyn Monitor) {
    monitor.warn(&format!("anonymised: {what}"));
}

fn address_left(place: &str) -> Fault {
    Fault::failed(format!("what looks like an e-mail address is left in {place}"))
        .hint("give the column a rule; \"keep\" where it may have addresses")
}
