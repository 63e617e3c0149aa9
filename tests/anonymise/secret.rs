//! The secret is in no log of the server, however much that logs.

use crate::anonymise::{LONG_SECRET, SECRET, selects};
use std::fs;
use support::cluster::{Cluster, PASSWORD, USER};
use support::pgbk::pgbk;

#[test]
fn a_server_that_logs_everything_does_not_log_the_secret() {
    let settings = [
        "log_statement=all",
        "log_min_duration_statement=0",
        "log_connections=on",
        "log_disconnections=on",
        "log_min_messages=debug5",
        "debug_print_plan=on",
        "debug_print_parse=on",
        "log_parameter_max_length=-1",
        "log_parameter_max_length_on_error=-1",
    ];
    let cluster = Cluster::start_set(&settings);
    cluster.psql(
        "postgres",
        "CREATE TABLE t (a text, b date, c text, d int); INSERT INTO t VALUES ('a', '2020-01-01', 'c', 1)",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    let rules = "[tables.public.t]\na = 'hash'\nb = 'date'\nc = { sql = 'upper(c)' }\nd = 'number'\n";
    fs::write(&file, rules).unwrap();
    let asked =
        pgbk(["anonymise", "--check", "postgres", "--json"]).server(&cluster).set("ANONYMISE_SECRET", LONG_SECRET);
    let document = asked.set("ANONYMISE_RULES", file.display()).expect(0).json();
    let (_, _, select) = &selects(&document)[0];

    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(cluster.port).user(USER).password(PASSWORD).dbname("postgres");
    let mut control = config.connect(postgres::NoTls).unwrap();
    let mut client = config.options(&format!("-c pgbk.anonymise_secret={SECRET}")).connect(postgres::NoTls).unwrap();
    client.query(select.as_str(), &[]).unwrap();
    client.simple_query(select).unwrap();
    // Also where it fails.
    client.simple_query(&format!("{select} WHERE 1 / (a = 'a')::int::bigint > 0 AND 1 / (d - d) > 0")).unwrap_err();
    client.query(&format!("EXPLAIN (ANALYZE, VERBOSE) {select}"), &[]).unwrap();
    // The parameter of a statement is logged.
    control.query("SELECT set_config('pgbk.witness', $1, false)", &[&"a witness"]).unwrap();

    let log = fs::read_to_string(cluster.directory.join("log")).unwrap();
    assert!(
        log.contains("a witness") && log.contains("division by zero") && log.matches("current_setting").count() > 5
    );
    assert!(!log.contains(SECRET) && !log.contains(LONG_SECRET), "the secret is in the log");
    // What pgbk makes of it are 64 digits, as a hash has.
    let digits = regex::Regex::new("[0-9a-f]{64}").unwrap();
    assert_eq!(digits.find(&log).map(|found| found.as_str()), None);
}
