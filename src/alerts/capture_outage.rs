//! Decides when to alert people of what is wrong with a capture: once for each cause, and once when it is over.

use crate::alerts::Alerts;
use crate::alerts::message::{AlertEvent, AlertMessage, AlertOrigin, CAPTURE, table};
use crate::alerts::storage_errors::write;
use crate::base::databases::Selection;
use crate::base::progress::Monitor;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Causes that one message tells in full.
const LISTED: usize = 20;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureCause {
    /// Tells causes apart. The text may change while the cause stays.
    pub key: String,
    pub text: String,
    pub hint: String,
}

/// The causes of which people have heard, and when they began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureOutage {
    pub database: Selection,
    pub server: String,
    pub told: BTreeMap<String, Timestamp>,
}

/// A change of which people are alerted.
#[derive(Debug, PartialEq)]
struct CaptureTurn {
    new: Vec<CaptureCause>,
    over: Vec<(String, Timestamp)>,
}

impl CaptureOutage {
    /// Takes what is wrong now into account, and returns what is new. `is_over`: whether a cause that is not there any more is over.
    fn turn(&mut self, causes: &[CaptureCause], is_over: bool, now: Timestamp) -> Option<CaptureTurn> {
        let is_new = |cause: &&CaptureCause| !self.told.contains_key(&cause.key);
        let new: Vec<CaptureCause> = causes.iter().filter(is_new).cloned().collect();
        let is_gone = |key: &String| is_over && causes.iter().all(|cause| cause.key != *key);
        let over: Vec<(String, Timestamp)> =
            self.told.iter().filter(|(key, _)| is_gone(key)).map(|(key, since)| (key.clone(), *since)).collect();
        for (key, _) in &over {
            self.told.remove(key);
        }
        self.told.extend(new.iter().map(|cause| (cause.key.clone(), now)));
        (!new.is_empty() || !over.is_empty()).then_some(CaptureTurn { new, over })
    }
}

impl Alerts {
    /// Returns what people have heard of the capture of this database.
    pub fn capture_outage(&self, selection: &Selection) -> CaptureOutage {
        let server = self.origin.server.clone();
        let file = self.outages.capture(selection, &server);
        let read = file.read().ok().and_then(|text| serde_json::from_slice(&text).ok());
        // Where nothing can be read, it is told once more.
        read.unwrap_or(CaptureOutage { database: selection.clone(), server, told: BTreeMap::new() })
    }

    /// Alerts people to causes that are new, and to the end of those that are over. `is_over`: whether what is not there any more is over.
    pub fn capture(
        &self,
        outage: &mut CaptureOutage,
        causes: &[CaptureCause],
        is_over: bool,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) {
        let Some(turn) = outage.turn(causes, is_over, now).filter(|_| !self.people.is_empty()) else { return };
        let (origin, round) = (&self.origin, self.round(monitor));
        if !turn.new.is_empty() {
            round.post(&failed(&outage.database, origin, &turn.new, now));
        }
        if !turn.over.is_empty() {
            round.post(&recovered(&outage.database, origin, &turn.over, now));
        }
        // Only now: who is killed in between hears of it twice rather than never.
        let file = self.outages.capture(&outage.database, &outage.server);
        let written = serde_json::to_vec_pretty(outage).map_err(Into::into).and_then(|text| write(&file, &text));
        if let Err(error) = written {
            monitor.warn(&format!("alerts may come again, as nothing can be remembered: {error:#}"));
        }
    }
}

fn failed(database: &Selection, origin: &AlertOrigin, causes: &[CaptureCause], now: Timestamp) -> AlertMessage {
    let lines = |of: fn(&CaptureCause) -> &str| {
        let mut lines: Vec<&str> = causes.iter().map(of).filter(|line| !line.is_empty()).collect();
        lines.dedup();
        let more = lines.len().saturating_sub(LISTED);
        let mut text = lines.into_iter().take(LISTED).collect::<Vec<_>>().join("\n");
        if more > 0 {
            text.push_str(&format!("\nand {more} more"));
        }
        text
    };
    let (error, hint) = (lines(|cause| &cause.text), lines(|cause| &cause.hint));
    let facts = [("why", error.clone()), ("hint", hint.clone())];
    let text = format!(
        "Something is wrong with the capture of {database}.\n\n{}\nWhat to do next:\n  pgbk status\n\n\
         Each of this is reported once, and its end once.\n",
        table(&[&facts[..], &whose(database, origin)[..]].concat()),
    );
    let subject = format!("capture of {database} needs help on {}", origin.host);
    AlertMessage { error, hint, subject, text, ..message(AlertEvent::Failed, database, origin, now) }
}

fn recovered(database: &Selection, origin: &AlertOrigin, over: &[(String, Timestamp)], now: Timestamp) -> AlertMessage {
    let over: Vec<String> =
        over.iter().take(LISTED).map(|(key, since)| format!("{}, since {since:.0}", describe(key))).collect();
    let text = format!(
        "What was wrong with the capture of {database} is over.\n\n{}",
        table(&[&[("over", over.join("\n"))][..], &whose(database, origin)[..]].concat()),
    );
    let subject = format!("capture of {database} is well again on {}", origin.host);
    AlertMessage { subject, text, ..message(AlertEvent::Recovered, database, origin, now) }
}

/// Says to people what a key stands for.
fn describe(key: &str) -> String {
    match key {
        "not-running" => "the capture did not stream".to_owned(),
        "slot" => "the replication slot could not be used".to_owned(),
        "chain" => "the stored chain was broken".to_owned(),
        "gap" => "there was a gap in what is captured; what came behind it can be restored now".to_owned(),
        "no-base" => "there was no base of what is captured".to_owned(),
        "lag" => "the newest moment that can be restored was too old".to_owned(),
        "log" => "the server kept much of its log".to_owned(),
        other => other.to_owned(),
    }
}

fn whose(database: &Selection, origin: &AlertOrigin) -> [(&'static str, String); 2] {
    [("database", format!("{database} on {}", origin.server)), ("host", origin.host.clone())]
}

fn message(state: AlertEvent, database: &Selection, origin: &AlertOrigin, now: Timestamp) -> AlertMessage {
    // One that fails and one that ends at the same time have names of their own.
    let kind = if state == AlertEvent::Recovered { "-again" } else { "" };
    AlertMessage {
        state,
        database: database.to_string(),
        host: origin.host.clone(),
        server: origin.server.clone(),
        run: format!("{}{kind}{CAPTURE}", now.strftime("%Y%m%dT%H%M%SZ")),
        time: now,
        error: String::new(),
        hint: String::new(),
        last_success: String::new(),
        subject: String::new(),
        text: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::origin;

    fn cause(key: &str) -> CaptureCause {
        CaptureCause { key: key.to_owned(), text: format!("{key} is bad"), hint: String::new() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn each_cause_is_told_once_and_its_end_once() {
        let mut outage = CaptureOutage { database: "shop".into(), server: "db".to_owned(), told: BTreeMap::new() };
        let mut turn = |keys: &[&str], is_over, second| {
            let causes: Vec<CaptureCause> = keys.iter().map(|key| cause(key)).collect();
            let turn = outage.turn(&causes, is_over, at(second))?;
            let new: Vec<String> = turn.new.into_iter().map(|cause| cause.key).collect();
            Some((new.join(" "), turn.over))
        };
        assert_eq!(turn(&[], true, 0), None);
        assert_eq!(turn(&["lag"], true, 1), Some(("lag".to_owned(), vec![])));
        assert_eq!(turn(&["lag"], true, 2), None);
        assert_eq!(turn(&["lag", "log"], true, 3), Some(("log".to_owned(), vec![])));
        // It does not stream: nobody knows.
        assert_eq!(turn(&[], false, 4), None);
        assert_eq!(turn(&["log"], true, 5), Some((String::new(), vec![("lag".to_owned(), at(1))])));
        assert_eq!(turn(&["lag"], true, 6), Some(("lag".to_owned(), vec![("log".to_owned(), at(3))])));
    }

    #[test]
    fn a_message_says_what_is_wrong_and_what_next() {
        let message = failed(&"shop".into(), &origin(), &[cause("lag"), cause("log")], at(0));
        assert_eq!(message.subject, "capture of shop needs help on backups-1");
        assert!(message.text.contains("why           lag is bad\n                log is bad\n"), "{}", message.text);
        assert!(message.short().text.contains("pgbk status"), "{}", message.short().text);
        let many: Vec<CaptureCause> = (0..30).map(|number| cause(&number.to_string())).collect();
        assert!(failed(&"shop".into(), &origin(), &many, at(0)).error.ends_with("19 is bad\nand 10 more"));
    }
}
