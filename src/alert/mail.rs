//! A mail to people, through an SMTP server.

use super::channel::Undelivered;
use super::message::Message;
use super::trust::Trust;
use crate::error::{Fault, Result};
use crate::secret::Secret;
use crate::shown::word;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::Tls;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Category;
use lettre::{Address, SmtpTransport, Transport};
use std::io::{self, ErrorKind};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Mail {
    pub server: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<Login>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// Before every subject.
    pub prefix: String,
    pub trust: Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain at first; a server that does not offer TLS is refused.
    StartTls,
    /// TLS from the first byte.
    Tls,
    None,
}

#[derive(Debug, Clone)]
pub struct Login {
    pub user: String,
    pub password: Secret,
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
        format!("{}:{}", self.server, self.port)
    }

    pub fn send(&self, message: &Message, limit: Duration) -> std::result::Result<(), Undelivered> {
        let mail = self.compose(message).map_err(|error| Undelivered::lasting(error.to_string()))?.formatted();
        let transport = self.transport(&message.host, limit).map_err(|error| undelivered(&error))?;
        let send = |to: &[Mailbox]| {
            let to = to.iter().map(|mailbox| mailbox.email.clone()).collect();
            transport.send_raw(&Envelope::new(Some(self.from.email.clone()), to)?, &mail)?;
            Ok::<(), anyhow::Error>(())
        };
        let Err(error) = send(&self.to) else { return Ok(()) };
        let Some(error) = error.downcast_ref::<Error>() else { return Err(Undelivered::lasting(error.to_string())) };
        // A recipient who has gone must not keep it from the others.
        let refused = error.status().is_some_and(|code| code.category == Category::MailSystem);
        let each = || self.to.iter().filter(|one| send(std::slice::from_ref(one)).is_ok()).count();
        if refused && self.to.len() > 1 && each() > 0 { Ok(()) } else { Err(undelivered(error)) }
    }

    /// As far as the login.
    pub fn reach(&self, host: &str, limit: Duration) -> std::result::Result<(), Undelivered> {
        match self.transport(host, limit).and_then(|transport| transport.test_connection()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Undelivered::passing("the server has closed the connection")),
            Err(error) => Err(undelivered(&error)),
        }
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

    fn transport(&self, host: &str, limit: Duration) -> std::result::Result<SmtpTransport, Error> {
        let tls = match self.security {
            Security::StartTls => Tls::Required(self.trust.for_smtp(&self.server)?),
            Security::Tls => Tls::Wrapper(self.trust.for_smtp(&self.server)?),
            Security::None => Tls::None,
        };
        // "Dangerous" is only that it leaves TLS to whoever calls it.
        let builder = SmtpTransport::builder_dangerous(&self.server)
            .port(self.port)
            .tls(tls)
            .hello_name(ClientId::Domain(domain(host)))
            .timeout(Some(limit));
        Ok(match &self.login {
            Some(login) => {
                builder.credentials(Credentials::new(login.user.clone(), login.password.reveal().to_owned()))
            }
            None => builder,
        }
        .build())
    }
}

/// A host's name as mail servers accept one.
fn domain(host: &str) -> String {
    let name: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn undelivered(error: &Error) -> Undelivered {
    if timed_out(error) {
        return Undelivered::passing("it did not answer in time");
    }
    let lasting = error.is_permanent() || error.is_client();
    Undelivered { why: word(&error.to_string()).into_owned(), passing: !lasting }
}

/// The kernel calls a read that took too long one that would block.
fn timed_out(error: &Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let late = [ErrorKind::TimedOut, ErrorKind::WouldBlock];
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|error| late.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{origin, record};
    use super::*;
    use crate::record::{Record, State};
    use proptest::prelude::*;

    fn mail(prefix: &str) -> Mail {
        Mail {
            server: "localhost".to_owned(),
            port: 25,
            security: Security::None,
            login: None,
            from: mailbox("MAIL_FROM", "pgbk <pgbk@example.org>").unwrap(),
            to: recipients("MAIL_TO", "a@example.org, B <b@example.org>").unwrap(),
            prefix: prefix.to_owned(),
            trust: Trust::default(),
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
