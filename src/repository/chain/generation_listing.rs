//! Lists the generations of a database, and what each of them holds.

use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::lsn::Lsn;
use crate::repository::Repository;
use crate::store::ObjectInfo;
use std::collections::BTreeMap;

/// The objects of one generation, as one listing shows them.
#[derive(Debug, Clone)]
pub struct GenerationListing {
    pub folder: GenerationFolder,
    /// The document of the generation. `None`: it is missing.
    pub document: Option<ObjectInfo>,
    /// The documents of the segments, by their starts.
    pub segments: BTreeMap<Lsn, ObjectInfo>,
    /// The sizes of the payloads in bytes, by their keys. Some are of tries that failed.
    pub payloads: BTreeMap<String, u64>,
}

impl Repository {
    /// Lists all generations of a database at once, the oldest first. Empty: no changes of it are stored.
    pub fn generations(&self, subject: &Subject) -> Result<Vec<GenerationListing>> {
        let mut found = BTreeMap::new();
        for listed in self.store.list(&GenerationFolder::all(subject))? {
            let Some((folder, object)) = GenerationFolder::of_key(&listed.key) else { continue };
            let generation = found.entry(folder.generation).or_insert_with(|| GenerationListing {
                folder,
                document: None,
                segments: BTreeMap::new(),
                payloads: BTreeMap::new(),
            });
            match object {
                GenerationObject::Generation => generation.document = Some(listed),
                GenerationObject::Segment(start) => drop(generation.segments.insert(start, listed)),
                GenerationObject::Payload { .. } => drop(generation.payloads.insert(listed.key, listed.bytes)),
            }
        }
        Ok(found.into_values().collect())
    }
}

impl GenerationListing {
    /// Returns the latest start of a segment. `None`: there is no segment.
    pub fn last(&self) -> Option<Lsn> {
        self.segments.keys().next_back().copied()
    }
}
