//! Finds the newest base of a generation of changes.

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::format::changes::generation_id::GenerationId;
use crate::format::manifest::{Format, Manifest};
use crate::repository::Repository;

impl Repository {
    /// Returns the manifest of the newest backup from which changes of this generation can be replayed. `None`: there is none. A manifest
    /// that cannot be read is passed over.
    pub fn newest_base(&self, subject: &Subject, generation: GenerationId) -> Result<Option<Manifest>> {
        let catalog = self.catalog(Some(subject))?;
        for entry in catalog.entries().iter().rev() {
            cancel::check()?;
            let Ok((manifest, _)) = self.manifest(&entry.id) else { continue };
            let is_its = manifest.changes.as_ref().is_some_and(|changes| changes.generation() == generation);
            if is_its && manifest.dump.format == Format::Plain {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }
}
