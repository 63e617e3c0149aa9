//! Looks at everything a backup depends on, and says what to do about each finding.

mod alert;
mod beside;
mod key;
mod series;
mod server;
mod store;

pub use alert::look_at_alerts;
pub use beside::{look_at_files, look_at_globals};
pub use key::look_at_keys;
pub use series::{Missing, look_ahead, look_beside};
pub use server::look_at_server;
pub use store::{Cleaning, look_at_leftovers, look_at_store};

use crate::error::hints;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// It works, but a person should know.
    Note,
    Fail,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub what: String,
    pub status: Status,
    pub detail: String,
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(what: &str, detail: impl Into<String>) -> Finding {
        Finding { what: what.to_owned(), status: Status::Ok, detail: detail.into(), remedy: None }
    }

    pub fn note(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { what: what.to_owned(), status: Status::Note, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    pub fn fail(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { what: what.to_owned(), status: Status::Fail, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// An error with its own hint, or this remedy.
    pub fn error(what: &str, error: &anyhow::Error, remedy: &str) -> Finding {
        let remedy = hints(error).first().map_or(remedy, |hint| *hint).to_owned();
        Finding { what: what.to_owned(), status: Status::Fail, detail: format!("{error:#}"), remedy: Some(remedy) }
    }
}
