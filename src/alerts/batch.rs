//! Joins the messages about several databases of one round that have the same reason.

use crate::alerts::message::{AlertEvent, AlertMessage, AlertOrigin, about, run, table};
use crate::alerts::outage::{FailureStreak, LastSuccess};
use crate::base::shown::word;
use crate::format::run_record::{Record, RunState, Task};

/// A reason for failures: the task, the state, and the message without names and numbers. Equal reasons make one message.
#[derive(PartialEq, Eq)]
pub(crate) struct Reason(Task, RunState, String);

impl Reason {
    pub fn of(record: &Record) -> Reason {
        let message = record.problem.as_ref().map_or("", |problem| problem.message.as_str());
        let encoded = record.database.series();
        let mut text = message.to_owned();
        for name in [record.database.name(), &encoded] {
            text = text.replace(&format!("\"{name}\""), "\"*\"").replace(&format!("\"{name}/"), "\"*/");
        }
        Reason(record.task, record.state, text.split_inclusive(is_between).map(|part| plain(part, &encoded)).collect())
    }
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || "\"'/:,;()".contains(c)
}

/// Returns one word of a message without the database's name and without numbers: ids, places and times differ from run to run.
fn plain(part: &str, name: &str) -> String {
    let end = part.trim_end_matches(is_between);
    let after = end.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['-', '.']));
    let word = after.map_or_else(|| end.to_owned(), |rest| format!("*{rest}"));
    let mut text = String::new();
    for c in word.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }) {
        if c != '#' || !text.ends_with('#') {
            text.push(c);
        }
    }
    text + &part[end.len()..]
}

/// A run that failed, and the last success before it.
pub(crate) type FailedRun = (Record, Option<LastSuccess>);

/// Returns the message for failures with one reason, which quotes the first of them. `None`: there are no failures.
pub(crate) fn failed(failures: &[FailedRun], origin: &AlertOrigin) -> Option<AlertMessage> {
    let (first, last) = failures.first()?;
    if failures.len() == 1 {
        return Some(AlertMessage::failed(first, origin, last.as_ref()));
    }
    let records: Vec<&Record> = failures.iter().map(|(record, _)| record).collect();
    let (count, noun) = (records.len(), first.task.noun());
    let what = if first.state == RunState::Skipped { "are overdue" } else { "failed" };
    let mut message = about(AlertEvent::Failed, first, origin);
    message.database = names(&records);
    message.subject = format!("{noun} of {count} databases {what} on {}", origin.host);
    let facts = [
        ("why", message.error.clone()),
        ("hint", message.hint.clone()),
        ("databases", message.database.clone()),
        ("server", origin.server.clone()),
        ("host", origin.host.clone()),
        ("first run", run(first)),
    ];
    message.text = format!(
        "The {noun} of {count} databases {what} for one reason; this is the first.\n\n{}\nWhat to do next:\n  pgbk history {}\n  pgbk doctor\n\n\
         Further failures of these databases are not reported; their next success is.\n",
        table(&facts),
        first.run,
    );
    Some(message)
}

/// Returns the message for databases whose backups work again. `None`: there are none.
pub(crate) fn recovered(recoveries: &[(Record, FailureStreak)], origin: &AlertOrigin) -> Option<AlertMessage> {
    let (first, failing) = recoveries.first()?;
    if recoveries.len() == 1 {
        return Some(AlertMessage::recovered(first, origin, failing));
    }
    let records: Vec<&Record> = recoveries.iter().map(|(record, _)| record).collect();
    let (count, noun) = (records.len(), first.task.noun());
    let since = recoveries.iter().map(|(_, failing)| failing.since).min()?;
    let mut message = about(AlertEvent::Recovered, first, origin);
    message.database = names(&records);
    message.last_success = LastSuccess::of(first).as_ref().map_or_else(String::new, LastSuccess::describe);
    message.subject = format!("{noun} of {count} databases works again on {}", origin.host);
    let facts = [
        ("databases", message.database.clone()),
        ("server", origin.server.clone()),
        ("host", origin.host.clone()),
        ("first run", run(first)),
    ];
    message.text =
        format!("The {noun} of {count} databases works again. They had failed since {since:.0}.\n\n{}", table(&facts));
    Some(message)
}

fn names(records: &[&Record]) -> String {
    let names: Vec<String> = records.iter().map(|record| word(&record.database.to_string()).into_owned()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::{origin, record};
    use crate::format::run_record::ErrorInfo;

    fn failed_with(database: &str, message: &str) -> Record {
        let problem = ErrorInfo { message: message.to_owned(), hints: Vec::new(), exit_code: 1 };
        Record { database: database.into(), problem: Some(problem), ..record(1, RunState::Failed) }
    }

    #[test]
    fn names_ids_and_numbers_make_no_reason_of_their_own() {
        let messages = |name: &str, at: u32| {
            let encoded = crate::base::databases::Selection::from(name).series();
            [
                "cannot list the objects: cannot reach 127.0.0.1:9: Connection refused".to_owned(),
                format!("cannot list the objects below \"{encoded}/\": cannot reach s3:9: refused"),
                format!("cannot store \"{encoded}/{encoded}-20261126T1148{at:02}Z.sql.enc\": s3 answered 503"),
                format!("database \"{name}\" does not exist"),
                format!("pg_dump ended with 1 after {at} s"),
            ]
        };
        for name in ["shop", "a", "Ab c", "n\"n", "über/x", "bs_many_07"] {
            for (one, other) in messages("first", 1).iter().zip(messages(name, 42)) {
                assert!(
                    Reason::of(&failed_with("first", one)) == Reason::of(&failed_with(name, &other)),
                    "{one}; {other}"
                );
            }
        }
        let all = messages("shop", 1);
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert!(
                    Reason::of(&failed_with("shop", one)) != Reason::of(&failed_with("shop", other)),
                    "{one}; {other}"
                );
            }
        }
    }

    #[test]
    fn several_failures_for_one_reason_are_one_message_that_names_them() {
        let failures = [("shop", "refused"), ("crm", "refused")].map(|(name, why)| (failed_with(name, why), None));
        let message = failed(&failures, &origin()).unwrap();
        assert_eq!(message.subject, "backup of 2 databases failed on backups-1");
        assert_eq!((message.database.as_str(), message.error.as_str()), ("shop, crm", "refused"));
        assert!(message.text.contains("  databases     shop, crm\n"), "{}", message.text);
        assert_eq!(failed(&failures[..1], &origin()).unwrap().subject, "backup of shop failed on backups-1");
        assert!(failed(&[], &origin()).is_none() && recovered(&[], &origin()).is_none());
    }
}
