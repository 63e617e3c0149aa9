//! The reasons why a conversation with a mail server failed.

use crate::alerts::delivery::DeliveryFailure;
use crate::alerts::smtp::mail_stream::AnswerExcess;
use crate::base::shown::word;
use lettre::transport::smtp;
use std::io::{self, ErrorKind};
use std::iter::successors;
use tokio_native_tls::native_tls;

#[derive(Debug)]
pub(crate) enum MailFailure {
    /// The server refused, gave no valid answer, or does not take a mail of this kind.
    Answer(smtp::Error),
    Line(io::Error),
    Tls(native_tls::Error),
    /// The mail could not be written.
    Mail(lettre::error::Error),
}

impl MailFailure {
    /// Returns whether the server refuses what it was asked but goes on with the conversation.
    pub fn is_refusal(&self) -> bool {
        const CLOSING: u16 = 421;
        matches!(self, MailFailure::Answer(error) if error.status().is_some_and(|code| u16::from(code) != CLOSING))
    }

    pub fn undelivered(&self) -> DeliveryFailure {
        let of_line = match self {
            MailFailure::Answer(error) => of_line(error),
            MailFailure::Line(error) => of_line(error),
            MailFailure::Tls(error) => of_line(error),
            MailFailure::Mail(_) => None,
        };
        if let Some(why) = of_line {
            return DeliveryFailure::passing(why);
        }
        match self {
            MailFailure::Answer(error) if error.is_permanent() || error.is_client() => {
                DeliveryFailure { shorter: is_too_long(error), ..DeliveryFailure::lasting(word(&error.to_string())) }
            }
            MailFailure::Answer(error) => DeliveryFailure::passing(word(&error.to_string())),
            MailFailure::Line(error) => DeliveryFailure::passing(error.to_string()),
            MailFailure::Tls(error) => DeliveryFailure::passing(format!("TLS: {error}")),
            MailFailure::Mail(error) => DeliveryFailure::lasting(error.to_string()),
        }
    }
}

/// Returns whether the server says that the mail is too large, for a mailbox or for itself.
fn is_too_long(error: &smtp::Error) -> bool {
    error.status().is_some_and(|code| ["552", "523"].contains(&code.to_string().as_str()))
}

/// Returns why the connection failed, if such an error is at any depth below this one. `None`: there is none.
fn of_line(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut errors =
        successors(Some(error), |error| error.source()).filter_map(|error| error.downcast_ref::<io::Error>());
    errors.find_map(|error| match error.get_ref() {
        _ if error.kind() == ErrorKind::TimedOut => Some("it did not answer in time".to_owned()),
        cause => cause?.downcast_ref().map(AnswerExcess::to_string),
    })
}

impl From<smtp::Error> for MailFailure {
    fn from(error: smtp::Error) -> MailFailure {
        MailFailure::Answer(error)
    }
}

impl From<io::Error> for MailFailure {
    fn from(error: io::Error) -> MailFailure {
        MailFailure::Line(error)
    }
}

impl From<native_tls::Error> for MailFailure {
    fn from(error: native_tls::Error) -> MailFailure {
        MailFailure::Tls(error)
    }
}

impl From<lettre::error::Error> for MailFailure {
    fn from(error: lettre::error::Error) -> MailFailure {
        MailFailure::Mail(error)
    }
}
