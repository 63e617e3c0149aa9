//! Dumps of a real server, restored over the wire.

mod hidden;
mod meddler;
mod money;

use pgbk::base::error::{self, Result};
use pgbk::base::progress::NullMonitor;
use pgbk::format::sql::requirements::Requirements;
use pgbk::pipeline::table_counter::TableCounter;
use pgbk::postgres::restore::load;
use pgbk::postgres::restore::load::options::{LoadOptions, LoadReport};
use std::io::Read;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::database::{self, comparable, connect, create, sql, stdout_of, tool};

fn restore(database: &str, script: &[u8]) -> Result<LoadReport> {
    restore_with(database, script, &LoadOptions::default())
}

fn restore_with(database: &str, mut script: &[u8], options: &LoadOptions) -> Result<LoadReport> {
    load::load(&mut connect(database), &mut script, options, &NullMonitor)
}

fn message(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// A new, empty database of this encoding.
fn database_in(encoding: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("load_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create(&name, &format!("TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"));
    name
}

fn database() -> String {
    database_in("UTF8")
}

/// A database with one of everything.
fn features() -> &'static str {
    static MADE: Once = Once::new();
    MADE.call_once(|| database::features("load"));
    "load"
}

fn dump(database: &str, arguments: &[&str]) -> Vec<u8> {
    stdout_of(tool("pg_dump", database).args(arguments))
}

fn assert_same(left: &[u8], right: &[u8]) {
    database::assert_same(&comparable(left), &comparable(right));
}

#[test]
fn a_database_with_everything_comes_back_as_it_was() {
    let script = dump(features(), &[]);
    let target = database();
    let loaded =
        restore_with(&target, &script, &LoadOptions { require_trailer: true, ..LoadOptions::default() }).unwrap();
    assert_same(&script, &dump(&target, &[]));
    assert_eq!(loaded.skipped, [""; 0]);

    let mut tables = TableCounter::default();
    script.chunks(1000).for_each(|piece| tables.update(piece));
    let outcome = tables.finish();
    assert!(outcome.complete);
    let counted: Vec<_> = outcome.tables.iter().map(|table| (table.name.clone(), table.rows)).collect();
    assert_eq!(loaded.tables, counted);
    assert!(counted.contains(&("public.one".into(), 4)));
    assert_eq!(outcome.requirements.roles.iter().collect::<Vec<_>>(), ["Load Owner", "postgres"]);
}

#[test]
fn a_dump_of_inserts_comes_back_too() {
    for arguments in [&["--inserts"][..], &["--column-inserts", "--rows-per-insert=3"], &["--quote-all-identifiers"]] {
        let script = dump(features(), arguments);
        let target = database();
        restore(&target, &script).unwrap();
        assert_same(&script, &dump(&target, arguments));
    }
}

#[test]
fn any_pieces_of_the_script_restore_the_same() {
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(7);
            self.0.read(&mut buffer[..length])
        }
    }
    let script = dump(features(), &[]);
    let target = database();
    load::load(&mut connect(&target), &mut Slow(&script), &LoadOptions::default(), &NullMonitor).unwrap();
    assert_same(&script, &dump(&target, &[]));
}

#[test]
fn bytes_of_other_encodings_are_kept() {
    for (encoding, text) in [("LATIN1", r"\xe9e8fc"), ("SQL_ASCII", r"\xe9ff80c3a9"), ("EUC_JP", r"\xc6fccbdc")] {
        let source = database_in(encoding);
        let create = format!(
            "CREATE TABLE t (c text, d text DEFAULT 'x'); DO $$BEGIN
             INSERT INTO t VALUES (convert_from('{text}', '{encoding}'), E'\\\\.\\n');
             EXECUTE 'COMMENT ON TABLE t IS ' || quote_literal(convert_from('{text}', '{encoding}') || '''\\');
             EXECUTE 'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS ' || quote_literal('SELECT ''' || convert_from('{text}', '{encoding}') || '''::text'); END$$"
        );
        sql(&source, &create);
        sql(
            &source,
            format!(
                "DO $$BEGIN EXECUTE 'CREATE TABLE ' || quote_ident(convert_from('{text}', '{encoding}')) || ' AS SELECT 1 AS a, 2 AS '
                 || quote_ident(convert_from('{text}', '{encoding}')); END$$"
            ),
        );
        let script = dump(&source, &[]);
        assert!(std::str::from_utf8(&script).is_err());
        let same = database_in(encoding);
        restore(&same, &script).unwrap();
        assert_same(&script, &dump(&same, &[]));
        if encoding != "SQL_ASCII" {
            let other = database();
            restore(&other, &script).unwrap();
            assert_same(&script, &dump(&other, &["--encoding", encoding]));
        }
    }
}

#[test]
fn text_whose_encoding_cannot_be_told_apart_joined_or_read_is_refused() {
    let target = database();
    let before = dump(&target, &[]);
    let utf8 = Some("dump the database with --encoding=UTF8");
    let made = b"SET client_encoding = 'EUC_JP';\nCREATE TABLE t (a text);\n".as_slice();
    for (script, said, hint) in [
        (
            b"SET client_encoding = 'SJIS';\n".to_vec(),
            "the dump is written in SJIS (line 1), which pgbk cannot restore",
            utf8,
        ),
        (b"\nSET client_encoding = 'LATIN 1';\n".to_vec(), "line 2: \"LATIN 1\" is no encoding", None),
        (
            [made, b"COPY t (a) FROM stdin WITH (FORMAT text);\nx\n\\.\n"].concat(),
            "line 3: the COPY has options, which pgbk cannot join with EUC_JP",
            utf8,
        ),
        (
            [made, b"COPY t\xff (a) FROM stdin;\nx\n\\.\n"].concat(),
            "line 3, COPY t\u{fffd} (a) FROM stdin;: invalid byte sequence for encoding \"EUC_JP\": 0xff",
            Some("restore all else with --skip-failed, which leaves out what is refused and names it"),
        ),
    ] {
        let error = restore(&target, &script).unwrap_err();
        assert!(message(&error).starts_with(said), "{error:#}");
        assert_eq!((error::kind(&error), error::hints(&error)), (error::Kind::Refused, Vec::from_iter(hint)));
        assert_same(&before, &dump(&target, &[]));
    }
}

#[test]
fn an_error_leaves_the_target_as_it_was() {
    let target = database();
    sql(&target, "CREATE TABLE before (a int); INSERT INTO before VALUES (1)");
    let before = dump(&target, &[]);
    for (script, expected) in [
        (
            "CREATE TABLE a (x int);\nCOPY a (x) FROM stdin;\n1\n\\.\n\nSELECT\n  1,\n  nothing;\n",
            "line 8, SELECT…: column \"nothing\" does not exist (SQLSTATE 42703)",
        ),
        (
            "INSERT INTO before VALUES (2);\nCOPY before (a) FROM stdin;\n1\nx\n\\.\n",
            "line 2, COPY before (a) FROM stdin;: invalid input syntax for type integer: \"x\" (SQLSTATE 22P02); COPY before, line 2, \
             column a: \"x\"",
        ),
        ("DROP TABLE before;\n\nCREATE TABLE a (\n", "the dump ends inside the statement that begins at line 3"),
        (
            "DROP TABLE before;\nCREATE TABLE a (x int);\nCOPY a (x) FROM stdin;\n1\n",
            "the dump ends inside the rows of the COPY at line 3",
        ),
        ("DROP TABLE before;\nCOMMIT;\n", "the dump begins or ends a transaction of its own at line 2"),
        (
            "BEGIN;\nDROP TABLE before;\nCOMMIT;\nROLLBACK;\n",
            "the dump begins or ends a transaction of its own at line 4",
        ),
        ("DROP TABLE before;\nBEGIN;\n", "the dump does not end the transaction that it begins at line 2"),
        (
            "BEGIN;\nCOMMIT;\nDROP TABLE before;\nnonsense;\n",
            "line 4, nonsense;: syntax error at or near \"nonsense\" (SQLSTATE 42601)",
        ),
        ("CREATE DATABASE x;\n", "the dump creates or changes a database at line 1"),
        (
            "CREATE TABLE d (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO d VALUES (1), (1);\n",
            "cannot commit what was restored: duplicate key value violates unique constraint \"d_a_key\" (SQLSTATE 23505); Key (a)=(1) \
             already exists.",
        ),
    ] {
        let error = restore(&target, script.as_bytes()).unwrap_err();
        assert_eq!(message(&error), expected);
        assert_same(&before, &dump(&target, &[]));
    }
    let whole = LoadOptions { require_trailer: true, ..LoadOptions::default() };
    let error = restore_with(&target, b"DROP TABLE before;\n", &whole).unwrap_err();
    assert!(message(&error).starts_with("the dump does not end with pg_dump's closing comment"));
    assert_same(&before, &dump(&target, &[]));
}

#[test]
fn every_meta_command_is_refused_and_none_runs() {
    let target = database();
    let before = dump(&target, &[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x");
    let path = file.display();
    let hidden = [
        (format!("\\! touch {path}\n"), "\\!"),
        (format!("\\copy a from program 'touch {path}'\n"), "\\copy"),
        (format!("SELECT 1 AS a \\gset\n\\! touch {path}\n"), "\\gset"),
        (format!("SELECT 1 \\g {path}\n"), "\\g"),
        (format!("SELECT 1; \\o {path}\nSELECT 2;\n"), "\\o"),
        (format!("\\i {path}\n"), "\\i"),
        ("\\connect postgres\n".into(), "\\connect"),
        ("\\c\n".into(), "\\c"),
        (format!("\\unrestrict `touch {path}`\n"), "\\unrestrict"),
        (format!("\\restrict abc \\! touch {path}\n"), "\\restrict"),
        ("\\restrict\n".into(), "\\restrict"),
        (format!("COPY made (x) FROM stdin;\n1\n\\.\n\\! touch {path}\n"), "\\!"),
        (format!("SELECT 'a' /* b */ \\! touch {path}\n;"), "\\!"),
        (format!("SELECT $$a$$\\! touch {path}"), "\\!"),
    ];
    for (meta, command) in &hidden {
        let script = format!("CREATE TABLE made (x text);\n{meta}");
        let error = restore(&target, script.as_bytes()).unwrap_err();
        let text = message(&error);
        assert!(text.starts_with(&format!("the dump holds the psql meta-command \"{command}\" at line ")), "{text}");
        assert_eq!(error::kind(&error), error::Kind::Refused);
        assert!(!file.exists());
    }
    assert_same(&before, &dump(&target, &[]));
    support::proof::counted("commands", "psql's commands in a dump", 0, hidden.len());

    let script = "\\restrict abc\nCREATE TABLE made (x text);\nCOPY made (x) FROM stdin;\n\\\\! id\n\\.\n\
                  INSERT INTO made VALUES ('\\! id'), ($$\\q$$); -- \\! id\n/* \\! id */\n\\unrestrict abc\n";
    restore(&target, script.as_bytes()).unwrap();
    assert_eq!(sql(&target, "SELECT * FROM made"), "\\! id\n\\! id\n\\q");
}

#[test]
fn a_setting_that_the_server_does_not_know_is_skipped_and_told() {
    let target = database();
    let script = "SET transaction_timeout = 0;\nSET statement_timeout = 0;\nSET SESSION AUTHORIZATION postgres;\nSET time zone 'UTC';\n\
                  SET transaction_timeout = 0;\nSET default_with_oids = false;\nSET my.own = 'x';\nSET xmloption = content;\n\
                  SET SESSION no_such TO 1;\nCREATE TABLE made ();\n";
    let loaded = restore(&target, script.as_bytes()).unwrap();
    assert_eq!(loaded.skipped, ["setting \"transaction_timeout\"", "setting \"no_such\""]);
    assert_eq!(loaded.statements, 7);
}

#[test]
fn owners_and_privileges_can_be_left_out() {
    let script = b"CREATE TABLE made (a int);\nALTER TABLE public.made OWNER TO nobody_here;\nGRANT SELECT ON made TO nobody_here;\n\
        REVOKE ALL ON made FROM nobody_here;\nALTER DEFAULT PRIVILEGES FOR ROLE nobody_here GRANT SELECT ON TABLES TO PUBLIC;\n\
        SET SESSION AUTHORIZATION 'nobody_here';\nALTER TABLE made ADD COLUMN b int;\n";
    let target = database();
    let error = restore(&target, script).unwrap_err();
    assert!(message(&error).contains("role \"nobody_here\" does not exist (SQLSTATE 42704)"));
    let options = LoadOptions { no_owner: true, no_privileges: true, ..LoadOptions::default() };
    assert_eq!(restore_with(&target, script, &options).unwrap().statements, 2);
}

#[test]
fn what_is_missing_is_known_before() {
    let mut requirements = Requirements::default();
    requirements.scan(b"ALTER TABLE t OWNER TO postgres;");
    requirements.scan(b"ALTER TABLE t OWNER TO \"No One\";");
    requirements.scan(b"CREATE EXTENSION IF NOT EXISTS plpgsql;");
    requirements.scan(b"CREATE EXTENSION no_such;");
    let missing = load::requirements_check::missing(&mut connect("postgres"), &requirements, "postgres").unwrap();
    assert_eq!(missing.roles.into_iter().collect::<Vec<_>>(), ["No One"]);
    assert_eq!(missing.extensions.into_iter().collect::<Vec<_>>(), ["no_such"]);
}

#[test]
fn a_field_of_many_megabytes_and_a_large_statement_pass() {
    let source = database();
    sql(&source, "CREATE TABLE big (a text); INSERT INTO big SELECT repeat(E'x\\n\\\\y''', 2000000)");
    for arguments in [&[][..], &["--inserts"]] {
        let script = dump(&source, arguments);
        let target = database();
        restore(&target, &script).unwrap();
        assert_same(&script, &dump(&target, arguments));
    }
}

#[test]
fn rows_that_the_server_drops_are_an_error() {
    let target = database();
    let script = "CREATE TABLE made (a int);\nCREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n\
                  CREATE TRIGGER t BEFORE INSERT ON made FOR EACH ROW WHEN (NEW.a = 2) EXECUTE FUNCTION drop_it();\n\
                  COPY made (a) FROM stdin;\n1\n2\n3\n\\.\n";
    let error = restore(&target, script.as_bytes()).unwrap_err();
    assert_eq!(message(&error), "the server took 2 of the 3 rows of table made (line 4)");
}

#[test]
fn a_restore_that_is_interrupted_leaves_nothing() {
    struct Broken<'a>(&'a [u8], Box<dyn FnMut() -> std::io::Result<usize>>);
    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { (self.1)() } else { self.0.read(buffer) }
        }
    }
    let target = database();
    let before = dump(&target, &[]);
    let script = format!("CREATE TABLE made (a int);\nCOPY made (a) FROM stdin;\n{}", "12345\n".repeat(500_000));
    let lost = || Err(std::io::Error::other("the store is gone"));
    let mut broken = Broken(script.as_bytes(), Box::new(lost));
    let error = load::load(&mut connect(&target), &mut broken, &LoadOptions::default(), &NullMonitor).unwrap_err();
    assert_eq!(message(&error), "the store is gone");
    assert_same(&before, &dump(&target, &[]));

    let name = target.clone();
    let killed = move || {
        let kill = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        sql("postgres", &kill);
        Ok(0)
    };
    let mut broken = Broken(script.as_bytes(), Box::new(killed));
    load::load(&mut connect(&target), &mut broken, &LoadOptions::default(), &NullMonitor).unwrap_err();
    assert_same(&before, &dump(&target, &[]));
}
