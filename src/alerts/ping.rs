//! Pings a monitor of every run, which notices runs that do not come: `URL/start`, `URL`, `URL/fail`.

use crate::alerts::delivery::DeliveryFailure;
use crate::alerts::http::{self, SecretUrl};
use crate::alerts::message::{AlertEvent, AlertMessage};
use crate::alerts::tls_roots::TlsRoots;
use crate::alerts::truncate;
use crate::base::databases::Selection;
use crate::base::subject::encode;
use std::time::Duration;

/// Longest text in a query, in UTF-16 units: once it is encoded, the address must not become too long.
const LONGEST_SAID: usize = 250;

/// The placeholder of the database's name in the URL: with it each database has a monitor of its own.
const DATABASE: &str = "{database}";

#[derive(Debug, Clone)]
pub struct Ping {
    pub address: SecretUrl,
    pub trust: TlsRoots,
}

impl Ping {
    pub fn host(&self) -> &str {
        self.address.host()
    }

    pub fn is_by_database(&self) -> bool {
        self.address.url().contains(DATABASE)
    }

    /// Returns whether to ping when a run begins. Uptime Kuma knows up and down only.
    pub fn hears_of_starts(&self) -> bool {
        !is_kuma(self.address.url())
    }

    pub fn send(&self, message: &AlertMessage, limit: Duration) -> Result<(), DeliveryFailure> {
        let url = url(self.address.url(), message);
        http::post(&url, "text/plain; charset=utf-8", message.text.clone(), &self.trust, limit)
    }

    pub fn reach(&self, limit: Duration) -> Result<(), DeliveryFailure> {
        http::reach(&self.address, &self.trust, limit)
    }
}

/// Returns whether this is the address of a push monitor of Uptime Kuma: `…/api/push/TOKEN`.
fn is_kuma(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit_once('/').is_some_and(|(before, token)| before.ends_with("/api/push") && !token.is_empty())
}

/// Returns the address for Uptime Kuma, with the outcome in the query, in place of the values that a copied address has there.
fn kuma(base: &str, message: &AlertMessage) -> String {
    let (path, query) = base.split_once('?').unwrap_or((base, ""));
    let (status, said) = match message.state {
        AlertEvent::Failed => ("down", message.text.trim()),
        _ => ("up", "OK"),
    };
    let own = ["status", "msg"];
    let others = query.split('&').filter(|pair| !pair.is_empty());
    let others = others.filter(|pair| !own.contains(&pair.split('=').next().unwrap_or_default()));
    let said = encode(&truncate::middle(said, LONGEST_SAID));
    let mut url = format!("{path}?status={status}&msg={said}");
    for pair in others {
        url.push('&');
        url.push_str(pair);
    }
    url
}

/// Returns the address for this message, with the outcome at the end of the path, before a query.
fn url(base: &str, message: &AlertMessage) -> String {
    let end = match message.state {
        AlertEvent::Started => "/start",
        AlertEvent::Done | AlertEvent::Recovered => "",
        AlertEvent::Failed => "/fail",
        // Noted by the monitor, without a change of what it thinks of the backups.
        AlertEvent::Notice | AlertEvent::Test => "/log",
    };
    let kuma_like = is_kuma(base);
    let base = base.replace(DATABASE, &Selection::from(message.database.as_str()).series());
    if kuma_like {
        return kuma(&base, message);
    }
    match base.split_once('?') {
        Some((path, query)) => format!("{}{end}?{query}", path.trim_end_matches('/')),
        None => format!("{}{end}", base.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::{origin, record};
    use crate::format::run_record::{Record, RunState};

    #[test]
    fn the_address_says_how_the_run_went() {
        let say =
            |base, event| url(base, &AlertMessage::of_ping(event, &[record(1, RunState::Done)], &origin()).unwrap());
        assert_eq!(say("https://hc.example/ab-cd", AlertEvent::Started), "https://hc.example/ab-cd/start");
        assert_eq!(say("https://hc.example/ab-cd/", AlertEvent::Done), "https://hc.example/ab-cd");
        assert_eq!(
            say("https://hc.example/ab-cd?create=1", AlertEvent::Failed),
            "https://hc.example/ab-cd/fail?create=1"
        );
    }

    #[test]
    fn a_push_monitor_hears_up_and_down_in_the_query() {
        let say =
            |base, event, state| url(base, &AlertMessage::of_ping(event, &[record(1, state)], &origin()).unwrap());
        for base in [
            "https://kuma.example/api/push/TOKEN",
            "https://kuma.example/api/push/TOKEN/",
            "https://kuma.example/api/push/TOKEN?status=up&msg=OK&ping=",
            "https://example/below/api/push/TOKEN?ping=&msg=OK&status=up",
        ] {
            let (path, query) = base.split_once('?').unwrap_or((base, ""));
            let rest = if query.is_empty() { "" } else { "&ping=" };
            let done = say(base, AlertEvent::Done, RunState::Done);
            assert_eq!(done, format!("{path}?status=up&msg=OK{rest}"));
            let failed = say(base, AlertEvent::Failed, RunState::Failed);
            assert!(failed.starts_with(&format!("{path}?status=down&msg=shop%3A%20failed%3A%20")), "{failed}");
            assert!(failed.ends_with(rest) && !failed.contains([' ', '\n', '#']), "{failed}");
            assert!(is_kuma(base));
        }
        for other in
            ["https://hc.example/ab-cd", "https://x/api/push", "https://x/api/push/", "https://x/?a=/api/push/T"]
        {
            assert!(!is_kuma(other), "{other}");
        }
    }

    #[test]
    fn a_name_in_the_address_is_encoded() {
        let record = Record { database: "a/b?ü".into(), ..record(1, RunState::Done) };
        let message = AlertMessage::of_ping(AlertEvent::Done, &[record], &origin()).unwrap();
        assert_eq!(url("https://hc.example/key/{database}", &message), "https://hc.example/key/a%2Fb%3F%C3%BC");
    }
}
