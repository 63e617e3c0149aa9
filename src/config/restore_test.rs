//! Reads the settings of restore tests: where backups are restored, and with which programs.

use crate::base::error::{Fault, Result};
use crate::cli::settings::{ScratchArgs, ScratchPlace, ServerArgs};
use crate::config::environment;
use crate::config::environment::plain;
use crate::jobs::restore_test::RestoreTestPlan;
use crate::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};
use crate::postgres::scratch::ScratchServer;
use std::path::PathBuf;

/// The superuser of a server that pgbk starts itself. The owners that a dump names, postgres among them, are made
/// there as roles without rights.
const OWNER: &str = "pgbk_scratch_server";

pub fn proof(args: &ScratchArgs, server: &ServerArgs) -> Result<RestoreTestPlan> {
    let bin_dir = server.pg_bin_dir.clone();
    let place = match (args.scratch, &args.scratch_host) {
        (ScratchPlace::Server, None) => ScratchServer::Server(crate::config::server::server(server)?),
        (ScratchPlace::Server, Some(host)) => ScratchServer::Server(other(args, host, server)?),
        (ScratchPlace::Cluster, None) => {
            ScratchServer::Own { settings: own()?, bin_dir: bin_dir.clone(), hidden: hidden() }
        }
        (ScratchPlace::Cluster, Some(_)) => {
            return Err(Fault::usage("VERIFY_SCRATCH=cluster starts a server, and VERIFY_DB_HOST names one")
                .hint("unset one of them")
                .into());
        }
    };
    Ok(RestoreTestPlan { place, bin_dir })
}

/// Reads the scratch server's settings. Ignores `PGHOST`, `PGPASSWORD` and the like: they belong to the source
/// server, and its password must not reach another.
fn other(args: &ScratchArgs, host: &str, server: &ServerArgs) -> Result<ConnectionSettings> {
    let given = ConnectionOverrides {
        host: Some(host.to_owned()),
        port: args.scratch_port,
        user: args.scratch_user.clone().or_else(|| server.user.clone()),
        password: environment::secret("VERIFY_DB_PASSWORD")?,
        named: Some("VERIFY_DB"),
    };
    let theirs = ["PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGPASSWORD", "PGDATABASE", "PGTARGETSESSIONATTRS"];
    ConnectionSettings::resolve(given, &|name| (!theirs.contains(&name)).then(|| plain(name)).flatten())
}

/// Returns the paths of keys, passwords, backups and records. The scratch server must not be able to read them.
fn hidden() -> Vec<PathBuf> {
    let names = [
        "STORE_DIR",
        "STATE_DIR",
        "PGPASSFILE",
        "PGSSLKEY",
        "DB_BACKUP_ENCRYPT_KEY_FILE",
        "ENC_PASSWORD_FILE",
        "ANONYMISE_SECRET_FILE",
        "DB_PASSWORD_FILE",
        "S3_SECRET_ACCESS_KEY_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
    ];
    names.iter().filter_map(|name| plain(name)).map(PathBuf::from).collect()
}

/// Returns the settings of a server that pgbk starts itself. libpq's variables do not count: they are about other servers.
fn own() -> Result<ConnectionSettings> {
    let given = ConnectionOverrides {
        host: Some("/".to_owned()),
        user: Some(OWNER.to_owned()),
        ..ConnectionOverrides::default()
    };
    ConnectionSettings::resolve(given, &|name| (!name.starts_with("PG")).then(|| plain(name)).flatten())
}
