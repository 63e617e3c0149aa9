//! Tries every address that the settings lead to, each with every kind of transport that libpq would try.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::worker::Worker;
use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::endpoint::Endpoint;
use crate::postgres::connect::errors::{self, ConnectionTarget};
use crate::postgres::connect::keepalive::{self, CONNECT_TIMEOUT};
use crate::postgres::connect::parameters::variable;
use crate::postgres::connect::passfile::PassfileAnswer;
use crate::postgres::connect::preamble::InitialSession;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::connect::time_limits;
use crate::postgres::connect::tls::{self, TlsMode, TlsSetup};
use crate::postgres::connect::transport::{Connector, Transport};
use crate::postgres::session::cell::cell;
use postgres::SimpleQueryMessage;
use postgres::config::{ChannelBinding, SslMode};
use postgres::error::SqlState;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::Config;

/// Longest wait for a server while clearing up after a signal, which leaves little time.
const CLEARING: Duration = Duration::from_secs(3);

/// A session on which the preamble has run.
pub(crate) struct OpenSession<S> {
    pub client: S,
    /// The one server and address that was reached.
    pub endpoint: Endpoint,
    pub before: InitialSession,
}

/// Connects to the first server that answers and fits.
pub(crate) fn by<D: Driver>(plan: &ConnectPlan<'_, D>) -> Result<OpenSession<D::Session>> {
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

enum EndpointResult<S> {
    Open(Box<OpenSession<S>>),
    /// The server was reached and refused: no other host is tried.
    Refused(Fault),
    Next(Vec<Fault>),
}

/// Everything that decides how each address is tried.
pub(crate) struct ConnectPlan<'a, D> {
    settings: &'a ConnectionSettings,
    driver: D,
    config: Config,
    mode: TlsMode,
    tls: TlsSetup,
    direct: bool,
    /// Longest wait for one address; `None` waits without a limit.
    limit: Option<Duration>,
    /// Whether to go on after a signal.
    regardless: bool,
}

/// A session on one address with its state before the preamble, or why there is none.
type Attempt<D, F> = std::result::Result<(<D as Driver>::Session, InitialSession), F>;

impl<'a, D: Driver> ConnectPlan<'a, D> {
    pub fn of(settings: &'a ConnectionSettings, application: &str, driver: D) -> Result<ConnectPlan<'a, D>> {
        let parameters = &settings.parameters;
        let seconds = parameters.number("connect_timeout")?.unwrap_or(CONNECT_TIMEOUT);
        Ok(ConnectPlan {
            settings,
            driver,
            config: config(settings, application)?,
            mode: tls::mode(parameters)?,
            tls: TlsSetup::of(parameters, settings.home())?,
            direct: tls::is_direct(parameters)?,
            // libpq takes 1 for 2, because its clock is coarse.
            limit: (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.max(2)))),
            regardless: false,
        })
    }

    /// Has the plan go on after a signal, and wait for each address for at most three seconds.
    pub fn for_clearing_up(mut self) -> Self {
        self.limit = Some(self.limit.map_or(CLEARING, |limit| limit.min(CLEARING)));
        self.regardless = true;
        self
    }

    fn visit(&self, endpoint: &Endpoint, wanted: &str) -> Result<EndpointResult<D::Session>> {
        let mut failed = Vec::new();
        let addresses = match addresses(endpoint) {
            Ok(addresses) => addresses,
            Err(fault) => return Ok(EndpointResult::Next(vec![fault])),
        };
        for address in addresses {
            let pinned = Endpoint { address, ..endpoint.clone() };
            match self.reach(&pinned)? {
                Ok((mut client, before)) => match unfit::<D>(&mut client, &before, wanted) {
                    Ok(None) => {
                        return Ok(EndpointResult::Open(Box::new(OpenSession { client, endpoint: pinned, before })));
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
    fn reach(&self, endpoint: &Endpoint) -> Result<Attempt<D, Vec<ConnectFailure>>> {
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

    fn open(&self, endpoint: &Endpoint, transport: Transport) -> Result<Attempt<D, ConnectFailure>> {
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
        let driver = self.driver.clone();
        let connecting = Worker::begin(move || time_limits::open(&driver, &config, &connector));
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
fn unfit<D: Driver>(
    session: &mut D::Session,
    before: &InitialSession,
    wanted: &str,
) -> std::result::Result<Option<&'static str>, postgres::Error> {
    Ok(match wanted {
        "read-write" => before.read_only.then_some("does not accept writes"),
        "read-only" => (!before.read_only).then_some("is not read-only"),
        "primary" => in_recovery::<D>(session)?.then_some("is a standby"),
        "standby" => (!in_recovery::<D>(session)?).then_some("is not a standby"),
        _ => None,
    })
}

fn in_recovery<D: Driver>(session: &mut D::Session) -> std::result::Result<bool, postgres::Error> {
    let messages = D::simple_query(session, "SELECT pg_catalog.pg_is_in_recovery()")?;
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
