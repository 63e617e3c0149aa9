//! The ways to tell, seen alike.

use super::{Mail, Message, Origin, Ping, Webhook};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub enum Channel {
    Ping(Ping),
    Webhook(Webhook),
    Mail(Mail),
}

/// Why a message has not arrived.
#[derive(Debug)]
pub struct Undelivered {
    /// Holds no secret.
    pub why: String,
    /// The same again may well succeed.
    pub passing: bool,
    /// It may have been too long.
    pub shorter: bool,
}

impl Undelivered {
    pub fn passing(why: impl Into<String>) -> Undelivered {
        Undelivered { why: why.into(), passing: true, shorter: false }
    }

    pub fn lasting(why: impl Into<String>) -> Undelivered {
        Undelivered { why: why.into(), passing: false, shorter: false }
    }
}

/// Whom of several a message has reached. Only mail has several; for the others both are empty.
#[derive(Debug, Default)]
pub struct Taken {
    pub by: Vec<String>,
    pub refused: Vec<Refusal>,
}

/// One recipient whom the server does not take a message for, while it may for others.
#[derive(Debug)]
pub struct Refusal {
    pub address: String,
    pub undelivered: Undelivered,
}

impl Refusal {
    /// Names each of them, with the reason.
    pub fn told(refusals: &[Refusal]) -> String {
        let each = refusals.iter().map(|one| format!("{}: {}", one.address, one.undelivered.why));
        each.collect::<Vec<_>>().join("; ")
    }
}

/// How long a receiver is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For an HTTP request as a whole.
    pub request: Duration,
    /// For each answer of a mail server: many let a stranger wait before they say their first word.
    pub answer: Duration,
    /// When all of it must be over, however many answers and tries it takes.
    pub end: Instant,
}

impl Patience {
    /// For one try that begins now.
    pub fn once(limit: Duration) -> Patience {
        Patience { request: limit, answer: limit / 2, end: Instant::now() + limit }
    }

    /// For tries one after the other, of which three and the pauses between them fit in even where the receiver of a request hangs.
    pub fn repeated(limit: Duration) -> Patience {
        let least = Duration::from_secs(1);
        Patience { request: (limit / 4).max(least), answer: (limit / 2).max(least), end: Instant::now() + limit }
    }

    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

impl Channel {
    /// Part of file names.
    pub fn key(&self) -> &'static str {
        match self {
            Channel::Ping(_) => "ping",
            Channel::Webhook(_) => "webhook",
            Channel::Mail(_) => "mail",
        }
    }

    /// For messages: the host, and nothing else of an address that may be a credential.
    pub fn describe(&self) -> String {
        match self {
            Channel::Ping(ping) => format!("ping to {}", ping.host()),
            Channel::Webhook(webhook) => format!("webhook at {}", webhook.host()),
            Channel::Mail(mail) => format!("mail through {}", mail.host()),
        }
    }

    /// Returns how long a receiver that hangs is waited for: with less time than that left, another try would be cut off.
    pub fn wait(&self, patience: &Patience) -> Duration {
        match self {
            Channel::Ping(_) | Channel::Webhook(_) => patience.request,
            Channel::Mail(_) => patience.answer,
        }
    }

    /// Tries once. The `settled` recipients are left out; an error means that nobody has it.
    pub fn send(&self, message: &Message, settled: &[String], patience: &Patience) -> Result<Taken, Undelivered> {
        match self {
            Channel::Ping(ping) => ping.send(message, patience.request).map(|()| Taken::default()),
            Channel::Webhook(webhook) => webhook.send(message, patience.request).map(|()| Taken::default()),
            Channel::Mail(mail) => mail.send(message, settled, patience),
        }
    }

    /// Goes as far as one can without telling anybody anything.
    pub fn reach(&self, origin: &Origin, patience: &Patience) -> Result<(), Undelivered> {
        match self {
            Channel::Ping(ping) => ping.reach(patience.request),
            Channel::Webhook(webhook) => webhook.reach(patience.request),
            Channel::Mail(mail) => mail.reach(&origin.host, patience),
        }
    }
}
