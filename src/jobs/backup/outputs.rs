//! The outputs of one run: the plain backup, and those that are made beside it from the same snapshot.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::variant::Variant;
use crate::format::manifest::Manifest;
use crate::jobs::backup::copy_plan::AnonymiseRecipe;
use crate::repository::Repository;

/// Says what is made beside the plain backup, and where it is kept.
#[derive(Clone, Default)]
pub struct FurtherOutputs {
    /// An archive of the same database.
    pub custom: Option<Repository>,
    pub anonymised: Option<AnonymisedOutput>,
}

impl FurtherOutputs {
    /// Returns the variants that are made beside the plain one.
    pub fn variants(&self) -> Vec<Variant> {
        self.repositories().map(|repository| repository.variant).collect()
    }

    /// Returns the repositories of these variants.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        Variant::ALL.into_iter().filter_map(|variant| self.repository(variant))
    }

    /// Leaves out a variant.
    pub(crate) fn without(self, variant: Variant) -> FurtherOutputs {
        match variant {
            Variant::Plain => self,
            Variant::Custom => FurtherOutputs { custom: None, ..self },
            Variant::Anonymised => FurtherOutputs { anonymised: None, ..self },
        }
    }

    /// Returns the repository of a variant; `None`: none is made of it.
    pub fn repository(&self, variant: Variant) -> Option<&Repository> {
        match variant {
            Variant::Plain => None,
            Variant::Custom => self.custom.as_ref(),
            Variant::Anonymised => self.anonymised.as_ref().map(|output| &output.repository),
        }
    }
}

/// Says how the anonymised backup is made.
#[derive(Clone)]
pub struct AnonymisedOutput {
    pub repository: Repository,
    pub recipe: AnonymiseRecipe,
}

/// Holds the backups that one run has stored.
#[derive(Debug)]
pub struct BackupsMade {
    pub plain: Manifest,
    /// Those beside it.
    pub further: Vec<Manifest>,
}

impl BackupsMade {
    /// Returns all of them, the plain one first.
    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        std::iter::once(&self.plain).chain(&self.further)
    }
}

/// Holds the backups of one run, and what kept those from being made that are missing.
pub struct OutputResults {
    pub made: BackupsMade,
    pub missing: Vec<(Variant, anyhow::Error)>,
}

impl From<Manifest> for OutputResults {
    fn from(plain: Manifest) -> OutputResults {
        OutputResults { made: BackupsMade { plain, further: Vec::new() }, missing: Vec::new() }
    }
}

impl OutputResults {
    /// Adds an output that was tried.
    pub fn add(&mut self, variant: Variant, result: Result<Manifest>) {
        match result {
            Ok(manifest) => self.made.further.push(manifest),
            Err(error) => self.missing.push((variant, error)),
        }
    }

    /// Returns the backups if all were made. The error is that of the first one that is missing, and says what is stored all the same.
    pub fn whole(self) -> Result<BackupsMade> {
        let stored: Vec<String> = self.made.all().map(|manifest| manifest.id.to_string()).collect();
        let mut missing = self.missing.into_iter();
        let Some((variant, error)) = missing.next() else { return Ok(self.made) };
        let verb = if stored.len() == 1 { "is" } else { "are" };
        let others = missing.map(|(variant, error)| format!(", nor is the {} one ({error:#})", variant.name()));
        let others: String = others.collect();
        let told = format!("{} {verb} stored, and the {} backup is not{others}", stored.join(" and "), variant.name());
        let kind = match kind(&error) {
            // Nothing of the kind that a run is skipped for: a part of it is done.
            Kind::Busy => Kind::Failed,
            kind => kind,
        };
        Err(error.context(Fault::new(kind, told)))
    }
}
