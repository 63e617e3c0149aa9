//! What a restore makes of the sequences that the documents of segments state, whoever wrote them.

use super::*;

const TABLES: &str = "
    CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t SELECT FROM generate_series(1, 5);
    CREATE SEQUENCE small MAXVALUE 10; CREATE SEQUENCE hidden;
    CREATE TABLE u (id int PRIMARY KEY DEFAULT nextval('hidden'), v text)";

#[test]
fn a_sequence_that_a_document_states_is_set_by_what_the_catalog_calls_it_or_is_left_and_named() {
    let world = World::with("stated_sequences", TABLES);
    let mut capture = world.capture();
    capture.base(&world.run);
    world.work(&["INSERT INTO t SELECT FROM generate_series(1, 3)", "INSERT INTO u DEFAULT VALUES"]);
    // As pgbk wrote segments before it read sequences.
    let early = capture.store();
    let into = |what: &str| format!("{}_{what}", world.database);
    let restore = |at: &str, into: &str| {
        world
            .run
            .args(["restore", "--at", at, "--to", into, "--database", &world.database, "--yes", "--json"])
            .expect(0)
    };
    let said = restore("latest", &into("old"));
    assert!(said.err.contains("no segment at or behind the moment says where sequences were"), "{}", said.err);
    world.work(&["INSERT INTO u SELECT FROM generate_series(1, 4)"]);
    let hostile = r#""x'); DROP TABLE t; --""#;
    capture.state_sequences(&[
        r#"1 "public"."t_id_seq" 20 called"#,
        r#"2 "public"."small" 11 called"#,
        &format!(r#"3 "public".{hostile} 1 called"#),
        r#"4 "public"."t" 7 called"#,
        r#"5 "public".U&"a\000ab" 7 called"#,
        r#"6 "public"."hidden" denied"#,
    ]);
    capture.store();
    let said = restore("latest", &into("latest"));
    assert!(said.err.contains("the value of sequence \"public\".\"hidden\" was not captured"), "{}", said.err);
    let document = said.json();
    let skipped = document["skipped"].to_string();
    assert_eq!(skipped.matches("the base does not have it").count(), 3, "{skipped}");
    assert!(skipped.contains("in the base it cannot be 11") && skipped.contains("DROP TABLE t; --"), "{skipped}");
    assert_eq!(document["changes"]["sequences"], 2, "{document:#}");
    let of = |what: &str, query: &str| cluster().psql(&into(what), query);
    assert_eq!(of("latest", "SELECT count(*) FROM t"), "8");
    assert_eq!(of("latest", "SELECT nextval('t_id_seq'), nextval('hidden'), nextval('small')"), "21|6|1");
    // The first sample behind the moment.
    restore(&early.to_string(), &into("early"));
    assert_eq!(of("early", "SELECT nextval('t_id_seq'), nextval('hidden')"), "21|2");
}
