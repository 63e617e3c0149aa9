//! The journal of a generation: a small sealed text that says all that is needed to restore the latest state, with the bucket and the key
//! alone. It names the place of the store, the newest base and the segments behind it, and no secret.

use crate::base::error::{Fault, Result, hints};
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument, seal_document};
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::lsn::Lsn;
use crate::format::manifest::bounded_members;
use jiff::Timestamp;
use quoted_printable::ParseMode;
use serde::{Deserialize, Serialize};

/// Most segments that a journal lists: those behind the first of them are found by their names, each of which is where the one before ends.
pub const MOST_SEGMENTS: usize = 2_000;
/// Largest size of a journal with the text around it, in bytes.
pub const JOURNAL_LIMIT: u64 = 4 << 20;

/// The place of a store, as settings say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPlace {
    #[serde(deserialize_with = "bounded_members::maybe_text")]
    pub directory: Option<String>,
    #[serde(deserialize_with = "bounded_members::maybe_text")]
    pub host: Option<String>,
    #[serde(deserialize_with = "bounded_members::maybe_text")]
    pub region: Option<String>,
    #[serde(deserialize_with = "bounded_members::maybe_text")]
    pub bucket: Option<String>,
    #[serde(deserialize_with = "bounded_members::maybe_text")]
    pub folder: Option<String>,
}

/// The newest base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalBase {
    pub id: BackupId,
    /// The key of its document.
    #[serde(deserialize_with = "bounded_members::text")]
    pub meta: String,
    pub after_lsn: Lsn,
    /// The id of its key, as `key.check` of its document. `None`: it has none.
    #[serde(deserialize_with = "bounded_members::maybe_word")]
    pub key_id: Option<String>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalSegment {
    /// The name of its document in the folder.
    #[serde(deserialize_with = "bounded_members::word")]
    pub meta: String,
    pub start: Lsn,
    pub end: Lsn,
}

/// Says where the latest state of a database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The format version.
    pub pgbk_changes: u32,
    #[serde(deserialize_with = "bounded_members::subject")]
    pub database: Subject,
    pub generation: GenerationId,
    pub written_at: Timestamp,
    pub store: JournalPlace,
    pub base: JournalBase,
    /// The key of the folder of the segments.
    #[serde(deserialize_with = "bounded_members::text")]
    pub folder: String,
    /// Where the chain begins, and whether it was cut there.
    pub begin: Lsn,
    pub is_cut: bool,
    /// The segments behind the base, in order.
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_SEGMENTS>")]
    pub segments: Vec<JournalSegment>,
    /// Where the last segment ended when this was written.
    pub end: Lsn,
    #[serde(deserialize_with = "bounded_members::word")]
    pub pgbk: String,
    /// The key that made the seal. `None`: it detects accident, not attack.
    pub key: Option<KeyNote>,
}

/// Adds to the error of a journal that says nothing of what to do where there is another one, and how to do without.
pub fn with_next_step(error: anyhow::Error) -> anyhow::Error {
    if !hints(&error).is_empty() {
        return error;
    }
    Fault::like(&error, format!("{error:#}"))
        .hint(
            "take another mail, whole and as it came; or the newest journal itself, *journal.meta beside the segments in the store \
             (@changes/DATABASE/) or in STATE_DIR/journals; or do without, with the settings of the store: \
             pgbk restore --database DATABASE --at latest --to NEW",
        )
        .into()
}

/// Returns a text whose lines a mail program has folded as it was before. `None`: no line of it is folded.
fn unfolded(text: &str) -> Option<String> {
    let folded = text.contains("=\n").then(|| quoted_printable::decode(text, ParseMode::Robust).ok())??;
    Some(String::from_utf8_lossy(&folded).replace('\r', ""))
}

impl Journal {
    /// Returns the folder of its generation.
    pub fn folder(&self) -> GenerationFolder {
        GenerationFolder { subject: self.database.clone(), generation: self.generation }
    }

    /// Returns the key under which it is stored.
    pub fn key_name(&self) -> String {
        self.folder().key(&GenerationObject::Journal(None))
    }

    /// Returns the document as it is stored. `derived_keys` are those of [`key`](Self::key).
    pub fn seal(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        seal_document(&self.key_name(), self, derived_keys)
    }

    /// Checks the seal of a journal and reads it. There may be other text around it, line ends as mail has them, and lines that a mail program
    /// has folded (quoted-printable). `name` is for messages. Each error has a hint.
    pub fn open(name: &str, text: &str, key: Option<&Key>, unkeyed_allowed: bool) -> Result<Journal> {
        let text = text.replace('\r', "");
        let plain = Journal::read(name, &text, key, unkeyed_allowed);
        let opened = match (plain, unfolded(&text)) {
            (Err(_), Some(text)) => Journal::read(name, &text, key, unkeyed_allowed),
            (plain, _) => plain,
        };
        opened.map_err(with_next_step)
    }

    fn read(name: &str, text: &str, key: Option<&Key>, unkeyed_allowed: bool) -> Result<Journal> {
        let begin = if text.starts_with('{') { Some(0) } else { text.find("\n{\n").map(|at| at + 1) };
        let end = text.rfind("\n}\n").map(|at| at + 3).or_else(|| text.ends_with("\n}").then_some(text.len()));
        let document = begin.zip(end).and_then(|(begin, end)| text.get(begin..end));
        let Some(document) = document else {
            let what = match (text.trim().is_empty(), begin) {
                (true, _) => "no journal: it is empty",
                (false, None) => "no journal: no line of it is a single bracket",
                (false, Some(_)) => "only the beginning of a journal: it is cut off",
            };
            return Err(Fault::damaged(format!("\"{name}\" holds {what}")).into());
        };
        let document = format!("{}\n", document.trim_end());
        let sealed = SealedChainDocument::parse(name, document.into_bytes())?;
        let (journal, _) = sealed.open(key, unkeyed_allowed, Journal::fault)?;
        Ok(journal)
    }

    fn fault(&self) -> Option<&'static str> {
        let folder = self.folder();
        let is_named =
            |one: &JournalSegment| format!("{}.meta", one.start.sortable()) == one.meta && one.start < one.end;
        let follow = |two: &[JournalSegment]| two[0].end == two[1].start;
        let reached = self.segments.last().map_or(self.end, |last| last.end);
        match () {
            () if self.pgbk_changes != CHAIN_FORMAT => Some("its format is another one"),
            () if self.database.database().is_none() => Some("it is of no database"),
            () if self.folder != folder.prefix() => Some("it names another folder"),
            () if *self.base.id.subject() != self.database || self.base.meta != self.base.id.meta_key() => {
                Some("its base is of another database")
            }
            () if !self.segments.iter().all(is_named) => Some("a segment has another name than its start"),
            () if !self.segments.windows(2).all(follow) || !(self.begin..=self.end).contains(&reached) => {
                Some("its segments do not follow each other")
            }
            () => None,
        }
    }
}
