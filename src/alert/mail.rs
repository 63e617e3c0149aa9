//! A mail to people, through an SMTP server.

use super::channel::Undelivered;
use super::message::Message;
use super::smtp::Server;
use crate::error::{Fault, Result};
use crate::shown::word;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Mail {
    pub server: Server,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// Before every subject.
    pub prefix: String,
}

/// A list with commas. Every part of it must be an address: of one that was silently left out nobody would ever know.
pub fn recipients(variable: &str, text: &str) -> Result<Vec<Mailbox>> {
    text.split(',').map(|part| mailbox(variable, part)).collect()
}

/// `ops@example.org` or `Operations <ops@example.org>`.
pub fn mailbox(variable: &str, text: &str) -> Result<Mailbox> {
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => (Some(name.trim().trim_matches('"').to_owned()), address),
        None => (None, text),
    };
    let address: Option<Address> = address.trim().parse().ok();
    let (Some(address), false) = (address, text.contains(char::is_control)) else {
        return Err(Fault::usage(format!("{variable}: \"{}\" is no mail address", text.escape_debug()))
            .hint("an address looks like ops@example.org, several have commas between them")
            .into());
    };
    Ok(Mailbox::new(name.filter(|name| !name.is_empty()), address))
}

impl Mail {
    pub fn host(&self) -> String {
        format!("{}:{}", self.server.host, self.server.port)
    }

    pub fn send(&self, message: &Message, limit: Duration) -> std::result::Result<(), Undelivered> {
        let mail = self.compose(message).map_err(|error| Undelivered::lasting(error.to_string()))?.formatted();
        let own = domain(&message.host);
        let send = |to: &[Mailbox]| {
            let to = to.iter().map(|mailbox| mailbox.email.clone()).collect();
            let envelope = Envelope::new(Some(self.from.email.clone()), to)?;
            Ok::<_, lettre::error::Error>(self.server.send(&own, &envelope, &mail, limit))
        };
        let whole = send(&self.to).map_err(|error| Undelivered::lasting(error.to_string()))?;
        let Err(failure) = whole else { return Ok(()) };
        // A recipient who has gone must not keep it from the others.
        let each = || self.to.iter().filter(|one| matches!(send(std::slice::from_ref(one)), Ok(Ok(())))).count();
        if failure.is_refusal() && self.to.len() > 1 && each() > 0 { Ok(()) } else { Err(failure.undelivered()) }
    }

    /// As far as the login.
    pub fn reach(&self, host: &str, limit: Duration) -> std::result::Result<(), Undelivered> {
        self.server.reach(&domain(host), limit).map_err(|failure| failure.undelivered())
    }

    fn compose(&self, message: &Message) -> std::result::Result<lettre::Message, lettre::error::Error> {
        // The same message has the same id however often it is sent, so that one that came twice can be seen as one.
        let id = format!("<{}@{}>", message.id(), domain(&message.host));
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(word(&format!("{}{}", self.prefix, message.subject)))
            .date(message.time.into())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN);
        for mailbox in &self.to {
            mail = mail.to(mailbox.clone());
        }
        let mut mail = mail.body(message.text.clone())?;
        // No answers by machines.
        let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(auto, "auto-generated".to_owned()));
        Ok(mail)
    }
}

/// A host's name as mail servers accept one.
fn domain(host: &str) -> String {
    let name: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{origin, record};
    use super::super::smtp::Security;
    use super::super::trust::Trust;
    use super::*;
    use crate::record::{Record, State};
    use proptest::prelude::*;

    fn mail(prefix: &str) -> Mail {
        Mail {
            server: Server {
                host: "localhost".to_owned(),
                port: 25,
                security: Security::None,
                login: None,
                trust: Trust::default(),
            },
            from: mailbox("MAIL_FROM", "pgbk <pgbk@example.org>").unwrap(),
            to: recipients("MAIL_TO", "a@example.org, B <b@example.org>").unwrap(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn every_recipient_is_an_address_and_none_is_left_out() {
        let to = recipients("MAIL_TO", "a@example.org,Bea <b@example.org>").unwrap();
        assert_eq!(to.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a@example.org", "Bea <b@example.org>"]);
        for wrong in
            ["", "a@example.org,", "a@example.org b@example.org", "a@example.org; b@example.org", "a", "A <a@b.c> x"]
        {
            assert!(recipients("MAIL_TO", wrong).is_err(), "{wrong}");
        }
        assert!(mailbox("MAIL_FROM", "A\r\nBcc: x@y.z <a@example.org>").is_err());
    }

    proptest! {
        #[test]
        fn no_name_of_a_database_adds_a_header(name in "(\\PC|[\r\n:]|\r\nBcc: a@b.c){0,30}") {
            let record = Record { database: name, ..record(1, State::Failed) };
            let text = mail("[prod] ").compose(&Message::failed(&record, &origin(), None)).unwrap().formatted();
            let text = String::from_utf8(text).unwrap();
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> =
                head.split("\r\n").filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
            let expected = ["From", "Subject", "Date", "Message-ID", "Content-Type", "To", "Auto-Submitted"];
            prop_assert!(names.iter().all(|name| expected.contains(name) || *name == "Content-Transfer-Encoding"), "{head}");
        }
    }
}
