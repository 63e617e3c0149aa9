//! What people do to tables while changes are captured: each kind is captured, or is followed by a new base, and nothing is passed over in
//! silence. A table of a restored database is as in the source, or the restore has named it.

mod kinds;

use super::*;
use kinds::{KINDS, Kind, NEVER};
use postgres::{Client, NoTls};
use std::collections::{BTreeMap, BTreeSet};

/// The scene of all kinds.
struct Kinds {
    scene: Scene,
    run: Pgbk,
}

impl Kinds {
    fn new(hint: &str) -> Kinds {
        let scene = Scene::new(hint, "CREATE TABLE last (id int PRIMARY KEY)");
        let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd");
        let kinds = Kinds { scene, run };
        kinds.each(|(_, setup, _, _)| (*setup).to_owned());
        kinds
    }

    fn capture(&self) -> Pgbk {
        self.run.args(["capture", &self.scene.name])
    }

    /// Runs the statements of every kind.
    fn each(&self, statements: impl Fn(&Kind) -> String) {
        let mut config = postgres::Config::new();
        let cluster = self.scene.cluster;
        config.host("127.0.0.1").port(cluster.port).user(USER).password(PASSWORD).dbname(&self.scene.name);
        let mut client: Client = config.connect(NoTls).unwrap();
        for kind in KINDS {
            for statement in statements(kind).split(";;").filter(|statement| !statement.trim().is_empty()) {
                // A parameter of a function is no table.
                let statement = statement.replace("$1", "\u{1}").replace('$', kind.0).replace('\u{1}', "$1");
                client.batch_execute(&statement).unwrap_or_else(|error| panic!("{}: {statement}: {error:?}", kind.0));
            }
        }
    }

    fn change(&self, number: u32) {
        self.each(|(_, _, _, after)| after.replace('#', &number.to_string()));
    }

    /// Waits until everything so far is stored.
    fn await_stored(&self, running: &mut Running) {
        let position = self.scene.position();
        self.scene.sql("INSERT INTO last SELECT coalesce(max(id), 0) + 1 FROM last");
        let is_stored = || {
            let status = self.run.args(["capture", &self.scene.name, "--status"]).json();
            status["chain"]["end"].as_str().is_some_and(|end| end.parse::<Lsn>().unwrap() > position)
        };
        let stored = until(PATIENCE, || !running.runs() || is_stored());
        assert!(stored && running.runs(), "the changes are not stored");
    }

    /// Every table of a database, with a digest of its rows.
    fn tables(&self, database: &str) -> BTreeMap<String, String> {
        let query = "SELECT string_agg(format('SELECT %L || '' '' || count(*) || '' '' || coalesce(md5(string_agg(r::text, ''/'' ORDER BY r::text COLLATE \"C\")), ''none'') FROM ONLY %s r',
            quote_ident(nspname) || '.' || quote_ident(relname), c.oid::regclass), ' UNION ALL ')
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema') AND relpersistence <> 't'";
        let query = self.scene.cluster.psql(database, query);
        let found = self.scene.cluster.psql(database, &query);
        found
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, rows)| (name.to_owned(), rows.to_owned()))
            .collect()
    }

    /// Restores the latest moment, and returns the names of the tables that were named. Each other one is as in the source.
    fn compare(&self, into: &str) -> BTreeSet<String> {
        let into = format!("{}_{into}", self.scene.name);
        let arguments = ["restore", "--at", "latest", "--database", &self.scene.name, "--to", &into, "--yes"];
        let outcome = self.run.args(arguments).json();
        let plain = |name: &serde_json::Value| name["table"].as_str().unwrap().replace('"', "");
        let named: BTreeSet<String> = outcome["changes"]["uncovered"].as_array().unwrap().iter().map(plain).collect();
        let (source, restored) = (self.tables(&self.scene.name), self.tables(&into));
        let silent: Vec<_> = source
            .keys()
            .chain(restored.keys())
            .filter(|name| source.get(*name) != restored.get(*name) && !named.contains(*name))
            .map(|name| (name, source.get(name), restored.get(name)))
            .collect();
        assert!(silent.is_empty(), "{into}: gaps in silence: {silent:#?}\nnamed: {named:?}");
        named
    }

    /// Holds that a base from before names what it does not reach, and that with the next one, which is taken by itself, all is there.
    fn prove(&self, mut running: Running) {
        self.await_stored(&mut running);
        let named = self.compare("before");
        assert!(named.contains("public.add_without_rows") && named.contains("public.same_type_using"), "{named:?}");
        for whole in ["truncate", "create_index", "rolled_back", "comment", "vacuum_full", "cluster", "add_key"] {
            assert_eq!(named.contains(&format!("public.{whole}")), whole == "add_key", "{whole}: {named:?}");
        }
        let log = stop(running).err;
        // The stream tells of the columns, and the look that follows of the whole definition: people hear of it once.
        for (table, why) in [("add_column", "its columns were changed"), ("rename_column", "its columns were changed")]
        {
            let line = format!("reaches further with \"public\".\"{table}\"");
            let told: Vec<&str> = log.lines().filter(|told| told.contains(&line)).collect();
            assert!(told.len() == 1 && told[0].ends_with(why), "{table}: {told:#?}");
        }
        let status = self.run.args(["capture", &self.scene.name, "--status"]).json();
        let waiting = status["waiting"].as_array().unwrap();
        assert!(waiting.len() > 30, "{status:#}");
        let told = waiting.iter().find(|one| one["table"].as_str().unwrap().contains("add_column\"")).unwrap();
        assert_eq!(told["reason"], "columns", "{told:#}");
        let before = status["base"]["id"].clone();
        let mut running = self.capture().set("CAPTURE_BASES", "1").start();
        let is_whole = || {
            let status = self.run.args(["capture", &self.scene.name, "--status"]).json();
            status["base"]["id"] != before && status["waiting"] == serde_json::json!([])
        };
        let is_taken = until(PATIENCE, || !running.runs() || is_whole());
        assert!(is_taken && running.runs(), "no base is taken: {}", running.end().err);
        self.change(30);
        self.await_stored(&mut running);
        let never: BTreeSet<String> = NEVER.iter().map(|name| format!("public.{name}")).collect();
        assert_eq!(self.compare("behind"), never);
        stop(running);
    }
}

#[test]
fn whatever_is_done_to_a_table_is_captured_or_followed_by_a_new_base() {
    let kinds = Kinds::new("ddl_live");
    assert!(KINDS.len() >= 60 && KINDS.iter().map(|kind| kind.0).collect::<BTreeSet<_>>().len() == KINDS.len());
    kinds.run.args(["capture", &kinds.scene.name, "--setup"]).expect(0);
    let running = kinds.capture().start();
    kinds.run.backup(&kinds.scene.name, &[]);
    kinds.scene.sql("UPDATE add_column SET v = 'before' WHERE id = 3; INSERT INTO truncate VALUES (88, 'before')");
    kinds.each(|(_, _, statement, after)| format!("{statement} ;; {}", after.replace('#', "20")));
    kinds.prove(running);
    proof::counted("capture", "kinds of DDL, of which none is a gap in silence", KINDS.len(), 0);
}

#[test]
fn what_is_done_to_tables_while_no_capture_runs_is_found_when_the_next_one_does() {
    let kinds = Kinds::new("ddl_down");
    kinds.run.args(["capture", &kinds.scene.name, "--setup"]).expect(0);
    kinds.run.backup(&kinds.scene.name, &[]);
    kinds.each(|(_, _, statement, _)| (*statement).to_owned());
    kinds.change(20);
    let running = kinds.capture().start();
    kinds.prove(running);
}
