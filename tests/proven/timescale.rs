//! An extension that must be told of a restore, as TimescaleDB must: one of the project's own, with that one's names, trigger and functions.

use super::{prove, tables};
use support::cluster::{Cluster, Offer, PASSWORD};
use support::pgbk::{Pgbk, pgbk};
use support::proof;

const FILES: &[(&str, &str)] = &[
    ("timescaledb.control", include_str!("timescale.control")),
    ("timescaledb--1.0.sql", include_str!("timescale.sql")),
];

const SOURCE: &str = "
CREATE TABLE m (time timestamptz NOT NULL, v int); CREATE TABLE plain (v text); INSERT INTO plain VALUES ('x');
CREATE INDEX ON m (time);
INSERT INTO _timescaledb_internal._hyper_1_1_chunk SELECT t, 1 FROM generate_series('2026-01-01'::timestamptz, '2026-02-01', '1 hour') t";

/// What the extension knows, and what came back.
const FACTS: &str = "
SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM plain), (SELECT string_agg(table_name, ',') FROM _timescaledb_catalog.hypertable),
    (SELECT count(*) FROM _timescaledb_catalog.chunk), (SELECT value FROM _timescaledb_catalog.metadata WHERE key = 'uuid')";

/// Whether the extension is at work as ever, which it was told in this order.
const TOLD: &str = "
SELECT (SELECT string_agg(what, ' ' ORDER BY at) FROM _timescaledb_catalog.told),
    (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
     WHERE d.datname = current_database() AND s.setconfig::text ~ 'timescaledb'),
    coalesce(current_setting('timescaledb.restoring', true), '')";

struct World {
    server: Cluster,
    folder: tempfile::TempDir,
    _offer: Offer,
}

impl World {
    fn new() -> World {
        let offer = Offer::of(FILES);
        let server = Cluster::start_from(&offer.bin, &offer.bin);
        server.psql("postgres", "CREATE DATABASE ts");
        server.psql("ts", "CREATE EXTENSION timescaledb");
        let (made, rows) = SOURCE.split_once("INSERT INTO _timescaledb").unwrap();
        server.psql("ts", &format!("{made}; SELECT create_hypertable('m')"));
        server.psql("ts", &format!("INSERT INTO _timescaledb{rows}"));
        World { server, folder: tempfile::tempdir().unwrap(), _offer: offer }
    }

    fn run(&self) -> Pgbk {
        pgbk([]).server(&self.server).directory(self.folder.path()).key().set("DB_NAME", "ts")
    }

    fn restore(&self, to: &str, more: &[&str]) -> Pgbk {
        self.run().args(["restore", "latest", "--yes", "--to", to].iter().chain(more).copied())
    }
}

#[test]
fn an_extension_that_must_be_told_of_a_restore_is_told_in_restores_and_proofs() {
    let world = World::new();
    let facts = world.server.psql("ts", FACTS);
    let mut told = 0;
    for format in ["plain", "custom"] {
        world.run().set("DUMP_FORMAT", format).args(["backup"]).expect(0);
        let (_, finding) = prove(&world.run(), 0);
        let chunk = "_timescaledb_internal._hyper_1_1_chunk";
        assert!(tables(&finding).iter().any(|table| table["name"] == chunk), "{finding:#}");
        let to = format!("ts_{format}");
        let said = world.restore(&to, &[]).expect(0);
        said.says("the extension \"timescaledb\" took 0 of the 2 rows of table _timescaledb_catalog.metadata");
        assert_eq!(world.server.psql(&to, FACTS), facts);
        assert_eq!(world.server.psql(&to, TOLD), "before after|0|");
        // A hypertable is one, and takes no rows by its root.
        let refused = world.server.try_psql(&to, "INSERT INTO m VALUES (now(), 1)");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("invalid INSERT on the root table"));
        told += 2;
    }
    proof::counted("proofs", "an extension that must be told of a restore, told in restores and proofs", told, 0);
}

#[test]
fn where_such_an_extension_cannot_be_restored_the_way_that_works_is_named() {
    let world = World::new();
    world.run().set("DUMP_FORMAT", "custom").args(["backup"]).expect(0);
    world.restore("ts_jobs", &["--jobs", "2"]).expect(2).says("timescaledb").says("hint: leave out --jobs");
    assert_eq!(world.server.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'ts_jobs'"), "0");
    world.run().args(["backup"]).expect(0);
    world.restore("ts", &["--clean", "--over-source"]).expect(1).says("restore into a new database with --to");

    // A role that may not tell it, and an administrator who does.
    world.server.psql("postgres", &format!("CREATE ROLE tenant LOGIN PASSWORD '{PASSWORD}'"));
    world.server.psql("postgres", "CREATE DATABASE ts_tenant OWNER tenant");
    world.server.psql("ts_tenant", "CREATE EXTENSION timescaledb; GRANT ALL ON ALL TABLES IN SCHEMA _timescaledb_catalog TO tenant;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA _timescaledb_catalog TO tenant; GRANT ALL ON SCHEMA _timescaledb_internal TO tenant");
    let restore = world.restore("ts_tenant", &["--no-owner", "--no-privileges"]).set("DB_USER", "tenant");
    restore
        .expect(1)
        .says("cannot tell the extension \"timescaledb\"")
        .says("SELECT timescaledb_post_restore(); after it");
    world.server.psql("ts_tenant", "SELECT timescaledb_pre_restore()");
    restore.expect(0).says("skipped: timescaledb_post_restore(), which is left to");
    world.server.psql("ts_tenant", "SELECT timescaledb_post_restore()");
    assert_eq!(world.server.psql("ts_tenant", FACTS), world.server.psql("ts", FACTS));
    assert_eq!(world.server.psql("ts_tenant", TOLD), "before after|0|");
}

#[test]
fn of_a_table_of_an_extension_fewer_rows_may_be_taken_and_of_the_database_s_own_none() {
    let picky = "CREATE TABLE settings (v int); SELECT pg_catalog.pg_extension_config_dump('settings', '');
        CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.v % 2 = 1 THEN RETURN NEW; END IF; RETURN NULL; END';
        CREATE TRIGGER odd BEFORE INSERT ON settings FOR EACH ROW EXECUTE FUNCTION odd();";
    let offer = Offer::of(&[("picky.control", "default_version = '1'"), ("picky--1.sql", picky)]);
    let server = Cluster::start_from(&offer.bin, &offer.bin);
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).server(&server).directory(folder.path()).set("DB_NAME", "picked");
    server.psql("postgres", "CREATE DATABASE picked");
    server.psql(
        "picked",
        "CREATE EXTENSION picky; ALTER TABLE settings DISABLE TRIGGER odd; INSERT INTO settings VALUES (1), (2), (3)",
    );
    run.args(["backup"]).expect(0);
    let to = ["restore", "latest", "--yes", "--to", "picked_copy"];
    run.args(to).expect(0).says("skipped: the extension \"picky\" took 2 of the 3 rows of table public.settings");
    assert_eq!(server.psql("picked_copy", "SELECT count(*) FROM settings"), "2");
}

#[test]
fn an_extension_that_one_database_alone_may_have_does_not_make_its_backup_unproven() {
    let home = "DO $$ BEGIN IF pg_catalog.current_database() <> 'home' THEN RAISE EXCEPTION 'can only create extension in database home'; END IF; END $$;
        CREATE SCHEMA cron; CREATE TABLE cron.job (id serial, command text); CREATE TABLE cron.done (id int);
        SELECT pg_catalog.pg_extension_config_dump('cron.job', ''); SELECT pg_catalog.pg_extension_config_dump('cron.job_id_seq', '');
        SELECT pg_catalog.pg_extension_config_dump('cron.done', '');";
    let offer = Offer::of(&[("homely.control", "default_version = '1'"), ("homely--1.sql", home)]);
    let server = Cluster::start_from(&offer.bin, &offer.bin);
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).server(&server).directory(folder.path()).key().set("DB_NAME", "home");
    server.psql("postgres", "CREATE DATABASE home");
    server.psql("postgres", "CREATE ROLE clerk");
    server.psql("home", "CREATE EXTENSION homely; CREATE TABLE t (i int); INSERT INTO cron.job (command) VALUES ('x'); GRANT USAGE ON SCHEMA cron TO clerk");
    run.args(["backup"]).expect(0);
    let (_, finding) = prove(&run, 0);
    assert!(
        finding["proof"]["not_tried"].to_string().contains("can only create extension in database home"),
        "{finding:#}"
    );
    let restore =
        |more: &[&str]| run.args(["restore", "latest", "--yes", "--to", "elsewhere"].iter().chain(more).copied());
    restore(&[]).expect(1).says("hint: ").says("--exclude-extension homely");
    let said = restore(&["--exclude-extension", "homely"]).expect(0).says("skipped: rows of cron.job");
    assert_eq!(said.err.matches("skipped: ").count(), 3, "{}", said.err);
    assert_eq!(server.psql("elsewhere", "SELECT count(*) FROM t"), "0");
}
