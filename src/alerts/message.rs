//! The text of alerts, in a form that every channel can send.

use crate::alerts::outage::{FailureStreak, LastSuccess};
use crate::alerts::truncate;
use crate::base::databases::Selection;
use crate::base::shown::word;
use crate::base::subject::Subject;
use crate::format::run_record::{Record, RunState, Task, Trigger};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest text in the short form of a message, in UTF-16 units: less than the title of a card in a chat may have.
const SHORT: usize = 250;
/// Stands at the end of the names of messages about captures, where others have the name of a run.
pub(crate) const CAPTURE: &str = "-capture";

/// Where the backups come from.
#[derive(Debug, Clone)]
pub struct AlertOrigin {
    /// The host that pgbk runs on.
    pub host: String,
    /// The PostgreSQL server, and the role that reads it.
    pub server: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertEvent {
    Started,
    Done,
    Failed,
    Recovered,
    /// Nothing failed, but people should know something.
    Notice,
    Test,
}

/// One message. Its JSON is the webhook's document, and its members are the placeholders of a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    pub state: AlertEvent,
    pub database: String,
    pub host: String,
    pub server: String,
    pub run: String,
    pub time: Timestamp,
    pub error: String,
    pub hint: String,
    pub last_success: String,
    pub subject: String,
    pub text: String,
}

impl AlertMessage {
    pub fn failed(record: &Record, origin: &AlertOrigin, last: Option<&LastSuccess>) -> AlertMessage {
        let (name, noun) = (&record.database, record.task.noun());
        let mut message = about(AlertEvent::Failed, record, origin);
        message.last_success = last.map_or("none that is known here".to_owned(), LastSuccess::describe);
        // One that was skipped is told where it makes backups overdue.
        let what = if record.state == RunState::Skipped { "is overdue" } else { "failed" };
        message.subject = format!("{noun} of {name} {what} on {}", origin.host);
        let facts = [
            ("why", message.error.clone()),
            ("hint", message.hint.clone()),
            ("database", format!("{name} on {}", origin.server)),
            ("host", origin.host.clone()),
            ("run", run(record)),
            ("last success", message.last_success.clone()),
        ];
        message.text = format!(
            "The {noun} of {} {what}.\n\n{}\nWhat to do next:\n  pgbk history {}\n{}\n\
             Further failures of this database are not reported; its next success is.\n",
            whose(name),
            table(&facts),
            record.run,
            doctor(name),
        );
        message
    }

    pub fn notice(record: &Record, origin: &AlertOrigin, text: &str) -> AlertMessage {
        let (name, noun) = (&record.database, record.task.noun());
        let mut message = about(AlertEvent::Notice, record, origin);
        message.subject = format!("{noun} of {name} on {}: please look", origin.host);
        let facts =
            [("database", format!("{name} on {}", origin.server)), ("host", origin.host.clone()), ("run", run(record))];
        message.text = format!("{}\n\n{}\nThis is told once.\n", word(text), table(&facts));
        message
    }

    /// Returns a notice of something that was noticed outside of any run.
    pub fn noticed(database: &Selection, origin: &AlertOrigin, text: &str, now: Timestamp) -> AlertMessage {
        let facts = [("database", format!("{database} on {}", origin.server)), ("host", origin.host.clone())];
        AlertMessage {
            state: AlertEvent::Notice,
            database: database.to_string(),
            host: origin.host.clone(),
            server: origin.server.clone(),
            run: now.strftime("%Y%m%dT%H%M%SZ-look").to_string(),
            time: now,
            error: String::new(),
            hint: String::new(),
            last_success: String::new(),
            subject: format!("backups of {database} on {}: please look", origin.host),
            text: format!("{text}\n\n{}\nThis is told once.\n", table(&facts)),
        }
    }

    pub fn recovered(record: &Record, origin: &AlertOrigin, outage: &FailureStreak) -> AlertMessage {
        let (name, noun) = (&record.database, record.task.noun());
        let mut message = about(AlertEvent::Recovered, record, origin);
        message.last_success = LastSuccess::of(record).as_ref().map_or_else(String::new, LastSuccess::describe);
        message.subject = format!("{noun} of {name} works again on {}", origin.host);
        let how = match outage.failures {
            0 => "was overdue".to_owned(),
            1 => "had failed once".to_owned(),
            times => format!("had failed {times} times"),
        };
        let facts = [
            ("backup", message.last_success.clone()),
            ("scratch", record.proof.as_ref().map_or_else(String::new, |proof| proof.scratch.clone())),
            ("place", record.backup.as_ref().map_or_else(String::new, |stored| stored.location.clone())),
            ("database", format!("{name} on {}", origin.server)),
            ("host", origin.host.clone()),
            ("run", run(record)),
        ];
        message.text = format!(
            "The {noun} of {} works again. It {how} since {:.0}.\n\n{}",
            whose(name),
            outage.since,
            table(&facts),
        );
        message
    }

    /// Returns a form of the message that is short enough for every receiver.
    pub fn short(&self) -> AlertMessage {
        let cut = |text: &str| truncate::middle(text, SHORT).into_owned();
        let text = match self.error.as_str() {
            "" => cut(&self.text),
            error => {
                let next = match self.run.ends_with(CAPTURE) {
                    true => "status".to_owned(),
                    false => format!("history {}", self.run),
                };
                format!("{}\n{}\npgbk {next}\n", cut(&self.subject), cut(error))
            }
        };
        let (error, hint) = (cut(&self.error), cut(&self.hint));
        AlertMessage { database: cut(&self.database), error, hint, text, ..self.clone() }
    }

    /// Returns the message for a monitor: one line for each record. It names the last record's database. `None`: there are no
    /// records.
    pub fn of_ping(state: AlertEvent, records: &[Record], origin: &AlertOrigin) -> Option<AlertMessage> {
        let mut message = about(state, records.last()?, origin);
        message.text = records.iter().map(line).collect();
        Some(message)
    }

    /// Returns an id that no other message has. A run may end more than one outage, and have more than one notice.
    pub fn id(&self) -> String {
        let short = |text: &str| blake2b_simd::Params::new().hash_length(4).hash(text.as_bytes()).to_hex();
        let end = if self.state == AlertEvent::Notice { format!("-{}", short(&self.text)) } else { String::new() };
        format!("{}-{}{end}", self.run, short(&self.database))
    }

    pub fn test(origin: &AlertOrigin, now: Timestamp) -> AlertMessage {
        AlertMessage {
            state: AlertEvent::Test,
            database: "test".to_owned(),
            host: origin.host.clone(),
            server: origin.server.clone(),
            run: now.strftime("test-%Y%m%dT%H%M%SZ").to_string(),
            time: now,
            error: String::new(),
            hint: String::new(),
            last_success: String::new(),
            subject: format!("test of alerts on {}", origin.host),
            text: format!(
                "This is a test by `pgbk doctor --test-alerts`: no backup has failed.\n\n{}",
                table(&[("server", origin.server.clone()), ("host", origin.host.clone())]),
            ),
        }
    }
}

/// Returns the name as a sentence has it: `@files` is not called a database.
fn whose(selection: &Selection) -> String {
    match selection {
        Selection::One(Subject::Globals | Subject::Files) => selection.to_string(),
        Selection::Every | Selection::One(Subject::Database(_)) => {
            let copy = selection.variant();
            let output = if copy.is_plain() { String::new() } else { format!("the {} output of ", copy.name()) };
            format!("{output}database \"{}\"", word(selection.name()))
        }
    }
}

/// Returns the line that says how to check it; empty if `doctor` takes no such name.
fn doctor(selection: &Selection) -> String {
    let name = match selection {
        Selection::One(Subject::Globals | Subject::Files) => return String::new(),
        Selection::Every | Selection::One(Subject::Database(_)) => selection.name(),
    };
    match shlex::try_quote(name) {
        Ok(quoted) if word(name) == name => format!("  pgbk doctor {quoted}\n"),
        _ => String::new(),
    }
}

pub(crate) fn about(state: AlertEvent, record: &Record, origin: &AlertOrigin) -> AlertMessage {
    let problem = record.problem.as_ref();
    AlertMessage {
        state,
        database: record.database.to_string(),
        host: origin.host.clone(),
        server: origin.server.clone(),
        run: record.run.clone(),
        time: record.ended.unwrap_or(record.started),
        error: problem.map_or_else(String::new, |problem| problem.message.clone()),
        hint: problem.map_or_else(String::new, |problem| problem.hints.join("\n")),
        last_success: String::new(),
        subject: String::new(),
        text: String::new(),
    }
}

pub(crate) fn run(record: &Record) -> String {
    let cause = match record.cause {
        Trigger::Schedule => "by schedule",
        Trigger::CatchUp => "making up for a missed one",
        Trigger::Manual => "by hand",
    };
    let seconds = record.seconds().map_or_else(String::new, |seconds| format!(", {seconds:.1} s"));
    format!("{}, {cause}, begun {:.0}{seconds}", record.run, record.started)
}

fn line(record: &Record) -> String {
    let task = if record.task == Task::Backup { String::new() } else { format!("{} of ", record.task.noun()) };
    word(&format!("{task}{}: {}", record.database, ending(record))).into_owned() + "\n"
}

fn ending(record: &Record) -> String {
    match (record.state, &record.backup, &record.problem) {
        (RunState::Running, ..) => "begun".to_owned(),
        (RunState::Done, Some(stored), _) => format!("done, {}", stored.id),
        (RunState::Done, None, _) => "done".to_owned(),
        (RunState::Skipped, ..) => "skipped, another run is at work on it".to_owned(),
        (RunState::Failed, _, problem) => {
            format!("failed: {}", problem.as_ref().map_or("", |problem| problem.message.as_str()))
        }
    }
}

/// Returns a table with names in one column and values in another. Empty values are left out, and a value of several lines stays in
/// its column.
pub(crate) fn table(facts: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let mut name = *name;
        for line in value.lines() {
            text.push_str(word(&format!("  {name:12}  {line}")).trim_end());
            text.push('\n');
            name = "";
        }
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::format::run_record::{ErrorInfo, StoredBackup, Task};

    pub fn origin() -> AlertOrigin {
        AlertOrigin { host: "backups-1".to_owned(), server: "db:5432 as pgbk".to_owned() }
    }

    /// Returns a record of this day in this state.
    pub fn record(number: u32, state: RunState) -> Record {
        let started: Timestamp = format!("2026-11-{number:02}T06:45:00Z").parse().unwrap();
        let ended = started + jiff::SignedDuration::from_millis(12_300);
        let stored = StoredBackup {
            location: "directory /backups".to_owned(),
            ..StoredBackup::example(crate::format::backup_id::BackupId::new("shop", ended))
        };
        let problem =
            ErrorInfo { message: "cannot connect:\nrefused".into(), hints: vec!["is it up?".into()], exit_code: 1 };
        Record {
            run: format!("202611{number:02}T064500Z-1a2b3c4d"),
            task: Task::Backup,
            cause: Trigger::Schedule,
            database: "shop".into(),
            times: 1,
            state,
            started,
            ended: Some(ended),
            process: 1,
            boot: String::new(),
            backup: (state == RunState::Done).then_some(stored),
            outputs: Vec::new(),
            outputs_missing: Vec::new(),
            proof: None,
            problem: (state == RunState::Failed).then_some(problem),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_failure_says_what_where_why_and_what_next() {
        let last = LastSuccess::of(&record(1, RunState::Done)).unwrap();
        let message = AlertMessage::failed(&record(2, RunState::Failed), &origin(), Some(&last));
        assert_eq!(message.subject, "backup of shop failed on backups-1");
        assert_eq!(
            message.text,
            "The backup of database \"shop\" failed.\n\
             \n\
             \x20 why           cannot connect:\n\
             \x20               refused\n\
             \x20 hint          is it up?\n\
             \x20 database      shop on db:5432 as pgbk\n\
             \x20 host          backups-1\n\
             \x20 run           20261102T064500Z-1a2b3c4d, by schedule, begun 2026-11-02T06:45:00Z, 12.3 s\n\
             \x20 last success  shop-20261101T064512Z, ended 2026-11-01T06:45:12Z\n\
             \n\
             What to do next:\n\
             \x20 pgbk history 20261102T064500Z-1a2b3c4d\n\
             \x20 pgbk doctor shop\n\
             \n\
             Further failures of this database are not reported; its next success is.\n"
        );
    }

    #[test]
    fn a_recovery_says_how_long_it_took() {
        let failing = FailureStreak { since: record(2, RunState::Failed).started, failures: 3 };
        let message = AlertMessage::recovered(&record(5, RunState::Done), &origin(), &failing);
        assert_eq!(message.subject, "backup of shop works again on backups-1");
        assert!(message.text.starts_with(
            "The backup of database \"shop\" works again. It had failed 3 times since 2026-11-02T06:45:00Z.\n"
        ));
        assert!(message.text.contains("backup        shop-20261105T064512Z"), "{}", message.text);
    }
}
