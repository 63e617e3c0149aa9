//! Sends a mail with a check of each recipient by itself: one whom the server refuses does not cost the others the mail.

use crate::alerts::delivery::{DeliveryFailure, RecipientRefusal};
use crate::alerts::smtp::failure::MailFailure;
use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};

pub(crate) struct Letter<'a> {
    pub from: &'a Address,
    pub to: Vec<&'a Address>,
    /// Returns the mail itself, with every address in it if the argument is true, else with those of plain ASCII only.
    pub text: &'a dyn Fn(bool) -> Result<Vec<u8>, lettre::error::Error>,
}

impl Letter<'_> {
    /// Sends the mail. Returns the recipients whom the server refuses; if that is all of them, the mail itself was not sent.
    pub(crate) async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
    ) -> Result<Vec<RecipientRefusal>, MailFailure> {
        let beyond = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        let speakable = |to: &&Address| beyond || (is_plain(self.from) && is_plain(to));
        let (to, others): (Vec<&Address>, Vec<&Address>) = self.to.iter().copied().partition(speakable);
        let mut refused: Vec<RecipientRefusal> = others.into_iter().map(unspeakable).collect();
        if to.is_empty() {
            return Ok(refused);
        }
        let text = (self.text)(beyond)?;
        let parameters = match is_plain(self.from) && text.is_ascii() {
            true => Vec::new(),
            false => vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)],
        };
        connection.command(Mail::new(Some(self.from.clone()), parameters)).await?;
        for address in to {
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await.map_err(MailFailure::from) {
                Ok(_) => {}
                Err(failure) if failure.is_refusal() => {
                    refused.push(RecipientRefusal { address: address.to_string(), undelivered: failure.undelivered() });
                }
                Err(failure) => return Err(failure),
            }
        }
        if refused.len() < self.to.len() {
            connection.command(Data).await?;
            connection.message(&text).await?;
        }
        Ok(refused)
    }
}

fn is_plain(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

fn unspeakable(address: &Address) -> RecipientRefusal {
    let why = "the server takes no address beyond ASCII (SMTPUTF8), of sender or recipient";
    RecipientRefusal { address: address.to_string(), undelivered: DeliveryFailure::lasting(why) }
}
