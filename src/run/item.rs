//! One thing that a run backs up.

use crate::error::Fault;
use crate::series::Series;

pub enum Item {
    Database(String),
    Beside(Series),
    /// A database that is called as this is.
    Clash(Series),
}

impl Item {
    pub fn named(name: &str) -> Item {
        Series::of(name).map_or_else(|| Item::Database(name.to_owned()), Item::Beside)
    }

    /// As the server has it.
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
