//! Collects the facts that a backup begins with: its series, and the notes about its server.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::manifest::ServerNote;
use crate::format::manifest::encoding::EncodingName;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::session::SessionSettings;
use crate::jobs::backup::plan::BackupPlan;
use crate::postgres::session::control::ServerInfo;
use crate::repository::new_backup::NewBackup;
use jiff::Timestamp;

/// Returns the facts that decide a backup's name and its place in its series.
pub fn taking<'a>(
    plan: &'a BackupPlan,
    subject: Subject,
    server: Option<&'a ServerNote>,
    taken_at: Timestamp,
    now: Timestamp,
) -> NewBackup<'a> {
    let server = server.and_then(|server| server.system_identifier.as_deref());
    NewBackup { subject, origin: Origin::Backup, server, taken_at, now, adopt: &plan.adopt }
}

pub fn server_note(server: &ServerInfo) -> Result<ServerNote> {
    let encoding = EncodingName::named(&server.encoding).ok_or_else(|| {
        Fault::failed(format!("the server has an encoding that pgbk does not know: {:?}", server.encoding))
    })?;
    Ok(ServerNote {
        version: server.version.clone(),
        version_num: server.version_num,
        encoding,
        system_identifier: server.system_identifier.clone(),
        timeline: server.timeline,
        in_recovery: server.in_recovery,
        session: SessionSettings::of(server.session.clone()),
    })
}
