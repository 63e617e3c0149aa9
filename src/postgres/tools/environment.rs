//! The environment of PostgreSQL's own programs.

use crate::base::error::{Fault, Result};
use crate::base::process::environment::ChildEnvironment;
use crate::base::secret::Secret;
use crate::postgres::connect::keepalive::{self, CONNECT_TIMEOUT};
use crate::postgres::connect::passfile::{self, PassfileAnswer};
use crate::postgres::connect::settings::ConnectionSettings;
use std::fs::File;
use std::io::Write;

const SERVICE: &str = "pgbk";

impl ConnectionSettings {
    /// Returns the environment of `pg_dump`, `pg_restore` and `psql`: these settings, and no secret in a variable. The password is in a
    /// file that has no name.
    pub fn child_environment(&self) -> Result<ChildEnvironment> {
        let endpoints = self.endpoints()?;
        let mut environment = ChildEnvironment::of(self.inherited().to_vec());
        environment.set("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT.to_string());
        for (name, value) in self.parameters.variables() {
            environment.set(name, value);
        }
        let join = |parts: Vec<String>| parts.join(",");
        environment.set("PGHOST", join(endpoints.iter().map(|endpoint| endpoint.host.clone()).collect()));
        environment.set("PGPORT", join(endpoints.iter().map(|endpoint| endpoint.port.to_string()).collect()));
        environment.set("PGUSER", self.user());
        environment.set("PGDATABASE", self.database());
        if let Some(file) = passwords(self)? {
            environment.hand_on("PGPASSFILE", file);
        }
        environment.hand_on("PGSERVICEFILE", service(self)?);
        environment.set("PGSERVICE", SERVICE);
        Ok(environment)
    }
}

fn passwords(settings: &ConnectionSettings) -> Result<Option<File>> {
    let endpoints = settings.endpoints()?;
    let mut found = Vec::new();
    for endpoint in &endpoints {
        if let PassfileAnswer::Password(password) = settings.password(endpoint) {
            found.push((endpoint, one_line(password)?));
        }
    }
    let logins: Vec<_> = found.iter().map(|(endpoint, password)| (settings.login(endpoint), password)).collect();
    if logins.is_empty() { Ok(None) } else { passfile::write(&logins).map(Some) }
}

fn one_line(password: Secret) -> Result<Secret> {
    match password.reveal().contains(['\n', '\r', '\0']) {
        true => Err(Fault::usage("the password holds a line break, which no password file can")
            .hint("look for a stray line break in DB_PASSWORD")
            .into()),
        false => Ok(password),
    }
}

/// Writes a service file of our own, with the parameters that libpq reads from no variable.
fn service(settings: &ConnectionSettings) -> Result<File> {
    let mut file = passfile::private()?;
    writeln!(file, "[{SERVICE}]")?;
    for (keyword, value) in settings.parameters.without_variable() {
        writeln!(file, "{keyword}={value}")?;
    }
    for (keyword, value) in keepalive::for_children(&settings.parameters) {
        writeln!(file, "{keyword}={value}")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::connect::settings::ConnectionOverrides;

    #[test]
    fn a_child_gets_no_secret_and_nothing_of_the_store() {
        let given = ConnectionOverrides {
            password: Some(Secret::new("hunter2")),
            host: Some("db".into()),
            ..ConnectionOverrides::default()
        };
        let all = |name: &str| match name {
            "PGPASSWORD" | "S3_SECRET_ACCESS_KEY" | "AWS_SECRET_ACCESS_KEY" | "DB_BACKUP_ENCRYPT_KEY" => {
                Some("hunter2".into())
            }
            "PGUSER" => Some("u".into()),
            "PATH" => Some("/bin".into()),
            _ => None,
        };
        let made = ConnectionSettings::resolve(given, &all).unwrap().for_database("a=b").child_environment().unwrap();
        let text = format!("{:?}", made.variables);
        assert!(!text.contains("hunter2") && !text.contains("S3_") && !text.contains("AWS_"), "{text}");
        let get = |name: &str| made.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(get("PGDATABASE"), Some("a=b".into()));
        let file = get("PGPASSFILE").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "db:5432:*:u:hunter2\n");
        let named = std::fs::read_link(&file).unwrap();
        assert!(!named.exists(), "{named:?} would outlive a killed pgbk");
    }

    #[test]
    fn a_password_file_that_has_nothing_for_this_server_is_left_to_the_child() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let all = |name: &str| (name == "PGPASSFILE").then(|| path.clone());
        let given =
            ConnectionOverrides { host: Some("db".into()), user: Some("u".into()), ..ConnectionOverrides::default() };
        let made = ConnectionSettings::resolve(given, &all).unwrap().child_environment().unwrap();
        assert!(made.variables.contains(&("PGPASSFILE".to_owned(), path.clone().into())), "{:?}", made.variables);
    }
}
