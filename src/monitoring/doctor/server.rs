//! Checks the server: connection, rights, and the programs that fit it.

use crate::monitoring::doctor::DoctorFinding;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control::{AdvisoryLock, Control};
use crate::postgres::tools;
use std::path::Path;

/// Number of unreadable tables that are listed at most.
const LISTED: usize = 10;

pub fn look_at_server(settings: &ConnectionSettings, bin_dir: Option<&Path>) -> Vec<DoctorFinding> {
    let what = format!("database \"{}\"", settings.database());
    let mut control = match Control::open(settings) {
        Ok(control) => control,
        Err(error) => {
            return vec![DoctorFinding::error(
                &what,
                &error,
                "check DB_HOST, DB_PORT, DB_USER, DB_NAME and DB_PASSWORD",
            )];
        }
    };
    let mut findings =
        vec![DoctorFinding::ok(&what, format!("PostgreSQL {} at {}", control.server().version, settings.describe()))];
    findings.push(client(control.server().major, &control.server().version, bin_dir));
    findings.push(rights(&mut control));
    findings.extend(omitted(&mut control));
    findings.push(match control.lock(AdvisoryLock::Database) {
        Ok(()) => DoctorFinding::ok("backup lock", "free"),
        Err(error) => DoctorFinding::error("backup lock", &error, "wait until the other run has ended"),
    });
    findings.push(match control.snapshot() {
        Ok(snapshot) => DoctorFinding::ok("snapshot", format!("can be taken ({})", snapshot.pg_snapshot)),
        Err(error) => {
            DoctorFinding::error("snapshot", &error, "the role must be able to begin a REPEATABLE READ transaction")
        }
    });
    if let Err(error) = control.properties() {
        let remedy = "owner, privileges, settings and locale of the database will be in no backup until that is mended";
        findings.push(DoctorFinding::error("database itself", &error, remedy));
    }
    findings
}

fn client(server_major: u32, server: &str, bin_dir: Option<&Path>) -> DoctorFinding {
    match tools::find("pg_dump", server_major, bin_dir) {
        Ok(tool) if is_older(&tool.version, server) => DoctorFinding::note(
            "pg_dump",
            format!("{} in {} is an earlier release than the server's {server}", tool.version, tool.path.display()),
            "install the client of the server's release: an earlier one may write what only the server's own leaves out",
        ),
        Ok(tool) => DoctorFinding::ok("pg_dump", format!("{} in {}", tool.version, tool.path.display())),
        Err(error) => DoctorFinding::error(
            "pg_dump",
            &error,
            "install a PostgreSQL client as new as the server, or set PG_BIN_DIR",
        ),
    }
}

/// Returns whether a program is of an earlier release than the server. False if they are of different major versions.
fn is_older(program: &str, server: &str) -> bool {
    let numbers = |version: &str| {
        version.split_once('.').and_then(|(major, minor)| Some((major.to_owned(), minor.parse::<u32>().ok()?)))
    };
    match (numbers(program), numbers(server)) {
        (Some((ours, program)), Some((theirs, server))) => ours == theirs && program < server,
        _ => false,
    }
}

fn rights(control: &mut Control) -> DoctorFinding {
    let unreadable = match control.unreadable() {
        Ok(unreadable) => unreadable,
        Err(error) => return DoctorFinding::error("rights", &error, "the role must be able to read the catalog"),
    };
    if unreadable.is_empty() {
        return DoctorFinding::ok("rights", "every table, sequence and large object can be read");
    }
    let mut names: Vec<String> = unreadable.iter().take(LISTED).map(ToString::to_string).collect();
    if unreadable.len() > LISTED {
        names.push(format!("and {} more", unreadable.len() - LISTED));
    }
    DoctorFinding::fail(
        "rights",
        names.join(", "),
        "GRANT pg_read_all_data TO the role (PostgreSQL 14 and later), ALTER ROLE … BYPASSRLS where row security is on, and of large objects GRANT SELECT ON LARGE OBJECT … or their owners' roles",
    )
}

/// Reports what a backup leaves out, each thing as a note of its own.
fn omitted(control: &mut Control) -> Vec<DoctorFinding> {
    match control.omitted(true) {
        Ok(omitted) => omitted
            .into_iter()
            .map(|what| {
                DoctorFinding::note("left out", what, "back up as a superuser, or from the primary, where that matters")
            })
            .collect(),
        Err(error) => vec![DoctorFinding::error("left out", &error, "the role must be able to read the catalog")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_with_those_of_its_own_major_version_alone() {
        for (program, server, older) in [
            ("15.18", "15.20", true),
            ("15.9", "15.10", true),
            ("15.20", "15.20", false),
            ("15.21", "15.20", false),
            ("17.10", "15.20", false),
            ("18beta1", "18.1", false),
        ] {
            assert_eq!(is_older(program, server), older, "{program} {server}");
        }
    }
}
