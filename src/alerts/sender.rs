//! The thread of one channel: tries, tries again, and gives up until the next run.

use crate::alerts::channel::Channel;
use crate::alerts::delivery::{Delivery, DeliveryFailure, DeliveryLimits, RecipientRefusal};
use crate::alerts::message::AlertMessage;
use crate::alerts::queue::{ClaimedMessage, Queue};
use crate::base::cancel::TICK;
use crate::base::progress::Monitor;
use std::cell::RefCell;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Pauses between tries; after the last one there is one more try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

pub struct Sender {
    pub key: &'static str,
    name: String,
    /// `None` once it is closed.
    jobs: RefCell<Option<mpsc::Sender<SenderJob>>>,
    remarks: Receiver<DeliveryRemark>,
}

enum SenderJob {
    /// Sends this message now or never.
    Now(Box<AlertMessage>),
    /// Sends all messages in the queue.
    Kept,
}

enum DeliveryRemark {
    Sent(String),
    NotSent(String),
}

/// The state of the thread.
struct SenderThread {
    channel: Channel,
    queue: Queue,
    limit: Duration,
    remarks: mpsc::Sender<DeliveryRemark>,
}

impl Sender {
    pub fn start(to: Channel, queue: &Queue, limit: Duration) -> Sender {
        let (jobs, orders) = channel();
        let (say, remarks) = channel();
        let (key, name) = (to.key(), to.describe());
        let work = SenderThread { channel: to, queue: queue.clone(), limit, remarks: say.clone() };
        // Whatever becomes of the thread, it must not hold up the exit: it is never joined.
        if let Err(error) = thread::Builder::new().name(key.to_owned()).spawn(move || work.on(&orders)) {
            say.send(DeliveryRemark::NotSent(format!("no {name}: cannot start a thread: {error}"))).ok();
        }
        Sender { key, name, jobs: RefCell::new(Some(jobs)), remarks }
    }

    pub fn post(&self, message: AlertMessage) {
        self.order(SenderJob::Now(Box::new(message)));
    }

    pub fn sweep(&self) {
        self.order(SenderJob::Kept);
    }

    fn order(&self, job: SenderJob) {
        if let Some(jobs) = self.jobs.borrow().as_ref() {
            // Without a thread there is nobody to take it, which has been told.
            jobs.send(job).ok();
        }
    }

    /// Passes the results so far to the monitor.
    pub fn tell(&self, monitor: &dyn Monitor) {
        self.remarks.try_iter().for_each(|remark| remark.tell(monitor));
    }

    /// Accepts no more jobs. The thread ends after those that it has.
    pub fn close(&self) {
        self.jobs.take();
    }

    /// Waits until the thread has ended or `over` returns true, and passes the results to the monitor.
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

impl DeliveryRemark {
    fn tell(self, monitor: &dyn Monitor) {
        match self {
            DeliveryRemark::Sent(text) => monitor.note(&text),
            DeliveryRemark::NotSent(text) => monitor.warn(&text),
        }
    }
}

impl SenderThread {
    fn on(self, orders: &Receiver<SenderJob>) {
        for job in orders {
            match job {
                SenderJob::Now(message) => {
                    if let Some(why) = missed(self.deliver(&message, &mut Vec::new())) {
                        self.not_sent(&why, "");
                    }
                }
                SenderJob::Kept => self.sweep(),
            }
        }
    }

    /// Sends the messages in the queue, in order. After one that does not reach the receiver the others are not tried. Messages
    /// that only some recipients still lack come last, so that they delay no others.
    fn sweep(&self) {
        let mut in_part = Vec::new();
        for path in self.queue.waiting(self.channel.key()) {
            let Some(claim) = self.queue.claim(&path) else { continue };
            if !claim.settled.is_empty() {
                in_part.push(path);
            } else if !self.deliver_kept(claim) {
                return;
            }
        }
        for claim in in_part.iter().filter_map(|path| self.queue.claim(path)) {
            if !self.deliver_kept(claim) {
                return;
            }
        }
    }

    /// Returns whether the receiver accepted the message, for some recipients at least.
    fn deliver_kept(&self, mut claim: ClaimedMessage) -> bool {
        let before = claim.settled.len();
        let delivered = self.deliver(&claim.message, &mut claim.settled);
        let took = delivered.is_ok();
        let noted = match missed(delivered) {
            None => claim.delivered(),
            Some(why) => {
                self.not_sent(&why, later(self.channel.key()));
                if claim.settled.len() > before { claim.keep() } else { Ok(()) }
            }
        };
        if let Err(error) = noted {
            self.not_sent(&format!("sent, but cannot forget it: {error:#}"), "");
        }
        took
    }

    /// Sends the message, and a short form of it if it is refused for good and may have been too long: a few words that arrive are
    /// worth more than all that do not.
    fn deliver(
        &self,
        message: &AlertMessage,
        settled: &mut Vec<String>,
    ) -> Result<Vec<RecipientRefusal>, DeliveryFailure> {
        match self.insist(message, settled) {
            Err(undelivered) if undelivered.shorter && !undelivered.passing => {
                let short = message.short();
                if short == *message {
                    return Err(undelivered);
                }
                self.insist(&short, settled).map_err(|again| DeliveryFailure {
                    why: format!("{}, to the alert and to a short form of it", again.why),
                    ..again
                })
            }
            done => done,
        }
    }

    /// Tries several times. Adds to `settled` the recipients who have it now and those who will never be tried again. Returns those
    /// whom the server puts off; an error means that the others were not reached.
    fn insist(
        &self,
        message: &AlertMessage,
        settled: &mut Vec<String>,
    ) -> Result<Vec<RecipientRefusal>, DeliveryFailure> {
        let patience = DeliveryLimits::repeated(self.limit);
        let mut pauses = PAUSES.iter();
        loop {
            let sent = self.channel.send(message, settled, &patience);
            // There are servers that take a mail for a few recipients at a time.
            if sent.as_ref().is_ok_and(|taken| !taken.by.is_empty()) {
                pauses = PAUSES.iter();
            }
            let outcome = sent.map(|taken| self.settle(taken, settled));
            match &outcome {
                Ok(put_off) if put_off.is_empty() => {
                    self.remarks.send(DeliveryRemark::Sent(format!("{}: sent", self.channel.describe()))).ok();
                    return outcome;
                }
                Err(undelivered) if !undelivered.passing => return outcome,
                _ => match pauses.next() {
                    Some(pause) if *pause + self.channel.wait(&patience) <= patience.left() => thread::sleep(*pause),
                    _ => return outcome,
                },
            }
        }
    }

    /// Moves recipients to `settled`, and returns those whom the server puts off.
    fn settle(&self, taken: Delivery, settled: &mut Vec<String>) -> Vec<RecipientRefusal> {
        let (put_off, refused): (Vec<_>, Vec<_>) = taken.refused.into_iter().partition(|one| one.undelivered.passing);
        if !refused.is_empty() {
            self.not_sent(&RecipientRefusal::told(&refused), "; it is not tried again");
        }
        settled.extend(taken.by.into_iter().chain(refused.into_iter().map(|one| one.address)));
        put_off
    }

    fn not_sent(&self, why: &str, next: &str) {
        self.remarks.send(DeliveryRemark::NotSent(format!("no {}: {why}{next}", self.channel.describe()))).ok();
    }
}

/// Returns why it has not arrived everywhere. `None`: it has.
fn missed(delivered: Result<Vec<RecipientRefusal>, DeliveryFailure>) -> Option<String> {
    match delivered {
        Ok(put_off) if put_off.is_empty() => None,
        Ok(put_off) => Some(RecipientRefusal::told(&put_off)),
        Err(undelivered) => Some(undelivered.why),
    }
}

/// Returns the end of a message that says what happens next. A ping is about its own run only and is not kept.
fn later(key: &str) -> &'static str {
    if key == "ping" { "" } else { "; the alert is kept and sent with the next run" }
}
