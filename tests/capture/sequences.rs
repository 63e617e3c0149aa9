//! Sequences go with the segments: behind the rows of any moment each is at or beyond what these have used.

use super::*;

const SEQUENCES: &str = "
    CREATE TABLE plain (id serial PRIMARY KEY, v text);
    CREATE TABLE \"Odd \"\"Name\" (\"Id\" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
    CREATE SEQUENCE \"It's Down; \\\" INCREMENT -2;
    CREATE TABLE down (id int PRIMARY KEY DEFAULT nextval('\"It''s Down; \\\"'));
    CREATE TABLE dropped (id serial PRIMARY KEY);
    CREATE TABLE emptied (id serial PRIMARY KEY);
    CREATE SEQUENCE never START 5; CREATE SEQUENCE put; CREATE SEQUENCE back; CREATE SEQUENCE least INCREMENT -1 START -9223372036854775807;
    SELECT nextval('back') FROM generate_series(1, 50)";

/// Ten rows of each table.
const USED: [&str; 5] = [
    "INSERT INTO plain SELECT FROM generate_series(1, 10)",
    "INSERT INTO \"Odd \"\"Name\" SELECT FROM generate_series(1, 10)",
    "INSERT INTO down SELECT FROM generate_series(1, 10)",
    "INSERT INTO dropped SELECT FROM generate_series(1, 10)",
    "INSERT INTO emptied SELECT FROM generate_series(1, 10)",
];
/// What fails if a sequence is behind its rows, or at them.
const NEXT: &str =
    "INSERT INTO plain DEFAULT VALUES; INSERT INTO \"Odd \"\"Name\" DEFAULT VALUES; INSERT INTO down DEFAULT VALUES";

impl Scene {
    /// Returns every sequence of a database with its value, and whether that was given.
    pub(super) fn sequences(&self, database: &str) -> String {
        let query = "SELECT string_agg(format('SELECT %L, last_value, is_called FROM %s', c.oid::regclass, c.oid::regclass), ' UNION ALL ' ORDER BY relname)
            FROM pg_class c WHERE relkind = 'S'";
        let query = self.cluster.psql(database, query);
        self.cluster.psql(database, &query)
    }

    /// Restores a moment, and returns what the restore said.
    fn restored(&self, run: &Pgbk, at: &str, into: &str, more: &[&str]) -> Value {
        let arguments = ["restore", "--at", at, "--database", &self.name, "--to", into, "--yes"];
        run.args(arguments.into_iter().chain(more.iter().copied())).json()
    }
}

#[test]
fn after_a_restore_to_any_moment_each_sequence_goes_on_behind_the_rows() {
    let scene = Scene::new("sequences", &format!("{TABLES}; {SEQUENCES}"));
    let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd");
    run.args(["capture", &scene.name, "--setup"]).expect(0);
    let mut running = run.args(["capture", &scene.name]).start();
    scene.sql(&USED.join("; "));
    run.backup(&scene.name, &[]);
    scene.sql(&USED.join("; "));
    scene.sql("SELECT setval('put', 100, false); SELECT nextval('least')");
    scene.await_all(&run, &mut running);
    // The end of a segment, whose sample is the one of this moment.
    let between = run.args(["capture", &scene.name, "--status"]).json()["chain"]["end"].as_str().unwrap().to_owned();
    let values_between = scene.sequences(&scene.name);
    scene.sql(&USED.join("; "));
    let within = scene.position().to_string();
    // The accident: here, or behind the next segment, the sequences are set back or are gone.
    scene.sql("TRUNCATE emptied RESTART IDENTITY; INSERT INTO emptied DEFAULT VALUES; DROP TABLE dropped");
    scene.sql("ALTER SEQUENCE back RESTART WITH 3; CREATE SEQUENCE later; SELECT nextval('later')");
    scene.await_all(&run, &mut running);
    // What is not a change of a row makes no segment, and goes with the next.
    let segments = scene.keys().len();
    scene.sql("SELECT nextval('plain_id_seq')");
    assert_eq!(scene.keys().len(), segments);
    scene.await_all(&run, &mut running);
    stop(running);

    let into = |what: &str| format!("{}_{what}", scene.name);
    scene.restored(&run, &between, &into("between"), &[]);
    assert_eq!(scene.sequences(&into("between")), values_between);
    scene.restored(&run, &within, &into("within"), &[]);
    let next = format!("{NEXT}; INSERT INTO dropped DEFAULT VALUES; INSERT INTO emptied DEFAULT VALUES");
    scene.cluster.psql(&into("within"), &next);
    assert_eq!(scene.cluster.psql(&into("within"), "SELECT count(*), max(id) FROM emptied"), "31|31");

    let said = scene.restored(&run, "latest", &into("latest"), &[]);
    let skipped = said["skipped"].to_string();
    assert!(skipped.contains("later") && skipped.contains("the base does not have it"), "{said:#}");
    let kept =
        |values: &str| values.lines().filter(|line| !line.contains("later")).map(str::to_owned).collect::<Vec<_>>();
    let values = scene.sequences(&scene.name);
    assert!(values.contains("back|3|f") && values.contains("put|100|f") && values.contains("never|5|f"), "{values}");
    let restored: Vec<String> = kept(&scene.sequences(&into("latest")))
        .into_iter()
        .filter(|line| !line.starts_with("dropped_id_seq"))
        .collect();
    assert_eq!(restored, kept(&values));
    scene.cluster.psql(&into("latest"), NEXT);

    // Single tables: with what they own and what their defaults use, unless it was there before.
    let tables = ["--table", "plain", "--table", "down"];
    let said = scene.restored(&run, "latest", &into("tables"), &tables);
    assert_eq!(said["changes"]["sequences"], 2, "{said:#}");
    let of = |values: &str| {
        values
            .lines()
            .filter(|line| line.contains("Down") || line.starts_with("plain"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&scene.sequences(&into("tables"))), of(&values));
    scene.cluster.psql(&into("tables"), "DROP TABLE down, plain; SELECT setval('\"It''s Down; \\\"', -9)");
    scene.restored(&run, "latest", &into("tables"), &tables);
    let standing = of(&scene.sequences(&into("tables"))).join("\n");
    assert!(standing.contains("|-9|t") && standing.contains(&of(&values)[1]), "{standing}");

    // The whole way, to a base behind all of it.
    let mut running = run.args(["capture", &scene.name]).start();
    run.backup(&scene.name, &[]);
    scene.sql("INSERT INTO plain DEFAULT VALUES");
    scene.await_all(&run, &mut running);
    stop(running);
    let proven = run.args(["verify", "--changes", "--level", "restore", "--database", &scene.name]).json();
    let tables = proven["generations"][0]["proof"]["tables"].as_array().unwrap().len();
    assert!(tables >= 5, "{proven:#}");
}
