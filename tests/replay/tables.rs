//! `restore --at --table`: single tables come back as they were at a moment, in a new database or beside what is there.

use super::*;
use serde_json::Value;

const TABLES: &str = "
    CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    CREATE INDEX by_v ON t (v);
    CREATE TABLE u (id int PRIMARY KEY, v text);
    CREATE TABLE one (id int PRIMARY KEY);
    CREATE TABLE two (id int PRIMARY KEY);
    CREATE TABLE still (id int PRIMARY KEY);
    CREATE TABLE parts (id int, place text, PRIMARY KEY (id, place)) PARTITION BY LIST (place);
    CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
    CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := upper(NEW.v); RETURN NEW; END $$;
    INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 20) g;
    INSERT INTO u SELECT g, 'u' FROM generate_series(1, 5) g;
    INSERT INTO one SELECT generate_series(1, 3);
    INSERT INTO two SELECT generate_series(1, 3);
    INSERT INTO still SELECT generate_series(1, 4);
    INSERT INTO parts SELECT g, 'a' FROM generate_series(1, 6) g";

/// What is done of the tables, a segment for each.
const DONE: [&str; 6] = [
    "INSERT INTO t (v) SELECT 'w' || g FROM generate_series(1, 10) g; UPDATE t SET v = v || '!' WHERE id < 5",
    "UPDATE u SET v = 'changed'",
    "TRUNCATE one, two; INSERT INTO one VALUES (7); INSERT INTO two VALUES (8)",
    "UPDATE parts SET place = 'b' WHERE id <= 2; INSERT INTO parts VALUES (10, 'b')",
    "DELETE FROM t WHERE id = 7; INSERT INTO u VALUES (9, 'mixed')",
    "DELETE FROM u WHERE id = 1",
];

/// A base and its changes, of which each segment is returned.
fn stored(hint: &str) -> (World, Capture<'static>, Vec<pgbk::format::changes::segment::Segment>) {
    let world = World::with(hint, TABLES);
    let mut capture = world.capture();
    capture.base(&world.run);
    let one = |statement: &&str| {
        world.work(&[statement]);
        capture.store();
        capture.last().clone()
    };
    let segments = DONE.iter().map(one).collect();
    (world, capture, segments)
}

fn restore(world: &World, into: &str, more: &[&str]) -> Pgbk {
    let arguments = ["restore", "--at", "latest", "--database", &world.database, "--to", into, "--yes"];
    world.run.args(arguments.into_iter().chain(more.iter().copied()))
}

fn of(database: &str, query: &str) -> String {
    cluster().psql(database, query)
}

const ALL_OF_T: &str = "SELECT count(*), md5(string_agg(id || v, ',' ORDER BY id)) FROM t";

#[test]
fn a_table_that_was_lost_comes_back_in_the_live_database_and_only_what_names_it_is_fetched() {
    let (world, _, segments) = stored("table_back");
    let live = &world.database;
    let before = of(live, ALL_OF_T);
    world.work(&["DROP TABLE t", "UPDATE u SET v = 'live'"]);
    let rows_of_u = of(live, "SELECT string_agg(id || v, ',' ORDER BY id) FROM u");
    // The changes of other tables need not even be there.
    for other in [1, 2, 3, 5] {
        fs::rename(world.folder.path().join(&segments[other].object), world.folder.path().join(format!("{other}")))
            .unwrap();
    }
    let plan = restore(&world, live, &["--table", "public.t", "--dry-run"]).json();
    assert_eq!((&plan["changes"]["segments"], &plan["state"]), (&2.into(), &"holds".into()), "{plan:#}");
    let text = restore(&world, live, &["--table", "public.t", "--dry-run"]).expect(0).text();
    assert!(
        text.contains("  time      about 1 s, at ") && text.contains("passed    4 segments that change none"),
        "{text}"
    );
    let document = restore(&world, live, &["--table", "public.t"]).json();
    assert_eq!(document["changes"]["segments"], 2);
    let bytes: u64 = [0, 4].map(|one: usize| segments[one].stored.bytes).iter().sum();
    assert_eq!(
        (&document["changes"]["stored_bytes"], &document["changes"]["transactions"]),
        (&bytes.into(), &2.into())
    );
    assert!(document["read_bytes"].as_u64() > Some(0), "{document:#}");
    assert_eq!(of(live, ALL_OF_T), before);
    assert_eq!(of(live, "SELECT string_agg(id || v, ',' ORDER BY id) FROM u"), rows_of_u);
    assert_eq!(of(live, "SELECT count(*) FROM pg_indexes WHERE tablename = 't'"), "2");
    assert_eq!(
        of(live, "SELECT attidentity::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id'"),
        "a"
    );
    // It is there now.
    restore(&world, live, &["--table", "public.t"]).expect(1).says("is in database");
    // All documents are looked at, whatever they name.
    fs::remove_file(world.folder.path().join(segments[2].key_name())).unwrap();
    restore(&world, "table_back_new", &["--table", "t"]).expect(3).says(&segments[2].key_name());
}

#[test]
fn tables_with_partitions_and_one_that_nothing_changed_come_into_a_new_database() {
    let (world, _, _) = stored("table_parts");
    let into = format!("{}_new", world.database);
    let text = restore(&world, &into, &["--table", "parts", "--table", "still"]).expect(0).text();
    assert!(text.contains("of changes were read") && text.contains("then 1 transaction with"), "{text}");
    for query in [
        "SELECT count(*) FROM parts_a",
        "SELECT count(*) FROM parts_b",
        "SELECT count(*) FROM parts",
        "SELECT count(*) FROM still",
    ] {
        assert_eq!(of(&into, query), of(&world.database, query), "{query}");
    }
    assert_eq!(of(&into, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "4");
    let into = format!("{}_still", world.database);
    let document = restore(&world, &into, &["--table", "still"]).json();
    assert_eq!((&document["changes"]["segments"], &document["rows"]), (&0.into(), &4.into()), "{document:#}");
    // Whoever may connect to a database that was made is let in at the end.
    assert_eq!(of("postgres", &format!("SELECT datallowconn FROM pg_database WHERE datname = '{into}'")), "t");
    assert_eq!(of(&into, "SELECT has_database_privilege('public', current_database(), 'CONNECT')"), "t");
}

#[test]
fn of_two_tables_that_were_emptied_at_once_only_the_chosen_one_is_emptied() {
    let (world, _, _) = stored("table_truncated");
    let live = &world.database;
    world.work(&["DROP TABLE one", "INSERT INTO two VALUES (100)"]);
    for into in [live.clone(), format!("{live}_new")] {
        restore(&world, &into, &["--table", "one"]).expect(0);
        assert_eq!(of(&into, "SELECT string_agg(id::text, ',') FROM one"), "7", "{into}");
    }
    assert_eq!(of(live, "SELECT string_agg(id::text, ',' ORDER BY id) FROM two"), "8,100");
}

#[test]
fn a_table_that_the_base_does_not_have_is_refused_with_those_that_it_has() {
    let (world, _, _) = stored("table_none");
    let outcome = restore(&world, "table_none_new", &["--table", "nothing"]).expect(2);
    assert!(outcome.err.contains("matches \"nothing\"") && outcome.err.contains("public.still"), "{}", outcome.err);
    restore(&world, "table_none_new", &["--schema-only"]).expect(2);
}

#[test]
fn a_table_that_broke_is_refused_by_name_before_anything_is_made_and_all_others_are_restored() {
    let (world, mut capture, _) = stored("table_broken");
    world.work(&["ALTER TABLE u ADD more int", "INSERT INTO u VALUES (50, 'x', 1)", "INSERT INTO still VALUES (5)"]);
    capture.store();
    let into = format!("{}_new", world.database);
    let outcome = restore(&world, &into, &["--table", "u", "--table", "still"]).expect(1);
    assert!(
        outcome.err.contains("\"public\".\"u\" from") && outcome.err.contains("its columns were changed"),
        "{}",
        outcome.err
    );
    assert_eq!(of("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{into}'")), "0");
    restore(&world, &into, &["--schema", "public", "--exclude-table", "u"]).expect(0);
    assert_eq!(of(&into, "SELECT count(*) FROM still"), "5");
    assert_eq!(of(&into, "SELECT count(*) FROM pg_tables WHERE tablename = 'u'"), "0");
}

#[test]
fn rows_alone_go_into_a_table_that_is_there_unless_something_would_act_on_them() {
    let (world, _, _) = stored("table_rows");
    let live = &world.database;
    let before = of(live, ALL_OF_T);
    world.work(&["TRUNCATE t", "CREATE TRIGGER loud BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout()"]);
    let data_only = restore(&world, live, &["--table", "t", "--data-only"]);
    let outcome = data_only.expect(1);
    assert!(outcome.err.contains("trigger loud of \"public\".\"t\""), "{}", outcome.err);
    assert_eq!(of(live, "SELECT count(*) FROM t"), "0");
    world.work(&["ALTER TABLE t DISABLE TRIGGER loud"]);
    data_only.expect(0);
    assert_eq!(of(live, ALL_OF_T), before);
    // The same rows once more.
    data_only.expect(1);
    assert_eq!(of(live, ALL_OF_T), before);
}

#[test]
fn a_change_that_does_not_fit_leaves_a_live_database_as_it_was() {
    let (world, mut capture, _) = stored("table_misfit");
    let live = &world.database;
    world.work(&["UPDATE t SET v = 'last' WHERE id = 3"]);
    capture.store_as(|script| script.replace("WHERE \"id\" = '3'", "WHERE \"id\" = '333'"));
    world.work(&["DROP TABLE t"]);
    let state = "SELECT count(*), count(*) FILTER (WHERE relname LIKE 't%') FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let before: Value = of(live, state).into();
    restore(&world, live, &["--table", "t"]).expect(1).says("it changes 0 and must change 1 row");
    assert_eq!(Value::from(of(live, state)), before);
    let into = format!("{live}_new");
    restore(&world, &into, &["--table", "t"]).expect(1);
    assert_eq!(of("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{into}'")), "0");
}
