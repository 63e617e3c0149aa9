//! The target of a run: one subject that it backs up.

use crate::base::error::Fault;
use crate::base::subject::Subject;

pub enum Item {
    One(Subject),
    /// A database that the server lists by the name of this subject, which is none.
    Clash(Subject),
}

impl Item {
    /// Returns the target for a database that the server lists.
    pub fn listed(name: String) -> Item {
        match Subject::from(name) {
            database @ Subject::Database(_) => Item::One(database),
            other @ (Subject::Globals | Subject::Files) => Item::Clash(other),
        }
    }

    pub fn subject(&self) -> &Subject {
        match self {
            Item::One(subject) | Item::Clash(subject) => subject,
        }
    }
}

pub fn clash(subject: &Subject) -> anyhow::Error {
    Fault::failed(format!("the server has a database \"{subject}\", a name that pgbk keeps for what is no database"))
        .hint("rename that database: a backup of it could not be told from one of the other")
        .into()
}
