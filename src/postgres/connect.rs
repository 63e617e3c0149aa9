//! Connects to a server: tries every host, address and kind of transport that libpq would try, in its order.

pub(crate) mod endpoint;
pub(crate) mod errors;
pub(crate) mod keepalive;
pub(crate) mod parameters;
pub(crate) mod passfile;
pub mod preamble;
pub(crate) mod service_file;
pub mod settings;
pub(crate) mod time_limits;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod variables;

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::worker::Worker;
use crate::postgres::session::cell::cell;
use endpoint::Endpoint;
use errors::ConnectionTarget;
use keepalive::CONNECT_TIMEOUT;
use parameters::variable;
use passfile::PassfileAnswer;
use postgres::config::{ChannelBinding, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config, SimpleQueryMessage};
use postgres_openssl::MakeTlsConnector;
use preamble::InitialSession;
use settings::ConnectionSettings;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::net::IpAddr;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tls::TlsMode;
use transport::{Connector, Transport};

/// Longest wait for a server while clearing up after a signal, which leaves little time.
const CLEARING: Duration = Duration::from_secs(3);

/// A connection on which the preamble has run.
pub(crate) struct OpenConnection {
    pub client: Client,
    /// The one server and address that was reached.
    pub endpoint: Endpoint,
    pub before: InitialSession,
}

fn connect(settings: &ConnectionSettings, application: &str) -> Result<OpenConnection> {
    by(&ConnectPlan::of(settings, application)?)
}

/// Connects although a signal may have arrived already, and waits for each address for at most three seconds.
fn connect_to_clear_up(settings: &ConnectionSettings, application: &str) -> Result<OpenConnection> {
    let plan = ConnectPlan::of(settings, application)?;
    let limit = plan.limit.map_or(CLEARING, |limit| limit.min(CLEARING));
    by(&ConnectPlan { limit: Some(limit), regardless: true, ..plan })
}

fn by(plan: &ConnectPlan<'_>) -> Result<OpenConnection> {
    let settings = plan.settings;
    supported(settings)?;
    let mut faults = Vec::new();
    for wanted in wanted(settings)? {
        for endpoint in places(settings)? {
            match plan.visit(&endpoint, wanted)? {
                EndpointResult::Open(opened) => return Ok(*opened),
                EndpointResult::Refused(fault) => return Err(merge(faults, Some(fault)).into()),
                EndpointResult::Next(mut failed) => faults.append(&mut failed),
            }
        }
    }
    Err(merge(faults, None).into())
}

/// Refuses settings that pgbk's own connection cannot honour: to go on without them would be less safe than was asked for.
fn supported(settings: &ConnectionSettings) -> Result<()> {
    let parameters = &settings.parameters;
    let refuse = |keyword: &str, instead: &str| {
        let value = parameters.get(keyword).unwrap_or_default();
        Err(Fault::usage(format!("{}={value} is more than pgbk's own connection can do", variable(keyword)))
            .hint(instead)
            .into())
    };
    match parameters {
        _ if parameters.get("gssencmode") == Some("require") => refuse("gssencmode", "use TLS: PGSSLMODE=verify-full"),
        _ if parameters.get("sslcertmode") == Some("require") => refuse("sslcertmode", "use PGSSLCERTMODE=allow"),
        _ if parameters.get("require_auth").is_some() => {
            refuse("require_auth", "unset it, and use PGSSLMODE=verify-full or PGCHANNELBINDING=require")
        }
        _ if parameters.get("requirepeer").is_some() => {
            refuse("requirepeer", "unset it, and protect the socket's directory")
        }
        _ => Ok(()),
    }
}

/// Returns the kind of session that each pass over the list of hosts accepts.
fn wanted(settings: &ConnectionSettings) -> Result<Vec<&'static str>> {
    let words = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];
    Ok(match settings.parameters.word("target_session_attrs", &words)? {
        "prefer-standby" => vec!["standby", "any"],
        word => vec![word],
    })
}

fn places(settings: &ConnectionSettings) -> Result<Vec<Endpoint>> {
    let mut endpoints = settings.endpoints()?;
    if settings.parameters.word("load_balance_hosts", &["disable", "random"])? == "random" {
        let state = RandomState::new();
        endpoints.sort_by_cached_key(|endpoint| state.hash_one(endpoint.to_string()));
    }
    Ok(endpoints)
}

enum EndpointResult {
    Open(Box<OpenConnection>),
    /// The server was reached and refused: no other host is tried.
    Refused(Fault),
    Next(Vec<Fault>),
}

struct ConnectPlan<'a> {
    settings: &'a ConnectionSettings,
    config: Config,
    mode: TlsMode,
    tls: MakeTlsConnector,
    direct: bool,
    limit: Option<Duration>,
    /// Whether to go on after a signal.
    regardless: bool,
}

impl ConnectPlan<'_> {
    fn of<'a>(settings: &'a ConnectionSettings, application: &str) -> Result<ConnectPlan<'a>> {
        let parameters = &settings.parameters;
        let seconds = parameters.number("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT);
        Ok(ConnectPlan {
            settings,
            config: config(settings, application)?,
            mode: tls::mode(parameters)?,
            tls: tls::connector(parameters, settings.home())?,
            direct: tls::is_direct(parameters)?,
            // libpq takes 1 for 2, because its clock is coarse.
            limit: (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.max(2)))),
            regardless: false,
        })
    }

    fn visit(&self, endpoint: &Endpoint, wanted: &str) -> Result<EndpointResult> {
        let mut failed = Vec::new();
        let addresses = match addresses(endpoint) {
            Ok(addresses) => addresses,
            Err(fault) => return Ok(EndpointResult::Next(vec![fault])),
        };
        for address in addresses {
            let pinned = Endpoint { address, ..endpoint.clone() };
            match self.reach(&pinned)? {
                Ok((mut client, before)) => match unfit(&mut client, &before, wanted) {
                    Ok(None) => {
                        return Ok(EndpointResult::Open(Box::new(OpenConnection { client, endpoint: pinned, before })));
                    }
                    Ok(Some(what)) => failed.push(Fault::failed(format!("{pinned} {what}"))),
                    Err(error) => failed.push(self.fault(&pinned, &ConnectFailure::Server(error))),
                },
                Err(failures) => {
                    let last = failures.iter().any(ConnectFailure::is_final);
                    let fault = merge(failures.iter().map(|failure| self.fault(&pinned, failure)).collect(), None);
                    if last {
                        return Ok(EndpointResult::Refused(fault));
                    }
                    failed.push(fault);
                }
            }
        }
        Ok(EndpointResult::Next(failed))
    }

    /// Connects to one address, with or without TLS as the mode says. The outer error is a signal.
    fn reach(&self, endpoint: &Endpoint) -> Result<std::result::Result<(Client, InitialSession), Vec<ConnectFailure>>> {
        let transports: &[Transport] = match self.mode {
            _ if endpoint.socket().is_some() => &[Transport::Plain],
            TlsMode::Disable => &[Transport::Plain],
            TlsMode::Allow => &[Transport::Plain, Transport::Tls],
            TlsMode::Prefer => &[Transport::Prefer, Transport::Plain],
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => &[Transport::Tls],
        };
        let mut failures = Vec::new();
        for transport in transports {
            match self.open(endpoint, *transport)? {
                Ok(reached) => return Ok(Ok(reached)),
                Err(failure) => {
                    let other = failure.is_about_transport();
                    failures.push(failure);
                    if !other {
                        break;
                    }
                }
            }
        }
        Ok(Err(failures))
    }

    fn open(
        &self,
        endpoint: &Endpoint,
        transport: Transport,
    ) -> Result<std::result::Result<(Client, InitialSession), ConnectFailure>> {
        let mut config = self.config.clone();
        config.host(&endpoint.host).port(endpoint.port);
        match endpoint.socket() {
            Some(_) => drop(config.ssl_mode(SslMode::Disable)),
            None => Connector::take_over(&mut config),
        }
        if let Some(address) = endpoint.address {
            config.hostaddr(address);
        }
        if let PassfileAnswer::Password(password) = self.settings.password(endpoint) {
            config.password(password.reveal());
        }
        // The limit is for the whole way in, not for the first packet only; and a signal must end the wait.
        let (tls, direct) = (self.tls.clone(), self.direct);
        let taken = Arc::new(AtomicBool::new(false));
        let connector = Connector { tls, transport, direct, at: endpoint.to_string(), taken: Arc::clone(&taken) };
        let connecting = Worker::begin(move || time_limits::open(&config, &connector));
        let begun = Instant::now();
        loop {
            if let Some(connected) = connecting.within(cancel::TICK)? {
                return Ok(connected.map_err(ConnectFailure::Server));
            }
            if !self.regardless {
                cancel::check()?;
            }
            if let Some(limit) = self.limit.filter(|limit| begun.elapsed() >= *limit) {
                return Ok(Err(match taken.load(Ordering::Relaxed) {
                    true => ConnectFailure::Mute(limit),
                    false => ConnectFailure::Silent(limit),
                }));
            }
        }
    }

    fn fault(&self, endpoint: &Endpoint, failure: &ConnectFailure) -> Fault {
        let ConnectionSettings { named, .. } = self.settings;
        let (database, user) = (self.settings.database(), self.settings.user());
        let place = ConnectionTarget { at: endpoint.to_string(), database, user, named };
        match failure {
            ConnectFailure::Silent(limit) => errors::silent(&place, *limit),
            ConnectFailure::Mute(limit) => errors::mute(&place, *limit),
            ConnectFailure::Server(error) => {
                let ignored = match self.settings.password(endpoint) {
                    PassfileAnswer::Ignored(why) => Some(why),
                    PassfileAnswer::Password(_) | PassfileAnswer::Nothing => None,
                };
                errors::fault(&place, error, ignored)
            }
        }
    }
}

enum ConnectFailure {
    Server(postgres::Error),
    /// The host did not accept the connection within the time limit.
    Silent(Duration),
    /// The host accepted the connection, but did not answer as a server within the time limit.
    Mute(Duration),
}

impl ConnectFailure {
    /// Returns whether the same server may accept the other transport.
    fn is_about_transport(&self) -> bool {
        let ConnectFailure::Server(error) = self else { return false };
        let refused = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        refused || errors::is_tls(error)
    }

    /// Returns whether no other host is tried. Like libpq, pgbk tries the next one only if the server is not there or not ready.
    fn is_final(&self) -> bool {
        let ConnectFailure::Server(error) = self else { return false };
        error.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW)
    }
}

fn config(settings: &ConnectionSettings, application: &str) -> Result<Config> {
    let parameters = &settings.parameters;
    let mut config = Config::new();
    config.user(settings.user()).dbname(settings.database());
    config.application_name(parameters.get("application_name").unwrap_or(application));
    if let Some(options) = parameters.get("options") {
        config.options(options);
    }
    config.channel_binding(match parameters.word("channel_binding", &["prefer", "disable", "require"])? {
        "disable" => ChannelBinding::Disable,
        "require" => ChannelBinding::Require,
        _ => ChannelBinding::Prefer,
    });
    keepalive::set(&mut config, parameters)?;
    config.notice_callback(|_| {});
    Ok(config)
}

/// Returns every address of a host; for a socket the one entry `None`.
fn addresses(endpoint: &Endpoint) -> std::result::Result<Vec<Option<IpAddr>>, Fault> {
    if endpoint.socket().is_some() || endpoint.address.is_some() {
        return Ok(vec![endpoint.address]);
    }
    let found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs();
    let found = found.map_err(|error| errors::unknown_host(&endpoint.host, &error))?;
    Ok(found.map(|address| Some(address.ip())).collect())
}

/// Returns why the session is not of the wanted kind; `None` where it is.
fn unfit(
    client: &mut Client,
    before: &InitialSession,
    wanted: &str,
) -> std::result::Result<Option<&'static str>, postgres::Error> {
    Ok(match wanted {
        "read-write" => before.read_only.then_some("does not accept writes"),
        "read-only" => (!before.read_only).then_some("is not read-only"),
        "primary" => in_recovery(client)?.then_some("is a standby"),
        "standby" => (!in_recovery(client)?).then_some("is not a standby"),
        _ => None,
    })
}

fn in_recovery(client: &mut Client) -> std::result::Result<bool, postgres::Error> {
    let messages = client.simple_query("SELECT pg_catalog.pg_is_in_recovery()")?;
    Ok(messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(row) if cell(row, 0) == Some("t"))))
}

/// Merges the faults of all attempts into one. Its kind and hint are those of the last fault, which was decisive.
fn merge(mut faults: Vec<Fault>, last: Option<Fault>) -> Fault {
    faults.extend(last);
    let Some(last) = faults.pop() else { return Fault::failed("no server to connect to") };
    let mut before: Vec<String> = Vec::new();
    for fault in faults {
        let text = fault.to_string();
        if !before.contains(&text) && text != last.to_string() {
            before.push(text);
        }
    }
    errors::after(before, last)
}

impl ConnectionSettings {
    /// Connects to the first server that answers and fits. The error lists what was tried and what to change.
    pub fn connect(&self, application: &str) -> Result<postgres::Client> {
        connect(self, application).map(|opened| opened.client)
    }

    /// Connects, and returns the connection with the settings of this one server. A list of hosts, or a name with several
    /// addresses, might lead a second connection to another one.
    pub fn connect_pinned(&self, application: &str) -> Result<(postgres::Client, ConnectionSettings)> {
        let opened = self.open(application)?;
        let settings = self.at(&opened.endpoint);
        Ok((opened.client, settings))
    }

    /// Connects, and returns the connection with the server's address and the state of the session before the preamble.
    pub(crate) fn open(&self, application: &str) -> Result<OpenConnection> {
        connect(self, application)
    }

    /// Connects for clearing up, also after a signal: waits for each address for at most three seconds.
    pub(crate) fn connect_to_clear_up(&self, application: &str) -> Result<postgres::Client> {
        connect_to_clear_up(self, application).map(|opened| opened.client)
    }

    /// Returns a closure that asks the server to cancel the statement of this connection. A failure of it is ignored.
    pub(crate) fn canceller(&self, client: &postgres::Client) -> Result<impl FnOnce() + Send + 'static + use<>> {
        let tls = tls::connector(&self.parameters, self.home())?;
        let transport = match tls::mode(&self.parameters)? {
            TlsMode::Disable | TlsMode::Allow => Transport::Plain,
            TlsMode::Prefer => Transport::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => Transport::Tls,
        };
        let (direct, taken) = (tls::is_direct(&self.parameters)?, Arc::default());
        let connector = Connector { tls, transport, direct, at: self.describe(), taken };
        let token = client.cancel_token();
        Ok(move || {
            // A server that does not hear it cannot be told otherwise.
            let _ = token.cancel_query(connector);
        })
    }
}
