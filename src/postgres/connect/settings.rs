//! Resolves where the server is and how to log in, by libpq's rules.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::base::shown::many;
use crate::postgres::connect::endpoint::Endpoint;
use crate::postgres::connect::endpoint::{address, port};
use crate::postgres::connect::parameters::Parameters;
use crate::postgres::connect::passfile::{self, PassfileAnswer, PassfileLogin};
use crate::postgres::connect::variables::Variables;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Holds the values of pgbk's own flags and variables. They take precedence over everything that libpq would find by itself.
#[derive(Debug, Clone, Default)]
pub struct ConnectionOverrides {
    /// A name, an address, a socket directory, or a list of these.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Prefix of the variables that these values come from; `None` means `DB`.
    pub named: Option<&'static str>,
}

/// Holds everything about a connection that is decided before the first packet.
#[derive(Clone)]
pub struct ConnectionSettings {
    pub(crate) parameters: Parameters,
    password: Option<Secret>,
    home: Option<PathBuf>,
    /// Prefix of pgbk's own variables for this server, for messages.
    pub(crate) named: &'static str,
    /// Variables that children need and that have nothing to do with PostgreSQL.
    inherited: Vec<(String, OsString)>,
}

const SOCKETS: &[&str] = &["/var/run/postgresql", "/tmp"];

impl ConnectionSettings {
    /// Resolves the settings in this order: `given`, then the service, then the `PG*` variables, then libpq's defaults.
    pub fn resolve(given: ConnectionOverrides, environment: Variables) -> Result<ConnectionSettings> {
        let mut parameters = Parameters::default();
        if let Some(host) = given.host {
            parameters.set("host", host);
            // Else a PGHOSTADDR meant for another server would win over the host that was asked for.
            parameters.set("hostaddr", "");
        }
        if let Some(port) = given.port {
            parameters.set("port", port.to_string());
        }
        if let Some(user) = given.user {
            parameters.set("user", user);
        }
        let mut parameters = parameters.complete(environment)?;
        let found = parameters.take("password").filter(|password| !password.is_empty()).map(Secret::new);
        if parameters.get("user").is_none() {
            parameters.set("user", account(environment)?);
        }
        let home = environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let inherited = inherited(environment);
        let settings = ConnectionSettings {
            parameters,
            password: given.password.or(found),
            home,
            named: given.named.unwrap_or("DB"),
            inherited,
        };
        settings.endpoints()?;
        Ok(settings)
    }

    pub fn for_database(&self, name: &str) -> ConnectionSettings {
        let mut settings = self.clone();
        settings.parameters.set("dbname", name);
        settings
    }

    /// Returns the database; the user's name if none is set.
    pub fn database(&self) -> &str {
        self.parameters.get("dbname").unwrap_or(self.user())
    }

    /// Returns the database that is set; `None` if none is.
    pub fn named_database(&self) -> Option<&str> {
        self.parameters.get("dbname")
    }

    pub fn user(&self) -> &str {
        self.parameters.get("user").unwrap_or_default()
    }

    /// Returns the servers and the user for messages: `db.example.org:5432 as postgres`.
    pub fn describe(&self) -> String {
        let places = self.endpoints().unwrap_or_default();
        let places: Vec<String> = places.iter().map(Endpoint::to_string).collect();
        format!("{} as {}", places.join(", "), self.user())
    }

    /// Returns settings that lead to this one server.
    pub(crate) fn at(&self, endpoint: &Endpoint) -> ConnectionSettings {
        let mut settings = self.clone();
        settings.parameters.set("host", endpoint.host.as_str());
        settings.parameters.set("hostaddr", endpoint.address.map(|address| address.to_string()).unwrap_or_default());
        settings.parameters.set("port", endpoint.port.to_string());
        settings.parameters.take("target_session_attrs");
        settings.parameters.take("load_balance_hosts");
        settings
    }

    /// Returns settings for the same port's socket in another folder, which is that of a server of our own.
    pub(crate) fn on_socket(&self, folder: &Path) -> ConnectionSettings {
        let mut settings = self.clone();
        settings.parameters.set("host", folder.display().to_string());
        settings
    }

    /// Returns settings for the same server as another role with this password. The session's options are left out: they were meant
    /// for the first role.
    pub(crate) fn as_role(&self, user: &str, password: Secret) -> ConnectionSettings {
        let mut settings = self.clone();
        settings.parameters.set("user", user);
        settings.parameters.take("options");
        settings.password = Some(password);
        settings
    }

    /// Returns settings whose sessions have these values, even if the role or the database sets others.
    pub fn with_session(&self, session: &BTreeMap<String, String>) -> ConnectionSettings {
        let mut options = self.parameters.get("options").map(str::to_owned).into_iter().collect::<Vec<_>>();
        // The server splits the options at any space, as C knows it.
        let is_special = |c: char| c == '\\' || c == '\x0b' || c.is_ascii_whitespace();
        let quoted = |value: &str| {
            value.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect::<String>()
        };
        options.extend(session.iter().map(|(name, value)| format!("-c {name}={}", quoted(value))));
        let mut settings = self.clone();
        settings.parameters.set("options", options.join(" "));
        settings
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    pub(crate) fn inherited(&self) -> &[(String, OsString)] {
        &self.inherited
    }

    /// Returns the password for one server: the one that is set, else the password file's.
    pub(crate) fn password(&self, endpoint: &Endpoint) -> PassfileAnswer {
        if let Some(password) = &self.password {
            return PassfileAnswer::Password(password.clone());
        }
        match passfile::path(self.parameters.get("passfile"), self.home()) {
            Some(path) => passfile::look_up(&path, &self.login(endpoint)),
            None => PassfileAnswer::Nothing,
        }
    }

    pub(crate) fn login<'a>(&'a self, endpoint: &'a Endpoint) -> PassfileLogin<'a> {
        PassfileLogin { host: &endpoint.host, port: endpoint.port, database: self.database(), user: self.user() }
    }

    /// Returns every host and port to try, in order.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let list =
            |keyword| self.parameters.get(keyword).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
        let (hosts, addresses) = (list("host").unwrap_or_default(), list("hostaddr").unwrap_or_default());
        let ports = list("port").unwrap_or_default();
        let count = hosts.len().max(addresses.len()).max(1);
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err(Fault::usage(format!(
                "PGHOST has {}, PGHOSTADDR {}",
                many(hosts.len(), "item"),
                addresses.len()
            ))
            .into());
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(
                Fault::usage(format!("PGPORT has {} for {}", many(ports.len(), "item"), many(count, "host"))).into()
            );
        }
        let place = |index: usize| {
            let port =
                port(ports.get(index).or(ports.first().filter(|_| ports.len() == 1)).copied().unwrap_or_default())?;
            let address = addresses.get(index).filter(|text| !text.is_empty()).map(|text| address(text)).transpose()?;
            let host = hosts.get(index).copied().unwrap_or_default();
            endpoint(host, address, port)
        };
        (0..count).map(place).collect()
    }
}

fn endpoint(host: &str, address: Option<IpAddr>, port: u16) -> Result<Endpoint> {
    if host.starts_with('@') {
        return Err(Fault::usage(format!("host \"{host}\" is an abstract socket, which pgbk cannot reach"))
            .hint("give the socket's directory or a host name in DB_HOST")
            .into());
    }
    let host = match (host, address) {
        ("", Some(address)) => address.to_string(),
        ("", None) => default_socket(port).to_owned(),
        (host, _) => host.to_owned(),
    };
    Ok(Endpoint { host, address, port })
}

/// Returns the folder that holds a socket for this port, or the first of [`SOCKETS`] if none does. libpq knows its server's folder
/// from its build; pgbk searches.
fn default_socket(port: u16) -> &'static str {
    let holds = |directory: &&str| Path::new(directory).join(format!(".s.PGSQL.{port}")).exists();
    SOCKETS.iter().find(|directory| holds(directory)).copied().unwrap_or(SOCKETS[0])
}

/// Returns the name of the account that pgbk runs as, which libpq takes for the user.
fn account(environment: Variables) -> Result<String> {
    let id = nix::unistd::geteuid();
    let own = nix::unistd::User::from_uid(id).ok().flatten().map(|user| user.name);
    own.or_else(|| environment("USER").filter(|name| !name.is_empty()))
        .ok_or_else(|| Fault::usage(format!("no user is set, and account {id} has no name")).hint("set DB_USER").into())
}

/// Variables that a child inherits and that have nothing to do with PostgreSQL. None of them belongs to the store or the
/// encryption.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "OPENSSL_CONF",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "KRB5_KTNAME",
    "KRB5_CLIENT_KTNAME",
];

fn inherited(environment: Variables) -> Vec<(String, OsString)> {
    let found = INHERITED.iter().filter_map(|name| environment(name).map(|value| ((*name).to_owned(), value.into())));
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: ConnectionOverrides, variables: &[(&str, &str)]) -> Result<ConnectionSettings> {
        let found =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ConnectionSettings::resolve(given, &found)
    }

    #[test]
    fn lists_of_hosts_addresses_and_ports_pair_up() {
        let read =
            settings(ConnectionOverrides::default(), &[("PGHOST", "a,b"), ("PGPORT", "1,2"), ("PGUSER", "u")]).unwrap();
        assert_eq!(read.describe(), "a:1, b:2 as u");
        let read =
            settings(ConnectionOverrides::default(), &[("PGHOST", "a,/s"), ("PGPORT", "7"), ("PGUSER", "u")]).unwrap();
        assert_eq!(read.describe(), "a:7, socket /s/.s.PGSQL.7 as u");
        let read = settings(ConnectionOverrides::default(), &[("PGHOSTADDR", "::1"), ("PGUSER", "u")]).unwrap();
        assert_eq!(read.describe(), "[::1]:5432 as u");
    }

    #[test]
    fn lists_that_do_not_pair_up_are_refused() {
        for variables in [[("PGHOST", "a,b,c"), ("PGPORT", "1,2")], [("PGHOST", "a,b"), ("PGHOSTADDR", "::1")]] {
            assert_eq!(
                crate::base::error::kind(&settings(ConnectionOverrides::default(), &variables).err().unwrap()),
                crate::base::error::Kind::Usage
            );
        }
        assert!(settings(ConnectionOverrides::default(), &[("PGPORT", "70000")]).is_err());
    }

    #[test]
    fn what_is_given_wins_and_an_address_for_another_host_does_not_interfere() {
        let given = ConnectionOverrides {
            host: Some("db".into()),
            port: Some(6000),
            user: Some("u".into()),
            ..ConnectionOverrides::default()
        };
        let read =
            settings(given, &[("PGHOST", "x"), ("PGHOSTADDR", "10.0.0.1"), ("PGPORT", "1"), ("PGUSER", "y")]).unwrap();
        assert_eq!(read.describe(), "db:6000 as u");
        assert_eq!(read.database(), "u");
        assert_eq!(read.for_database("shop").database(), "shop");
    }

    #[test]
    fn the_service_wins_over_plain_variables() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("pg_service.conf"), "[shop]\nhost=b\nuser=s\ndbname=d\n").unwrap();
        let directory = directory.path().to_str().unwrap();
        let variables = [("PGSERVICE", "shop"), ("PGSYSCONFDIR", directory), ("PGHOST", "x"), ("PGPORT", "9")];
        let read = settings(ConnectionOverrides::default(), &variables).unwrap();
        assert_eq!((read.describe().as_str(), read.database()), ("b:9 as s", "d"));
        let missing = [("PGSERVICE", "none"), ("PGSYSCONFDIR", directory)];
        assert!(settings(ConnectionOverrides::default(), &missing).err().unwrap().to_string().contains("\"none\""));
    }
}
