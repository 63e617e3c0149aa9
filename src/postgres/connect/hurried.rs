//! Sessions whose role or database leaves them too little time to be told anything: a limit of a millisecond ends the preamble itself.
//! They are begun anew with the limits lifted in the first packet, which comes before the settings of roles and databases. That is no way
//! for every connection: pools refuse a first packet with options.

use crate::postgres::connect::preamble::{self, Before, LIMITS};
use crate::postgres::connect::transport::Connector;
use crate::postgres::connect::transport::gauge::Excess;
use postgres::error::{Error, SqlState};
use postgres::{Client, Config};

/// How a limit ends a statement or a session, as SQLSTATE.
const ENDED: [&str; 4] = ["57014", "25P03", "25P04", "57P05"];

/// Connects and tells the session what it needs to know.
pub(crate) fn open(config: &Config, connector: &Connector) -> Result<(Client, Before), Error> {
    let hurried = match begin(config, connector) {
        Ok(Err(error)) if is_hurried(&error) => error,
        // The limit holds before the server lets anybody in, too.
        Err(error) if is_limit(&error) => error,
        begun => return begun?,
    };
    // A server refuses a limit that it does not know: the newer ones are left out one by one.
    for known in (1..=LIMITS.len()).rev() {
        match begin(&lifted(config, known), connector) {
            Ok(begun) => return begun,
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {}
            Err(error) => return Err(error),
        }
    }
    Err(hurried)
}

/// Connects; the inner error is that of the preamble.
fn begin(config: &Config, connector: &Connector) -> Result<Result<(Client, Before), Error>, Error> {
    let mut client = config.connect(connector.clone())?;
    Ok(preamble::send(&mut client, config.get_options()).map(|before| (client, before)))
}

/// Whether a limit may have ended it. A session that is ended between two statements may be gone before it says why.
fn is_hurried(error: &Error) -> bool {
    is_limit(error) || error.code().is_none() && Excess::of(error).is_none()
}

fn is_limit(error: &Error) -> bool {
    error.code().is_some_and(|code| ENDED.contains(&code.code()))
}

fn lifted(config: &Config, known: usize) -> Config {
    let given = config.get_options().map(str::to_owned);
    let limits = LIMITS[..known].iter().map(|(name, _)| format!("-c {name}=0"));
    let mut config = config.clone();
    config.options(&given.into_iter().chain(limits).collect::<Vec<_>>().join(" "));
    config
}
