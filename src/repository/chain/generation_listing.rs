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
    /// The documents of the cuts, by their places. The chain begins at the last one.
    pub cuts: BTreeMap<Lsn, ObjectInfo>,
    /// All other objects that pgbk writes into the folder.
    pub others: Vec<ObjectInfo>,
    /// The payloads, by their keys. Some are of tries that failed.
    pub payloads: BTreeMap<String, ObjectInfo>,
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
                cuts: BTreeMap::new(),
                others: Vec::new(),
                payloads: BTreeMap::new(),
            });
            match object {
                GenerationObject::Generation => generation.document = Some(listed),
                GenerationObject::Script | GenerationObject::Journal(_) => generation.others.push(listed),
                GenerationObject::Segment(start) => drop(generation.segments.insert(start, listed)),
                GenerationObject::Payload { .. } => drop(generation.payloads.insert(listed.key.clone(), listed)),
                GenerationObject::Cut(place) => drop(generation.cuts.insert(place, listed)),
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

    /// Returns the place at which the chain was cut last. `None`: it has all its segments.
    pub fn cut(&self) -> Option<Lsn> {
        self.cuts.keys().next_back().copied()
    }

    /// Returns the documents of the chain: what is still there from before a cut does not belong to it any more.
    pub fn of_chain(&self) -> impl Iterator<Item = (Lsn, &ObjectInfo)> {
        let begin = self.cut().unwrap_or_default();
        self.segments.range(begin..).map(|(start, listed)| (*start, listed))
    }
}
