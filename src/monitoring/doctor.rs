//! Checks everything that a backup depends on, and says what to do about each finding.

pub(crate) mod alerts;
pub(crate) mod extras;
pub(crate) mod key;
pub(crate) mod series;
pub(crate) mod server;
pub mod store;

use crate::base::error::hints;
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

    /// Returns the finding for an error, with the error's own hint, else this remedy.
    pub fn error(what: &str, error: &anyhow::Error, remedy: &str) -> Finding {
        let remedy = hints(error).first().map_or(remedy, |hint| *hint).to_owned();
        Finding { what: what.to_owned(), status: Status::Fail, detail: format!("{error:#}"), remedy: Some(remedy) }
    }
}
