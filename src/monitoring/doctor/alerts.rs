//! Checks whether those who should hear of a failed backup can be reached.

use crate::alerts::AlertSettings;
use crate::alerts::channel::Channel;
use crate::alerts::delivery::{DeliveryLimits, RecipientRefusal};
use crate::alerts::message::AlertMessage;
use crate::base::shown::{agree, many};
use crate::monitoring::doctor::DoctorFinding;
use jiff::Timestamp;

/// Returns a finding for each alert channel. With `test`, each channel gets a test message.
pub fn look_at_alerts(settings: &AlertSettings, test: Option<Timestamp>) -> Vec<DoctorFinding> {
    let channels = settings.channels();
    if channels.is_empty() {
        let remedy = "set WEBHOOK_URL, PING_URL, or SMTP_HOST and MAIL_TO";
        let nobody = "none: nobody is told when a backup fails";
        let finding = if test.is_some() { DoctorFinding::fail } else { DoctorFinding::note };
        return vec![finding("alerts", nobody, remedy)];
    }
    let test = test.map(|now| AlertMessage::test(&settings.origin, now));
    let mut findings: Vec<DoctorFinding> =
        channels.iter().map(|channel| look_at(channel, test.as_ref(), settings)).collect();
    if settings.webhook.is_some() || settings.mail.is_some() {
        findings.push(memory(settings, &channels));
    }
    findings
}

fn look_at(channel: &Channel, test: Option<&AlertMessage>, settings: &AlertSettings) -> DoctorFinding {
    let (what, patience) = (channel.describe(), DeliveryLimits::once(settings.limit));
    let Some(message) = test else {
        return match channel.reach(&settings.origin, &patience) {
            Ok(()) => DoctorFinding::ok(&what, "can be reached; --test-alerts sends a message"),
            Err(undelivered) => DoctorFinding::fail(&what, undelivered.why, remedy(channel)),
        };
    };
    match channel.send(message, &[], &patience) {
        Ok(taken) if taken.refused.is_empty() => DoctorFinding::ok(&what, "has taken the test message"),
        Ok(taken) => {
            let text = format!("has taken the test message, but not for {}", RecipientRefusal::told(&taken.refused));
            DoctorFinding::fail(&what, text, "check MAIL_TO, or ask whoever runs the mail server")
        }
        Err(undelivered) => DoctorFinding::fail(&what, undelivered.why, remedy(channel)),
    }
}

fn remedy(channel: &Channel) -> &'static str {
    match channel {
        Channel::Ping(_) => "check PING_URL, and ALERT_CA_FILE where its certificate is your own",
        Channel::Webhook(_) => {
            "check WEBHOOK_URL, WEBHOOK_TEMPLATE, and ALERT_CA_FILE where its certificate is your own"
        }
        Channel::Mail(_) => "check the SMTP_ and MAIL_ variables, and ALERT_CA_FILE where its certificate is your own",
    }
}

/// Checks the memory of alerts. Without it every failure is sent, and no recovery.
fn memory(settings: &AlertSettings, channels: &[Channel]) -> DoctorFinding {
    let what = "alert memory";
    let waiting: usize = channels.iter().map(|channel| settings.queue().waiting(channel.key()).len()).sum();
    match settings.try_memory() {
        Err(error) => {
            DoctorFinding::error(what, &error, "set STATE_DIR to a directory that pgbk may write to, and keep it")
        }
        Ok(()) if waiting > 0 => DoctorFinding::note(
            what,
            format!("{} {} not arrived yet", many(waiting, "alert"), agree(&waiting, "has", "have")),
            "they are sent with the next backup, once their receiver answers",
        ),
        Ok(()) => DoctorFinding::ok(what, settings.state.alerts().to_string()),
    }
}
