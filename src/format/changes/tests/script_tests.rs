//! Holds what is written for each kind of change, and what is kept of tables.

use super::*;
use crate::format::changes::table_break::{BreakEnd, BreakReason, TableBreak};
use crate::format::changes::table_definition::TableDefinition;
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::{ObjectName, TableName};

fn table(name: &str) -> TableName {
    TableName { schema: ObjectName::new(b"public").unwrap(), name: ObjectName::new(name.as_bytes()).unwrap() }
}

#[test]
fn a_transaction_is_a_script_that_begins_with_its_number_and_ends_with_its_place() {
    let outcome = written(&transaction(0x200, &[keyed(5, b"t"), insert(5, &[Some("1"), None])]));
    assert_eq!(
        body(&outcome),
        [
            "-- tx 7 0/200 840683700000000",
            "BEGIN;",
            r#"-- relation 5 d "public"."t" ("id" 23 -1 key, "v" 25 -1)"#,
            r#"INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE VALUES ('1', NULL);"#,
            "COMMIT;",
            "-- end 0/208",
            "-- pgbk delta end 0/208",
        ]
    );
    let text = String::from_utf8(outcome.to.clone()).unwrap();
    assert!(text.starts_with(
        "-- pgbk delta 1, from 0/100\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = 'on';\n"
    ));
    assert_eq!((outcome.start, outcome.end, outcome.totals.transactions), (Lsn(0x100), Lsn(0x208), 1));
    assert_eq!(outcome.totals.first_commit.unwrap().to_string(), "2026-08-22T03:15:00Z");
}

#[test]
fn up_to_fifty_rows_are_one_insert_and_more_are_a_copy_block() {
    let written = |rows: u32| {
        let rows = (1..=rows).map(|id| insert(5, &[Some(&id.to_string()), Some("a")]));
        let messages: Vec<_> = [keyed(5, b"t")].into_iter().chain(rows).collect();
        records(&messages)[1..].to_vec()
    };
    let begin = r#"INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE VALUES "#;
    assert_eq!(written(2), [format!("{begin}('1', 'a'), ('2', 'a');")]);
    let fifty = written(50);
    assert!(fifty.len() == 1 && fifty[0].starts_with(begin) && fifty[0].ends_with("('50', 'a');"), "{fifty:?}");
    let lines = (1..=51).map(|id| format!("{id}\ta"));
    let block: Vec<String> = [r#"COPY "public"."t" ("id", "v") FROM stdin;"#.to_owned()]
        .into_iter()
        .chain(lines)
        .chain([r"\.".to_owned()])
        .collect();
    assert_eq!(written(51), block);
    // Another table between them ends the run.
    let messages = [
        vec![keyed(5, b"t"), keyed(6, b"u")],
        (0..3).map(|_| insert(5, &[Some("1"), None])).collect(),
        vec![insert(6, &[Some("1"), None])],
        (0..3).map(|_| insert(5, &[Some("1"), None])).collect(),
    ];
    let inserts = records(&messages.concat()).iter().filter(|line| line.starts_with("INSERT")).count();
    assert_eq!(inserts, 3);
}

#[test]
fn large_rows_are_not_held_back_to_count_them() {
    let large = "x".repeat(300_000);
    let lines = records(&[keyed(5, b"t"), insert(5, &[Some("1"), Some(&large)])]);
    assert_eq!(lines[1], r#"COPY "public"."t" ("id", "v") FROM stdin;"#);
}

#[test]
fn a_table_without_columns_takes_rows_and_loses_them() {
    let none = relation(5, b"t", b'f', &[]);
    assert_eq!(
        records(&[none, insert(5, &[]), insert(5, &[]), delete(5, b'O', &[])])[1..],
        [
            r#"INSERT INTO "public"."t" DEFAULT VALUES;"#,
            r#"INSERT INTO "public"."t" DEFAULT VALUES;"#,
            r#"DELETE FROM ONLY "public"."t" WHERE ctid = (SELECT ctid FROM ONLY "public"."t" LIMIT 1);"#,
        ]
    );
}

#[test]
fn an_update_sets_what_may_have_changed_and_the_key_only_where_it_moved() {
    let unchanged = MessageMaker::of(b'U').word(5).row(b'N', &[Some(Some(b"1")), Some(None)]).done();
    assert_eq!(
        records(&[
            keyed(5, b"t"),
            update(5, None, &[Some("1"), Some("b")]),
            update(5, Some((b'K', &[Some("1"), None])), &[Some("2"), Some("b")]),
            unchanged,
            delete(5, b'K', &[Some("2"), None]),
        ])[1..],
        [
            r#"UPDATE ONLY "public"."t" SET "v" = 'b' WHERE "id" = '1';"#,
            r#"UPDATE ONLY "public"."t" SET "id" = '2', "v" = 'b' WHERE "id" = '1';"#,
            r#"DELETE FROM ONLY "public"."t" WHERE "id" = '2';"#,
        ]
    );
}

#[test]
fn a_row_without_a_key_is_told_by_all_columns_and_is_one_of_those() {
    let old: &[Value<'_>] = &[Some("1"), Some("a"), Some("{}"), None];
    let condition = concat!(
        r#"WHERE ctid = (SELECT ctid FROM ONLY "public"."t" WHERE "id" = '1' AND "v" = 'a' AND format('%s', "v") COLLATE "C" = 'a'"#,
        r#" AND format('%s', "j") COLLATE "C" = '{}' AND "e" IS NOT DISTINCT FROM NULL LIMIT 1);"#
    );
    assert_eq!(
        records(&[
            full(5, b"t"),
            update(5, Some((b'O', old)), &[Some("1"), None, Some("{}"), Some("x")]),
            delete(5, b'O', old),
        ])[1..],
        [
            format!(r#"UPDATE ONLY "public"."t" SET "v" = NULL, "e" = 'x' {condition}"#),
            format!(r#"DELETE FROM ONLY "public"."t" {condition}"#),
        ]
    );
}

#[test]
fn a_key_of_a_type_of_its_own_is_compared_by_text_unless_its_operator_is_known() {
    let own = relation(5, b"t", b'd', &[(b"k", 20_000, true)]);
    let removed = |known: Relations, told: &[Vec<u8>]| {
        let mut writer = writer(known);
        let messages = transaction(0x200, &[told, &[own.clone(), delete(5, b'K', &[Some("x")])]].concat());
        messages.iter().for_each(|message| writer.take(decode(message).unwrap()).unwrap());
        let outcome = writer.finish(Lsn(0x300)).unwrap();
        read(&outcome.to).unwrap();
        body(&outcome)[3].clone()
    };
    let by = |schema: &[u8]| MessageMaker::of(b'Y').word(20_000).text(schema).text(b"k").done();
    let start = r#"DELETE FROM ONLY "public"."t" WHERE "#;
    let by_text = r#"format('%s', "k") COLLATE "C" = 'x';"#;
    assert_eq!(removed(Relations::default(), &[by(b"public")]), format!("{start}{by_text}"));
    assert_eq!(removed(Relations::default(), &[by(b"")]), format!(r#"{start}"k" = 'x';"#));
    let mut known = Relations::default();
    known.set_equality(20_000, ObjectName::new(b"ext").unwrap());
    assert_eq!(removed(known, &[]), format!(r#"{start}"k" OPERATOR("ext".=) 'x' AND {by_text}"#));
}

#[test]
fn tables_that_were_emptied_together_are_emptied_together() {
    let tables = [keyed(5, b"t"), keyed(6, b"u")];
    let lines = records(&[&tables[..], &[truncate(&[5, 6], 3), truncate(&[6], 0)]].concat());
    assert_eq!(
        lines[2..],
        [r#"TRUNCATE ONLY "public"."t", ONLY "public"."u" RESTART IDENTITY;"#, r#"TRUNCATE ONLY "public"."u";"#]
    );
}

#[test]
fn a_transaction_without_rows_leaves_nothing_but_its_place() {
    let other = MessageMaker::of(b'M').raw(&[1]).long(9).text(b"x").word(0).done();
    let outcome = written(&[transaction(0x200, &[]), transaction(0x300, &[keyed(5, b"t"), other])].concat());
    assert_eq!(body(&outcome), ["-- pgbk delta end 0/308"]);
    assert_eq!(outcome.totals, SegmentTotals::default());
    assert_eq!(read(&outcome.to).unwrap().0, ["end 0/308"]);
    assert_eq!(outcome.relations.len(), 1);
}

#[test]
fn a_row_that_is_written_anew_as_it_was_leaves_nothing() {
    let links = relation(5, b"t", b'd', &[(b"a", 23, true), (b"b", 23, true)]);
    let whole = relation(5, b"t", b'f', &[(b"a", 23, true), (b"b", 23, true)]);
    let row: &[_] = &[Some("1"), Some("2")];
    for (link, again) in [
        (links.clone(), update(5, None, row)),
        (links, update(5, Some((b'K', row)), row)),
        (whole, update(5, Some((b'O', row)), row)),
    ] {
        let first = transaction(0x200, &[link, insert(5, row)]);
        let outcome = written(&[first, transaction(0x300, &[again])].concat());
        assert_eq!(
            body(&outcome)[3..],
            [body(&outcome)[3].as_str(), "COMMIT;", "-- end 0/208", "-- pgbk delta end 0/308"]
        );
        assert_eq!((read(&outcome.to).unwrap().1, outcome.totals.transactions), (outcome.totals, 1));
    }
}

/// The transaction that commits here, as the end of a break.
fn until(commit: u64) -> Option<BreakEnd> {
    Some(BreakEnd { commit: Lsn(commit), xid: 7 })
}

const WIDER: &[(&[u8], u32, bool)] = &[(b"id", 23, true), (b"v", 25, false), (b"w", 25, false)];

#[test]
fn a_table_that_has_another_shape_or_name_is_covered_in_it_from_the_transaction_on_that_shows_it() {
    for (reason, changed, values) in [
        (BreakReason::Columns, relation(5, b"t", b'd', WIDER), &[Some("1"), None, None][..]),
        (BreakReason::Renamed, keyed(5, b"s"), &[Some("1"), None][..]),
    ] {
        let name = if reason == BreakReason::Renamed { "s" } else { "t" };
        let messages = [
            transaction(0x200, &[keyed(5, b"t"), insert(5, &[Some("1"), None])]),
            transaction(0x300, &[changed, insert(5, values), truncate(&[5], 0)]),
            transaction(0x400, &[insert(5, values)]),
        ];
        let outcome = written(&messages.concat());
        // Whatever changed it came behind the last change that is as before.
        let broken =
            TableBreak { table: table(name), oid: 5, from: Lsn(0x201), reason, seen_at: None, until: until(0x300) };
        assert_eq!(outcome.breaks, [broken]);
        assert_eq!(body(&outcome)[8], format!(r#"-- break "public"."{name}""#));
        let inserts: u64 = outcome.totals.tables.values().map(|counts| counts.inserts).sum();
        assert_eq!((inserts, outcome.totals.transactions), (3, 3));
        assert!(outcome.known.is_covered(5) && read(&outcome.to).unwrap().1 == outcome.totals);
    }
}

#[test]
fn a_transaction_with_rows_of_two_shapes_is_behind_one_break_with_all_of_them() {
    let messages = [
        transaction(0x200, &[keyed(5, b"t"), insert(5, &[Some("1"), None])]),
        transaction(
            0x300,
            &[
                insert(5, &[Some("2"), None]),
                relation(5, b"t", b'd', WIDER),
                insert(5, &[Some("3"), None, None]),
                keyed(5, b"t"),
                insert(5, &[Some("4"), None]),
            ],
        ),
    ];
    let outcome = written(&messages.concat());
    let until = until(0x300);
    let broken =
        TableBreak { table: table("t"), oid: 5, from: Lsn(0x300), reason: BreakReason::Columns, seen_at: None, until };
    assert_eq!(outcome.breaks, [broken]);
    read(&outcome.to).unwrap();
}

#[test]
fn a_table_that_has_the_name_of_another_one_is_left_out_until_the_catalog_shows_it() {
    let messages = [
        transaction(0x200, &[keyed(5, b"t"), insert(5, &[Some("1"), None])]),
        transaction(0x300, &[keyed(6, b"t"), insert(6, &[Some("1"), None]), truncate(&[6], 0)]),
    ];
    let outcome = written(&messages.concat());
    let reason = BreakReason::Replaced;
    assert_eq!(
        outcome.breaks,
        [TableBreak { table: table("t"), oid: 6, from: Lsn(0x201), reason, seen_at: None, until: None }]
    );
    assert_eq!(outcome.totals.tables.into_values().map(|counts| counts.inserts).sum::<u64>(), 1);
    assert!(!outcome.known.is_covered(6) && read(&outcome.to).is_ok());
}

#[test]
fn a_row_that_nothing_identifies_breaks_its_table() {
    let bare = relation(5, b"t", b'd', &[(b"v", 25, false)]);
    let outcome = written(&transaction(0x200, &[bare, insert(5, &[None]), update(5, None, &[Some("x")])]));
    assert_eq!(outcome.breaks.iter().map(|one| one.reason).collect::<Vec<_>>(), [BreakReason::Unidentified]);
    assert!(!body(&outcome).iter().any(|line| line.starts_with("UPDATE")));
}

#[test]
fn another_identity_is_no_break_and_is_stated_again() {
    let other = relation(5, b"t", b'i', &[(b"id", 23, false), (b"v", 25, true)]);
    let messages = [keyed(5, b"t"), insert(5, &[Some("1"), Some("a")]), other, delete(5, b'K', &[None, Some("a")])];
    let outcome = written(&transaction(0x200, &messages));
    assert!(outcome.breaks.is_empty());
    assert_eq!(outcome.relations.len(), 2);
    assert_eq!(body(&outcome)[5], r#"DELETE FROM ONLY "public"."t" WHERE "v" = 'a';"#);
    assert_eq!(read(&outcome.to).unwrap().1, outcome.totals);
}

#[test]
fn what_documents_state_is_what_the_writer_knew() {
    let messages = [
        transaction(0x200, &[keyed(5, b"t"), keyed(6, b"u"), insert(5, &[Some("1"), None])]),
        transaction(0x300, &[keyed(5, b"renamed"), insert(5, &[Some("1"), None])]),
    ];
    let outcome = written(&messages.concat());
    let mut known = Relations::default();
    known.apply(&outcome.relations, &outcome.breaks);
    assert!(known.is_covered(6) && known.is_covered(5));
    assert_eq!(known.known(5).unwrap().relation.table, table("renamed"));

    // The catalog is ahead of the stream: rows come in the shape that the stream told, whatever the catalog says by now.
    let mut writer = writer(known);
    let shape = Relation::of_text(r#"5 d "public"."t" ("id" 23 -1 key, "w" 25 -1)"#).unwrap();
    let definition = |text: &str| TableDefinition::of_text(text).unwrap();
    let feed = |writer: &mut DeltaWriter<_>, messages: &[Vec<u8>]| {
        messages.iter().for_each(|message| writer.take(decode(message).unwrap()).unwrap());
    };
    feed(&mut writer, &transaction(0x400, &[keyed(5, b"t"), insert(5, &[Some("1"), None])]));
    feed(&mut writer, &[begin(0x500, 7)]);
    writer.resume(shape.clone(), definition("a.b.1"), BreakReason::Columns).unwrap();
    writer.drop_table(6).unwrap();
    feed(&mut writer, &[commit(0x500, 0x508)]);
    feed(&mut writer, &transaction(0x600, &[insert(5, &[Some("2"), None])]));
    let next = writer.finish(Lsn(0x608)).unwrap();
    assert!(body(&next)[9].contains(r#"("id" 23 -1 key, "v" 25 -1)"#), "{:?}", body(&next));
    let breaks: Vec<_> = next.breaks.iter().map(|one| (one.oid, one.from, one.reason, one.until)).collect();
    assert_eq!(
        breaks[1..],
        [(5, Lsn(0x401), BreakReason::Columns, until(0x500)), (6, Lsn(0x100), BreakReason::Dropped, until(0x500)),]
    );
    let mut again = Relations::default();
    again.apply(&outcome.relations, &outcome.breaks);
    again.apply(&next.relations, &next.breaks);
    let known = again.known(5).unwrap();
    assert_eq!((&known.relation, &known.broken), (&shape, &None));
    assert!(known.definition.is_some() && again.known(6).is_none());
}

#[test]
fn a_reader_of_some_tables_passes_over_the_others() {
    let rows = |oid: u32| (0..60).map(move |id: u32| insert(oid, &[Some(&id.to_string()), Some("a")]));
    let messages = [
        vec![keyed(5, b"t"), keyed(6, b"u")],
        rows(5).chain(rows(6)).collect(),
        vec![update(5, None, &[Some("1"), None]), update(6, None, &[Some("1"), None]), truncate(&[5, 6], 2)],
    ];
    let outcome = written(&transaction(0x200, &messages.concat()));
    let mut reader = DeltaReader::begin(&outcome.to[..], LONGEST_LINE).unwrap().only([table("u")].into());
    let (said, totals) = told(&mut reader).unwrap();
    let lines: String = (0..60).map(|id| format!("{id}\ta\n")).collect();
    assert_eq!(
        said,
        [
            "begin 7 0/200",
            r#"relation "public"."u""#,
            r#"copy "public"."u""#,
            &*lines,
            "copied 60",
            r#"Update "public"."u" 1"#,
            r#"1 TRUNCATE ONLY "public"."u" RESTART IDENTITY;"#,
            "commit 0/208",
            "end 0/208",
        ]
    );
    assert_eq!(totals, outcome.totals);
}

#[test]
fn a_delta_ends_between_transactions_and_behind_its_start() {
    for (messages, end) in
        [(vec![begin(0x200, 7)], 0x300), (transaction(0x200, &[]), 0x207), (vec![], 0x100), (vec![], 0x99)]
    {
        let mut writer = writer(Relations::default());
        messages.iter().for_each(|message| writer.take(decode(message).unwrap()).unwrap());
        assert_eq!(writer.position().is_none(), messages.len() == 1);
        assert!(writer.finish(Lsn(end)).is_err());
    }
}

#[test]
fn a_stream_that_contradicts_itself_ends_the_delta() {
    for (what, messages) in [
        ("a change outside", vec![keyed(5, b"t")]),
        ("a commit alone", vec![commit(0x200, 0x208)]),
        ("two beginnings", vec![begin(0x200, 7), begin(0x300, 8)]),
        ("another commit", vec![begin(0x200, 7), commit(0x201, 0x208)]),
        ("a commit before the start", vec![begin(0x99, 7)]),
        ("an unknown table", vec![begin(0x200, 7), insert(5, &[])]),
        ("another number of values", vec![begin(0x200, 7), keyed(5, b"t"), insert(5, &[None])]),
        (
            "a new row that is unchanged",
            vec![begin(0x200, 7), keyed(5, b"t"), MessageMaker::of(b'I').word(5).row(b'N', &[None, Some(None)]).done()],
        ),
    ] {
        let mut writer = writer(Relations::default());
        let results: Vec<bool> = messages.iter().map(|message| writer.take(decode(message).unwrap()).is_ok()).collect();
        assert_eq!(results.iter().filter(|is_fine| !**is_fine).count(), 1, "{what}");
        assert_eq!(results.last(), Some(&false), "{what}");
    }
}
