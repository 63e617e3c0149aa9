//! Scripts that pgbk did not write, and values that try to leave their places.

use super::*;
use proptest::prelude::*;

/// A script with one of each record.
fn sample() -> String {
    let rows = (0..60).map(|id: u32| insert(5, &[Some(&id.to_string()), Some("a\tb")]));
    let one: Vec<_> = [keyed(5, b"t"), full(6, b"u")].into_iter().chain(rows).collect();
    let two = vec![
        insert(5, &[Some("9"), Some("it's")]),
        update(5, None, &[Some("9"), Some("b\n")]),
        delete(6, b'O', &[Some("1"), None, Some("{}"), None]),
        truncate(&[5, 6], 2),
    ];
    let outcome = written(&[transaction(0x200, &one), transaction(0x300, &two)].concat());
    String::from_utf8(outcome.to).unwrap()
}

#[test]
fn a_script_is_refused_where_a_line_is_not_one_that_pgbk_writes() {
    let sample = sample();
    assert!(read(sample.as_bytes()).is_ok());
    for (from, to) in [
        ("delta 1,", "delta 2,"),
        ("from 0/100", "from 0/0100"),
        ("from 0/100", "from 0/300"),
        ("'UTF8'", "'UTF9'"),
        ("search_path = ''", "search_path = 'public'"),
        ("SET lc_monetary = 'C';\n", ""),
        ("-- tx 7 0/200", "-- tx 0 0/200"),
        ("-- tx 7 0/200 8", "-- tx 7 0/200 +8"),
        ("BEGIN;", "BEGIN"),
        ("BEGIN;\n", "BEGIN;\n\n"),
        ("BEGIN;\n", "BEGIN;\n\\! id\n"),
        ("BEGIN;\n", "BEGIN;\nSELECT 1;\n"),
        ("BEGIN;\n", "BEGIN;\nCOMMIT;\n-- end 0/208\n"),
        ("-- relation 5", "-- relation 05"),
        ("-- relation 5 d", "-- relation 5 x"),
        ("COPY \"public\".\"t\"", "COPY \"public\".\"s\""),
        ("FROM stdin;", "FROM PROGRAM 'id';"),
        ("0\ta\\tb\n", "0\n"),
        ("0\ta\\tb\n", "0\ta\tb\n"),
        ("0\ta\\tb\n", "0\ta\r\n"),
        ("VALUES ('9', 'it''s')", "VALUES ('9', 'it's')"),
        ("VALUES ('9', 'it''s')", "VALUES ('9', lo_import('x'))"),
        ("VALUES ('9', 'it''s')", "VALUES ('9')"),
        ("VALUES ('9', 'it''s')", "VALUES ('9', 'it''s'); DROP TABLE x"),
        ("E'b\\n'", "E'b\\'"),
        ("E'b\\n'", "'b\n'"),
        ("WHERE \"id\" = '9'", "WHERE true"),
        ("WHERE \"id\" = '9'", "WHERE \"id\" = pg_sleep(1)"),
        ("SELECT ctid FROM ONLY \"public\".\"u\"", "SELECT ctid FROM ONLY \"public\".\"t\""),
        ("LIMIT 1", "LIMIT 2"),
        ("TRUNCATE ONLY", "TRUNCATE"),
        ("RESTART IDENTITY;", "RESTART IDENTITY CASCADE;"),
        ("-- end 0/208", "-- end 0/200"),
        ("-- end 0/208", "-- end 0/308"),
        ("-- tx 7 0/300", "-- tx 7 0/207"),
        ("-- pgbk delta end 0/308\n", ""),
        ("-- pgbk delta end 0/308\n", "-- pgbk delta end 0/307\n"),
        ("-- pgbk delta end 0/308\n", "-- pgbk delta end 0/308"),
        ("-- pgbk delta end 0/308\n", "-- pgbk delta end 0/308\n\n"),
        ("\\.\n", ""),
    ] {
        let changed = sample.replacen(from, to, 1);
        assert_ne!(changed, sample, "{from}");
        let error = read(changed.as_bytes()).expect_err(&format!("{from:?} became {to:?}"));
        assert_eq!(crate::base::error::kind(&error), crate::base::error::Kind::Damaged);
    }
}

#[test]
fn a_script_that_is_cut_anywhere_is_refused() {
    let sample = sample();
    (0..sample.len()).for_each(|length| assert!(read(&sample.as_bytes()[..length]).is_err(), "{length}"));
}

#[test]
fn the_line_of_a_fault_is_told() {
    let sample = sample().replace("LIMIT 1", "LIMIT 2");
    let line = 1 + sample.lines().position(|line| line.contains("LIMIT 2")).unwrap();
    let error = read(sample.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("line {line} of the delta is not what pgbk writes")), "{error}");
}

#[test]
fn a_line_that_no_server_takes_is_refused_before_it_is_held() {
    let script = format!("{}-- {}\n", HEAD.text(), "x".repeat(5_000));
    let error = told(&mut DeltaReader::begin(script.as_bytes(), 1_000).unwrap()).unwrap_err();
    assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
}

/// Values and names with what could end a literal, a name, a line, a block or a script.
fn odd() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"'", b"\"", b"\\", b"\n", b"\\.", b"\r", b"\t", b"\0", b";", b"--", b"E'", b"$$", b"COMMIT;", b"\xff", b"x",
        b" ", b"%s",
    ];
    let words = proptest::collection::vec(proptest::sample::select(words), 1..6);
    words.prop_map(|words| words.concat().into_iter().filter(|byte| *byte != 0).chain([b'z']).collect())
}

proptest! {
    #[test]
    fn whatever_names_and_values_are_the_reader_finds_the_same_records(
        name in odd(), column in odd(), values in proptest::collection::vec(odd(), 0..12), user_type in any::<bool>()
    ) {
        let kind = if user_type { 20_000 } else { 25 };
        let identity = |letter: u8, is_key: bool| relation(5, &name, letter, &[(&column, kind, is_key), (b"n", 25, false)]);
        let mut messages = vec![identity(b'd', true)];
        for value in &values {
            messages.push(MessageMaker::of(b'I').word(5).row(b'N', &[Some(Some(value)), None]).done());
            if value.len() % 3 == 0 {
                messages.push(MessageMaker::of(b'D').word(5).row(b'K', &[Some(Some(value)), None]).done());
                let moved = MessageMaker::of(b'U').word(5).row(b'K', &[Some(Some(value)), None]);
                messages.push(moved.row(b'N', &[Some(Some(b"m")), Some(Some(value))]).done());
            }
        }
        messages.push(identity(b'f', true));
        messages.push(MessageMaker::of(b'D').word(5).row(b'O', &[Some(Some(&name)), None]).done());
        let outcome = written(&transaction(0x200, &messages));
        let (_, totals) = read(&outcome.to).unwrap();
        prop_assert_eq!(totals, outcome.totals);
        let lines = outcome.to.iter().filter(|byte| **byte == b'\n').count();
        prop_assert!(lines <= 40 + 3 * messages.len());
    }

    #[test]
    fn a_script_in_which_bytes_were_changed_is_read_or_refused(at in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..4)) {
        let mut script = sample().into_bytes();
        let at = at.index(script.len());
        script.splice(at..at + 1, bytes);
        let _ = read(&script);
    }
}
