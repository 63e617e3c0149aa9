//! Connects where a role or a database sets a time limit so short that it ends the preamble itself. Further attempts lift the
//! limits in the first packet, whose options take precedence over the settings of roles and databases. Not every connection does
//! so: pools refuse a first packet with options.

use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::errors::code;
use crate::postgres::connect::preamble::{self, InitialSession, LIMITS};
use crate::postgres::connect::transport::Connector;
use crate::postgres::connect::transport::gauge::MessageExcess;
use crate::postgres::connect::transport::last_word::LastWord;
use postgres::error::{Error, SqlState};
use tokio_postgres::Config;

/// SQLSTATEs with which a time limit ends a statement or a session.
const ENDED: [&str; 4] = ["57014", "25P03", "25P04", "57P05"];

/// Connects and runs the preamble; again, with the limits lifted, if a time limit ended it.
pub(crate) fn open<D: Driver>(
    driver: &D,
    config: &Config,
    connector: &Connector,
) -> Result<(D::Session, InitialSession), Error> {
    let hurried = match begin(driver, config, connector) {
        Ok(Err(error)) if is_hurried(&error) => error,
        // The limit holds before the server lets anybody in, too.
        Err(error) if is_limit(&error) => error,
        begun => return begun?,
    };
    // A server refuses a limit that it does not know: the newer ones are left out one by one.
    for known in (1..=LIMITS.len()).rev() {
        match begin(driver, &lifted(config, known), connector) {
            Ok(begun) => return begun,
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {}
            Err(error) => return Err(error),
        }
    }
    Err(hurried)
}

/// Connects and runs the preamble once; the inner error is the preamble's.
fn begin<D: Driver>(
    driver: &D,
    config: &Config,
    connector: &Connector,
) -> Result<Result<(D::Session, InitialSession), Error>, Error> {
    let mut session = driver.connect(config, connector)?;
    let sent = preamble::send(|text| D::simple_query(&mut session, text), config.get_options());
    Ok(sent.map(|before| (session, before)))
}

/// Returns whether a limit may have ended it. A pool between pgbk and the server may close the connection without the reason.
fn is_hurried(error: &Error) -> bool {
    is_limit(error) || error.code().is_none() && LastWord::of(error).is_none() && MessageExcess::of(error).is_none()
}

fn is_limit(error: &Error) -> bool {
    code(error).is_some_and(|code| ENDED.contains(&code))
}

fn lifted(config: &Config, known: usize) -> Config {
    let given = config.get_options().map(str::to_owned);
    let limits = LIMITS[..known].iter().map(|(name, _)| format!("-c {name}=0"));
    let mut config = config.clone();
    config.options(given.into_iter().chain(limits).collect::<Vec<_>>().join(" "));
    config
}
