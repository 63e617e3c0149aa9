//! `pgbk doctor`

pub(crate) mod captures;
pub(crate) mod comparison;
pub(crate) mod copies;
pub(crate) mod databases;
pub(crate) mod schedule_settings;

use crate::base::error::Result;
use crate::base::shown::{Lines, word};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::cli::arguments::DoctorArgs;
use crate::cli::console::Console;
use crate::commands::doctor::comparison::Comparison;
use crate::commands::doctor::copies::CopyLook;
use crate::commands::doctor::databases::named_databases;
use crate::config;
use crate::config::alerts::AlertChannels;
use crate::config::arguments::strays;
use crate::config::environment::stray_variables;
use crate::config::state::records;
use crate::format::keys::Key;
use crate::format::run_record::series::by_series;
use crate::monitoring::doctor::alerts::look_at_alerts;
use crate::monitoring::doctor::extras::{look_at_files, look_at_globals};
use crate::monitoring::doctor::server::look_at_server;
use crate::monitoring::doctor::store::{Cleaning, look_at_leftovers, look_at_store};
use crate::monitoring::doctor::{CheckStatus, DoctorFinding};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::runs::history::share;
use crate::store::Store;
use jiff::Timestamp;
use serde_json::json;
use std::cell::OnceCell;
use std::sync::Arc;

pub fn run(args: &DoctorArgs, console: &Console) -> Result<u8> {
    let mut findings = vec![keys(args)];
    if args.make_store {
        config::make_store(&args.store)?;
        copies::make_place(args)?;
    }
    findings.extend(
        stray_variables::describe(&strays())
            .map(|told| DoctorFinding::note("variables", told, "correct or unset them")),
    );
    match config::store(&args.store, args.keys.check) {
        Ok(store) => findings.extend(looks(args, &store, console)?),
        Err(error) => findings.push(DoctorFinding::error("store", &error, "set S3_BUCKET or STORE_DIR")),
    }
    findings.extend(schedule_settings::look());
    findings.extend(servers(args));
    findings.extend(captures::look(args));
    findings.extend(copies::rules(args));
    findings.extend(beside(args));
    findings.extend(alerts(args));
    let failed = findings.iter().filter(|finding| finding.status == CheckStatus::Fail).count();
    console.result(&table(&findings, failed), &json!({"failed": failed, "findings": findings}))?;
    Ok(u8::from(failed > 0))
}

fn looks(args: &DoctorArgs, store: &Arc<dyn Store>, console: &Console) -> Result<Vec<DoctorFinding>> {
    let now = Timestamp::now();
    let records = records(&args.state);
    if let Err(error) = share::look(store.as_ref(), &records) {
        // Nothing is tried there: what is no store must not become one.
        return Ok(vec![DoctorFinding::error("store", &error, "mount it")]);
    }
    let copies = CopyLook::of(args, store);
    let is_copy = |key: &String| copies.as_ref().is_some_and(|copies| copies.holds(key));
    let (of_copies, metas): (Vec<String>, Vec<String>) = args.remove_meta.iter().cloned().partition(is_copy);
    let comparison = Comparison { args, records: by_series(&records), console, server: OnceCell::new() };
    let mut findings = look_at_store(store.as_ref(), now);
    comparison.note_going(&metas, &store.location());
    let listed = store.list("");
    let whole = listed.as_ref().ok().cloned();
    let catalog = whole.clone().map(|listed| Catalog::of(listed).in_variant(Variant::Plain));
    let cleaning = Cleaning { older_than: args.clean.then_some(args.older_than), metas };
    findings.extend(look_at_leftovers(store.as_ref(), listed, &cleaning, now, console)?);
    // A mistake in the key is a finding already.
    let key = config::key();
    let known = key.is_ok();
    config::remember(&args.state);
    let repository = Repository {
        store: Arc::clone(store),
        variant: Variant::Plain,
        key: key.unwrap_or_default(),
        encrypt: !args.keys.no_encrypt,
        verify: true,
        allow_unauthenticated: true,
    };
    findings.extend(comparison.findings(&repository, known, catalog.as_ref()));
    if let Some(copies) = copies {
        let cleaning = Cleaning { metas: of_copies, ..cleaning };
        findings.extend(copies.findings(whole.as_deref(), &cleaning, (&comparison, &records), now)?);
    }
    Ok(findings)
}

fn servers(args: &DoctorArgs) -> Vec<DoctorFinding> {
    let server = match config::server::server(&args.server) {
        Ok(server) => server,
        Err(error) => return vec![DoctorFinding::error("server", &error, "check the DB_ and PG variables")],
    };
    let databases = match named_databases(args, &server) {
        Ok(databases) => databases,
        Err(error) => return vec![DoctorFinding::error("databases", &error, "check DB_NAME")],
    };
    let bin_dir = args.server.pg_bin_dir.as_deref();
    let of = |database: &String| look_at_server(&server.for_database(database), bin_dir);
    let looked_at = match databases.as_slice() {
        [only] => of(only),
        several => several.iter().flat_map(|database| in_brief(database, of(database))).collect(),
    };
    unnamed(args, &server).into_iter().chain(looked_at).collect()
}

/// Notes that no database is named, and so none is backed up. `None`: some are.
fn unnamed(args: &DoctorArgs, server: &ConnectionSettings) -> Option<DoctorFinding> {
    let detail = format!("none is named; \"{}\" is looked at", server.database());
    let remedy = "set DB_NAME, or name them on the command line: a backup needs to know what is meant";
    args.databases.is_empty().then(|| DoctorFinding::note("databases", detail, remedy))
}

/// Shortens the findings of one database among several: all good ones become one line, and each other one names the database.
fn in_brief(database: &str, findings: Vec<DoctorFinding>) -> Vec<DoctorFinding> {
    let (well, other): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| finding.status == CheckStatus::Ok);
    let mut well = well.into_iter();
    let first = well.next().map(|first| {
        let names = well.map(|finding| finding.what).collect::<Vec<_>>().join(", ");
        let all = if names.is_empty() { String::new() } else { format!("; good: {names}") };
        DoctorFinding { detail: first.detail + &all, ..first }
    });
    let named = |finding: DoctorFinding| match finding.what.starts_with("database \"") {
        true => finding,
        false => DoctorFinding { what: format!("database \"{database}\": {}", finding.what), ..finding },
    };
    first.into_iter().chain(other.into_iter().map(named)).collect()
}

fn beside(args: &DoctorArgs) -> Vec<DoctorFinding> {
    // Where the server's settings are wrong, that is told already.
    let globals = config::server::server(&args.server).ok().filter(|_| args.extras.globals);
    let globals = globals.map(|server| look_at_globals(&server, args.server.pg_bin_dir.as_deref()));
    let files = match config::runs::files(&args.extras, &args.store) {
        Ok(paths) if paths.is_empty() => None,
        Ok(paths) => Some(look_at_files(&paths)),
        Err(error) => Some(DoctorFinding::error(Subject::Files.name(), &error, "check BACKUP_FILES")),
    };
    globals.into_iter().chain(files).collect()
}

fn alerts(args: &DoctorArgs) -> Vec<DoctorFinding> {
    // Where the server's settings are wrong, that is told already.
    let server = config::server::server(&args.server).map(|server| server.describe()).unwrap_or_default();
    let AlertChannels { settings, mistakes } = config::alerts::alerts(&args.alerts, &args.state, server);
    let remedy = "check WEBHOOK_URL, PING_URL, SMTP_HOST and MAIL_TO";
    let mut findings: Vec<DoctorFinding> =
        mistakes.iter().map(|error| DoctorFinding::error("alerts", error, remedy)).collect();
    if findings.is_empty() || !settings.channels().is_empty() {
        findings.extend(look_at_alerts(&settings, args.test_alerts.then(Timestamp::now)));
    }
    findings
}

fn keys(args: &DoctorArgs) -> DoctorFinding {
    match config::key() {
        Err(error) => DoctorFinding::error("key", &error, "openssl rand -hex 32"),
        Ok(None) => DoctorFinding::note(
            "key",
            "none: backups are neither encrypted nor safe from forgery",
            "set DB_BACKUP_ENCRYPT_KEY (openssl rand -hex 32) or ENC_PASSWORD, and keep a copy of it elsewhere",
        ),
        Ok(Some(Key::Raw { iv: Some(_), .. })) => DoctorFinding::note(
            "key",
            "a raw key with a fixed IV: it shows which backups share a beginning",
            "unset DB_BACKUP_ENCRYPT_IV",
        ),
        Ok(Some(_)) if args.keys.no_encrypt => DoctorFinding::note(
            "key",
            "set, but NO_ENCRYPT=1: backups are sealed and not encrypted",
            "unset NO_ENCRYPT",
        ),
        Ok(Some(_)) => DoctorFinding::ok("key", "set; keep a copy of it elsewhere, no backup opens without it"),
    }
}

fn table(findings: &[DoctorFinding], failed: usize) -> Lines {
    let width = findings.iter().map(|finding| word(&finding.what).chars().count()).max().unwrap_or(0);
    let mut text = Lines::new();
    for finding in findings {
        let status = match finding.status {
            CheckStatus::Ok => "ok  ",
            CheckStatus::Note => "note",
            CheckStatus::Fail => "FAIL",
        };
        text.push(format!("{status}  {:width$}  {}", word(&finding.what), finding.detail));
        if let Some(remedy) = &finding.remedy {
            text.push(format!("      {:width$}  → {remedy}", ""));
        }
    }
    match failed {
        0 => text.push("nothing stands in the way of a backup"),
        1 => text.push("1 finding stands in the way of a backup"),
        count => text.push(format!("{count} findings stand in the way of a backup")),
    }
    text
}
