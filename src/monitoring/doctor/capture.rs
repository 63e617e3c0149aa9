//! Checks whether changes of a database can be captured: the server, the role, the tables, and the slot.

use crate::base::error::{Result, hints};
use crate::base::shown::many;
use crate::jobs::capture::plan::CapturePlan;
use crate::monitoring::doctor::{CheckStatus, DoctorFinding};
use crate::postgres::replication::capture_candidate::{CaptureCandidate, TableCapture};
use crate::postgres::replication::conditions::ReplicationConditions;
use crate::postgres::replication::provider::ManagedProvider;
use crate::postgres::replication::publication::{PublishedTables, require_owned, statements};
use crate::postgres::replication::slot::SlotState;
use crate::postgres::session::connection::TimedConnection;

/// Number of tables that are listed at most.
const LISTED: usize = 10;
/// How much log in bytes a slot that nobody reads may have the server keep before that stands in the way.
const LITTLE: i64 = 64 << 20;

/// Holds what the server says.
struct CaptureFacts {
    conditions: ReplicationConditions,
    provider: Option<ManagedProvider>,
    slot: Option<SlotState>,
    tables: Vec<CaptureCandidate>,
    /// Whether the publications have to be made or changed.
    is_due: bool,
}

/// Returns what is found; nothing where no capture is wanted and no slot of pgbk's is there.
pub fn look_at_capture(plan: &CapturePlan, is_wanted: bool) -> Vec<DoctorFinding> {
    let facts = match CaptureFacts::ask(plan) {
        Ok(facts) => facts,
        // That the server cannot be asked is told already.
        Err(_) if !is_wanted => return Vec::new(),
        Err(error) => return vec![DoctorFinding::error("capture", &error, "check the settings of the server")],
    };
    if !is_wanted && facts.slot.is_none() {
        return Vec::new();
    }
    let name = format!("capture of \"{}\"", plan.subject());
    let found = facts.findings(plan, is_wanted);
    found.into_iter().map(|finding| DoctorFinding { what: name.clone(), ..finding }).collect()
}

impl CaptureFacts {
    fn ask(plan: &CapturePlan) -> Result<CaptureFacts> {
        let (names, slot) = (plan.publications.clone(), plan.slot.clone());
        TimedConnection::new(plan.settings.connect("pgbk")?).ask(move |client| {
            let tables = CaptureCandidate::list(client)?;
            let published = PublishedTables::ask(client, &names)?;
            Ok(CaptureFacts {
                conditions: ReplicationConditions::ask(client)?,
                provider: ManagedProvider::ask(client)?,
                slot: SlotState::find(client, &slot)?,
                is_due: !statements(&names, &tables, &published).is_empty(),
                tables,
            })
        })
    }

    fn findings(&self, plan: &CapturePlan, is_wanted: bool) -> Vec<DoctorFinding> {
        let mut findings = self.unmet();
        findings.extend(self.publications());
        if findings.is_empty() {
            let ReplicationConditions { used_slots, max_slots, used_senders, max_senders, .. } = &self.conditions;
            findings.push(DoctorFinding::ok(
                "",
                format!("the server streams changes to this role; {used_slots} of {max_slots} slots and {used_senders} of {max_senders} senders are in use"),
            ));
        }
        findings.extend(self.keyless());
        findings.extend(self.slot(plan, is_wanted));
        let risks = self.conditions.risks().into_iter();
        findings.extend(risks.map(|risk| DoctorFinding::note("", risk, "watch the capture: pgbk status, alerts")));
        findings.extend(self.provider.map(|provider| {
            DoctorFinding::note("", provider.name(), format!("{}: docs/managed-servers.md", provider.trap()))
        }));
        findings
    }

    /// Returns what keeps the role from streaming, with the provider's own way where it is known.
    fn unmet(&self) -> Vec<DoctorFinding> {
        let ReplicationConditions { wal_level, may_replicate, role, .. } = &self.conditions;
        let unmet = self.conditions.unmet(self.slot.is_some()).into_iter();
        let of = |error: anyhow::Error| {
            let text = error.to_string();
            let own = match self.provider {
                Some(provider) if wal_level != "logical" && text.contains("wal_level") => {
                    Some(provider.log_remedy().to_owned())
                }
                Some(provider) if !may_replicate && text.contains("may not connect for replication") => {
                    Some(provider.role_remedy(role))
                }
                _ => None,
            };
            let general = hints(&error).first().map(|hint| (*hint).to_owned());
            DoctorFinding::fail("", text, own.or(general).unwrap_or_default())
        };
        unmet.map(|fault| of(fault.into())).collect()
    }

    /// Returns why the publications cannot be made. `None`: they can, or are as they should be.
    fn publications(&self) -> Option<DoctorFinding> {
        if !self.is_due {
            return None;
        }
        if !self.conditions.may_create && !self.conditions.superuser {
            let remedy = "GRANT CREATE ON DATABASE to it, or have a superuser run what pgbk capture --print-sql shows";
            return Some(DoctorFinding::fail("", "the role may not make publications in this database", remedy));
        }
        let owned = require_owned(&self.tables).err();
        owned.map(|error| DoctorFinding::error("", &error, "grant the role the owners of the tables"))
    }

    fn keyless(&self) -> Option<DoctorFinding> {
        let keyless: Vec<String> = self
            .tables
            .iter()
            .filter(|table| table.capture == TableCapture::InsertsOnly)
            .map(|table| format!("\"{}\".\"{}\"", table.schema, table.name))
            .collect();
        let first = keyless.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
        let more = keyless.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!keyless.is_empty()).then(|| {
            DoctorFinding::note(
                "",
                format!(
                    "{} without a key: only backups have their changes: {first}{more}",
                    many(keyless.len() as u64, "table")
                ),
                "give them a primary key, or ALTER TABLE … REPLICA IDENTITY FULL",
            )
        })
    }

    fn slot(&self, plan: &CapturePlan, is_wanted: bool) -> Option<DoctorFinding> {
        let (slot, name, database) = (self.slot.as_ref()?, &plan.slot, plan.subject());
        if slot.is_lost() {
            let text = format!("the server has given up replication slot \"{name}\"");
            let remedy = format!("pgbk capture {database} --new-generation, and a backup after it");
            return Some(DoctorFinding::fail("", text, remedy));
        }
        if slot.active_pid.is_some() {
            return None;
        }
        let kept = slot.retained_bytes.unwrap_or_default().max(0);
        let text = format!(
            "nobody reads replication slot \"{name}\": the server keeps {kept} bytes of its log for it, and more with the time"
        );
        let how = if is_wanted { "start the scheduler" } else { "go on with pgbk capture, or CAPTURE=1" };
        let remedy = format!("{how}; or drop it: pgbk capture {database} --teardown");
        // One that was just made is no finding that stands in the way of anything.
        let is_harmless = is_wanted || kept < LITTLE;
        let status = if is_harmless { CheckStatus::Note } else { CheckStatus::Fail };
        Some(DoctorFinding { status, ..DoctorFinding::note("", text, remedy) })
    }
}
