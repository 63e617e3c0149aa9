//! Formats a status as metrics in Prometheus' text format, version 0.0.4.

use crate::base::databases::Selection;
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::format::run_record::RunState;
use crate::monitoring::capture_condition::CaptureCondition;
use crate::monitoring::status::{DatabaseStatus, NewestBackup, Status};
use crate::repository::inventory::Inventory;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Write;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn text(status: &Status) -> String {
    let mut page = MetricsPage::default();
    page.gauge("pgbk_build_info", "Version of pgbk.", [(vec![("version", status.version)], 1.0)]);
    page.gauge("pgbk_healthy", "Whether /healthz says so.", [(vec![], f64::from(status.healthy))]);
    if let Some(scheduler) = &status.scheduler {
        let started = seconds(scheduler.started);
        page.gauge("pgbk_scheduler_start_time_seconds", "When the scheduler was started.", [(vec![], started)]);
    }
    runs(&mut page, &status.databases);
    last(&mut page, &status.databases);
    proofs(&mut page, &status.databases);
    store(&mut page, status);
    captures(&mut page, status);
    page.0
}

/// Writes the metrics of captures. Of several captures of one name, on several servers, the one that streams has
/// them, else the one that was written last.
fn captures(page: &mut MetricsPage, status: &Status) {
    let mut seen = BTreeSet::new();
    let captures: Vec<&CaptureCondition> =
        status.captures.iter().filter(|one| seen.insert(one.database.as_str())).collect();
    let mut each = |name: &str, help: &str, value: fn(&CaptureCondition) -> Option<f64>| {
        let samples = captures.iter().filter_map(|one| Some((vec![("database", one.database.as_str())], value(one)?)));
        page.gauge(name, help, samples);
    };
    each("pgbk_capture_streaming", "Whether changes are streamed.", |one| Some(f64::from(one.streaming)));
    each("pgbk_capture_recoverable_timestamp_seconds", "The newest moment that can be restored.", |one| {
        Some(seconds(one.recoverable?.time))
    });
    each("pgbk_capture_recoverable_position_bytes", "Where the stored changes end in the server's log.", |one| {
        Some(one.recoverable?.position.0 as f64)
    });
    each("pgbk_capture_lag_seconds", "How old the newest moment is that can be restored.", |one| {
        Some(one.lag_seconds? as f64)
    });
    each("pgbk_capture_retained_log_bytes", "How much of its log the server keeps for the slot.", |one| {
        Some(one.retained_bytes? as f64)
    });
    each("pgbk_capture_retained_log_limit_bytes", "How much it may keep before the slot is given up.", |one| {
        Some(one.wal_limit? as f64)
    });
    each("pgbk_capture_segments", "Segments of the generation.", |one| Some(one.segments as f64));
    each("pgbk_capture_stored_bytes", "Size of what is stored of them.", |one| Some(one.stored_bytes as f64));
    each("pgbk_capture_uncovered_tables", "Tables that are not covered.", |one| Some(one.uncovered.len() as f64));
    each(
        "pgbk_capture_large_objects_recoverable_timestamp_seconds",
        "As of when a restore brings large objects, where they have changed behind the newest base.",
        |one| Some(seconds(one.large_objects_as_of?)),
    );
    let tables: Vec<(&str, String, f64)> = captures
        .iter()
        .flat_map(|one| one.uncovered.iter().map(move |table| (one.database.as_str(), table)))
        .filter_map(|(database, table)| Some((database, table.table.text(), seconds(table.until?.time))))
        .collect();
    page.gauge(
        "pgbk_capture_table_recoverable_timestamp_seconds",
        "The newest moment to which the table can be restored, where it is not covered any more.",
        tables.iter().map(|(database, table, at)| (vec![("database", *database), ("table", table.as_str())], *at)),
    );
}

fn runs(page: &mut MetricsPage, databases: &[DatabaseStatus]) {
    let counts = databases.iter().flat_map(|database| {
        let runs = [("done", database.runs.done), ("failed", database.runs.failed), ("skipped", database.runs.skipped)];
        runs.map(|(state, count)| {
            let mut labels = of_selection(&database.name);
            labels.push(("state", state));
            (labels, count as f64)
        })
    });
    page.family("pgbk_runs_total", "counter", "Runs by how they ended.", counts);
    let each = |value: fn(&DatabaseStatus) -> Option<f64>| by_database(databases, value);
    page.gauge("pgbk_running", "Whether a run is going.", each(|one| Some(f64::from(one.running))));
    page.gauge("pgbk_last_run_succeeded", "Whether the newest run that was not skipped made a backup.", {
        each(|one| Some(f64::from(one.last? == RunState::Done)))
    });
    page.gauge("pgbk_database_healthy", "Whether backups are made as they are scheduled.", {
        each(|one| Some(f64::from(one.trouble.is_none())))
    });
    page.gauge("pgbk_next_run_timestamp_seconds", "When the next run begins.", each(|one| Some(seconds(one.next?))));
}

/// Writes the metrics of each database's newest backup.
fn last(page: &mut MetricsPage, databases: &[DatabaseStatus]) {
    let mut each = |name: &str, help: &str, value: fn(&NewestBackup) -> Option<f64>| {
        let values = databases.iter().filter_map(|one| {
            let value = value(one.success.as_ref()?)?;
            Some((of_selection(&one.name), value))
        });
        page.gauge(name, help, values);
    };
    each("pgbk_last_success_timestamp_seconds", "When the newest backup was done.", |last| Some(seconds(last.ended)));
    each("pgbk_last_success_duration_seconds", "How long it took.", |last| Some(last.seconds));
    each("pgbk_last_success_plain_bytes", "Size of its dump.", |last| Some(last.plain_bytes as f64));
    each("pgbk_last_success_stored_bytes", "Size of what is stored of it.", |last| Some(last.stored_bytes as f64));
    each("pgbk_last_success_tables", "Tables in it.", |last| last.rows.map(|_| last.tables as f64));
    each("pgbk_last_success_rows", "Rows in it.", |last| last.rows.map(|rows| rows as f64));
    page.gauge(
        "pgbk_last_verified_timestamp_seconds",
        "When the newest backup that was checked after its upload was done.",
        by_database(databases, |one| Some(seconds(one.verified?))),
    );
}

/// Writes the metrics of restore tests.
fn proofs(page: &mut MetricsPage, databases: &[DatabaseStatus]) {
    page.gauge("pgbk_last_proven_timestamp_seconds", "When the newest restore that proved a backup was done.", {
        by_database(databases, |one| Some(seconds(one.proven.as_ref()?.ended)))
    });
    page.gauge("pgbk_last_proof_succeeded", "Whether the newest verification by a restore proved its backup.", {
        by_database(databases, |one| Some(f64::from(one.proof_succeeded?)))
    });
}

fn store(page: &mut MetricsPage, status: &Status) {
    page.gauge(
        "pgbk_store_backups_missing",
        "Backups that were stored, that pgbk has not removed, and that are gone.",
        by_database(&status.databases, |one| Some(one.missing.as_ref()?.len() as f64)),
    );
    let Some(inventory) = &status.store else { return };
    let all: Vec<&Inventory> = inventory.with_copies().collect();
    page.gauge("pgbk_store_up", "Whether the last look into the store succeeded.", {
        all.iter().map(|one| (of_variant(one.variant), f64::from(one.problem.is_none())))
    });
    page.gauge("pgbk_store_looked_timestamp_seconds", "When the last look was.", {
        all.iter().map(|one| (of_variant(one.variant), seconds(one.looked)))
    });
    let own = || all.iter().flat_map(|one| &one.databases).map(|(name, total)| (of_subject(name), total));
    page.gauge("pgbk_store_backups", "Backups in the store, of this server's series.", {
        own().map(|(labels, total)| (labels, total.backups as f64))
    });
    page.gauge("pgbk_store_bytes", "Size of what is stored of them.", {
        own().map(|(labels, total)| (labels, total.bytes as f64))
    });
    page.gauge("pgbk_store_other_backups", "Backups beside them: other servers', uploads, and what cannot be read.", {
        all.iter().flat_map(|one| others(one))
    });
}

/// Returns how many backups are beside this server's series, of each database that has any backup.
fn others(inventory: &Inventory) -> impl Iterator<Item = Sample<'_>> {
    let names = inventory.databases.keys().chain(inventory.others.keys()).collect::<BTreeSet<_>>();
    let count = |name: &Subject| inventory.others.get(name).map_or(0, |total| total.backups);
    names.into_iter().map(move |name| (of_subject(name), count(name) as f64))
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

/// Returns the labels of a series. The plain one has no label for its variant.
fn of_selection(selection: &Selection) -> Labels<'_> {
    of_series(selection.name(), selection.variant())
}

fn of_subject(subject: &Subject) -> Labels<'_> {
    of_series(subject.name(), subject.variant())
}

fn of_series(database: &str, variant: Variant) -> Labels<'_> {
    [vec![("database", database)], of_variant(variant)].concat()
}

fn of_variant(variant: Variant) -> Labels<'static> {
    if variant.is_plain() { Vec::new() } else { vec![("variant", variant.name())] }
}

type Sample<'a> = (Labels<'a>, f64);

fn by_database(
    databases: &[DatabaseStatus],
    value: fn(&DatabaseStatus) -> Option<f64>,
) -> impl Iterator<Item = Sample<'_>> {
    databases.iter().filter_map(move |one| Some((of_selection(&one.name), value(one)?)))
}

#[derive(Default)]
struct MetricsPage(String);

impl MetricsPage {
    fn gauge<'a>(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        self.family(name, "gauge", help, samples);
    }

    /// Writes a metric with its samples; nothing if there is no sample.
    fn family<'a>(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = Sample<'a>>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name}{labels} {value}");
        }
        self.0.push_str(&text);
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}
