//! Thousands of tables: a restore is one transaction, which keeps a lock on each of them and its indexes.

use crate::proven::{of, prove, tables};
use support::cluster::cluster;
use support::scheduler::Place;

const TABLES: usize = 1500;

#[test]
fn a_server_of_its_own_holds_thousands_of_tables() {
    let place = Place::new();
    cluster().psql("postgres", "CREATE DATABASE proven_many");
    // Not in one transaction: the tests beside this one want locks too.
    let one = "EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text)', n); COMMIT";
    cluster().psql("proven_many", &format!("DO $$ BEGIN FOR n IN 1..{TABLES} LOOP {one}; END LOOP; END $$"));
    let run = of(&place, "proven_many").set("VERIFY_SCRATCH", "cluster");
    run.args(["backup"]).expect(0);
    assert_eq!(tables(&prove(&run, 0).1).len(), TABLES);
}
