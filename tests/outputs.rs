//! Several backups of one snapshot: each in a series of its own, the anonymised one without anything of what was planted in the source.

mod bucket;
mod examined;
mod failing;
mod series;
mod watched;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::database::{create, sql, stdout_of, tool};
use support::pgbk::{OTHER_KEY, Pgbk, connected};
use support::process::until;
use tempfile::TempDir;

const SECRET: &str = "never in a log: 3f0a7be2c4611296a827abf8c47804d7";
/// What is in the source, and must be nowhere in an anonymised backup. All of it is in a script that is not anonymised.
const PLANTED: [&str; 8] = [
    "Plantagenet",
    "plantagenet.org",
    "0170 5551234",
    "Musterweg",
    "P4SSP0RT",
    "largeobjectsecret",
    "mappingsecret",
    "anna@",
];

/// People, their orders, and tables that no rule changes.
const SOURCE: &str = r#"
CREATE TABLE people (id int PRIMARY KEY, mail text NOT NULL UNIQUE, name text, phone text, address text, passport text, notes text,
    profile jsonb, tags text[]);
CREATE TABLE orders (id int PRIMARY KEY, person int NOT NULL REFERENCES people, mail text REFERENCES people (mail), cents bigint,
    taken timestamptz);
CREATE TABLE visits (id bigint PRIMARY KEY, person int REFERENCES people, page int);
CREATE MATERIALIZED VIEW spenders AS SELECT p.name, sum(o.cents) FROM people p JOIN orders o ON o.person = p.id GROUP BY 1;
COMMENT ON TABLE people IS 'ask anna@plantagenet.org';
COMMENT ON TABLE orders IS 'what people buy';
INSERT INTO people SELECT g, 'anna' || g || '@plantagenet.org', 'Anna Plantagenet ' || g, '0170 5551234' || g, g || ' Musterweg', 'P4SSP0RT' || g,
    'called by Plantagenet, write to anna@plantagenet.org', jsonb_build_object('mail', 'anna@plantagenet.org', 'n', g), ARRAY['anna@plantagenet.org', 'vip']
    FROM generate_series(1, 300) g;
INSERT INTO orders SELECT g, 1 + g % 300, 'anna' || 1 + g % 300 || '@plantagenet.org', g * 7, timestamptz '2026-01-01 12:00+00' + g * interval '1 hour'
    FROM generate_series(1, 2000) g;
INSERT INTO visits SELECT g, 1 + g % 300, g % 50 FROM generate_series(1, 5000) g;
REFRESH MATERIALIZED VIEW spenders;
CREATE STATISTICS names ON name, phone FROM people;
ANALYZE;
"#;

/// Large objects, and what leads to another server.
const OBJECTS: &str = r#"
SELECT lo_from_bytea(4711, 'largeobjectsecret of anna@plantagenet.org');
COMMENT ON LARGE OBJECT 4711 IS 'largeobjectsecret';
CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR PUBLIC SERVER elsewhere OPTIONS (user 'anna@plantagenet.org', password 'mappingsecret');
"#;

const RULES: &str = r#"
[tables.public.people]
id = "keep"
mail = "email"
name = "name"
phone = "phone"
address = "address"
passport = "hash"
notes = "text"
[tables.public.orders]
"*" = "keep"
"#;

/// A folder with the rules, one for backups, and one for those that are anonymised.
struct Place(TempDir);

impl Place {
    fn new(rules: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.toml"), rules).unwrap();
        Place(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A run with these outputs, in one store.
    fn pgbk(&self, outputs: &str) -> Pgbk {
        let pgbk = connected().directory(&self.path().join("store")).set("NO_ENCRYPT", 1).set("OUTPUTS", outputs);
        let pgbk = pgbk.set("STATE_DIR", self.path().join("state").display());
        pgbk.set("ANONYMISE_RULES", self.path().join("rules.toml").display()).set("ANONYMISE_SECRET", SECRET)
    }

    /// The manifest of a backup.
    fn meta(&self, id: &str) -> Value {
        let series = id.rsplit_once('-').unwrap().0;
        let path = self.path().join(format!("store/{series}/{id}.meta"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

fn source(database: &str) {
    create(database, "");
    sql(database, SOURCE);
}

/// The ids that a report of a run names: the plain one's, and those of the others.
fn ids(report: &Value) -> (String, Vec<String>) {
    let of = |value: &Value| value["id"].as_str().unwrap().to_owned();
    (of(report), report["outputs"].as_array().map(|all| all.iter().map(of).collect()).unwrap_or_default())
}

/// What anybody would take for an e-mail address, save those that pgbk makes.
fn addresses(text: &str) -> Vec<String> {
    let looks = regex::Regex::new(r"[A-Za-z0-9._%+-]+(@|%40|\\u0040)[A-Za-z0-9.-]+\.[A-Za-z]{2,}").unwrap();
    let found = looks.find_iter(text).map(|found| found.as_str().to_owned());
    found.filter(|found| !found.ends_with("@example.com")).collect()
}

/// Loads a script into a new database as the image of postgres does with what is in `docker-entrypoint-initdb.d`.
fn load(script: &Path, database: &str) {
    create(database, "");
    let psql: &mut Command = &mut tool("psql", database);
    stdout_of(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-f"]).arg(script));
}

#[track_caller]
fn holds_nothing_planted(script: &[u8]) {
    let text = String::from_utf8_lossy(script);
    for planted in PLANTED {
        let at = text.find(planted).map(|at| &text[at.saturating_sub(100)..(at + 100).min(text.len())]);
        assert_eq!(at, None, "{planted}");
    }
    assert_eq!(addresses(&text), Vec::<String>::new());
}

/// The whole way of who wants rows to work with: one run, a download by name, and a load into an empty server.
#[test]
fn a_copy_without_anything_planted_is_made_downloaded_and_loaded_and_its_keys_hold() {
    for (jobs, large_objects) in [("1", false), ("2", false), ("3", true)] {
        let database = format!("outputs_way_{jobs}");
        source(&database);
        if large_objects {
            sql(&database, OBJECTS);
        }
        let place = Place::new(RULES);
        let pgbk = place.pgbk("plain,anonymised");
        let outcome = pgbk.args(["backup", &database, "--jobs", jobs, "--json"]).expect(0);
        let (plain, others) = ids(&outcome.json());
        let copy = &others[0];
        assert!(copy.starts_with(&format!("{database}@anonymised-")) && others.len() == 1, "{outcome:#?}");
        assert_eq!(outcome.err.contains("large objects"), large_objects, "{outcome:#?}");
        let whole = pgbk.args(["download", &plain, "-o", "-"]).expect(0).out;
        let text = String::from_utf8_lossy(&whole).into_owned();
        let there = PLANTED.iter().filter(|planted| text.contains(**planted)).count();
        // What is not planted cannot be missed. A large object is hexadecimal in a script.
        assert_eq!(there, if large_objects { PLANTED.len() } else { PLANTED.len() - 2 }, "{jobs}");
        let script = place.path().join("init.sql");
        let file = script.display().to_string();
        pgbk.args(["download", "latest", "--database", &database, "--variant", "anonymised", "-o", &file]).expect(0);
        let bytes = fs::read(&script).unwrap();
        holds_nothing_planted(&bytes);
        // Nor where it says what it has.
        let meta = fs::read(place.path().join(format!("store/{database}@anonymised/{copy}.meta"))).unwrap();
        let text = String::from_utf8_lossy(&meta);
        assert!(PLANTED.iter().all(|planted| !text.contains(*planted)), "{text}");
        let loaded = format!("outputs_loaded_{jobs}");
        load(&script, &loaded);
        like_its_source(&database, &loaded);
        pgbk.args(["verify", copy, "--level", "restore"]).expect(0);
        pgbk.args(["restore", "latest", "--database", &database, "--variant", "anonymised", "--yes"])
            .expect(2)
            .says("--to");
        let restored = format!("outputs_restored_{jobs}");
        pgbk.args(["restore", copy, "--to", &restored, "--yes"]).expect(0);
        like_its_source(&database, &restored);
    }
}

/// The keys, the counts and what nobody changed are those of the source.
#[track_caller]
fn like_its_source(source: &str, copy: &str) {
    let holds = |condition: &str| assert_eq!(sql(copy, format!("SELECT {condition}")), "t", "{condition}");
    holds("count(*) = 300 AND count(DISTINCT mail) = 300 AND bool_and(mail LIKE '%@example.com') FROM people");
    holds("count(*) = 2000 FROM orders o JOIN people p ON p.id = o.person AND p.mail = o.mail");
    holds("count(*) > 0 FROM spenders");
    holds("bool_and(profile->>'mail' = 'nobody@example.com' AND tags = '{nobody@example.com,vip}') FROM people");
    holds("obj_description('orders'::regclass) = 'what people buy' AND obj_description('people'::regclass) IS NULL");
    for query in [
        "SELECT md5(string_agg(v::text, ',' ORDER BY id)) FROM visits v",
        "SELECT md5(string_agg(id || ' ' || cents || ' ' || extract(epoch FROM taken), ',' ORDER BY id)) FROM orders",
        "SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    ] {
        assert_eq!(sql(source, query), sql(copy, query), "{query}");
    }
}

/// The manifest says what made the copy, and another run with the same secret makes the same of it.
#[test]
fn the_same_secret_gives_the_same_values_and_the_manifest_names_the_rules_but_no_secret() {
    source("outputs_again");
    let place = Place::new(RULES);
    let run = |secret: &str| {
        let pgbk = place.pgbk("plain,anonymised").set("ANONYMISE_SECRET", secret);
        let copy = ids(&pgbk.args(["backup", "outputs_again"]).json()).1.remove(0);
        let people = pgbk.args(["download", &copy, "--table", "people", "-o", "-"]).expect(0).text();
        (place.meta(&copy), people)
    };
    let [(one, rows), (two, again), (_, others)] = [SECRET, SECRET, "another secret of many letters"].map(run);
    assert!(rows == again && rows != others && rows.contains("@example.com"), "{rows}");
    let digest = stdout_of(Command::new("b2sum").args(["-l", "256"]).arg(place.path().join("rules.toml")));
    let note = &one["anonymised"];
    assert!(String::from_utf8_lossy(&digest).starts_with(note["rules_blake2b"].as_str().unwrap()), "{note}");
    assert_eq!((&note["rules"], &note["strict"], &two["anonymised"]), (&"rules.toml".into(), &false.into(), note));
    assert!(note["secret_check"].as_str().unwrap().len() == 16 && !one.to_string().contains(SECRET), "{one}");
    assert!(!rows.contains(SECRET));
}

#[test]
fn a_copy_of_a_database_in_another_encoding_keeps_its_signs() {
    create("outputs_latin", "ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    sql(
        "outputs_latin",
        "CREATE TABLE t AS SELECT g AS id, 'anna' || g || '@plantagenet.org' AS mail, chr(233) AS word FROM generate_series(1, 50) g",
    );
    let place = Place::new("[tables.public.t]\nid = \"keep\"\nmail = \"email\"\nword = \"keep\"\n");
    let pgbk = place.pgbk("plain,anonymised");
    let copy = ids(&pgbk.args(["backup", "outputs_latin", "--jobs", "2"]).json()).1.remove(0);
    let script = pgbk.args(["download", &copy, "-o", "-"]).expect(0).out;
    let text = String::from_utf8_lossy(&script);
    assert!(script.windows(3).filter(|bytes| bytes == b"\t\xe9\n").count() == 50, "{text}");
    assert!(text.matches("@example.com\t").count() == 50 && !text.contains("plantagenet"), "{text}");
}

/// What no rule changes is read once and compressed once; what is changed is read a second time.
#[test]
fn a_table_that_no_rule_changes_is_read_and_compressed_once_for_both() {
    source("outputs_once");
    sql(
        "outputs_once",
        // pg_dump, asked for its contents, may begin to read: the pipe is full before the first table is over.
        "CREATE TABLE a_first AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 8000); CREATE TABLE volume AS SELECT g AS a, g::bigint * 7919 % 100003 AS b, g::bigint * 104729 % 1000003 AS c FROM generate_series(1, 450000) g",
    );
    let scans = |table: &str| -> i64 {
        sql("outputs_once", format!("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = '{table}'"))
            .parse()
            .unwrap()
    };
    let before = ["volume", "visits", "people"].map(scans);
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,anonymised").set("DB_BACKUP_COMPRESS", "zstd");
    let (plain, others) = ids(&pgbk.args(["backup", "outputs_once", "--jobs", "2"]).json());
    let read = |at: usize, table: &str| scans(table) - before[at];
    // A session counts for others once it has ended.
    until(Duration::from_secs(20), || read(2, "people") == 2);
    assert_eq!([read(0, "volume"), read(1, "visits"), read(2, "people")], [1, 1, 2]);
    let pieces = |id: &str| -> BTreeSet<String> {
        let meta = place.meta(id);
        let pieces = meta["pieces"].as_array().unwrap();
        pieces.iter().map(|piece| piece.as_str().unwrap().to_owned()).collect()
    };
    let (one, two) = (pieces(&plain), pieces(&others[0]));
    assert!(one.intersection(&two).count() >= 2, "{one:?} {two:?}");
    for id in [&plain, &others[0]] {
        pgbk.args(["verify", id, "--level", "restore"]).expect(0);
    }
}

/// The rows are the same, and their digests are not.
#[test]
fn of_what_is_not_changed_both_have_the_same_rows_and_each_of_the_anonymised_ones_is_counted_with_its_own_key() {
    source("outputs_rows");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,anonymised").unset("NO_ENCRYPT").key().set("ANON_ENCRYPT_KEY", OTHER_KEY);
    let (plain, others) = ids(&pgbk.args(["backup", "outputs_rows", "--jobs", "2", "--compress", "zstd"]).json());
    let copy = &others[0];
    let tables = |id: &str| -> Vec<(String, Value, Value)> {
        let meta = place.meta(id);
        let tables = meta["tables"].as_array().unwrap();
        let of = |table: &Value| (table["name"].to_string(), table["rows"].clone(), table["blake2b"].clone());
        let mut tables: Vec<_> = tables.iter().map(of).collect();
        tables.sort_by(|one, other| one.0.cmp(&other.0));
        tables
    };
    let (one, two) = (tables(&plain), tables(copy));
    let names = |tables: &[(String, Value, Value)]| {
        tables.iter().map(|(name, rows, _)| (name.clone(), rows.clone())).collect::<Vec<_>>()
    };
    assert_eq!((names(&one), one.len()), (names(&two), 3));
    // No two backups show that they hold the same rows.
    let digests: BTreeSet<String> = one.iter().chain(&two).map(|(.., digest)| digest.to_string()).collect();
    assert_eq!(digests.len(), 6);
    // Both are read with their own key alone, and every count and digest holds.
    let visits = |pgbk: &Pgbk, id: &str| pgbk.args(["download", id, "--table", "visits", "-o", "-"]).expect(0).text();
    assert_eq!(visits(&pgbk, &plain), visits(&pgbk, copy));
    for id in [&plain, copy] {
        pgbk.args(["verify", id, "--level", "restore"]).expect(0);
    }
    let developer = pgbk.unset("ANON_ENCRYPT_KEY").set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY);
    developer.args(["verify", copy]).expect(0);
    assert_ne!(developer.args(["verify", &plain]).end().code, Some(0));
    assert_ne!(pgbk.unset("ANON_ENCRYPT_KEY").args(["verify", copy]).end().code, Some(0));
}
