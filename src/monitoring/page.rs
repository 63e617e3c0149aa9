//! Formats a status as a page for people: one document without script and without anything from elsewhere.

use crate::base::databases::Selection;
use crate::base::shown::many;
use crate::cli::console::bytes;
use crate::cli::units;
use crate::format::run_record::{Record, RestoreTest, RunState, Task};
use crate::monitoring::status::{DatabaseStatus, Status};
use crate::repository::inventory::Inventory;
use crate::runs::captures::capture_trouble::CaptureTrouble;
use crate::runs::missing_backups::describe;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// Returns the page's content security policy. It lets a browser show the page in its own style. Anything else that
/// got into the page would have no effect.
pub fn policy() -> String {
    let style = openssl::base64::encode_block(&openssl::sha::sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

pub fn html(status: &Status) -> String {
    let state = if status.healthy { "Backups are healthy" } else { "Backups are NOT healthy" };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="60";
                title { (state) " · pgbk" }
                // Its own, so that no browser asks for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class=(if status.healthy { "good" } else { "bad" }) {
                        h1 { (state) }
                        @for reason in &status.reasons { p { (reason) } }
                        p class="quiet" { (scheduler(status)) }
                    }
                    (section("Databases", !status.databases.iter().any(is_shown), "none yet", || databases(status)))
                    @if !status.captures.is_empty() { (section("Continuous backup", false, "", || captures(status))) }
                    (section("Next runs", status.next.is_empty(), "none", || next(status)))
                    (section("Recent runs", status.recent.is_empty(), "none yet", || recent(status)))
                    @for inventory in status.store.iter().flat_map(Inventory::with_copies) { (stored(inventory, status)) }
                    footer class="quiet" {
                        "pgbk " (status.version) " · " (moment(status.at, status)) " · times are in " (zone(status)) " · "
                        a href="/metrics" { "metrics" }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn scheduler(status: &Status) -> String {
    match &status.scheduler {
        None if status.captures.is_empty() => "No scheduler has left word of itself.".to_owned(),
        None => "Changes are captured without a scheduler.".to_owned(),
        Some(scheduler) => {
            format!("Scheduler started {}, {}", moment(scheduler.started, status), ago(scheduler.started, status))
        }
    }
}

fn section(title: &str, is_empty: bool, nothing: &str, content: impl FnOnce() -> Markup) -> Markup {
    html! {
        section {
            h2 { (title) }
            @if is_empty { p class="quiet" { (nothing) } } @else { (content()) }
        }
    }
}

fn databases(status: &Status) -> Markup {
    html! {
        table {
            thead { tr { th { "Database" } th { "State" } th { "Last backup" } th { "Took" } th { "Dump" } th { "Stored" } th { "Rows" } th { "Proven" } th { "Next run" } } }
            tbody {
                @for database in status.databases.iter().filter(|one| is_shown(one)) {
                    tr {
                        td data-name="Database" class="name" { bdi { (database.name) } }
                        td data-name="State" { (mark(database)) }
                        @match &database.success {
                            Some(last) => {
                                td data-name="Last backup" title=(moment(last.ended, status)) { (ago(last.ended, status)) }
                                td data-name="Took" { (took(last.seconds)) }
                                td data-name="Dump" { (bytes(last.plain_bytes)) }
                                td data-name="Stored" { (bytes(last.stored_bytes)) }
                                td data-name="Rows" { (last.rows.map_or("–".to_owned(), |rows| rows.to_string())) }
                            }
                            None => {
                                td data-name="Last backup" { "none" }
                                td class="none" {} td class="none" {} td class="none" {} td class="none" {}
                            }
                        }
                        @match &database.proven {
                            Some(proof) => {
                                td data-name="Proven" title=(format!("{} at {}", proof.backup, moment(proof.ended, status))) { (ago(proof.ended, status)) }
                            }
                            None => td data-name="Proven" { "never" },
                        }
                        td data-name="Next run" { (database.next.map_or("–".to_owned(), |next| moment(next, status))) }
                    }
                }
            }
        }
    }
}

/// Returns how far each capture is, and up to when each table that is not covered can be restored.
fn captures(status: &Status) -> Markup {
    html! {
        table {
            thead { tr { th { "Database" } th { "State" } th { "Restorable up to" } th { "Lag" } th { "Log kept" } th { "Segments" } th { "Stored" } } }
            tbody {
                @for one in &status.captures {
                    tr {
                        td data-name="Database" class="name" { bdi { (one.label(&status.captures)) } }
                        td data-name="State" { span class={ "mark " (if one.troubles.iter().any(CaptureTrouble::is_unhealthy) { "bad" } else { "good" }) } { (one.state()) } }
                        @match &one.recoverable {
                            Some(point) => td data-name="Restorable up to" { (moment(point.time, status)) " · " (point.position) },
                            None => td data-name="Restorable up to" { "–" },
                        }
                        td data-name="Lag" { (one.lag_seconds.map_or("–".to_owned(), |lag| took(lag as f64))) }
                        td data-name="Log kept" { (one.retained_bytes.map_or("–".to_owned(), bytes)) }
                        td data-name="Segments" { (one.segments) }
                        td data-name="Stored" { (bytes(one.stored_bytes)) }
                    }
                }
            }
        }
        @for one in &status.captures {
            @for trouble in &one.troubles { p class="quiet" { bdi { (one.database) } ": " bdi { (trouble.text) } } }
            @if let Some(as_of) = one.large_objects_as_of {
                p class="quiet" { bdi { (one.database) } ": large objects have changed since, and come back as of " (moment(as_of, status)) }
            }
        }
    }
}

/// Whether the database has a row. All databases together have one only if something is wrong, such as that they
/// cannot be listed.
fn is_shown(database: &DatabaseStatus) -> bool {
    database.name != Selection::Every || database.trouble.is_some()
}

fn mark(database: &DatabaseStatus) -> Markup {
    let (class, word) = match (&database.trouble, database.running) {
        (_, true) => ("busy", "running"),
        (Some(_), false) => ("bad", "trouble"),
        (None, false) => ("good", "fine"),
    };
    html! { span class={ "mark " (class) } { (word) } }
}

fn next(status: &Status) -> Markup {
    html! {
        table {
            thead { tr { th { "Begins" } th { "Schedule" } th { "Databases" } } }
            tbody {
                @for next in &status.next {
                    tr {
                        td data-name="Begins" { (moment(next.at, status)) }
                        td data-name="Schedule" { code { (next.schedule) } @if next.task == Task::Verify { " verify" } }
                        td data-name="Databases" class="name" { bdi { (next.names()) } }
                    }
                }
            }
        }
    }
}

fn recent(status: &Status) -> Markup {
    html! {
        table {
            thead { tr { th { "Began" } th { "Database" } th { "State" } th { "Took" } th { "Result" } } }
            tbody {
                @for record in &status.recent {
                    tr {
                        td data-name="Began" { (moment(record.started, status)) }
                        td data-name="Database" class="name" { bdi { (record.database) } }
                        td data-name="State" { (outcome(record.state)) }
                        td data-name="Took" { (record.seconds().map_or("–".to_owned(), took)) }
                        td data-name="Result" class="long" { (result(record)) }
                    }
                }
            }
        }
    }
}

fn outcome(state: RunState) -> Markup {
    let (class, word) = match state {
        RunState::Running => ("busy", "running"),
        RunState::Done => ("good", "done"),
        RunState::Failed => ("bad", "failed"),
        RunState::Skipped => ("quiet", "skipped"),
    };
    html! { span class={ "mark " (class) } { (word) } }
}

fn result(record: &Record) -> Markup {
    html! {
        @if record.task != Task::Backup { (record.task.noun()) ": " }
        @match (&record.backup, &record.problem) {
            (None, None) if record.proof.is_some() => (record.proof.as_ref().map(proven).unwrap_or_default()),
            (Some(backup), problem) => {
                (backup.id) " · " (bytes(backup.stored_bytes))
                @for copy in &record.outputs { br; (copy.id) " · " (bytes(copy.stored_bytes)) }
                @if let Some(problem) = problem { br; (problem.message) }
            }
            (None, Some(problem)) => (problem.message),
            (None, None) => "–",
        }
        @for warning in &record.warnings { br; span class="quiet" { (warning) } }
    }
}

fn proven(proof: &RestoreTest) -> String {
    format!("{}, {}, {}", proof.id, many(proof.tables, "table"), many(proof.rows, "row"))
}

fn stored(inventory: &Inventory, status: &Status) -> Markup {
    html! {
        section {
            h2 { "Stored backups" @if !inventory.variant.is_plain() { ": " (inventory.variant.name()) } }
            p class="quiet" { bdi { (inventory.location) } ", looked into " (ago(inventory.looked, status)) }
            @if let Some(problem) = &inventory.problem {
                p class="bad" { "The store cannot be looked into: " (problem) }
            }
            @if inventory.variant.is_plain() { @for text in missing(status) { p class="bad" { bdi { (text) } } } }
            @for (name, total) in &inventory.databases {
                p { bdi { (name) } ": " (total.backups) " in " (bytes(total.bytes)) }
            }
            @for (name, total) in &inventory.others {
                p class="quiet" { bdi { (name) } ": beside them " (total.backups) " in " (bytes(total.bytes)) ", of other servers, uploaded, or not readable" }
            }
            @if inventory.databases.is_empty() && inventory.problem.is_none() { p class="quiet" { "none yet" } }
            @if !inventory.newest.is_empty() {
                table {
                    thead { tr { th { "Backup" } th { "Taken" } th { "Stored" } } }
                    tbody {
                        @for kept in &inventory.newest {
                            tr {
                                td data-name="Backup" class="long" { (kept.id) }
                                td data-name="Taken" { (moment(kept.id.taken_at(), status)) }
                                td data-name="Stored" { (kept.bytes.map_or("its payload is missing".to_owned(), bytes)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns one line for each database that has missing backups.
pub fn missing(status: &Status) -> impl Iterator<Item = String> {
    let missing = status.databases.iter().filter_map(|one| one.missing.as_deref());
    missing.filter_map(|missing| describe(missing, "the store"))
}

fn moment(at: Timestamp, status: &Status) -> String {
    at.to_zoned(status.zone.clone()).strftime("%F %T").to_string()
}

fn zone(status: &Status) -> String {
    status.zone.iana_name().map_or_else(|| "the zone of the schedule".to_owned(), str::to_owned)
}

fn ago(at: Timestamp, status: &Status) -> String {
    format!("{} ago", units::age(status.at.duration_since(at)))
}

fn took(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.1} s") } else { units::age(SignedDuration::from_secs(seconds as i64)) }
}
