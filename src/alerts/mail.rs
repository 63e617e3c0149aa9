//! Sends a mail to people through an SMTP server.

pub use lettre::message::Mailbox;

use crate::alerts::delivery::{Delivery, DeliveryFailure, DeliveryLimits, RecipientRefusal};
use crate::alerts::message::AlertMessage;
use crate::alerts::smtp::MailServer;
use crate::alerts::smtp::letter::Letter;
use crate::base::error::{Fault, Result};
use crate::base::shown::word;
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};

#[derive(Debug, Clone)]
pub struct Mail {
    pub server: MailServer,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// Put before every subject.
    pub prefix: String,
}

/// Parses a list of addresses with commas. One that is no address is an error: if it were left out, nobody would notice.
pub(crate) fn recipients(variable: &str, text: &str) -> Result<Vec<Mailbox>> {
    text.split(',').map(|part| mailbox(variable, part)).collect()
}

/// Parses `ops@example.org` or `Operations <ops@example.org>`.
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

    /// Sends the message to all but the `settled` recipients, in one conversation. An error means that no recipient has it, except
    /// those `settled` before.
    pub fn send(
        &self,
        message: &AlertMessage,
        settled: &[String],
        patience: &DeliveryLimits,
    ) -> std::result::Result<Delivery, DeliveryFailure> {
        let to: Vec<&Address> = self.to.iter().map(|one| &one.email).collect();
        let to: Vec<&Address> = to.into_iter().filter(|one| !settled.contains(&one.to_string())).collect();
        // Whoever is left has been taken out of the settings since.
        if to.is_empty() {
            return Ok(Delivery::default());
        }
        let text = |beyond_ascii| Ok(self.compose(message, beyond_ascii)?.formatted());
        let letter = Letter { from: &self.from.email, to, text: &text };
        let sent = self.server.send(&domain(&message.host), &letter, patience);
        let refused = sent.map_err(|failure| failure.undelivered())?;
        let is_refused = |one: &String| refused.iter().any(|refusal| refusal.address == *one);
        let by: Vec<String> = letter.to.iter().map(ToString::to_string).filter(|one| !is_refused(one)).collect();
        if by.is_empty() && settled.is_empty() {
            return Err(nobody(&refused));
        }
        Ok(Delivery { by, refused })
    }

    /// Connects and logs in, but sends nothing.
    pub fn reach(&self, host: &str, patience: &DeliveryLimits) -> std::result::Result<(), DeliveryFailure> {
        self.server.reach(&domain(host), patience).map_err(|failure| failure.undelivered())
    }

    /// Composes the mail; `beyond_ascii` includes addresses that only some servers take.
    fn compose(
        &self,
        message: &AlertMessage,
        beyond_ascii: bool,
    ) -> std::result::Result<lettre::Message, lettre::error::Error> {
        // The same message has the same id however often it is sent, so that one that came twice can be seen as one.
        let id = format!("<{}@{}>", message.id(), domain(&message.host));
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(word(&format!("{}{}", self.prefix, message.subject)))
            .date(message.time.into())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN);
        for mailbox in self.to.iter().filter(|one| beyond_ascii || one.email.to_string().is_ascii()) {
            mail = mail.to(mailbox.clone());
        }
        let mut mail = mail.body(message.text.clone())?;
        // No answers by machines.
        let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(auto, "auto-generated".to_owned()));
        Ok(mail)
    }
}

/// Returns the reason when the server accepts no recipient. With a single recipient it is the server's own text.
fn nobody(refused: &[RecipientRefusal]) -> DeliveryFailure {
    let why = match refused {
        [alone] => alone.undelivered.why.clone(),
        several => RecipientRefusal::told(several),
    };
    let any = |is: fn(&DeliveryFailure) -> bool| refused.iter().any(|one| is(&one.undelivered));
    DeliveryFailure { why, passing: any(|one| one.passing), shorter: any(|one| one.shorter) }
}

/// Returns the host's name in a form that mail servers accept.
fn domain(host: &str) -> String {
    let name: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::{origin, record};
    use crate::alerts::smtp::Security;
    use crate::alerts::tls_roots::TlsRoots;
    use crate::format::run_record::{Record, RunState};
    use proptest::prelude::*;

    fn mail(prefix: &str) -> Mail {
        Mail {
            server: MailServer {
                host: "localhost".to_owned(),
                port: 25,
                security: Security::None,
                login: None,
                trust: TlsRoots::default(),
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
            let record = Record { database: name.into(), ..record(1, RunState::Failed) };
            let text = mail("[prod] ").compose(&AlertMessage::failed(&record, &origin(), None), true).unwrap().formatted();
            let text = String::from_utf8(text).unwrap();
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            let names: Vec<&str> =
                head.split("\r\n").filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
            let expected = ["From", "Subject", "Date", "Message-ID", "Content-Type", "To", "Auto-Submitted"];
            prop_assert!(names.iter().all(|name| expected.contains(name) || *name == "Content-Transfer-Encoding"), "{head}");
        }
    }
}
