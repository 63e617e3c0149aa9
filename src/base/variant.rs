//! The variant of a database that a backup holds. Each variant is a backup of its own, in a series of its own.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Says which variant of a database a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// The database as it is, in the format of DUMP_FORMAT
    #[default]
    Plain,
    /// The database as it is, as an archive for pg_restore
    Custom,
    /// The database with its values changed as the rules of anonymising say
    Anonymised,
}

impl Variant {
    /// All variants.
    pub const ALL: [Variant; 3] = [Variant::Plain, Variant::Custom, Variant::Anonymised];

    /// Returns the word by which people choose it.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Custom => "custom",
            Variant::Anonymised => "anonymised",
        }
    }

    /// Returns whether it is the plain one, which documents and metrics do not name.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Variant::Plain
    }

    /// Returns the variant of this name. `None`: there is none.
    pub(crate) fn named(name: &str) -> Option<Variant> {
        Variant::ALL.into_iter().find(|variant| variant.name() == name)
    }
}
