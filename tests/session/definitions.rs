//! Definitions that change between the snapshot and what `pg_dump` reads of them, of every kind that a database has.

use super::{PASSWORD, filled, keeping, server};
use std::fs;
use std::process::Command;
use support::database::{assert_same, comparable, stdout_of};
use support::fake::Fake;
use support::proof;

/// One of everything that a statement below takes away or changes.
const WORLD: &str = r#"
CREATE SCHEMA annexe; CREATE SCHEMA spare; CREATE TABLE annexe.a (id int);
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int, b text); CREATE TYPE lone AS (c int); CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CONSTRAINT above CHECK (VALUE > 0); CREATE DOMAIN idle AS text;
CREATE FUNCTION one(n int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n';
CREATE FUNCTION two(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION lonely(x mood) RETURNS mood LANGUAGE sql AS 'SELECT x';
CREATE PROCEDURE act(n int) LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION cast_it(pair) RETURNS int LANGUAGE sql AS 'SELECT $1.a';
CREATE AGGREGATE total(int) (SFUNC = two, STYPE = int, INITCOND = '0');
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = two);
CREATE CAST (pair AS int) WITH FUNCTION cast_it(pair);
CREATE COLLATION odd (provider = icu, locale = 'de');
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION conf (COPY = simple); ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR word WITH dict;
CREATE OPERATOR FAMILY fam USING btree;
CREATE OPERATOR CLASS cls FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE EXTENSION hstore; CREATE EXTENSION citext SCHEMA annexe;
CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER srv FOREIGN DATA WRAPPER fdw; CREATE FOREIGN TABLE far (id int) SERVER srv;
CREATE USER MAPPING FOR PUBLIC SERVER srv OPTIONS (name 'x');
CREATE TABLE other (id int PRIMARY KEY, k int UNIQUE);
CREATE TABLE t (id int CONSTRAINT pk PRIMARY KEY, m mood, p pair, d positive DEFAULT 1, note text, k int REFERENCES other (id), CONSTRAINT checked CHECK (k > 0));
CREATE INDEX ix ON t (note); CREATE INDEX expression ON t (one(k)); CREATE STATISTICS stx ON id, k FROM t;
ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY pol ON t USING (id > 0);
CREATE TRIGGER trig AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION fired();
CREATE RULE ruled AS ON DELETE TO other DO INSTEAD NOTHING;
CREATE VIEW v AS SELECT id, note FROM t; CREATE VIEW w AS SELECT 1 AS x; CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;
CREATE TABLE hers (id int); ALTER TABLE hers OWNER TO "Her Self"; GRANT SELECT ON hers TO "Her Self"; GRANT SELECT ON t TO "Her Self";
CREATE SEQUENCE seq;
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE PUBLICATION pub FOR TABLE t; CREATE PUBLICATION every FOR ALL TABLES;
CREATE EVENT TRIGGER ev ON sql_drop EXECUTE FUNCTION seen();
CREATE TRANSFORM FOR pair LANGUAGE sql (FROM SQL WITH FUNCTION pg_catalog.varchar_support(internal));
INSERT INTO other VALUES (1, 1); INSERT INTO t VALUES (1, 'sad', '(1,x)', 1, 'n', 1); INSERT INTO parted VALUES (1, 'x');
"#;

/// What is done to it, each in a transaction of its own.
const CHANGES: &[&str] = &[
    "ALTER ROLE \"Her Self\" RENAME TO himself",
    "DROP FUNCTION lonely",
    "DROP PROCEDURE act",
    "DROP AGGREGATE total(int)",
    "DROP STATISTICS stx",
    "DROP TYPE lone",
    "DROP TYPE span",
    "DROP DOMAIN idle",
    "DROP OPERATOR ### (int, int)",
    "DROP CAST (pair AS int)",
    "DROP COLLATION odd",
    "DROP CONVERSION conv",
    "DROP TEXT SEARCH CONFIGURATION conf",
    "DROP OPERATOR CLASS cls USING btree",
    "DROP OPERATOR FAMILY fam USING btree CASCADE",
    "DROP ACCESS METHOD heap2",
    "DROP EXTENSION hstore",
    "DROP FOREIGN TABLE far",
    "DROP SERVER srv CASCADE",
    "DROP FOREIGN DATA WRAPPER fdw CASCADE",
    "DROP POLICY pol ON t",
    "DROP RULE ruled ON other",
    "DROP TRIGGER trig ON t",
    "DROP PUBLICATION pub",
    "DROP EVENT TRIGGER ev",
    "DROP SCHEMA spare",
    "DROP SCHEMA annexe CASCADE",
    "DROP VIEW v",
    "DROP MATERIALIZED VIEW mv",
    "DROP SEQUENCE seq",
    "DROP INDEX ix",
    "DROP TABLE t CASCADE",
    "DROP TABLE parted_1",
    "ALTER TYPE mood RENAME TO temper",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "ALTER TYPE pair RENAME TO couple",
    "ALTER TYPE pair RENAME ATTRIBUTE b TO c",
    "ALTER TYPE pair ADD ATTRIBUTE c int",
    "ALTER TYPE pair DROP ATTRIBUTE b",
    "ALTER TYPE lone ALTER ATTRIBUTE c TYPE text",
    "ALTER TYPE mood SET SCHEMA annexe",
    "ALTER TYPE span RENAME TO spans",
    "ALTER DOMAIN positive RENAME TO plus",
    "ALTER DOMAIN positive DROP CONSTRAINT above",
    "ALTER DOMAIN positive RENAME CONSTRAINT above TO over",
    "ALTER DOMAIN positive SET DEFAULT 5",
    "ALTER FUNCTION one(int) RENAME TO uno",
    "ALTER FUNCTION two(int, int) SET SCHEMA annexe",
    "ALTER FUNCTION fired() RENAME TO shot",
    "CREATE OR REPLACE FUNCTION one(n int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + 0'",
    "CREATE OR REPLACE FUNCTION lonely(x mood DEFAULT 'sad') RETURNS mood LANGUAGE sql AS 'SELECT x'",
    "CREATE OR REPLACE VIEW v AS SELECT id, note, 1 AS more FROM t",
    "CREATE OR REPLACE VIEW w AS SELECT 1 AS x, 2 AS y",
    "CREATE OR REPLACE RULE ruled AS ON DELETE TO other WHERE false DO INSTEAD NOTHING",
    "ALTER VIEW v RENAME TO vv",
    "ALTER VIEW v RENAME COLUMN note TO remark",
    "ALTER MATERIALIZED VIEW mv RENAME TO matter",
    "ALTER INDEX ix RENAME TO iy",
    "ALTER SEQUENCE seq RENAME TO sequel",
    "ALTER SEQUENCE seq INCREMENT 7",
    "ALTER TABLE t RENAME COLUMN note TO remark",
    "ALTER TABLE t RENAME COLUMN k TO l",
    "ALTER TABLE t DROP COLUMN note CASCADE",
    "ALTER TABLE t ALTER d DROP DEFAULT",
    "ALTER TABLE t ALTER d SET DEFAULT 9",
    "ALTER TABLE t DROP CONSTRAINT checked",
    "ALTER TABLE t DROP CONSTRAINT checked, ADD CONSTRAINT checked CHECK (k > -1)",
    "ALTER TABLE t RENAME CONSTRAINT checked TO proven",
    "ALTER TABLE t DROP CONSTRAINT t_k_fkey",
    "ALTER TABLE t DROP CONSTRAINT pk",
    "ALTER TABLE other DROP CONSTRAINT other_k_key",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t SET SCHEMA annexe",
    "ALTER TABLE parted DETACH PARTITION parted_1",
    "ALTER TABLE parted_1 RENAME TO parted_2",
    "ALTER TRIGGER trig ON t RENAME TO trigger_2",
    "ALTER POLICY pol ON t USING (id > 1)",
    "ALTER POLICY pol ON t RENAME TO poly",
    "ALTER SCHEMA annexe RENAME TO wing",
    "ALTER COLLATION odd RENAME TO even",
    "ALTER OPERATOR ### (int, int) SET SCHEMA annexe",
    "ALTER TEXT SEARCH CONFIGURATION conf RENAME TO config",
    "ALTER TEXT SEARCH DICTIONARY dict RENAME TO dictionary",
    "ALTER TEXT SEARCH CONFIGURATION conf DROP MAPPING FOR word",
    "ALTER EXTENSION citext SET SCHEMA spare",
    "ALTER SERVER srv RENAME TO serv",
    "ALTER PUBLICATION pub SET TABLE other",
    "ALTER PUBLICATION pub RENAME TO published",
    "ALTER EVENT TRIGGER ev RENAME TO event",
    "ALTER STATISTICS stx RENAME TO sty",
    "ALTER AGGREGATE total(int) RENAME TO sum_total",
    // Behind a savepoint the number that marks the row is another than the transaction's.
    "DO $$ BEGIN BEGIN DROP FUNCTION lonely; EXCEPTION WHEN division_by_zero THEN NULL; END; END $$",
];

/// What does no harm to a dump, and goes on all day.
const HARMLESS: &[&str] = &[
    "CREATE TEMP TABLE own (id int PRIMARY KEY, v text UNIQUE DEFAULT 'x', CHECK (id > 0)); INSERT INTO own VALUES (1); ANALYZE own; TRUNCATE own; DROP TABLE own",
    "CREATE TEMP TABLE going AS SELECT 1 AS id; CREATE INDEX ON going (id); ALTER TABLE going ADD v text DEFAULT 'x'",
    "CREATE TEMP VIEW glance AS SELECT 1 AS x",
    "DROP TABLE IF EXISTS nothing",
    "CREATE TABLE new_one (id serial PRIMARY KEY, v text); ALTER TABLE new_one ADD w int; DROP TABLE new_one",
    "CREATE TABLE newer (id int REFERENCES other (id))",
    "CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (10) TO (20); DROP TABLE parted_3",
    "CREATE TYPE new_mood AS ENUM ('x'); ALTER TYPE new_mood RENAME VALUE 'x' TO 'y'; DROP TYPE new_mood",
    "CREATE FUNCTION new_function() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION new_function() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE VIEW new_view AS SELECT * FROM t; DROP VIEW new_view",
    "ALTER TYPE mood ADD VALUE 'calm'",
    "INSERT INTO t SELECT g, 'glad', '(2,y)', 1, 'more', 1 FROM generate_series(10, 99) g; UPDATE t SET note = 'other'; DELETE FROM t WHERE id = 1",
    "ANALYZE",
    "VACUUM",
    "VACUUM (FREEZE, ANALYZE) t",
    "VACUUM pg_catalog.pg_class; VACUUM FULL pg_catalog.pg_proc",
    "CREATE INDEX new_index ON t (k)",
    "REINDEX TABLE t",
    "REFRESH MATERIALIZED VIEW mv",
    "SELECT nextval('seq'), setval('seq', 7)",
    "SELECT lo_create(4711); SELECT lo_put(4711, 0, 'x'); SELECT lo_unlink(4711)",
    "GRANT SELECT ON t, v, mv, seq TO PUBLIC",
    "COMMENT ON TABLE t IS 'x'; COMMENT ON FUNCTION two(int, int) IS 'y'",
    "BEGIN; DROP FUNCTION lonely; ALTER TABLE t DROP COLUMN note CASCADE; ROLLBACK",
    "ALTER TABLE t SET (fillfactor = 90)",
    "CREATE ROLE passing; GRANT SELECT ON t TO passing; DROP OWNED BY passing; DROP ROLE passing",
    "ALTER ROLE lasting SET work_mem = '5MB'; DROP ROLE lasting",
    "ALTER ROLE stranger RENAME TO known",
];

/// `psql` in a script, which runs the file `$NOTES/sql`.
fn psql(database: &str) -> String {
    let (psql, port) = (server().clients.join("psql"), server().port);
    format!(
        "PGPASSWORD='{PASSWORD}' {} -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p {port} -U postgres -d {database} -f $NOTES/sql >$NOTES/said 2>&1",
        psql.display()
    )
}

/// A `pg_dump` that first has these statements run, once: of two that begin together, one waits for the other.
fn disturbed(database: &str, statements: &str) -> Fake {
    let body = format!(
        "( flock 9; [ -e $NOTES/done ] || {{ {} && touch $NOTES/done; }} ) 9>$NOTES/lock || exit 99\nexec \"$REAL\" \"$@\"",
        psql(database)
    );
    let fake = Fake::of(server(), "exec \"$REAL\" --version", &body);
    fs::write(fake.note("sql"), statements).unwrap();
    fake
}

/// A dump of what is there now, without what every database is made with.
fn dumped(database: &str) -> Vec<u8> {
    let mut command = Command::new(server().clients.join("pg_dump"));
    command.envs(server().env()).args([
        "-h",
        "127.0.0.1",
        "-p",
        &server().port.to_string(),
        "-U",
        "postgres",
        database,
    ]);
    comparable(&stdout_of(command.env("PGPASSWORD", PASSWORD)))
}

fn copied(name: &str, template: &str) {
    for statement in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name} TEMPLATE {template}")]
    {
        server().psql("postgres", &statement);
    }
}

#[test]
fn what_changes_before_it_is_read_costs_a_second_try_and_comes_back_as_it_is_then() {
    server().psql("postgres", "CREATE ROLE \"Her Self\"");
    filled("world", WORLD);
    let tried: Vec<_> = proof::sample(CHANGES, 19, 0).collect();
    for statement in &tried {
        copied("changing", "world");
        let fake = disturbed("changing", statement);
        let (_folder, run) = keeping();
        let run = run.set("PG_BIN_DIR", fake.bin().display());
        let outcome = run.args(["backup", "changing"]).end();
        let said = fs::read_to_string(fake.note("said")).unwrap_or_default();
        assert_eq!(outcome.code, Some(0), "{statement}: {said}{outcome:#?}");
        assert!(outcome.err.contains("the dump is taken anew"), "{statement}: {said}{outcome:#?}");
        let restored = run.args(["restore", "latest", "--database", "changing", "--yes", "--to", "changed"]).end();
        assert_eq!(restored.code, Some(0), "{statement}: {restored:#?}");
        assert_same(&dumped("changed"), &dumped("changing"));
        server().psql("postgres", "DROP DATABASE changed");
    }
    proof::counted("definitions", "changed before pg_dump had read them, by statement", tried.len(), 0);
}

#[test]
fn what_does_no_harm_costs_no_second_try() {
    server().psql("postgres", "CREATE ROLE somebody; CREATE ROLE lasting; CREATE ROLE stranger");
    filled("calm", &WORLD.replace("Her Self", "somebody"));
    let statements = HARMLESS.join(";\n");
    let fake = disturbed("calm", &statements);
    let (_folder, run) = keeping();
    let run = run.set("PG_BIN_DIR", fake.bin().display());
    let outcome = run.args(["backup", "calm"]).end();
    let said = fs::read_to_string(fake.note("said")).unwrap_or_default();
    assert_eq!(outcome.code, Some(0), "{said}{outcome:#?}");
    assert!(!outcome.err.contains("taken anew"), "{outcome:#?}");
    run.args(["restore", "latest", "--database", "calm", "--yes", "--to", "calmed"]).expect(0);
    proof::counted("definitions", "harmless beside a dump, by statement", HARMLESS.len(), 0);
}

/// So much that `pg_dump` waits with the rows of the last tables until they are asked for. What is handed on before the statements is more than fits
/// into a pipe, so that the first look is over by then.
const LONG: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int, b text); CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE before AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 150000) g;
    CREATE TABLE last AS SELECT 'sad'::mood AS m, '(1,x)'::pair AS p";

/// The same with values that are names of objects.
const NAMED: &str = "ALTER TABLE last ADD f regproc DEFAULT 'one', ADD y regtype[] DEFAULT '{mood}'";

#[test]
fn what_the_text_of_rows_is_made_of_counts_until_the_last_row() {
    let rename = "ALTER FUNCTION one RENAME TO uno";
    let cases = [
        ("long", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", true),
        ("long", "ALTER TYPE pair ADD ATTRIBUTE c int", true),
        ("long", "ALTER TYPE pair DROP ATTRIBUTE a", true),
        ("long", "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'", false),
        ("long", "DROP FUNCTION one; CREATE TABLE more (id int); ANALYZE", false),
        ("long", rename, false),
        ("long", "ALTER TYPE mood RENAME TO temper", false),
        ("named", rename, true),
        ("named", "ALTER TYPE mood RENAME TO temper", true),
        ("named", "CREATE TABLE more (id int); CREATE VIEW other AS SELECT 1 AS x; ANALYZE", false),
    ];
    filled("long", LONG);
    copied("named", "long");
    server().psql("named", NAMED);
    let tried: Vec<_> = proof::sample(cases, 2, 0).collect();
    for (template, statement, again) in &tried {
        copied("flowing", template);
        let body = format!(
            "case \"$*\" in *--format=custom*) exec \"$REAL\" \"$@\";; esac\n\
             [ -e $NOTES/done ] && exec \"$REAL\" \"$@\"; touch $NOTES/done\n\"$REAL\" \"$@\" | {{ head -c 3000000; {} || exit 99; cat; }}",
            psql("flowing")
        );
        let fake = Fake::of(server(), "exec \"$REAL\" --version", &body);
        fs::write(fake.note("sql"), statement).unwrap();
        let (_folder, run) = keeping();
        let run = run.set("PG_BIN_DIR", fake.bin().display()).set("DB_BACKUP_COMPRESS", "zstd");
        let outcome = run.args(["backup", "flowing"]).expect(0);
        assert_eq!(outcome.err.contains("the dump is taken anew"), *again, "{statement}: {outcome:#?}");
        run.args(["restore", "latest", "--database", "flowing", "--yes", "--to", "flown"]).expect(0);
        server().psql("postgres", "DROP DATABASE flown");
    }
    proof::counted("definitions", "changed while rows were written, by statement", tried.len(), 0);
}
