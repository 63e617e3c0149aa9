//! `restore --at`: a database comes back as it was at any moment, from a base and the changes behind it.

mod answers;
mod proof;
mod sequences;
mod stopped;
mod tables;

use pgbk::format::lsn::Lsn;
use pgbk::format::manifest::base_alignment::BaseAlignment;
use pgbk::format::transaction_snapshot::TransactionSnapshot;
use std::fs;
use std::sync::OnceLock;
use support::capture::{Capture, rows};
use support::cluster::Cluster;
use support::pgbk::{Pgbk, pgbk};
use tempfile::TempDir;

/// Tables whose changes have effects of their own, and keys that are changed.
const SHOP: &str = "
    CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text UNIQUE, body text);
    CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE,
        place int, total numeric, twice numeric GENERATED ALWAYS AS (total * 2) STORED, n bigint GENERATED ALWAYS AS IDENTITY,
        CONSTRAINT places UNIQUE (place) DEFERRABLE INITIALLY IMMEDIATE);
    CREATE TABLE log (what text, at int);
    CREATE TABLE counted (a text NOT NULL, b int NOT NULL, v int);
    CREATE UNIQUE INDEX counted_by ON counted (b, a);
    ALTER TABLE counted REPLICA IDENTITY USING INDEX counted_by;
    CREATE TABLE whole (a int, b text);
    ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE swapped (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, v text);
    ALTER TABLE swapped REPLICA IDENTITY FULL;
    CREATE INDEX orders_total ON orders (total);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP, NEW.id); RETURN NEW; END $$;
    CREATE TRIGGER noted AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TABLE refused (id int PRIMARY KEY);
    CREATE RULE never AS ON DELETE TO refused DO INSTEAD NOTHING;
    INSERT INTO customers (mail, body) SELECT 'c' || g, repeat(md5(g::text), 200) FROM generate_series(1, 20) g;
    INSERT INTO orders (id, customer, place, total) SELECT g, 1 + g % 20, g, g FROM generate_series(1, 100) g;
    INSERT INTO counted SELECT 'x' || g, g, 0 FROM generate_series(1, 10) g;
    INSERT INTO whole SELECT 1, 'twin' FROM generate_series(1, 4) g;
    INSERT INTO swapped SELECT g, g::text FROM generate_series(1, 5) g;
    INSERT INTO refused SELECT generate_series(1, 3)";

/// Changes of all of them, in transactions of their own.
const WORK: &[&str] = &[
    "INSERT INTO orders (id, customer, place, total) SELECT 1000 + g, 1 + g % 20, 1000 + g, g FROM generate_series(1, 60) g",
    "UPDATE orders SET total = total + 1 WHERE id < 30",
    "UPDATE customers SET mail = mail || '!' WHERE id <= 5",
    "DELETE FROM customers WHERE id = 7",
    "UPDATE orders SET place = place + 1",
    "UPDATE counted SET a = a || 'y', v = v + 1 WHERE b < 5; DELETE FROM counted WHERE b = 9",
    "DELETE FROM whole WHERE ctid = (SELECT ctid FROM whole LIMIT 1); UPDATE whole SET b = 'other' WHERE ctid = (SELECT ctid FROM whole LIMIT 1)",
    "UPDATE swapped SET id = 6 - id",
    "BEGIN; INSERT INTO log VALUES ('gone', 0); SAVEPOINT s; INSERT INTO log VALUES ('taken back', 0); ROLLBACK TO s; COMMIT",
    "INSERT INTO refused VALUES (10)",
];

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start_set(&["wal_level=logical", "max_replication_slots=60", "max_wal_senders=20"]))
}

struct World {
    folder: TempDir,
    database: String,
    run: Pgbk,
}

impl World {
    fn with(hint: &str, tables: &str) -> World {
        let database = cluster().database(hint);
        cluster().psql(&database, tables);
        let folder = tempfile::tempdir().unwrap();
        let run = pgbk([]).server(cluster()).directory(folder.path()).key().set("DB_BACKUP_COMPRESS", "zstd");
        World { folder, database, run }
    }

    fn capture(&self) -> Capture<'static> {
        Capture::begin(cluster(), &self.database, self.folder.path())
    }

    fn work(&self, statements: &[&str]) {
        for statement in statements {
            cluster().psql(&self.database, statement);
        }
    }

    fn rows(&self) -> Vec<String> {
        rows(cluster(), &self.database)
    }

    /// Restores to a moment, and returns the rows.
    fn at(&self, point: &str, into: &str, more: &[&str]) -> Vec<String> {
        let arguments = ["restore", "--at", point, "--to", into, "--database", &self.database, "--yes"];
        self.run.args(arguments.into_iter().chain(more.iter().copied())).expect(0);
        rows(cluster(), into)
    }

    fn refusal(&self, point: &str, code: i32) -> String {
        let into = format!("{}_refused", self.database);
        let arguments = ["restore", "--at", point, "--to", &into, "--database", &self.database, "--yes"];
        let said = self.run.args(arguments).expect(code).err;
        assert_eq!(
            cluster().psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{into}'")),
            "0"
        );
        said
    }
}

fn now() -> String {
    cluster()
        .psql("postgres", "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
}

#[test]
fn a_database_comes_back_as_it_was_at_each_moment_with_all_that_belongs_to_it() {
    let world = World::with("replayed", SHOP);
    let mut capture = world.capture();
    world.work(&WORK[1..3]);
    capture.store();
    let base = capture.base(&world.run);
    let mut moments: Vec<(Lsn, String, Vec<String>)> = Vec::new();
    for statement in WORK {
        world.work(&[statement]);
        moments.push((capture.position(), now(), world.rows()));
        if moments.len().is_multiple_of(3) {
            capture.store();
        }
    }
    world.work(&["TRUNCATE log; INSERT INTO log VALUES ('last', 1)"]);
    let end = capture.store();
    let last = world.rows();
    for (number, (position, time, expected)) in moments.iter().enumerate() {
        let into = format!("{}_{number}", world.database);
        let found = match number % 2 {
            0 => world.at(&position.to_string(), &into, &[]),
            _ => world.at(time, &into, &[]),
        };
        assert_eq!(&found, expected, "{position} {time}");
    }
    for (into, more) in [("one", &["--jobs", "1"][..]), ("two", &["--jobs", "2"])] {
        let into = format!("{}_{into}", world.database);
        assert_eq!(world.at("latest", &into, more), last);
        let of = |query: &str| cluster().psql(&into, query);
        let source = |query: &str| cluster().psql(&world.database, query);
        for query in [
            "SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT count(*), count(*) FILTER (WHERE indisreplident) FROM pg_index WHERE indrelid >= 16384",
            "SELECT count(*) FROM pg_trigger",
            "SELECT count(*) FROM pg_rules WHERE schemaname = 'public'",
            "SELECT string_agg(attname::text || attidentity::text, ',' ORDER BY attrelid::regclass::text, attname) FROM pg_attribute WHERE attidentity <> ''",
        ] {
            assert_eq!(of(query), source(query), "{query}");
        }
        assert_eq!(of("INSERT INTO orders (id, customer, total) VALUES (5000, 1, 1) RETURNING twice"), "2");
        assert_eq!(of("SELECT count(*) FROM log WHERE at = 5000"), "1");
    }
    let plan = world.run.args(["restore", "--at", &end.to_string(), "--to", "replayed_none", "--dry-run", &base]);
    let plan = plan.json();
    assert_eq!((&plan["id"], &plan["changes"]["up_to"]), (&base.as_str().into(), &end.to_string().as_str().into()));
    assert_eq!(plan["changes"]["uncovered"], serde_json::json!([]));
    assert!(plan["estimated_seconds"].as_u64() >= Some(1), "{plan:#}");
}

#[test]
fn tables_of_every_kind_are_the_same_in_a_base_with_its_changes() {
    let world = World::with("every_kind", "SELECT 1");
    let script = |text: &str| {
        let path = world.folder.path().join("script.sql");
        fs::write(&path, text).unwrap();
        let mut psql = std::process::Command::new(cluster().clients.join("psql"));
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-h", &cluster().socket(), "-p", &cluster().port.to_string()]);
        psql.args(["-U", support::cluster::USER, "-d", &world.database, "-f", path.to_str().unwrap()]);
        let output = psql.env("PGPASSWORD", support::cluster::PASSWORD).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(path).unwrap();
    };
    script(include_str!("changes/tables.sql"));
    // The listing of these tests has a name on each line.
    script("ALTER TABLE \"S x.y\".U&\"we\"\"ird\\000atable\\005c\" RENAME TO \"weird \"\"table\"");
    let mut capture = world.capture();
    capture.base(&world.run);
    script(&include_str!("changes/work.sql").replace("U&\"we\"\"ird\\000atable\\005c\"", "\"weird \"\"table\""));
    capture.store();
    assert!(capture.last().breaks.is_empty());
    let into = format!("{}_copy", world.database);
    assert_eq!(world.at("latest", &into, &[]), world.rows());
}

#[test]
fn moments_that_cannot_be_reached_are_told_with_those_that_can() {
    let world = World::with("reached", SHOP);
    let mut capture = world.capture();
    let early = (capture.position(), now());
    world.work(&WORK[..1]);
    let base = capture.base(&world.run);
    world.work(&WORK[1..3]);
    capture.store();
    for point in [early.0.to_string(), early.1] {
        let said = world.refusal(&point, 4);
        assert!(said.contains("the base is too new to restore") && said.contains(&base), "{said}");
    }
    let end = capture.last().end;
    for point in [Lsn(end.0 + 1).to_string(), now()] {
        let said = world.refusal(&point, 4);
        assert!(said.contains(&format!("end at {end}")) && said.contains(&format!("--at {end}")), "{said}");
    }
    // The newest base that is old enough is taken.
    let second = capture.base(&world.run);
    world.work(&WORK[3..5]);
    capture.store();
    let plan = |point: &str| {
        let arguments = ["restore", "--at", point, "--to", "reached_none", "--dry-run", "--database", &world.database];
        world.run.args(arguments).json()["id"].as_str().unwrap().to_owned()
    };
    assert_eq!((plan("latest"), plan(&end.to_string())), (second, base));
    let into = &format!("{}_full", world.database);
    cluster().psql("postgres", &format!("CREATE DATABASE \"{into}\""));
    cluster().psql(into, "CREATE TABLE t ()");
    let arguments = ["restore", "--at", "latest", "--to", into, "--database", &world.database, "--yes"];
    world.run.args(arguments).expect(1).says("not empty");
}

#[test]
fn a_chain_that_somebody_has_cut_or_changed_is_refused_before_the_target_is_made() {
    let world = World::with("cut", SHOP);
    let mut capture = world.capture();
    capture.base(&world.run);
    let mut segments = Vec::new();
    for statement in &WORK[..4] {
        world.work(&[statement]);
        capture.store();
        segments.push(capture.last().clone());
    }
    let path = |key: &str| world.folder.path().join(key);
    let payload = path(&segments[1].object);
    let whole = fs::read(&payload).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&payload, changed).unwrap();
    let said = world.refusal("latest", 3);
    assert!(said.contains(&segments[1].object) && said.contains("does not match its tag"), "{said}");
    fs::write(&payload, whole).unwrap();
    let document = path(&segments[2].key_name());
    let kept = fs::read(&document).unwrap();
    fs::remove_file(&document).unwrap();
    let said = world.refusal("latest", 3);
    assert!(said.contains(&segments[2].key_name()) && said.contains("is missing"), "{said}");
    // What comes before the gap can be had.
    let into = format!("{}_before", world.database);
    world.at(&segments[1].end.to_string(), &into, &[]);
    fs::write(&document, kept).unwrap();
    let into = format!("{}_whole", world.database);
    assert_eq!(world.at("latest", &into, &[]), world.rows());
}

#[test]
fn a_change_that_meets_no_row_ends_the_restore_and_the_database_is_gone() {
    let world = World::with("misfit", SHOP);
    let mut capture = world.capture();
    let id = capture.base(&world.run);
    world.work(&["INSERT INTO counted VALUES ('new', 77, 0)", "UPDATE counted SET v = 8 WHERE b = 77"]);
    capture.store();
    let log = world.run.args(["log", "--database", &world.database]).json();
    let update = log[1]["xid"].as_u64().unwrap();
    // A base that is older than it says: it claims to hold the insertion and not the update.
    let after = capture.position();
    support::forger::reseal(world.folder.path(), &id, |manifest| {
        let snapshot = TransactionSnapshot::of_text(&format!("{update}:{}:{update}", update + 1)).unwrap();
        manifest.changes = BaseAlignment::new(capture.generation.id, snapshot, (after, after));
    });
    world.work(&["INSERT INTO whole VALUES (9, 'y')"]);
    capture.store();
    let said = world.refusal("latest", 1);
    assert!(said.contains("it changes 0 and must change 1 row"), "{said}");
    assert!(said.contains("UPDATE ONLY \"public\".\"counted\"") && said.contains("the change at line "), "{said}");
}

#[test]
fn a_table_that_breaks_stays_behind_and_is_named_before_and_all_others_are_replayed() {
    let world = World::with(
        "broken",
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)",
    );
    let mut capture = world.capture();
    world.work(&["INSERT INTO t VALUES (1, 'a')", "INSERT INTO u VALUES (1, 'a')"]);
    capture.store();
    capture.base(&world.run);
    world.work(&[
        "INSERT INTO t VALUES (2, 'b')",
        "ALTER TABLE t RENAME v TO w",
        "INSERT INTO t VALUES (3, 'c')",
        "CREATE TABLE fresh (id int PRIMARY KEY)",
        "INSERT INTO fresh VALUES (1)",
        "UPDATE u SET v = 'b'",
    ]);
    capture.store();
    let into = format!("{}_copy", world.database);
    let arguments = ["restore", "--at", "latest", "--to", &into, "--database", &world.database, "--yes", "--json"];
    let outcome = world.run.args(arguments).expect(0);
    for said in [
        "changes of table \"public\".\"t\" are not replayed from",
        "its columns were changed",
        "changes of table \"public\".\"fresh\" are not replayed at all: the base does not have it",
    ] {
        assert!(outcome.err.contains(said), "{said}: {outcome:#?}");
    }
    assert_eq!(outcome.json()["changes"]["uncovered"].as_array().unwrap().len(), 2);
    assert_eq!(cluster().psql(&into, "SELECT string_agg(id || v, ',' ORDER BY id) FROM t"), "1a,2b");
    assert_eq!(cluster().psql(&into, "SELECT * FROM u"), "1|b");
}

#[test]
fn the_log_shows_transactions_by_which_the_moment_before_an_accident_is_found() {
    let world = World::with("logged", SHOP);
    let mut capture = world.capture();
    capture.base(&world.run);
    world.work(&["UPDATE whole SET b = 'good' WHERE ctid = (SELECT ctid FROM whole LIMIT 1)"]);
    capture.store();
    let good = rows(cluster(), &world.database);
    let between = now();
    world.work(&["DELETE FROM whole", "INSERT INTO swapped VALUES (77, 'later')"]);
    capture.store();
    let log = |more: &[&str]| {
        let arguments = ["log", "--database", &world.database];
        world.run.args(arguments.into_iter().chain(more.iter().copied())).json().as_array().unwrap().clone()
    };
    assert_eq!(log(&[]).len(), 3);
    let of_table = log(&["--table", "whole"]);
    assert_eq!(of_table.len(), 2);
    assert_eq!(
        (&of_table[1]["tables"][0]["deletes"], &of_table[1]["tables"][0]["name"]),
        (&4.into(), &"\"public\".\"whole\"".into())
    );
    assert_eq!((log(&["--since", &between]).len(), log(&["--until", &between]).len()), (2, 1));
    assert_eq!(log(&["--limit", "1"])[0]["tables"][0]["name"], "\"public\".\"swapped\"");
    let text = world.run.args(["log", "--database", &world.database, "--table", "public.whole"]).expect(0).text();
    assert!(text.contains("DELETES") && text.contains("\"public\".\"whole\""), "{text}");
    // The position of a transaction has it, and nothing behind it.
    let into = format!("{}_copy", world.database);
    assert_eq!(world.at(of_table[0]["lsn"].as_str().unwrap(), &into, &[]), good);
}
