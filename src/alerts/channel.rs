//! The channels of alerts, behind one interface.

use crate::alerts::delivery::{Delivery, DeliveryFailure, DeliveryLimits};
use crate::alerts::mail::Mail;
use crate::alerts::message::{AlertMessage, AlertOrigin};
use crate::alerts::ping::Ping;
use crate::alerts::webhook::Webhook;
use std::time::Duration;

#[derive(Debug, Clone)]
pub enum Channel {
    Ping(Ping),
    Webhook(Webhook),
    Mail(Mail),
}

impl Channel {
    /// Returns the channel's part of file names in the queue.
    pub fn key(&self) -> &'static str {
        match self {
            Channel::Ping(_) => "ping",
            Channel::Webhook(_) => "webhook",
            Channel::Mail(_) => "mail",
        }
    }

    /// Returns a name for messages: the host, but nothing else of an address that may be a credential.
    pub fn describe(&self) -> String {
        match self {
            Channel::Ping(ping) => format!("ping to {}", ping.host()),
            Channel::Webhook(webhook) => format!("webhook at {}", webhook.host()),
            Channel::Mail(mail) => format!("mail through {}", mail.host()),
        }
    }

    /// Returns how long a receiver that hangs is waited for. If less time than that is left, another try would be cut off.
    pub fn wait(&self, patience: &DeliveryLimits) -> Duration {
        match self {
            Channel::Ping(_) | Channel::Webhook(_) => patience.request,
            Channel::Mail(_) => patience.answer,
        }
    }

    /// Tries once, without the `settled` recipients. An error means that none of the others has it.
    pub fn send(
        &self,
        message: &AlertMessage,
        settled: &[String],
        patience: &DeliveryLimits,
    ) -> Result<Delivery, DeliveryFailure> {
        match self {
            Channel::Ping(ping) => ping.send(message, patience.request).map(|()| Delivery::default()),
            Channel::Webhook(webhook) => webhook.send(message, patience.request).map(|()| Delivery::default()),
            Channel::Mail(mail) => mail.send(message, settled, patience),
        }
    }

    /// Connects as far as is possible without sending a message.
    pub fn reach(&self, origin: &AlertOrigin, patience: &DeliveryLimits) -> Result<(), DeliveryFailure> {
        match self {
            Channel::Ping(ping) => ping.reach(patience.request),
            Channel::Webhook(webhook) => webhook.reach(patience.request),
            Channel::Mail(mail) => mail.reach(&origin.host, patience),
        }
    }
}
