//! Reads the settings of alerts: the channels and their options.

use crate::alerts::AlertSettings;
use crate::alerts::http::SecretUrl;
use crate::alerts::mail::{Mail, Mailbox, mailbox, recipients};
use crate::alerts::message::AlertOrigin;
use crate::alerts::ping::Ping;
use crate::alerts::smtp::{MailLogin, MailServer, Security};
use crate::alerts::tls_roots::TlsRoots;
use crate::alerts::webhook::{Template, Webhook};
use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::cli::settings::{AlertArgs, MailSecurity, StateArgs};
use crate::config::environment;
use crate::config::state::state_dir_or_system;

/// Holds the alert channels that are set, and the mistakes in the others. No mistake here stops a backup.
pub struct AlertChannels {
    pub settings: AlertSettings,
    pub mistakes: Vec<anyhow::Error>,
}

/// Reads the settings of alerts. `server` says whose backups they are about. Each channel is read by itself: a
/// mistake in one leaves the others.
pub fn alerts(args: &AlertArgs, state: &StateArgs, server: String) -> AlertChannels {
    let mut mistakes = Vec::new();
    let trust = args.alert_ca_file.as_ref().map(|file| TlsRoots::with(file, "ALERT_CA_FILE")).transpose();
    // Without an authority of one's own fewer receivers are trusted, and none that should not be.
    let trust = kept(trust, &mut mistakes).unwrap_or_default();
    let ping = address("PING_URL").map(|address| address.map(|address| Ping { address, trust: trust.clone() }));
    let settings = AlertSettings {
        ping: kept(ping, &mut mistakes),
        webhook: kept(webhook(&trust), &mut mistakes),
        mail: kept(mail(args, trust), &mut mistakes),
        origin: AlertOrigin { host: rustix::system::uname().nodename().to_string_lossy().into_owned(), server },
        // Where there is none, `history` has said so, and every failure is told.
        state: state_dir_or_system(state),
        limit: args.alert_timeout,
    };
    AlertChannels { settings, mistakes }
}

fn kept<T>(made: Result<Option<T>>, mistakes: &mut Vec<anyhow::Error>) -> Option<T> {
    made.unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    })
}

fn webhook(trust: &TlsRoots) -> Result<Option<Webhook>> {
    let template = environment::secret("WEBHOOK_TEMPLATE")?.as_ref().map(Template::parse).transpose()?;
    let address = address("WEBHOOK_URL")?;
    if address.is_none() && template.is_some() {
        return Err(Fault::usage("WEBHOOK_TEMPLATE is set without WEBHOOK_URL").hint("set both, or neither").into());
    }
    Ok(address.map(|address| Webhook { address, template, trust: trust.clone() }))
}

fn address(variable: &str) -> Result<Option<SecretUrl>> {
    environment::secret(variable)?.map(|url| SecretUrl::parse(variable, &url)).transpose()
}

fn mail(args: &AlertArgs, trust: TlsRoots) -> Result<Option<Mail>> {
    if !args.smtp_enabled {
        return Ok(None);
    }
    let (host, to) = match (&args.smtp_host, &args.mail_to) {
        (None, None) => return Ok(None),
        (Some(host), Some(to)) => (host.trim().to_owned(), to),
        (Some(_), None) => return Err(one_without_the_other("SMTP_HOST", "MAIL_TO")),
        (None, Some(_)) => return Err(one_without_the_other("MAIL_TO", "SMTP_HOST")),
    };
    let security = match (args.smtp_security, args.smtp_port) {
        (Some(MailSecurity::Tls), _) | (None, Some(465)) => Security::Tls,
        (Some(MailSecurity::Starttls) | None, _) => Security::StartTls,
        (Some(MailSecurity::None), _) => Security::None,
    };
    let usual = match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::None => 25,
    };
    let prefix = args.mail_subject_prefix.clone().unwrap_or_default();
    Ok(Some(Mail {
        server: MailServer { host, port: args.smtp_port.unwrap_or(usual), security, login: login(args)?, trust },
        from: sender(args)?,
        to: recipients("MAIL_TO", to)?,
        prefix: if prefix.is_empty() || prefix.ends_with(' ') { prefix } else { prefix + " " },
    }))
}

fn login(args: &AlertArgs) -> Result<Option<MailLogin>> {
    match (args.smtp_user.clone(), either("SMTP_PASSWORD", "SMTP_PASSWD")?) {
        (Some(user), Some(password)) => Ok(Some(MailLogin { user, password })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(one_without_the_other("SMTP_USER", "SMTP_PASSWORD")),
        (None, Some(_)) => Err(one_without_the_other("SMTP_PASSWORD", "SMTP_USER")),
    }
}

/// Returns the sender of mails. The default is the user who logs in, as many servers accept no other.
fn sender(args: &AlertArgs) -> Result<Mailbox> {
    if let Some(from) = &args.mail_from {
        return mailbox("MAIL_FROM", from);
    }
    if let Some(from) = environment::secret("SMTP_FROM")? {
        return mailbox("SMTP_FROM", from.reveal());
    }
    match args.smtp_user.as_deref().filter(|user| user.contains('@')) {
        Some(user) => mailbox("SMTP_USER", user),
        None => Err(one_without_the_other("MAIL_TO", "MAIL_FROM")),
    }
}

/// Returns the secret `name`, else the one that other tools call `other`. None: neither is set.
fn either(name: &str, other: &str) -> Result<Option<Secret>> {
    Ok(match environment::secret(name)? {
        Some(value) => Some(value),
        None => environment::secret(other)?,
    })
}

fn one_without_the_other(set: &str, missing: &str) -> anyhow::Error {
    Fault::usage(format!("{set} is set without {missing}")).hint(format!("set {missing}, or unset {set}")).into()
}
