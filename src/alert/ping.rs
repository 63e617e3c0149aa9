//! A monitor that wants to hear of every run, and misses those that do not come: `URL/start`, `URL`, `URL/fail`.

use super::channel::Undelivered;
use super::http::{self, Address};
use super::message::{Event, Message};
use super::trust::Trust;
use crate::manifest;
use std::time::Duration;

/// In the URL it stands for the database's name: then each has a monitor of its own.
const DATABASE: &str = "{database}";

#[derive(Debug, Clone)]
pub struct Ping {
    pub address: Address,
    pub trust: Trust,
}

impl Ping {
    pub fn host(&self) -> &str {
        self.address.host()
    }

    pub fn is_by_database(&self) -> bool {
        self.address.url().contains(DATABASE)
    }

    pub fn send(&self, message: &Message, limit: Duration) -> Result<(), Undelivered> {
        let url = url(self.address.url(), message);
        http::post(&url, "text/plain; charset=utf-8", message.text.clone(), &self.trust, limit)
    }

    pub fn reach(&self, limit: Duration) -> Result<(), Undelivered> {
        http::reach(&self.address, &self.trust, limit)
    }
}

/// What the run came to goes to the end of the path, before a query.
fn url(base: &str, message: &Message) -> String {
    let end = match message.state {
        Event::Started => "/start",
        Event::Done | Event::Recovered => "",
        Event::Failed => "/fail",
        // Noted by the monitor, without a change of what it thinks of the backups.
        Event::Notice | Event::Test => "/log",
    };
    let base = base.replace(DATABASE, &manifest::encode(&message.database));
    match base.split_once('?') {
        Some((path, query)) => format!("{}{end}?{query}", path.trim_end_matches('/')),
        None => format!("{}{end}", base.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{origin, record};
    use super::*;
    use crate::record::{Record, State};

    #[test]
    fn the_address_says_how_the_run_went() {
        let say = |base, event| url(base, &Message::of_ping(event, &[record(1, State::Done)], &origin()).unwrap());
        assert_eq!(say("https://hc.example/ab-cd", Event::Started), "https://hc.example/ab-cd/start");
        assert_eq!(say("https://hc.example/ab-cd/", Event::Done), "https://hc.example/ab-cd");
        assert_eq!(say("https://hc.example/ab-cd?create=1", Event::Failed), "https://hc.example/ab-cd/fail?create=1");
    }

    #[test]
    fn a_name_in_the_address_is_encoded() {
        let record = Record { database: "a/b?ü".to_owned(), ..record(1, State::Done) };
        let message = Message::of_ping(Event::Done, &[record], &origin()).unwrap();
        assert_eq!(url("https://hc.example/key/{database}", &message), "https://hc.example/key/a%2Fb%3F%C3%BC");
    }
}
