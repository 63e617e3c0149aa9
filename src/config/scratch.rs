//! Where and how backups are proven.

use crate::cli::{ScratchArgs, ScratchPlace, ServerArgs};
use crate::environment;
use crate::error::{Fault, Result};
use crate::postgres::scratch::Place;
use crate::postgres::settings::{Given, Settings};
use crate::proof::Plan;
use std::path::PathBuf;

/// The superuser of a server that pgbk starts itself. What a dump calls its owner, postgres among them, is made there as a role without rights.
const OWNER: &str = "pgbk_scratch_server";

pub fn proof(args: &ScratchArgs, server: &ServerArgs) -> Result<Plan> {
    let bin_dir = server.pg_bin_dir.clone();
    let place = match (args.scratch, &args.scratch_host) {
        (ScratchPlace::Server, None) => Place::Server(super::server(server)?),
        (ScratchPlace::Server, Some(host)) => Place::Server(other(args, host, server)?),
        (ScratchPlace::Cluster, None) => Place::Own { settings: own()?, bin_dir: bin_dir.clone(), hidden: hidden() },
        (ScratchPlace::Cluster, Some(_)) => {
            return Err(Fault::usage("VERIFY_SCRATCH=cluster starts a server, and VERIFY_DB_HOST names one")
                .hint("unset one of them")
                .into());
        }
    };
    Ok(Plan { place, bin_dir })
}

/// What is set for the server that is backed up says where that is and lets in there: none of it is shown to another one.
fn other(args: &ScratchArgs, host: &str, server: &ServerArgs) -> Result<Settings> {
    let given = Given {
        host: Some(host.to_owned()),
        port: args.scratch_port,
        user: args.scratch_user.clone().or_else(|| server.user.clone()),
        password: environment::secret("VERIFY_DB_PASSWORD")?,
        named: Some("VERIFY_DB"),
    };
    let theirs = ["PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGPASSWORD", "PGDATABASE", "PGTARGETSESSIONATTRS"];
    Settings::resolve(given, &|name| (!theirs.contains(&name)).then(|| environment::plain(name)).flatten())
}

/// Where keys, passwords, backups and records lie.
fn hidden() -> Vec<PathBuf> {
    let names = [
        "STORE_DIR",
        "STATE_DIR",
        "PGPASSFILE",
        "PGSSLKEY",
        "DB_BACKUP_ENCRYPT_KEY_FILE",
        "ENC_PASSWORD_FILE",
        "DB_PASSWORD_FILE",
        "S3_SECRET_ACCESS_KEY_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
    ];
    names.iter().filter_map(|name| environment::plain(name)).map(PathBuf::from).collect()
}

/// Of libpq's variables none is about a server that nobody else knows.
fn own() -> Result<Settings> {
    let given = Given { host: Some("/".to_owned()), user: Some(OWNER.to_owned()), ..Given::default() };
    Settings::resolve(given, &|name| (!name.starts_with("PG")).then(|| environment::plain(name)).flatten())
}
