//! The ways to tell, seen alike.

use super::{Mail, Message, Origin, Ping, Webhook};
use std::time::Duration;

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

    /// Tries once. No step of it takes longer than the limit.
    pub fn send(&self, message: &Message, limit: Duration) -> Result<(), Undelivered> {
        match self {
            Channel::Ping(ping) => ping.send(message, limit),
            Channel::Webhook(webhook) => webhook.send(message, limit),
            Channel::Mail(mail) => mail.send(message, limit),
        }
    }

    /// Goes as far as one can without telling anybody anything.
    pub fn reach(&self, origin: &Origin, limit: Duration) -> Result<(), Undelivered> {
        match self {
            Channel::Ping(ping) => ping.reach(limit),
            Channel::Webhook(webhook) => webhook.reach(limit),
            Channel::Mail(mail) => mail.reach(&origin.host, limit),
        }
    }
}
