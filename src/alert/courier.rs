//! One channel's thread: tries, tries again, and gives up until the next run.

use super::channel::{Channel, Undelivered};
use super::message::Message;
use super::outbox::Outbox;
use crate::interrupt::TICK;
use crate::monitor::Monitor;
use std::cell::RefCell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Pauses between tries; after the last one there is one more try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

pub struct Courier {
    pub key: &'static str,
    name: String,
    /// None once it is closed.
    jobs: RefCell<Option<Sender<Job>>>,
    remarks: Receiver<Remark>,
}

enum Job {
    /// Sent now or never.
    Now(Box<Message>),
    /// Whatever the outbox holds.
    Kept,
}

enum Remark {
    Sent(String),
    NotSent(String),
}

/// What the thread works with.
struct Work {
    channel: Channel,
    outbox: Outbox,
    limit: Duration,
    remarks: Sender<Remark>,
}

impl Courier {
    pub fn start(to: Channel, outbox: &Outbox, limit: Duration) -> Courier {
        let (jobs, orders) = channel();
        let (say, remarks) = channel();
        let (key, name) = (to.key(), to.describe());
        let work = Work { channel: to, outbox: outbox.clone(), limit, remarks: say.clone() };
        // Whatever becomes of the thread, it must not hold up the exit: it is never joined.
        if let Err(error) = thread::Builder::new().name(key.to_owned()).spawn(move || work.on(&orders)) {
            say.send(Remark::NotSent(format!("no {name}: cannot start a thread: {error}"))).ok();
        }
        Courier { key, name, jobs: RefCell::new(Some(jobs)), remarks }
    }

    pub fn post(&self, message: Message) {
        self.order(Job::Now(Box::new(message)));
    }

    pub fn sweep(&self) {
        self.order(Job::Kept);
    }

    fn order(&self, job: Job) {
        if let Some(jobs) = self.jobs.borrow().as_ref() {
            // Without a thread there is nobody to take it, which has been told.
            jobs.send(job).ok();
        }
    }

    /// What has come of it so far.
    pub fn tell(&self, monitor: &dyn Monitor) {
        self.remarks.try_iter().for_each(|remark| remark.tell(monitor));
    }

    /// No more jobs: the thread ends when it has done those that it has.
    pub fn close(&self) {
        self.jobs.take();
    }

    /// Until the thread has ended or it is over.
    pub fn wait(&self, over: &dyn Fn() -> bool, monitor: &dyn Monitor) {
        loop {
            match self.remarks.recv_timeout(TICK) {
                Ok(remark) => remark.tell(monitor),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if over() => {
                    let next = later(self.key);
                    return monitor.warn(&format!("{} takes too long and is not waited for{next}", self.name));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Remark {
    fn tell(self, monitor: &dyn Monitor) {
        match self {
            Remark::Sent(text) => monitor.note(&text),
            Remark::NotSent(text) => monitor.warn(&text),
        }
    }
}

impl Work {
    fn on(self, orders: &Receiver<Job>) {
        for job in orders {
            match job {
                Job::Now(message) => {
                    if let Err(undelivered) = self.deliver(&message) {
                        self.not_sent(&undelivered.why, "");
                    }
                }
                Job::Kept => self.sweep(),
            }
        }
    }

    /// In order. A receiver that one message cannot reach is not bothered with the others.
    fn sweep(&self) {
        for path in self.outbox.waiting(self.channel.key()) {
            let Some(claim) = self.outbox.claim(&path) else { continue };
            match self.deliver(&claim.message) {
                Err(undelivered) => return self.not_sent(&undelivered.why, later(self.channel.key())),
                Ok(()) => {
                    if let Err(error) = claim.delivered() {
                        self.not_sent(&format!("sent, but cannot forget it: {error:#}"), "");
                    }
                }
            }
        }
    }

    /// Sends it in short where it is refused for ever as it is: a few words that arrive are worth more than all that do not.
    fn deliver(&self, message: &Message) -> Result<(), Undelivered> {
        match self.insist(message) {
            Err(undelivered) if undelivered.shorter && !undelivered.passing => {
                let short = message.short();
                if short == *message { Err(undelivered) } else { self.insist(&short) }
            }
            done => done,
        }
    }

    fn insist(&self, message: &Message) -> Result<(), Undelivered> {
        let begun = Instant::now();
        let mut pauses = PAUSES.iter();
        loop {
            // So that three tries and the pauses fit in even where the receiver hangs.
            match self.channel.send(message, (self.limit / 4).max(Duration::from_secs(1))) {
                Ok(()) => {
                    self.remarks.send(Remark::Sent(format!("{}: sent", self.channel.describe()))).ok();
                    return Ok(());
                }
                Err(undelivered) if !undelivered.passing || begun.elapsed() >= self.limit => return Err(undelivered),
                Err(undelivered) => match pauses.next() {
                    Some(pause) => thread::sleep(*pause),
                    None => return Err(undelivered),
                },
            }
        }
    }

    fn not_sent(&self, why: &str, next: &str) {
        self.remarks.send(Remark::NotSent(format!("no {}: {why}{next}", self.channel.describe()))).ok();
    }
}

/// A ping tells of its own run only.
fn later(key: &str) -> &'static str {
    if key == "ping" { "" } else { "; the alert is kept and sent with the next run" }
}
