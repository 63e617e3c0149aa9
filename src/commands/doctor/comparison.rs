//! Compares a listing of a store with the key, the server and the history.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::cli::arguments::DoctorArgs;
use crate::cli::console::Console;
use crate::commands::lookup;
use crate::config;
use crate::format::backup_id::BackupId;
use crate::format::run_record::Record;
use crate::monitoring::doctor::DoctorFinding;
use crate::monitoring::doctor::key::look_at_keys;
use crate::monitoring::doctor::series::{MissingBackupCheck, look_ahead, look_beside};
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::doubletake::how_to_restore;
use crate::repository::newest::ServerIdentity;
use crate::runs::missing_backups::watch::MissingWatch;
use jiff::Timestamp;
use std::cell::OnceCell;

/// Holds what the listing of each output is compared with.
pub(crate) struct Comparison<'a> {
    pub args: &'a DoctorArgs,
    /// The records of runs, split by series, newest first.
    pub records: Vec<Record>,
    pub console: &'a Console,
    /// The server that the settings lead to, once it has been asked.
    pub server: OnceCell<ServerIdentity>,
}

impl Comparison<'_> {
    /// Compares one listing. `None`: the store could not be listed, which is told already. The key is compared if it is known.
    pub fn findings(&self, repository: &Repository, is_known: bool, catalog: Option<&Catalog>) -> Vec<DoctorFinding> {
        let mut findings = if is_known { look_at_keys(repository, catalog) } else { Vec::new() };
        let Some(catalog) = catalog else { return findings };
        let old = catalog.old_backups();
        findings.extend(how_to_restore(&old).map(|how| {
            DoctorFinding::note(
                "older backups",
                how,
                "they are no part of any series: pgbk lists and removes none of them",
            )
        }));
        let (now, args) = (Timestamp::now(), self.args);
        let server = self.server.get_or_init(|| lookup::server(&args.server, self.console));
        findings.extend(look_ahead(catalog, now));
        findings.extend(told("other servers' backups", look_beside(repository, catalog, server)));
        if let Ok(history) = config::state::history(&args.state) {
            // By which rules backups are kept, the runs know: what they missed is missed.
            let watch = MissingWatch { history, policy: None };
            // A new place holds nothing of what the place before it held.
            let forget = args.forget_missing || args.make_store;
            let records = &self.records;
            let missing = MissingBackupCheck { watch: &watch, repository, catalog, records, server, now, forget };
            findings.extend(told("missing backups", missing.look()));
        }
        findings
    }

    /// Notes in the history that the backups of these documents are removed on purpose, so that they are not reported as missing.
    pub fn note_going(&self, metas: &[String], location: &str) {
        let ids: Vec<BackupId> = metas.iter().filter_map(|key| BackupId::of_meta_key(key)).collect();
        let noted = config::state::history(&self.args.state).and_then(|history| history.note_removed(location, &ids));
        if let Err(error) = noted {
            self.console.note(&format!("{error:#}"));
        }
    }
}

fn told(what: &str, found: Result<Vec<DoctorFinding>>) -> Vec<DoctorFinding> {
    found.unwrap_or_else(|error| {
        vec![DoctorFinding::note(what, format!("cannot be told: {error:#}"), "look at the store")]
    })
}
