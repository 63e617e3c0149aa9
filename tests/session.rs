//! What a role, a database or a server sets for its sessions changes nothing of a backup and nothing of what comes back; and what
//! others do to the tables, the lock or the connection while a backup begins does not pass for a backup.

mod definitions;

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use support::cluster::{Cluster, PASSWORD, PATIENCE};
use support::fake::Fake;
use support::pgbk::{Pgbk, pgbk};
use support::process::until;
use support::proof;
use tempfile::TempDir;

/// Settings that the text of values depends on, with a value that nobody expects.
const SETTINGS: [(&str, &str); 16] = [
    ("lc_monetary", "es_AR.UTF-8"),
    ("lc_monetary", "de_DE.UTF-8"),
    ("lc_monetary", "fr_CA.UTF-8"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("DateStyle", "German, DMY"),
    ("IntervalStyle", "sql_standard"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("xmloption", "document"),
    ("xmlbinary", "hex"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("client_encoding", "SJIS"),
    ("TimeZone", "America/St_Johns"),
    ("default_transaction_read_only", "on"),
];

const ROWS: &str = r#"
CREATE TABLE everything (id int PRIMARY KEY, m money, f double precision, i interval, t timestamptz, d date, b bytea, x xml, a text[], w text,
    CHECK (w = NULL OR w IS NOT NULL OR id = 3), n text[] DEFAULT '{x,NULL}');
INSERT INTO everything VALUES
    (1, 12.34::numeric::money, 1.0::float8 / 3, '-1 day -02:03:04', '2026-03-04 05:06:07.891+01', '2026-02-01', '\x00ff5c27', '<a>1</a>',
        '{x,NULL,"NULL",""}', 'back\slash ''quote'''),
    (2, 999.99::numeric::money, 1e-300, '1 year -2 mons +3 days', '1900-01-01 00:00:00+00', '0044-03-15 BC', '', 'text only', '{}', E'日本語ソ表 ü\ttab'),
    (3, (-1234567.89)::numeric::money, 'NaN', '0', 'infinity', '-infinity', NULL, NULL, NULL, NULL);
"#;

/// The rows by a session in which nothing is left to anybody.
const LOOK: &str = "SET client_encoding = UTF8; SET lc_monetary = 'C'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = postgres; SET TimeZone = UTC;
    SET bytea_output = hex; SET extra_float_digits = 3; SET xmlbinary = base64; SET xmloption = content; SET array_nulls = on; SET standard_conforming_strings = on;
    SELECT (SELECT string_agg(v::text, chr(10) ORDER BY id) FROM everything v),
        (SELECT string_agg(pg_get_expr(adbin, adrelid), '') FROM pg_attrdef),
        (SELECT string_agg(pg_get_constraintdef(oid), '' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace)";

/// A server that has the locales that the settings name: they are made first, where they are missing.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        let there = Command::new("locale").arg("-a").output().unwrap().stdout;
        let there = String::from_utf8_lossy(&there).to_lowercase();
        for locale in ["es_AR", "de_DE", "fr_CA"] {
            if !there.contains(&format!("{}.utf8", locale.to_lowercase())) {
                let name = format!("{locale}.UTF-8");
                let made = Command::new("localedef").args(["-i", locale, "-f", "UTF-8", &name]).status();
                assert!(made.unwrap().success(), "no locale {locale}: scripts/test.sh installs locales");
            }
        }
        Cluster::start()
    })
}

fn filled(name: &str, rows: &str) {
    server().psql("postgres", &format!("CREATE DATABASE {name}"));
    server().psql(name, rows);
}

fn keeping() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).server(server()).key().directory(folder.path());
    (folder, run)
}

/// What roles and databases were given, taken back.
fn plain(database: &str) {
    for of in ["ROLE odd", &format!("DATABASE {database}")] {
        server().psql("postgres", &format!("ALTER {of} RESET ALL"));
    }
}

#[test]
fn every_value_comes_back_whatever_the_sessions_of_source_and_target_are_set_to() {
    filled("spread", ROWS);
    let expected = server().psql("spread", LOOK);
    server().psql("postgres", &format!("CREATE ROLE odd SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
    let ways = [("ROLE odd", "DATABASE copy"), ("DATABASE spread", "ROLE odd"), ("DATABASE spread", "PGOPTIONS")];
    let mut trips = 0;
    for (at, (name, value)) in SETTINGS.into_iter().enumerate() {
        // One way each, in turn, where not all of them are tried.
        for (source, target) in ways.into_iter().cycle().skip(at).take(proof::size(1, ways.len())) {
            server().psql("postgres", "DROP DATABASE IF EXISTS copy");
            server().psql("postgres", "CREATE DATABASE copy TEMPLATE template0");
            let (_folder, run) = keeping();
            let run = run.set("DB_USER", "odd");
            server().psql("postgres", &format!("ALTER {source} SET {name} = '{value}'"));
            let id = run.backup("spread", &[]);
            plain("spread");
            let run = match target {
                "PGOPTIONS" => run.set("PGOPTIONS", format!("-c {name}={}", value.replace(' ', "\\ "))),
                place => {
                    server().psql("postgres", &format!("ALTER {place} SET {name} = '{value}'"));
                    run
                }
            };
            run.args(["restore", &id, "--yes", "--to", "copy", "--no-properties"]).expect(0);
            plain("copy");
            assert_eq!(server().psql("copy", LOOK), expected, "{name} = {value}, {source} to {target}");
            trips += 1;
        }
    }
    proof::counted("sessions", "trips of every kind of value between sessions set otherwise", trips, 0);
}

#[test]
fn an_archive_that_pg_restore_loads_by_itself_keeps_its_money_and_its_nulls() {
    filled("archived", ROWS);
    let expected = server().psql("archived", LOOK);
    let (_folder, run) = keeping();
    server().psql("postgres", "ALTER DATABASE archived SET lc_monetary = 'es_AR.UTF-8'");
    let id = run.backup("archived", &["--format", "custom"]);
    server().psql("postgres", "CREATE DATABASE unpacked TEMPLATE template0");
    for setting in ["lc_monetary = 'de_DE.UTF-8'", "array_nulls = off"] {
        server().psql("postgres", &format!("ALTER DATABASE unpacked SET {setting}"));
    }
    run.args(["restore", &id, "--yes", "--to", "unpacked", "--jobs", "2", "--no-properties"]).expect(0);
    server().psql("postgres", "ALTER DATABASE unpacked RESET ALL");
    assert_eq!(server().psql("unpacked", LOOK), expected);
}

/// One after the other, each in a transaction of its own unless it begins one.
fn change(database: &str, statements: &str) {
    match statements.starts_with("BEGIN") {
        true => drop(server().psql(database, statements)),
        false => statements.split("; ").for_each(|statement| drop(server().psql(database, statement))),
    }
}

#[test]
fn a_table_that_changes_before_pg_dump_has_its_locks_is_dumped_from_a_new_snapshot() {
    // What is done to it, and what it holds afterwards.
    let changes = [
        ("truncated", "BEGIN; TRUNCATE t; INSERT INTO t VALUES (7); COMMIT", "7"),
        ("dropped", "DROP TABLE t; CREATE TABLE t AS SELECT 7 AS id", "7"),
        ("rewritten", "VACUUM FULL t", "1,2,3"),
        ("retyped", "ALTER TABLE t ALTER id TYPE bigint", "1,2,3"),
        ("swapped", "BEGIN; ALTER TABLE t RENAME TO was; ALTER TABLE other RENAME TO t; COMMIT", "9"),
        ("narrowed", "ALTER TABLE t DROP COLUMN note", "1,2,3"),
    ];
    for (what, statements, expected) in changes {
        let name = format!("moving_{what}");
        let table = "CREATE TABLE t AS SELECT g AS id, 'n'::text AS note FROM generate_series(1, 3) g";
        filled(&name, &format!("{table}; CREATE TABLE other AS SELECT 9 AS id"));
        let waiting = "touch $NOTES/waits; while [ ! -e $NOTES/gate ]; do sleep 0.02; done; exec \"$REAL\" \"$@\"";
        let fake = Fake::of(server(), "exec \"$REAL\" --version", waiting);
        let (folder, run) = keeping();
        let running = run.args(["backup", &name]).set("PG_BIN_DIR", fake.bin().display()).start();
        assert!(until(PATIENCE, || fake.note("waits").exists()));
        change(&name, statements);
        fake.open_gate();
        let outcome = running.end();
        assert_eq!(outcome.code, Some(0), "{name}: {outcome:#?}");
        outcome.says("public.t").says("the dump is taken anew");
        let copy = format!("{name}_copy");
        run.args(["restore", "latest", "--database", &name, "--yes", "--to", &copy]).expect(0);
        let found = server().psql(&copy, "SELECT string_agg(id::text, ',' ORDER BY id) FROM t");
        assert_eq!(found, expected, "{name}");
        assert_eq!(fs::read_dir(folder.path().join(&name)).unwrap().count(), 2, "more than the one backup");
    }
}

#[test]
fn a_table_that_changes_at_each_try_is_named_and_one_that_is_left_out_is_no_matter() {
    filled(
        "restless",
        "CREATE TABLE t AS SELECT 1 AS id; CREATE TABLE kept AS SELECT repeat(md5(g::text), 100) FROM generate_series(1, 3000) g",
    );
    let psql = server().clients.join("psql").display().to_string();
    let port = server().port;
    let truncating = format!(
        "PGPASSWORD='{PASSWORD}' {psql} -q -h 127.0.0.1 -p {port} -U postgres -d restless -c 'TRUNCATE t'; exec \"$REAL\" \"$@\""
    );
    let fake = Fake::of(server(), "exec \"$REAL\" --version", &truncating);
    let (folder, run) = keeping();
    let run = run.args(["backup", "restless"]).set("PG_BIN_DIR", fake.bin().display());
    run.expect(1).says("public.t").says("at each of 3 tries").says("hint: ");
    let left = fs::read_dir(folder.path().join("restless")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    run.set("PG_DUMP_USER_ARGS", "--exclude-table=t").expect(0);
}

#[test]
fn who_waits_for_a_table_that_is_dumped_goes_first_and_the_dump_is_taken_anew() {
    filled(
        "awaited",
        "CREATE TABLE t AS SELECT repeat(md5(g::text), 100) AS v FROM generate_series(1, 3000) g; ALTER TABLE t ALTER v SET STORAGE PLAIN",
    );
    // The dump has its locks; then somebody asks for the table. What asks for it after that waits for both.
    let psql = format!(
        "PGPASSWORD='{PASSWORD}' {} -qAt -h 127.0.0.1 -p {} -U postgres -d awaited -c",
        server().clients.join("psql").display(),
        server().port
    );
    let body = format!(
        r#"case "$*" in *--format=plain*) ;; *) until [ -e $NOTES/queued ]; do sleep 0.02; done; exec "$REAL" "$@" ;; esac
        "$REAL" "$@" | {{
            head -c 1 > $NOTES/first
            if [ ! -e $NOTES/queued ]; then
                {psql} 'BEGIN; LOCK TABLE t; COMMIT' > /dev/null 2>&1 &
                until [ "$({psql} "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass")" = 1 ]; do sleep 0.02; done
                touch $NOTES/queued
            fi
            cat $NOTES/first -
        }}"#
    );
    let fake = Fake::of(server(), "exec \"$REAL\" --version", &body);
    let (_folder, run) = keeping();
    let run = run.args(["backup", "awaited"]).set("PG_BIN_DIR", fake.bin().display()).set("DUMP_LOCK_TIMEOUT", "20s");
    let outcome = run.set("DUMP_JOBS", 1).expect(0);
    let outcome = outcome.says("a session waits for a table that is being dumped").says("the dump is taken anew");
    assert!(!outcome.err.contains("single tables cannot be restored"), "{}", outcome.err);
}

#[test]
fn a_check_of_the_rules_leaves_no_lock_behind_for_which_a_dump_would_wait() {
    filled("ruled", "CREATE TABLE t AS SELECT 1 AS id, 'a@example.com' AS mail");
    let look = format!(
        "PGPASSWORD='{PASSWORD}' {} -qAt -h 127.0.0.1 -p {} -U postgres -d ruled -c \"SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass\"",
        server().clients.join("psql").display(),
        server().port
    );
    let fake = Fake::of(
        server(),
        "exec \"$REAL\" --version",
        &format!("[ -e $NOTES/locks ] || {look} > $NOTES/locks; exec \"$REAL\" \"$@\""),
    );
    std::os::unix::fs::symlink(server().clients.join("pg_restore"), fake.bin().join("pg_restore")).unwrap();
    let (folder, run) = keeping();
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "[tables.public.t]\nid = { sql = \"id + 0\" }\nmail = \"email\"\n").unwrap();
    let run = run.args(["backup", "ruled"]).set("PG_BIN_DIR", fake.bin().display()).set("OUTPUTS", "plain,anonymised");
    let run = run.set("ANONYMISE_RULES", rules.display()).set("ANONYMISE_SECRET", "a secret of sixteen or more");
    run.set("ANON_STORE_DIR", folder.path().join("anonymised").display()).expect(0);
    assert_eq!(fs::read_to_string(fake.note("locks")).unwrap(), "0\n");
}

#[test]
fn connections_of_one_dump_never_wait_for_each_other_behind_somebody_else() {
    // Large enough to be read in ranges, by all connections.
    filled(
        "crowded",
        "CREATE TABLE t AS SELECT repeat(md5(g::text), 60) AS v FROM generate_series(1, 20000) g; ALTER TABLE t ALTER v SET STORAGE PLAIN;
         CREATE TABLE u AS SELECT * FROM t; CREATE TABLE w AS SELECT 1 AS id; ANALYZE",
    );
    let over = std::sync::atomic::AtomicBool::new(false);
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(server().port).user("postgres").password(PASSWORD).dbname("crowded");
    std::thread::scope(|scope| {
        for asked in ["t", "u", "w"] {
            let (config, over) = (config.clone(), &over);
            scope.spawn(move || {
                let mut client = config.connect(postgres::NoTls).unwrap();
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    client.batch_execute(&format!("BEGIN; LOCK TABLE {asked}; COMMIT")).unwrap();
                }
            });
        }
        let (_folder, run) = keeping();
        let run = run.args(["backup", "crowded"]).set("DUMP_LOCK_TIMEOUT", "20s");
        let codes = [1, 2, 3].map(|jobs| {
            let outcome = run.clone().set("DUMP_JOBS", jobs).start().end();
            (outcome.code, outcome.err)
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for (code, said) in codes {
            assert_eq!(code, Some(0), "{said}");
            assert!(!said.contains("lock timeout"), "{said}");
        }
    });
}

#[test]
fn a_lock_that_somebody_else_holds_is_a_failure() {
    filled("squatted", "CREATE TABLE t AS SELECT 1 AS id");
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(server().port).user("postgres").password(PASSWORD).dbname("squatted");
    let mut squatter = config.connect(postgres::NoTls).unwrap();
    squatter.batch_execute("SELECT pg_advisory_lock(1885823595, 1)").unwrap();
    let (_folder, run) = keeping();
    run.args(["backup", "squatted"]).expect(1).says("lock is held by server process").says("hint: ");
    // A run of pgbk's own is busy with it, as before.
    squatter.batch_execute("SET application_name = 'pgbk'").unwrap();
    run.args(["backup", "squatted"]).expect(5).says("being backed up by");
    drop(squatter);
}

#[test]
fn a_lost_control_connection_ends_a_dump_that_goes_on() {
    filled("endless", "CREATE TABLE t AS SELECT 1 AS id");
    let endless = "\"$REAL\" \"$@\"; touch $NOTES/half; while sleep 0.05; do echo '-- and so on'; done";
    let fake = Fake::of(server(), "exec \"$REAL\" --version", endless);
    let (_folder, run) = keeping();
    let running = run.args(["backup", "endless"]).set("PG_BIN_DIR", fake.bin().display()).start();
    fake.await_half();
    let sessions = "FROM pg_stat_activity WHERE datname = 'endless' AND application_name = 'pgbk'";
    server().psql("postgres", &format!("SELECT pg_terminate_backend(pid) {sessions}"));
    let outcome = running.end();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    outcome.says("the transaction that held the dump's snapshot is gone");
}

#[test]
fn a_database_does_not_decide_who_backs_it_up_and_a_login_does() {
    filled("roled", "CREATE TABLE t AS SELECT 1 AS id");
    let role = format!(
        "CREATE ROLE lame LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE reader IN ROLE pg_read_all_data; CREATE ROLE nobodys"
    );
    server().psql("postgres", &format!("{role}; GRANT reader, nobodys TO lame; ALTER ROLE lame NOINHERIT"));
    let set = |statement: &str| drop(server().psql("postgres", statement));
    set("ALTER DATABASE roled SET role = nobodys");
    let (_folder, run) = keeping();
    let lame = run.set("DB_USER", "lame");
    for (format, copy) in [("plain", "roled_plain"), ("custom", "roled_custom")] {
        let id = run.backup("roled", &["--format", format]);
        // With its properties, and into a database that has them before.
        run.args(["restore", &id, "--yes", "--to", copy]).expect(0);
        set(&format!("DROP DATABASE {copy}"));
        set(&format!("CREATE DATABASE {copy}"));
        set(&format!("ALTER DATABASE {copy} SET role = nobodys"));
        run.args(["restore", &id, "--yes", "--to", copy]).expect(0);
        assert_eq!(
            server().psql(copy, "SET role = none; SELECT tableowner FROM pg_tables WHERE tablename = 't'"),
            "postgres"
        );
    }
    // Who may read only as another is that other by its own setting, or by that of the connection; whatever the database says.
    lame.args(["backup", "roled"]).expect(1);
    lame.set("PGOPTIONS", "-c role=reader").args(["backup", "roled"]).expect(0);
    set("ALTER ROLE lame SET role = reader");
    lame.args(["backup", "roled"]).expect(0);
    set("ALTER DATABASE roled SET role = reader");
    lame.args(["backup", "roled"]).expect(0);
    set("ALTER ROLE lame RESET role");
    lame.args(["backup", "roled"]).expect(1);
    lame.set("PGOPTIONS", "-c role=reader").args(["backup", "roled"]).expect(0);
}
