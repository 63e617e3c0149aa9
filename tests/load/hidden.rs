//! Commands that hide from whoever looks for the ends of statements: in a dump, in an archive, in a script of globals. None of them runs.

use super::{database, database_in, restore};
use pgbk::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};
use pgbk::postgres::globals::Globals;
use postgres::Client;
use std::fs;
use support::cluster::{PASSWORD, USER, cluster};
use support::database::{connect, script, sql, stdout_of, tool};
use support::proof;

/// Ways to hide `@H`, the commands, behind `@C`, which wants a literal.
const TRICKS: &[&str] = &[
    // Comments and what looks like blanks.
    "@H;",
    "/* x */ @H /* y */;",
    "/* /* nested */ ; */ @H;",
    "/* -- */ @H; --",
    "-- x\r@H;",
    "/**/-- x\r@H;",
    "@C 'x' -- x\r; @H; @C 'y'\n;",
    "\x0c@H\x0c;",
    "\x0b@H;",
    "\u{a0}@H;",
    "\u{2003}@H;",
    "\u{200b}@H;",
    "\u{feff}@H;",
    "; @H;",
    ";;;@H;;",
    "@C 'x';\r@H;\r",
    "@C 'x'\0; @H;",
    "@C 'x' - - 1; @H;",
    "@C 'x' --;\n; @H;",
    // Literals that go on.
    "@C E'a' -- c\n'\\'' ; @H; --'\n;",
    "@C E'a'\n-- c\n-- d\n'\\'' ; @H; --'\n;",
    "@C E'a' -- c\r'\\'' ; @H; --'\n;",
    "@C E'a' /* c */\n'\\'' ; @H; --'\n;",
    "@C E'a' - -- c\n'\\'' ; @H; --'\n;",
    "@C E'a\\\n'' ; @H; --'\n;",
    "@C e'\\\\' ; @H; @C e'\\\\';",
    "@C N'a' ; @H; @C N'b';",
    "@C B'1' ; @H; @C X'1';",
    "@C U&'a' UESCAPE '!' ; @H; @C 'b';",
    "@C U&'a' UESCAPE '''' ; @H; @C 'b';",
    "@C U&'\\0027' ; @H; --'\n;",
    "SELECT 1 AS U&\"d!0061\" UESCAPE '!' ; @H;",
    // Dollars.
    "@C $a$ x $a$ ; @H;",
    "@C $\u{e9}$ x $\u{e9}$ ; @H;",
    "@C $a\u{301}$ x $a\u{301}$ ; @H;",
    "@C $1$ ; @H; @C $1$;",
    "@C a$b$c ; @H; @C $b$;",
    "@C 1$a$ ; @H; --$a$\n;",
    "@C $$ $a$ $$ ; @H; @C $$ $a$ $$;",
    "@C $a$ $A$ ; @H; @C $a$;",
    "@C $_$ $_ $_$; @H;",
    "@C $a-b$ ; @H; @C $a-b$;",
    "@C \u{e9}$a$ ; @H; --$a$\n;",
    // Names.
    "SELECT 1 AS \"a'b\" ; @H; SELECT 1 AS \"c'd\";",
    "SELECT 1 AS \"a\"\"b\" ; @H;",
    "SELECT 1 AS \"a\\\" ; @H; --\"\n;",
    "SELECT 1 AS \"a$$\" ; @H; SELECT 1 AS \"b$$\";",
    "SELECT 1 AS \"/*\" ; @H; SELECT 1 AS \"*/\";",
    // Parentheses, rules, operators.
    "SELECT (1; @H; SELECT 2);",
    "SELECT 1); @H; SELECT (2;",
    "SELECT ((1; @H; SELECT 2));",
    "SELECT ARRAY[1; @H; SELECT 2];",
    "CREATE RULE r AS ON INSERT TO public.half DO ALSO (SELECT 1; @H; SELECT 2);",
    "CREATE RULE r AS ON INSERT TO public.half DO ALSO (SELECT 1); @H;",
    "CREATE RULE r AS ON INSERT TO public.half DO ALSO (DELETE FROM public.half; SELECT 1); SELECT (1); @H;",
    "CREATE OPERATOR public.;; @H;",
    "CREATE SCHEMA s CREATE TABLE t (a int) @H;",
    "CREATE SCHEMA s CREATE TABLE t (a int); @H;",
    // Bodies of functions.
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 AS case; END;\n@H;\nSELECT 1 AS end;\nSELECT 'x' AS end; END;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 AS \"case\"; END; @H;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; @H;",
    "CREATE FUNCTION public.begin(atomic int) RETURNS int LANGUAGE sql RETURN 1; @H; SELECT 1 AS end;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN /* x */ ATOMIC SELECT 1; @H; END;",
    "CREATE PROCEDURE public.p() LANGUAGE sql BEGIN ATOMIC; @H; END;",
    "CREATE OR REPLACE PROCEDURE public.p() BEGIN ATOMIC SELECT 1; END; @H;",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN\nATOMIC SELECT 1 case; END; @H; SELECT 1 AS end; END;",
    "CREATE FUNCTION public.f(x int DEFAULT 1) RETURNS begin atomic; @H; end;",
    // What only psql reads.
    "SELECT 1 \\; @H;",
    "SELECT :'x' ; @H;",
    "SELECT 1 :: int ; @H;",
    "SELECT 1 \\gexec\n@H;",
    // COPY.
    "COPY public.half (a) FROM stdin;\n1\n\\.\n@H;",
    "COPY public.half (a) FROM stdin WITH (DELIMITER ';');\n1\n\\.\n@H;",
    "COPY public.half FROM stdin; @H;\n1\n\\.\n",
    "COPY public.half (a) FROM stdin WITH (FORMAT csv);\n1\n\\.\n@H;",
    "COPY public.half FROM stdin /* ; */ ; @H;\n\\.\n",
    "COPY public.half FROM /* x */ stdin;\n\\.\n@H;",
    "COPY public.half FROM -- x\rstdin; @H;\n\\.\n",
    "COPY public.half TO stdout; @H;",
    "COPY (SELECT 1; @H) TO stdout;",
    "COPY public.half FROM stdin WHERE 'a' = E'a' -- \\\n'\\''; @H; --';\n\\.\n",
    "COPY public.half FROM \"stdin\"; @H;",
    // Transactions by other names.
    "END; @H;",
    "ABORT;",
    "ROLLBACK;",
    "COMMIT WORK AND CHAIN;",
    "ROLLBACK AND CHAIN; @H;",
    "BEGIN;\nCOMMIT AND CHAIN;",
    "BEGIN;\nEND;\n@H;",
    "START TRANSACTION; @H;",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; @H;",
    "SAVEPOINT s; @H;",
    "RELEASE SAVEPOINT s;",
    "ROLLBACK TO SAVEPOINT s;",
    "PREPARE TRANSACTION 'x';",
    "COMMIT PREPARED 'x';",
    "ROLLBACK PREPARED 'x';",
    "DISCARD ALL; @H;",
    "PREPARE q AS SELECT 1; EXECUTE q; @H;",
    "PREPARE q AS @H;",
    "EXPLAIN ANALYZE @H;",
    // From within the server.
    "CREATE PROCEDURE public.p() LANGUAGE plpgsql AS $$ begin commit; end $$;\nCALL public.p();",
    "DO $$ begin commit; end $$;",
    "DO $$ begin execute 'commit; begin'; end $$;",
    "DO $$ begin execute 'commit and chain'; end $$;",
    "SELECT pg_catalog.query_to_xml('commit', true, true, '');",
    "CREATE FUNCTION public.g() RETURNS int LANGUAGE sql AS 'commit; select 1';\nSELECT public.g();",
];

/// Ways to make a backslash an escape in every literal.
const ESCAPING: &[&str] = &[
    "SET standard_conforming_strings = off",
    "SET standard_conforming_strings TO 'off'",
    "SET standard_conforming_strings TO f",
    "SET standard_conforming_strings = 0",
    "SET standard_conforming_strings = of",
    "SET standard_conforming_strings TO FALSE",
    "SET SESSION standard_conforming_strings = off",
    "SET LOCAL standard_conforming_strings = off",
    "SET \"standard_conforming_strings\" = off",
    "SET STANDARD_Conforming_Strings = off",
    "SET /* x */ standard_conforming_strings = off",
    "SET standard_conforming_strings = off /* xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx */",
    "SET U&\"standard!005fconforming_strings\" UESCAPE '!' = off",
    "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)",
    "SELECT pg_catalog.set_config('standard_' || 'conforming_strings', 'off', true)",
    "WITH w AS (SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false)) SELECT * FROM w",
    "UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
    "DO $$ begin perform set_config('standard_conforming_strings', 'off', false); end $$",
    "DO $$ begin execute 'set standard_' || 'conforming_strings = off'; end $$",
    "CREATE FUNCTION public.g() RETURNS text LANGUAGE sql AS $$ select set_config('standard_conforming_strings', 'off', false) $$;\nSELECT public.g()",
    "CREATE FUNCTION public.g() RETURNS text LANGUAGE sql AS $$ select set_config('standard_' || 'conforming_strings', 'off', false) $$;\nSELECT public.g()",
    "CREATE PROCEDURE public.p() LANGUAGE plpgsql AS $$ begin set standard_conforming_strings = off; end $$;\nCALL public.p()",
    "PREPARE q AS SELECT set_config('standard_conforming_strings', 'off', false);\nEXECUTE q",
];

fn tricks() -> Vec<String> {
    let on_again = ["RESET ALL", "RESET standard_conforming_strings", "SET standard_conforming_strings TO DEFAULT"];
    let on_again =
        on_again.map(|on| format!("SET standard_conforming_strings = off;\n{on};\n@C 'a\\' ; @H; @C '\\' ;"));
    let long = format!("@C '{}' ; @H;", "x".repeat(3 << 20));
    let tag = "a".repeat(5000);
    TRICKS
        .iter()
        .map(|trick| (*trick).to_owned())
        .chain(ESCAPING.iter().map(|off| format!("{off};\n@C 'a\\'' ; @H; --'\n;")))
        .chain(on_again)
        .chain([long, format!("@C ${tag}$ ; @H; @C ${tag}$;")])
        .collect()
}

fn with(trick: &str, carrier: &str, hidden: &str) -> String {
    trick.replace("@C", carrier).replace("@H", hidden)
}

/// As a restore would find it that must fail.
fn dump(trick: &str) -> String {
    format!("CREATE TABLE public.half (a int);\n{}\nSELECT 1/0;\n", with(trick, "SELECT", "COMMIT"))
}

/// A database with one table, and a session that looks whether it is as it was.
struct Target {
    name: String,
    look: Client,
}

impl Target {
    fn new(encoding: &str) -> Target {
        let name = database_in(encoding);
        sql(&name, "CREATE TABLE before (a int)");
        Target { look: connect(&name), name }
    }

    #[track_caller]
    fn stays(&mut self, script: &[u8], trick: &str) {
        assert!(restore(&self.name, script).is_err(), "{trick:.200}");
        let query = "SELECT to_regclass('public.half') IS NULL AND to_regclass('public.before') IS NOT NULL";
        assert!(self.look.query_one(query, &[]).unwrap().get::<_, bool>(0), "{trick:.200}");
    }
}

#[test]
fn no_command_that_hides_in_a_dump_ends_its_transaction() {
    let mut target = Target::new("UTF8");
    let tricks = tricks();
    for trick in &tricks {
        target.stays(script(&dump(trick)).as_bytes(), trick);
    }
    proof::counted("hidden", "dumps", 0, tricks.len());
}

#[test]
fn no_command_that_hides_in_bytes_of_another_encoding_ends_its_transaction() {
    let mut count = 0;
    for mut target in ["UTF8", "SQL_ASCII", "LATIN1", "EUC_JP"].map(Target::new) {
        for named in ["LATIN1", "SQL_ASCII", "EUC_JP", "WIN1252", "SJIS", "GBK", "BIG5"] {
            for off in ["SELECT 1", "SELECT set_config('standard_' || 'conforming_strings', 'off', false)"] {
                // Two bytes that are one character wherever a backslash may be half of one.
                for bytes in [&b"\xb0\xb1"[..], b"\x83\x5c", b"\xe9\x5c"] {
                    for set in [
                        format!("SET client_encoding = '{named}'"),
                        format!("SELECT set_config('client_encoding', '{named}', false)"),
                    ] {
                        let begin = format!("CREATE TABLE public.half (a int);\n{set};\n{off};\nSELECT '");
                        let script = [begin.as_bytes(), bytes, b"\\'' ; COMMIT; --'\n;\nSELECT 1/0;\n"].concat();
                        target.stays(&script, &String::from_utf8_lossy(&script));
                        count += 1;
                    }
                }
            }
        }
    }
    proof::counted("hidden", "dumps in seven encodings, into four", 0, count);
}

#[test]
fn no_command_that_hides_in_an_archive_ends_its_transaction() {
    let source = database();
    let room = "-".repeat(20_000);
    sql(&source, format!("CREATE FUNCTION carrier() RETURNS int LANGUAGE sql AS $$SELECT 1 /*{room}*/$$"));
    let archive = stdout_of(tool("pg_dump", &source).arg("--format=custom"));
    let start = memchr::memmem::find(&archive, b"CREATE FUNCTION public.carrier()").unwrap();
    let length = memchr::memmem::find(&archive[start..], b"$$;\n").unwrap() + 4;
    let (mut target, folder) = (Target::new("UTF8"), tempfile::tempdir().unwrap());
    let mut count = 0;
    for trick in tricks() {
        let mut text = dump(&trick).into_bytes();
        if text.len() > length {
            continue;
        }
        text.resize(length, b' ');
        let forged = [&archive[..start], &text, &archive[start + length..]].concat();
        let path = folder.path().join("forged.dump");
        fs::write(&path, forged).unwrap();
        let script = stdout_of(tool("pg_restore", &target.name).arg("--file=-").arg(&path));
        target.stays(&script, &trick);
        count += 1;
    }
    proof::counted("hidden", "archives", 0, count);
}

#[test]
fn no_command_that_hides_in_globals_runs() {
    sql("postgres", "CREATE TABLE precious (a int); CREATE ROLE described");
    let port = cluster().port.to_string();
    let variables = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", USER), ("PGPASSWORD", PASSWORD)];
    let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let settings = ConnectionSettings::resolve(ConnectionOverrides::default(), &found).unwrap();
    let mut look = connect("postgres");
    let tricks = tricks();
    for trick in &tricks {
        let hidden = with(trick, "COMMENT ON ROLE described IS", "COMMIT; DROP TABLE public.precious; BEGIN");
        let text = format!("CREATE ROLE half;\n{hidden}\nGRANT half TO \"no such role\";\n");
        let applied = Globals::parse(text.as_bytes()).and_then(|globals| globals.apply(&settings));
        assert!(applied.is_err(), "{trick:.200}");
        let left = "SELECT to_regclass('public.precious') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'half')";
        assert!(look.query_one(left, &[]).unwrap().get::<_, bool>(0), "{trick:.200}");
    }
    // What is about neither roles nor tablespaces nor parameters is no global, however it begins.
    let foreign = [
        "COMMENT ON TABLE precious IS 'x';",
        "GRANT SELECT ON precious TO PUBLIC;",
        "REVOKE ALL ON SCHEMA public FROM postgres;",
    ];
    for foreign in foreign {
        assert!(Globals::parse(foreign.as_bytes()).is_err(), "{foreign}");
    }
    proof::counted("hidden", "globals", 0, tricks.len() + foreign.len());
}
