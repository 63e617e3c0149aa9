//! One address that a connection may be made to.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::parameters::variable;
use std::fmt;
use std::net::IpAddr;

/// A host and port where the server may be, with the one address that is meant, if it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Name, address or socket directory, as it was given.
    pub host: String,
    pub address: Option<IpAddr>,
    pub port: u16,
}

impl Endpoint {
    /// Returns the socket folder; `None` if the server is reached by TCP.
    pub fn socket(&self) -> Option<&str> {
        (self.address.is_none() && self.host.starts_with('/')).then_some(self.host.as_str())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoint { host, port, .. } = self;
        match (self.socket(), host.contains(':')) {
            (Some(directory), _) => write!(f, "socket {directory}/.s.PGSQL.{port}"),
            (None, true) => write!(f, "[{host}]:{port}"),
            (None, false) => write!(f, "{host}:{port}"),
        }
    }
}

pub fn port(text: &str) -> Result<u16> {
    match text {
        "" => Ok(5432),
        _ => match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(Fault::usage(format!("PGPORT is \"{text}\", which is no port")).into()),
        },
    }
}

pub fn address(text: &str) -> Result<IpAddr> {
    let bad = || Fault::usage(format!("{} is \"{text}\", which is no address", variable("hostaddr")));
    text.parse().map_err(|_| bad().into())
}
