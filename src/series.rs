//! What a run backs up beside databases, each as a series of backups of its own.

/// Stored under a name that no database's key can have: an `@` in a database's name is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Roles, their memberships and tablespaces, which belong to the server and to none of its databases.
    Globals,
    /// Files and folders of this host.
    Files,
}

impl Series {
    pub const ALL: [Series; 2] = [Series::Globals, Series::Files];

    /// What stands where a database's name does.
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
