//! Subjects of a run that are no databases, each with its own series of backups.

/// A subject that is no database. Its name cannot be a database's key: an `@` in a database's name is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Roles, their memberships and tablespaces, which belong to the server as a whole.
    Globals,
    /// Files and folders of this host.
    Files,
}

impl Series {
    pub const ALL: [Series; 2] = [Series::Globals, Series::Files];

    /// Returns the name that is used in the place of a database's name.
    pub fn name(self) -> &'static str {
        match self {
            Series::Globals => "@globals",
            Series::Files => "@files",
        }
    }

    pub fn of(name: &str) -> Option<Series> {
        Series::ALL.into_iter().find(|series| series.name() == name)
    }
}
