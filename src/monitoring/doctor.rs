//! Checks everything that a backup depends on, and says what to do about each finding.

pub(crate) mod alerts;
pub(crate) mod capture;
pub(crate) mod extras;
pub(crate) mod key;
pub(crate) mod rules;
pub(crate) mod series;
pub(crate) mod server;
pub mod store;

use crate::base::error::hints;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    /// It works, but a person should know.
    Note,
    Fail,
}

#[derive(Debug, Clone, Serialize)]
pub struct DoctorFinding {
    pub what: String,
    pub status: CheckStatus,
    pub detail: String,
    pub remedy: Option<String>,
}

impl DoctorFinding {
    pub fn ok(what: &str, detail: impl Into<String>) -> DoctorFinding {
        DoctorFinding { what: what.to_owned(), status: CheckStatus::Ok, detail: detail.into(), remedy: None }
    }

    pub fn note(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> DoctorFinding {
        DoctorFinding {
            what: what.to_owned(),
            status: CheckStatus::Note,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub fn fail(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> DoctorFinding {
        DoctorFinding {
            what: what.to_owned(),
            status: CheckStatus::Fail,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Returns the finding for an error, with the error's own hint, else this remedy.
    pub fn error(what: &str, error: &anyhow::Error, remedy: &str) -> DoctorFinding {
        let remedy = hints(error).first().map_or(remedy, |hint| *hint).to_owned();
        DoctorFinding {
            what: what.to_owned(),
            status: CheckStatus::Fail,
            detail: format!("{error:#}"),
            remedy: Some(remedy),
        }
    }
}
