//! The target of a run: one thing that it backs up.

use crate::base::error::Fault;
use crate::base::subject::Series;

pub enum Item {
    Database(String),
    Beside(Series),
    /// A database whose name is literally `@globals` or `@files`.
    Clash(Series),
}

impl Item {
    pub fn named(name: &str) -> Item {
        Series::of(name).map_or_else(|| Item::Database(name.to_owned()), Item::Beside)
    }

    /// Returns the target for a database that the server lists.
    pub fn listed(name: String) -> Item {
        Series::of(&name).map_or(Item::Database(name), Item::Clash)
    }

    pub fn name(&self) -> &str {
        match self {
            Item::Database(name) => name,
            Item::Beside(series) | Item::Clash(series) => series.name(),
        }
    }
}

pub fn clash(series: Series) -> anyhow::Error {
    let name = series.name();
    Fault::failed(format!("the server has a database \"{name}\", a name that pgbk keeps for what is no database"))
        .hint("rename that database: a backup of it could not be told from one of the other")
        .into()
}
