//! Changes of each major, captured and restored behind a base.

use super::*;
use support::capture::{capture_work, rows};
use support::cluster::Cluster;
use support::pgbk::pgbk;

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, big text, g text GENERATED ALWAYS AS (v || '!') STORED);
    CREATE TABLE u (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int);
    CREATE TABLE w (a int, b text); ALTER TABLE w REPLICA IDENTITY FULL;
    CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
    INSERT INTO t VALUES (0, 'before', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200) n))";
const WORK: &str = "
    INSERT INTO t SELECT i, 'v' || i, (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 200) n)
        FROM generate_series(1, 9) i;
    UPDATE t SET v = 'changed' WHERE id % 3 = 0; UPDATE t SET id = id + 100 WHERE id = 5; DELETE FROM t WHERE id = 7;
    INSERT INTO u (n) SELECT generate_series(1, 90); TRUNCATE u RESTART IDENTITY; INSERT INTO u (n) VALUES (1);
    INSERT INTO w VALUES (1, 'twice'), (1, 'twice'), (2, NULL); UPDATE w SET b = 'c' WHERE a = 2;
    DELETE FROM w WHERE ctid = (SELECT ctid FROM w WHERE a = 1 LIMIT 1);
    INSERT INTO p SELECT i, 1 + i % 2, 'x' FROM generate_series(1, 6) i; UPDATE p SET k = 3 - k WHERE id < 4;
    TRUNCATE p1; INSERT INTO p VALUES (7, 1, 'y')";

/// Fails unless a database comes back as its changes left it.
pub fn comes_back(cluster: &Cluster) {
    cluster.psql("postgres", "CREATE DATABASE captured");
    cluster.psql("captured", TABLES);
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).server(cluster).set("PG_BIN_DIR", cluster.clients.display()).directory(folder.path()).key();
    let run = run.set("CAPTURE_INTERVAL", "1s").set("CAPTURE_BASES", "0");
    run.args(["capture", "captured", "--setup"]).expect(0);
    run.backup("captured", &[]);
    capture_work(&run, (cluster, "captured"), WORK, "INSERT INTO u (n) VALUES (2)");
    assert_eq!(run.args(["capture", "captured", "--status"]).json()["uncovered"], serde_json::json!([]));
    run.args(["restore", "--at", "latest", "--database", "captured", "--to", "captured_copy", "--yes"]).expect(0);
    let (copy, source) = (rows(cluster, "captured_copy"), rows(cluster, "captured"));
    assert!(copy == source && source.len() == 5, "{copy:#?} {source:#?}");
    run.args(["capture", "captured", "--teardown"]).expect(0);
    proof::counted("capture", "majors whose changes came back behind a base", 1, 0);
}
