//! Names the objects of continuous capture.
//!
//! ```text
//! @changes/<database>/<generation>/gen.meta
//! @changes/<database>/<generation>/restore.sh
//! @changes/<database>/<generation>/journal.meta
//! @changes/<database>/<generation>/<START>.meta
//! @changes/<database>/<generation>/<START>-<nonce>.sql.zst.enc
//! @changes/<database>/<generation>/<START>.cut.meta
//! ```
//!
//! No database has the folder `@changes`. The name of a segment's document holds its start alone. So of two that continue a chain at one
//! place only one can be written, and the document is what fences off the other. A payload has a random part, and a try that failed blocks
//! nobody.

use crate::base::subject::Subject;
use crate::format::changes::generation_id::{GenerationId, nonce_of};
use crate::format::lsn::Lsn;
use crate::format::manifest::{Format, unpacked};

/// The folder of all changes.
pub const CHANGES: &str = "@changes/";
const GENERATION: &str = "gen.meta";
const SCRIPT: &str = "restore.sh";
const META: &str = ".meta";
const CUT: &str = "cut";
const JOURNAL: &str = "journal";

/// The folder of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationFolder {
    pub subject: Subject,
    pub generation: GenerationId,
}

/// An object in the folder of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationObject {
    /// The document of the generation.
    Generation,
    /// The script that restores without pgbk.
    Script,
    /// The journal. With a place, which is where the chain ended: one in a store that writes over nothing.
    Journal(Option<Lsn>),
    /// The document of the segment that starts here.
    Segment(Lsn),
    /// The document of the cut behind which the chain begins: the segments before this place were removed.
    Cut(Lsn),
    /// The payload of a segment, or of a try that failed.
    Payload { start: Lsn, nonce: [u8; 4], extension: String },
}

impl GenerationFolder {
    /// Returns what all keys in the folder begin with.
    pub fn prefix(&self) -> String {
        format!("{}{}/", GenerationFolder::all(&self.subject), self.generation)
    }

    /// Returns what the keys of all generations of a database begin with.
    pub fn all(subject: &Subject) -> String {
        format!("{CHANGES}{}/", subject.series())
    }

    pub fn key(&self, object: &GenerationObject) -> String {
        let prefix = self.prefix();
        match object {
            GenerationObject::Generation => format!("{prefix}{GENERATION}"),
            GenerationObject::Script => format!("{prefix}{SCRIPT}"),
            GenerationObject::Journal(None) => format!("{prefix}{JOURNAL}{META}"),
            GenerationObject::Journal(Some(end)) => format!("{prefix}{}.{JOURNAL}{META}", end.sortable()),
            GenerationObject::Segment(start) => format!("{prefix}{}{META}", start.sortable()),
            GenerationObject::Cut(start) => format!("{prefix}{}.{CUT}{META}", start.sortable()),
            GenerationObject::Payload { start, nonce, extension } => {
                format!("{prefix}{}-{}.{extension}", start.sortable(), hex::encode(nonce))
            }
        }
    }

    /// Returns the folder and the object that have this key. `None`: pgbk would not write such a key.
    pub fn of_key(key: &str) -> Option<(GenerationFolder, GenerationObject)> {
        let mut parts = key.strip_prefix(CHANGES)?.split('/');
        let (series, generation, name) = (parts.next()?, parts.next()?, parts.next()?);
        let subject = Subject::of_series(series).filter(|subject| subject.database().is_some())?;
        let folder = GenerationFolder { subject, generation: generation.parse().ok()? };
        let object = GenerationObject::of_name(name)?;
        (folder.key(&object) == key).then_some((folder, object))
    }
}

impl GenerationObject {
    fn of_name(name: &str) -> Option<GenerationObject> {
        if name == GENERATION {
            return Some(GenerationObject::Generation);
        }
        if name == SCRIPT {
            return Some(GenerationObject::Script);
        }
        if let Some(start) = name.strip_suffix(META) {
            return match start.split_once('.') {
                _ if start == JOURNAL => Some(GenerationObject::Journal(None)),
                Some((end, JOURNAL)) => Lsn::of_sortable(end).map(|end| GenerationObject::Journal(Some(end))),
                Some((start, CUT)) => Lsn::of_sortable(start).map(GenerationObject::Cut),
                Some(_) => None,
                None => Lsn::of_sortable(start).map(GenerationObject::Segment),
            };
        }
        let (stem, extension) = name.split_once('.')?;
        let (start, nonce) = stem.split_once('-')?;
        let is_delta = unpacked(extension).0 == Format::Plain.extension();
        let payload = GenerationObject::Payload {
            start: Lsn::of_sortable(start)?,
            nonce: nonce_of(nonce)?,
            extension: extension.to_owned(),
        };
        is_delta.then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folder(database: &str) -> GenerationFolder {
        GenerationFolder { subject: Subject::from(database), generation: "20260822T031500Z-5f0c21ab".parse().unwrap() }
    }

    #[test]
    fn each_object_has_a_key_that_tells_it() {
        let start = Lsn(0x16_B374_D848);
        let payload = |extension: &str| GenerationObject::Payload { start, nonce: [1; 4], extension: extension.into() };
        for (object, name) in [
            (GenerationObject::Generation, "gen.meta"),
            (GenerationObject::Script, "restore.sh"),
            (GenerationObject::Journal(None), "journal.meta"),
            (GenerationObject::Journal(Some(start)), "00000016B374D848.journal.meta"),
            (GenerationObject::Segment(start), "00000016B374D848.meta"),
            (GenerationObject::Cut(start), "00000016B374D848.cut.meta"),
            (payload("sql.zst.enc"), "00000016B374D848-01010101.sql.zst.enc"),
            (payload("sql"), "00000016B374D848-01010101.sql"),
        ] {
            let key = folder("my shop").key(&object);
            assert_eq!(key, format!("@changes/my%20shop/20260822T031500Z-5f0c21ab/{name}"));
            assert_eq!(GenerationFolder::of_key(&key), Some((folder("my shop"), object)));
        }
    }

    #[test]
    fn a_key_that_pgbk_would_not_write_is_none() {
        let prefix = folder("shop").prefix();
        for name in [
            "",
            "gen.meta2",
            "GEN.meta",
            "16B374D848.meta",
            "00000016b374d848.meta",
            "00000016B374D848.meta.meta",
            "00000016B374D848.cut",
            "00000016B374D848.cut.cut.meta",
            "00000016B374D848.sql",
            "00000016B374D848-0101010.sql",
            "00000016B374D848-0101010A.sql",
            "00000016B374D848-01010101.dump",
            "00000016B374D848-01010101.sql.enc.zst",
            "00000016B374D848-01010101.sql/x",
        ] {
            assert_eq!(GenerationFolder::of_key(&format!("{prefix}{name}")), None, "{name}");
        }
        for key in [
            "@changes/shop/20260822T031500Z/gen.meta",
            "@changes/shop/20260822t031500Z-5f0c21ab/gen.meta",
            "@changes/%73hop/20260822T031500Z-5f0c21ab/gen.meta",
            "@changes/@globals/20260822T031500Z-5f0c21ab/gen.meta",
            "shop/20260822T031500Z-5f0c21ab/gen.meta",
        ] {
            assert_eq!(GenerationFolder::of_key(key), None, "{key}");
        }
        assert_eq!(Subject::of_series("@changes"), None);
    }

    proptest! {
        #[test]
        fn no_key_makes_the_reader_panic_and_each_has_one_spelling(rest in "[a-z0-9A-F@%./-]{0,60}") {
            let key = format!("@changes/shop/20260822T031500Z-5f0c21ab/{rest}");
            if let Some((folder, object)) = GenerationFolder::of_key(&key) {
                prop_assert_eq!(folder.key(&object), key);
            }
            prop_assert!(GenerationFolder::of_key(&rest).is_none());
        }
    }
}
