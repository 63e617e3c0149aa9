//! Tells people of failed backups: once when they begin to fail and once when they work again, whoever starts them.
//!
//! A run is never held up by it for longer than a fixed time, and never fails because of it. Every channel has a thread of its
//! own; a message for people is written to disk before it is sent, and removed when it has arrived.

mod channel;
mod courier;
mod cut;
mod http;
mod mail;
mod message;
mod outage;
mod outbox;
mod ping;
mod smtp;
mod together;
mod trust;
mod webhook;

pub use channel::{Channel, Patience, Refusal};
pub use http::Address;
pub use lettre::message::Mailbox;
pub use mail::{Mail, mailbox, recipients};
pub use message::{Message, Origin};
pub use outbox::Outbox;
pub use ping::Ping;
pub use smtp::{Login, Security, Server};
pub use trust::Trust;
pub use webhook::{Template, Webhook};

use crate::error::Result;
use crate::interrupt;
use crate::monitor::Monitor;
use crate::record::{Record, State, Task};
use courier::Courier;
use jiff::Timestamp;
use message::Event;
use outage::{Failing, Outage, Outages, Success, Turn};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use together::{Failure, Reason};

/// After a signal alerts may hold up the end this long; what has not arrived by then is sent with the next run.
const GRACE: Duration = Duration::from_secs(5);

/// The name of all databases together.
const EVERY: &str = "*";

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    pub ping: Option<Ping>,
    pub webhook: Option<Webhook>,
    pub mail: Option<Mail>,
    pub origin: Origin,
    /// Where outages and messages that have not arrived are kept.
    pub folder: PathBuf,
    /// How long the end of a run waits for deliveries.
    pub limit: Duration,
}

impl Settings {
    pub fn channels(&self) -> Vec<Channel> {
        let ping = self.ping.clone().map(Channel::Ping);
        let webhook = self.webhook.clone().map(Channel::Webhook);
        [ping, webhook, self.mail.clone().map(Channel::Mail)].into_iter().flatten().collect()
    }

    /// Returns the same, by which nobody hears of anything.
    pub fn silent(self) -> Settings {
        Settings { ping: None, webhook: None, mail: None, ..self }
    }

    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.folder.join("unsent"))
    }

    /// Whether anything can be remembered.
    pub fn try_memory(&self) -> Result<()> {
        let path = self.folder.join(".try");
        outage::write(&path, b"")?;
        Ok(std::fs::remove_file(path)?)
    }
}

/// The channels at work, for as long as the process lives.
pub struct Alerts {
    origin: Origin,
    outages: Outages,
    outbox: Outbox,
    ping: Option<Courier>,
    ping_each: bool,
    ping_starts: bool,
    people: Vec<Courier>,
    limit: Duration,
}

impl Alerts {
    /// Touches neither network nor disk.
    pub fn open(settings: &Settings) -> Alerts {
        let outbox = settings.outbox();
        let start = |channel| Courier::start(channel, &outbox, settings.limit);
        let webhook = settings.webhook.clone().map(|webhook| start(Channel::Webhook(webhook)));
        let mail = settings.mail.clone().map(|mail| start(Channel::Mail(mail)));
        Alerts {
            origin: settings.origin.clone(),
            outages: Outages::new(settings.folder.clone()),
            ping_each: settings.ping.as_ref().is_some_and(Ping::is_by_database),
            ping_starts: settings.ping.as_ref().is_some_and(Ping::hears_of_starts),
            ping: settings.ping.clone().map(|ping| start(Channel::Ping(ping))),
            people: webhook.into_iter().chain(mail).collect(),
            limit: settings.limit,
            outbox,
        }
    }

    /// Begins a round: databases backed up one after the other for one reason. What could not be delivered before is tried
    /// again in the meantime.
    pub fn round<'a>(&'a self, monitor: &'a dyn Monitor) -> Round<'a> {
        self.couriers().for_each(|courier| courier.tell(monitor));
        self.people.iter().for_each(Courier::sweep);
        Round { alerts: self, monitor, begun: false, ended: Vec::new(), turns: Vec::new() }
    }

    /// Tells people of what was seen outside of any run.
    pub fn notice(&self, database: &str, text: &str, now: Timestamp, monitor: &dyn Monitor) {
        if !self.people.is_empty() {
            self.round(monitor).post(&Message::noticed(database, &self.origin, text, now));
        }
    }

    /// Tells people of a mistake in the settings, the first time that it is seen.
    pub fn notice_once(&self, text: &str, now: Timestamp, monitor: &dyn Monitor) {
        // Where nothing can be remembered, it would come again and again.
        if !self.people.is_empty() && self.outages.first_time(EVERY, &self.origin.server, text).unwrap_or(false) {
            self.notice(EVERY, text, now, monitor);
        }
    }

    /// Waits for the deliveries, but not for long.
    pub fn close(&self, monitor: &dyn Monitor) {
        let begun = Instant::now();
        let over = || begun.elapsed() >= if interrupt::raised().is_some() { self.limit.min(GRACE) } else { self.limit };
        self.couriers().for_each(Courier::close);
        self.couriers().for_each(|courier| courier.wait(&over, monitor));
    }

    fn couriers(&self) -> impl Iterator<Item = &Courier> {
        self.ping.iter().chain(&self.people)
    }
}

/// A run that changed what people think of a database, of which they have not been told yet.
struct Turned {
    record: Record,
    turn: Turn,
    outage: Outage,
    /// Before that run.
    last_success: Option<Success>,
}

/// One round of runs. One that is dropped before `finish` has not succeeded. People are told at its end: what befell many databases
/// for one reason is one message.
pub struct Round<'a> {
    alerts: &'a Alerts,
    monitor: &'a dyn Monitor,
    begun: bool,
    ended: Vec<Record>,
    turns: Vec<Turned>,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.tell_turns();
    }
}

impl Round<'_> {
    pub fn started(&mut self, record: &Record) {
        if record.task == Task::Backup && self.alerts.ping_starts && (self.alerts.ping_each || !self.begun) {
            self.ping(Event::Started, std::slice::from_ref(record));
        }
        self.begun = true;
    }

    /// One database is done with, however it went.
    pub fn ended(&mut self, record: &Record) {
        if !self.alerts.people.is_empty() {
            self.tell_people(record);
        }
        if self.alerts.ping_each {
            self.ping_end(std::slice::from_ref(record));
        } else {
            self.ended.push(record.clone());
        }
    }

    pub fn finish(self) {
        self.ping_end(&self.ended);
    }

    /// One failed database makes a failed round. One that another run is at work on says nothing, for that run will. A monitor counts
    /// on backups: that one was proven must not pass for one that was made.
    fn ping_end(&self, records: &[Record]) {
        let any = |state| records.iter().any(|record| record.state == state);
        if any(State::Failed) {
            self.ping(Event::Failed, records);
        } else if records.iter().any(|record| record.state == State::Done && record.task == Task::Backup) {
            self.ping(Event::Done, records);
        }
    }

    fn ping(&self, state: Event, records: &[Record]) {
        if let (Some(ping), Some(message)) = (&self.alerts.ping, Message::of_ping(state, records, &self.alerts.origin))
        {
            ping.post(message);
        }
    }

    fn tell_people(&mut self, record: &Record) {
        self.tell_of(record);
        // Where every database was meant and they could not even be listed, whatever succeeds is the end of that.
        if record.state == State::Done && record.database != EVERY && self.outage(EVERY, record.task).failing.is_some()
        {
            self.tell_of(&Record { database: EVERY.to_owned(), ..record.clone() });
        }
    }

    fn tell_of(&mut self, record: &Record) {
        let mut outage = self.outage(&record.database, record.task);
        let last_success = outage.last_success.clone();
        match outage.turn(record) {
            Some(turn) => self.turns.push(Turned { record: record.clone(), turn, outage, last_success }),
            None => self.remember(&self.alerts.outages, &outage),
        }
    }

    fn tell_turns(&mut self) {
        let mut reasons: Vec<(Reason, Vec<Failure>)> = Vec::new();
        let mut recovered = Vec::new();
        let mut outages = Vec::new();
        for Turned { record, turn, outage, last_success } in std::mem::take(&mut self.turns) {
            outages.push(outage);
            let reason = Reason::of(&record);
            match (turn, reasons.iter_mut().find(|(known, _)| *known == reason)) {
                (Turn::Recovered(failing), _) => recovered.push((record, failing)),
                (Turn::Failed, Some((_, failures))) => failures.push((record, last_success)),
                (Turn::Failed, None) => reasons.push((reason, vec![(record, last_success)])),
            }
        }
        let origin = &self.alerts.origin;
        let failed = reasons.iter().filter_map(|(_, failures)| together::failed(failures, origin));
        failed.chain(together::recovered(&recovered, origin)).for_each(|message| self.post(&message));
        // Only now: who is killed in between hears of it twice rather than never.
        outages.iter().for_each(|outage| self.remember(&self.alerts.outages, outage));
    }

    /// Tells people of what is no failure and needs them all the same, each of it once.
    pub fn announce(&self, record: &Record, texts: &[String]) {
        let Alerts { origin, outages, people, .. } = self.alerts;
        for text in texts.iter().filter(|_| !people.is_empty()) {
            match outages.first_time(&record.database, &origin.server, text) {
                Ok(true) => self.post(&Message::notice(record, origin, text)),
                Ok(false) => {}
                Err(error) => self.monitor.warn(&format!("nobody is told, as nothing can be remembered: {error:#}")),
            }
        }
    }

    /// Tells people that the backups of a database are overdue, which this skipped run says the reason of. Whatever else keeps them from
    /// being made is told already; their next success ends it.
    pub fn overdue(&self, record: &Record) {
        let Alerts { origin, outages, people, .. } = self.alerts;
        let mut outage = self.outage(&record.database, record.task);
        if people.is_empty() || outage.failing.is_some() {
            return;
        }
        self.post(&Message::failed(record, origin, outage.last_success.as_ref()));
        outage.failing = Some(Failing { since: record.ended.unwrap_or(record.started), failures: 0 });
        self.remember(outages, &outage);
    }

    fn remember(&self, outages: &Outages, outage: &Outage) {
        if let Err(error) = outages.save(outage) {
            self.monitor.warn(&format!("alerts may come again, as nothing can be remembered: {error:#}"));
        }
    }

    fn outage(&self, database: &str, task: Task) -> Outage {
        let Alerts { origin, outages, .. } = self.alerts;
        let turned = self.turns.iter().rev().map(|turned| &turned.outage);
        if let Some(outage) = turned.into_iter().find(|outage| outage.database == database && outage.task == task) {
            return outage.clone();
        }
        outages.load(database, &origin.server, task).unwrap_or_else(|error| {
            self.monitor.warn(&format!("what is known of earlier failures is lost: {error:#}"));
            Outage::none(database, &origin.server, task)
        })
    }

    fn post(&self, message: &Message) {
        for courier in &self.alerts.people {
            match self.alerts.outbox.put(courier.key, message) {
                Ok(()) => courier.sweep(),
                Err(error) => {
                    self.monitor.warn(&format!("an alert is sent at once or never, as it cannot be kept: {error:#}"));
                    courier.post(message.clone());
                }
            }
        }
    }
}
