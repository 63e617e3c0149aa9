//! The result of verifying one generation of changes.

use crate::base::error::{Kind, Result, kind};
use crate::base::subject::Subject;
use crate::base::verify_level::Level;
use crate::format::backup_id::BackupId;
use crate::format::changes::generation_id::GenerationId;
use crate::format::lsn::Lsn;
use crate::jobs::restore_test::chain_proof::ChainProof;
use serde::Serialize;

/// Holds what was found in one generation.
#[derive(Debug, Clone, Serialize)]
pub struct ChainFinding {
    #[serde(skip)]
    pub subject: Subject,
    pub generation: GenerationId,
    pub level: Level,
    pub ok: bool,
    /// The bases of the generation, the oldest first.
    pub bases: Vec<BackupId>,
    /// Where the segments begin that were checked, and where the last one ends. `None`: there are none.
    pub from: Option<Lsn>,
    pub to: Option<Lsn>,
    pub segments: usize,
    pub transactions: u64,
    pub stored_bytes: u64,
    /// Says what is damaged or missing, in words that name the object.
    pub errors: Vec<String>,
    /// The replay onto a base, and how its tables compare with the next base. `None` at other levels, or if none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ChainProof>,
    /// Why no replay was compared, though it was asked for. `None`: one was, or none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
    /// Kind of the first error. `None` if all is well.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

impl ChainFinding {
    /// Returns a finding about which nothing is known yet.
    pub(crate) fn of(subject: &Subject, generation: GenerationId, level: Level) -> ChainFinding {
        ChainFinding {
            subject: subject.clone(),
            generation,
            level,
            ok: true,
            bases: Vec::new(),
            from: None,
            to: None,
            segments: 0,
            transactions: 0,
            stored_bytes: 0,
            errors: Vec::new(),
            proof: None,
            unproven: None,
            kind: None,
        }
    }

    /// Notes damage, something that is missing, and another key. Any other error is what kept the chain from being checked, and returned.
    pub(crate) fn note(&mut self, looked: Result<()>) -> Result<()> {
        let Err(error) = looked else { return Ok(()) };
        let kind = match kind(&error) {
            kind @ (Kind::Damaged | Kind::OtherKey) => kind,
            // It was listed, or the one before it names it.
            Kind::NotFound => Kind::Damaged,
            _ => return Err(error),
        };
        let told = format!("{error:#}");
        if !self.errors.contains(&told) {
            self.errors.push(told);
        }
        self.ok = false;
        // Damage is the worse news of the two.
        self.kind = Some(if self.kind == Some(Kind::Damaged) { Kind::Damaged } else { kind });
        Ok(())
    }
}
