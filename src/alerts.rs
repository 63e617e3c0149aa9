//! Alerts people to failed backups: once when they begin to fail and once when they work again, whatever starts the runs.
//!
//! An alert never holds up a run for longer than a fixed time, and never makes it fail. Every channel has a thread of its own; a
//! message for people is written to disk before it is sent, and removed when it has arrived.

pub(crate) mod batch;
pub(crate) mod capture_outage;
pub(crate) mod channel;
pub mod delivery;
pub(crate) mod http;
pub mod mail;
pub mod message;
pub(crate) mod outage;
pub(crate) mod ping;
pub(crate) mod queue;
pub(crate) mod sender;
pub mod smtp;
pub(crate) mod storage_errors;
pub mod tls_roots;
pub(crate) mod truncate;
pub(crate) mod webhook;

use crate::base::cancel;
use crate::base::databases::Selection;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::format::run_record::{Record, RunState, Task};
use batch::{FailedRun, Reason};
use channel::Channel;
use jiff::Timestamp;
use mail::Mail;
use message::AlertEvent;
use message::{AlertMessage, AlertOrigin};
use outage::{FailureStreak, LastSuccess, Outage, Outages, Transition};
use ping::Ping;
use queue::Queue;
use sender::Sender;
use std::time::{Duration, Instant};
use webhook::Webhook;

/// Longest wait for deliveries after a signal. A message that has not arrived by then is sent with the next run.
const GRACE: Duration = Duration::from_secs(5);

/// The checked settings of alerts.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    pub ping: Option<Ping>,
    pub webhook: Option<Webhook>,
    pub mail: Option<Mail>,
    pub origin: AlertOrigin,
    /// Keeps outages and messages that have not arrived.
    pub state: StateDir,
    /// How long the end of a run waits for deliveries.
    pub limit: Duration,
}

impl AlertSettings {
    pub fn channels(&self) -> Vec<Channel> {
        let ping = self.ping.clone().map(Channel::Ping);
        let webhook = self.webhook.clone().map(Channel::Webhook);
        [ping, webhook, self.mail.clone().map(Channel::Mail)].into_iter().flatten().collect()
    }

    /// Returns the same settings without any channel, so that nothing is sent.
    pub fn silent(self) -> AlertSettings {
        AlertSettings { ping: None, webhook: None, mail: None, ..self }
    }

    pub fn queue(&self) -> Queue {
        Queue::new(self.state.clone())
    }

    /// Checks that what alerts remember can be written.
    pub fn try_memory(&self) -> Result<()> {
        let file = self.state.trial();
        storage_errors::write(&file, b"")?;
        Ok(file.remove()?)
    }
}

/// The running channels. They live as long as the process.
pub struct Alerts {
    origin: AlertOrigin,
    outages: Outages,
    queue: Queue,
    ping: Option<Sender>,
    ping_each: bool,
    ping_starts: bool,
    people: Vec<Sender>,
    limit: Duration,
}

impl Alerts {
    /// Starts the channels' threads. Touches neither network nor disk.
    pub fn open(settings: &AlertSettings) -> Alerts {
        let queue = settings.queue();
        let start = |channel| Sender::start(channel, &queue, settings.limit);
        let webhook = settings.webhook.clone().map(|webhook| start(Channel::Webhook(webhook)));
        let mail = settings.mail.clone().map(|mail| start(Channel::Mail(mail)));
        Alerts {
            origin: settings.origin.clone(),
            outages: Outages::new(settings.state.clone()),
            ping_each: settings.ping.as_ref().is_some_and(Ping::is_by_database),
            ping_starts: settings.ping.as_ref().is_some_and(Ping::hears_of_starts),
            ping: settings.ping.clone().map(|ping| start(Channel::Ping(ping))),
            people: webhook.into_iter().chain(mail).collect(),
            limit: settings.limit,
            queue,
        }
    }

    /// Begins a round: the runs of several databases, one after the other, with one trigger. In the meantime, messages that could not be
    /// delivered before are tried again.
    pub fn round<'a>(&'a self, monitor: &'a dyn Monitor) -> Batch<'a> {
        self.senders().for_each(|sender| sender.tell(monitor));
        self.people.iter().for_each(Sender::sweep);
        Batch { alerts: self, monitor, begun: false, ended: Vec::new(), turns: Vec::new() }
    }

    /// Alerts people to something that was noticed outside of any run.
    pub fn notice(&self, selection: &Selection, text: &str, now: Timestamp, monitor: &dyn Monitor) {
        if !self.people.is_empty() {
            self.round(monitor).post(&AlertMessage::noticed(selection, &self.origin, text, now));
        }
    }

    /// Alerts people to a mistake in the settings, the first time that it is seen.
    pub fn notice_once(&self, text: &str, now: Timestamp, monitor: &dyn Monitor) {
        // Where nothing can be remembered, it would come again and again.
        if !self.people.is_empty()
            && self.outages.first_time(&Selection::Every, &self.origin.server, text).unwrap_or(false)
        {
            self.notice(&Selection::Every, text, now, monitor);
        }
    }

    /// Ends the channels and waits for their deliveries, but only as long as the limit allows. Nothing can be sent afterwards.
    pub fn close(&self, monitor: &dyn Monitor) {
        let begun = Instant::now();
        let over = || begun.elapsed() >= if cancel::raised().is_some() { self.limit.min(GRACE) } else { self.limit };
        self.senders().for_each(Sender::close);
        self.senders().for_each(|sender| sender.wait(&over, monitor));
    }

    fn senders(&self) -> impl Iterator<Item = &Sender> {
        self.ping.iter().chain(&self.people)
    }
}

/// A run that changed the state of a database, of which people have not been alerted yet.
struct PendingAlert {
    record: Record,
    turn: Transition,
    outage: Outage,
    /// The last success before that run.
    last_success: Option<LastSuccess>,
}

/// One round of runs. One that is dropped before `finish` sends no ping for the whole round. People are alerted at its end: what
/// happened to many databases for one reason is one message.
pub struct Batch<'a> {
    alerts: &'a Alerts,
    monitor: &'a dyn Monitor,
    begun: bool,
    ended: Vec<Record>,
    turns: Vec<PendingAlert>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.tell_turns();
    }
}

impl Batch<'_> {
    pub fn started(&mut self, record: &Record) {
        if record.task == Task::Backup && self.alerts.ping_starts && (self.alerts.ping_each || !self.begun) {
            self.ping(AlertEvent::Started, std::slice::from_ref(record));
        }
        self.begun = true;
    }

    /// Takes the record of one database that is done with, however it went.
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

    /// Pings for the round. One failed database makes a failed round. A skipped one sends nothing, because the run that holds the
    /// lock will. A restore test that succeeded sends nothing either: a monitor counts on backups.
    fn ping_end(&self, records: &[Record]) {
        let any = |state| records.iter().any(|record| record.state == state);
        if any(RunState::Failed) {
            self.ping(AlertEvent::Failed, records);
        } else if records.iter().any(|record| record.state == RunState::Done && record.task == Task::Backup) {
            self.ping(AlertEvent::Done, records);
        }
    }

    fn ping(&self, state: AlertEvent, records: &[Record]) {
        if let (Some(ping), Some(message)) =
            (&self.alerts.ping, AlertMessage::of_ping(state, records, &self.alerts.origin))
        {
            ping.post(message);
        }
    }

    fn tell_people(&mut self, record: &Record) {
        self.tell_of(record);
        // Where every database was meant and they could not even be listed, whatever succeeds is the end of that.
        if record.state == RunState::Done
            && record.database != Selection::Every
            && self.outage(&Selection::Every, record.task).failing.is_some()
        {
            self.tell_of(&Record { database: Selection::Every, ..record.clone() });
        }
    }

    fn tell_of(&mut self, record: &Record) {
        let mut outage = self.outage(&record.database, record.task);
        let last_success = outage.last_success.clone();
        match outage.turn(record) {
            Some(turn) => self.turns.push(PendingAlert { record: record.clone(), turn, outage, last_success }),
            None => self.remember(&self.alerts.outages, &outage),
        }
    }

    fn tell_turns(&mut self) {
        let mut reasons: Vec<(Reason, Vec<FailedRun>)> = Vec::new();
        let mut recovered = Vec::new();
        let mut outages = Vec::new();
        for PendingAlert { record, turn, outage, last_success } in std::mem::take(&mut self.turns) {
            outages.push(outage);
            let reason = Reason::of(&record);
            match (turn, reasons.iter_mut().find(|(known, _)| *known == reason)) {
                (Transition::Recovered(failing), _) => recovered.push((record, failing)),
                (Transition::Failed, Some((_, failures))) => failures.push((record, last_success)),
                (Transition::Failed, None) => reasons.push((reason, vec![(record, last_success)])),
            }
        }
        let origin = &self.alerts.origin;
        let failed = reasons.iter().filter_map(|(_, failures)| batch::failed(failures, origin));
        failed.chain(batch::recovered(&recovered, origin)).for_each(|message| self.post(&message));
        // Only now: who is killed in between hears of it twice rather than never.
        outages.iter().for_each(|outage| self.remember(&self.alerts.outages, outage));
    }

    /// Sends each text as a notice to people, once: nothing failed, but they should know.
    pub fn announce(&self, record: &Record, texts: &[String]) {
        let Alerts { origin, outages, people, .. } = self.alerts;
        for text in texts.iter().filter(|_| !people.is_empty()) {
            match outages.first_time(&record.database, &origin.server, text) {
                Ok(true) => self.post(&AlertMessage::notice(record, origin, text)),
                Ok(false) => {}
                Err(error) => self.monitor.warn(&format!("nobody is told, as nothing can be remembered: {error:#}")),
            }
        }
    }

    /// Alerts people that the backups of a database are overdue; `record` is the skipped run that gives the reason. Does nothing if
    /// the database fails already, because that has been reported. The next success ends it.
    pub fn overdue(&self, record: &Record) {
        let Alerts { origin, outages, people, .. } = self.alerts;
        let mut outage = self.outage(&record.database, record.task);
        if people.is_empty() || outage.failing.is_some() {
            return;
        }
        self.post(&AlertMessage::failed(record, origin, outage.last_success.as_ref()));
        outage.failing = Some(FailureStreak { since: record.ended.unwrap_or(record.started), failures: 0 });
        self.remember(outages, &outage);
    }

    fn remember(&self, outages: &Outages, outage: &Outage) {
        if let Err(error) = outages.save(outage) {
            self.monitor.warn(&format!("alerts may come again, as nothing can be remembered: {error:#}"));
        }
    }

    fn outage(&self, selection: &Selection, task: Task) -> Outage {
        let Alerts { origin, outages, .. } = self.alerts;
        let turned = self.turns.iter().rev().map(|turned| &turned.outage);
        if let Some(outage) = turned.into_iter().find(|outage| outage.database == *selection && outage.task == task) {
            return outage.clone();
        }
        outages.load(selection, &origin.server, task).unwrap_or_else(|error| {
            self.monitor.warn(&format!("what is known of earlier failures is lost: {error:#}"));
            Outage::none(selection, &origin.server, task)
        })
    }

    fn post(&self, message: &AlertMessage) {
        for sender in &self.alerts.people {
            match self.alerts.queue.put(sender.key, message) {
                Ok(()) => sender.sweep(),
                Err(error) => {
                    self.monitor.warn(&format!("an alert is sent at once or never, as it cannot be kept: {error:#}"));
                    sender.post(message.clone());
                }
            }
        }
    }
}
