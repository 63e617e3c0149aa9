//! Values that no rule can change: NULL, what is no number, and what is endless.

use crate::anonymise::{SECRET, check, rows, rules_file, selects};
use std::fmt::Display;
use support::database::{create, sql};

/// Types, the rules that fit them, and values of them that stay what they are, beside NULL.
const KINDS: [(&str, &[&str], &[&str]); 20] = [
    ("smallint", &["number", "hash"], &[]),
    ("integer", &["number", "hash"], &[]),
    ("bigint", &["number", "hash"], &[]),
    ("numeric", &["number"], &["NaN"]),
    ("numeric(10,2)", &["number"], &["NaN"]),
    ("numeric(5,5)", &["number"], &["NaN"]),
    ("real", &["number"], &["NaN", "Infinity", "-Infinity"]),
    ("double precision", &["number"], &["NaN", "Infinity", "-Infinity"]),
    ("date", &["date"], &["infinity", "-infinity"]),
    ("timestamp", &["date"], &["infinity", "-infinity"]),
    ("timestamptz", &["date"], &["infinity", "-infinity"]),
    ("text", &["email", "name", "phone", "address", "ip", "text", "hash"], &[]),
    ("varchar(40)", &["email", "name", "phone", "address", "ip", "text", "hash"], &[]),
    ("char(40)", &["email", "name", "phone", "address", "ip", "text", "hash"], &[]),
    ("inet", &["ip"], &[]),
    ("cidr", &["ip"], &[]),
    ("uuid", &["hash"], &[]),
    ("bytea", &["hash"], &[]),
    ("jsonb", &[], &[]),
    ("text[]", &[], &[]),
];

#[test]
fn null_and_what_is_no_number_stay_what_they_are_under_every_rule() {
    let (mut tables, mut rules, mut expected) = (String::new(), String::new(), Vec::new());
    for (at, (kind, fitting, values)) in KINDS.iter().enumerate() {
        let columns: Vec<String> = (0..=fitting.len()).map(|number| format!("c{number} {kind}")).collect();
        tables += &format!("CREATE TABLE t{at:02} (id int PRIMARY KEY, {});", columns.join(", "));
        rules += &format!("[tables.public.t{at:02}]\n");
        rules.extend(fitting.iter().enumerate().map(|(number, rule)| format!("c{number} = '{rule}'\n")));
        let mut lines = String::new();
        for (id, value) in ["NULL"].iter().chain(*values).enumerate() {
            let literal = if *value == "NULL" { "NULL".to_owned() } else { format!("'{value}'") };
            tables += &format!("INSERT INTO t{at:02} VALUES ({id}, {});", vec![literal; columns.len()].join(", "));
            let shown = if *value == "NULL" { "\\N" } else { value };
            lines += &format!("{id}\t{}\n", vec![shown; columns.len()].join("\t"));
        }
        expected.push(lines);
    }
    create("anonymise_null", "");
    sql("anonymise_null", &tables);
    let folder = tempfile::tempdir().unwrap();
    let found = selects(&check("anonymise_null", &rules_file(&folder, &rules)).json());
    assert_eq!(found.len(), KINDS.len());
    for ((_, _, select), (expected, (kind, ..))) in found.iter().zip(expected.iter().zip(KINDS)) {
        assert_eq!(&rows("anonymise_null", select, SECRET), expected, "{kind}");
    }
}

/// What keeps the other columns of a table keeps those that refer to them, and those that they refer to.
#[test]
fn what_keeps_all_columns_holds_for_both_ends_of_a_foreign_key() {
    create("anonymise_star", "");
    sql(
        "anonymise_star",
        "CREATE TABLE u (id int PRIMARY KEY, mail text UNIQUE);
         CREATE TABLE f (id int PRIMARY KEY, mail text REFERENCES u (mail));
         INSERT INTO u VALUES (1, 'u1@corp.de'); INSERT INTO f VALUES (1, 'u1@corp.de')",
    );
    let folder = tempfile::tempdir().unwrap();
    for (rules, kept) in [
        ("[tables.public.u]\n'*' = 'keep'\n", true),
        ("[tables.public.f]\n'*' = 'keep'\n", true),
        ("[tables.public.u]\n'*' = 'keep'\nmail = 'email'\n", false),
        ("[tables.public.u]\n'*' = 'keep'\n[tables.public.f]\nmail = 'email'\n", false),
        ("", false),
    ] {
        let found = selects(&check("anonymise_star", &rules_file(&folder, rules)).json());
        let rows: Vec<String> = found.iter().map(|(_, _, select)| rows("anonymise_star", select, SECRET)).collect();
        assert_eq!(rows[0], rows[1], "{rules}");
        assert_eq!(rows[0].contains("u1@corp.de"), kept, "{rules}");
    }
}

/// Whatever a unique index is over, two values with different addresses stay two.
#[test]
fn unique_columns_of_every_type_that_may_hold_an_address_stay_unique() {
    let kinds = [
        ("text", "'{}@corp.de'"),
        ("varchar(30)", "'{}@corp.de'"),
        ("name", "'{}@corp.de'"),
        ("json", "'{\"email\": \"{}@corp.de\"}'"),
        ("jsonb", "'{\"email\": \"{}@corp.de\"}'"),
        ("text[]", "ARRAY['{}@corp.de', 'x']"),
        ("contact", "ROW('{}@corp.de', 1)::contact"),
        ("mail_domain", "'{}@corp.de'"),
    ];
    let indexes = [
        ("text", "v"),
        ("text", "lower(v)"),
        ("text", "md5(v)"),
        ("varchar(30)", "v"),
        ("name", "v"),
        ("json", "(v ->> 'email')"),
        ("jsonb", "v"),
        ("jsonb", "(v ->> 'email')"),
        ("text[]", "v"),
        ("text[]", "(v[1])"),
        ("contact", "v"),
        ("mail_domain", "v"),
    ];
    let mut tables =
        "CREATE TYPE contact AS (mail text, n int); CREATE DOMAIN mail_domain AS text CHECK (VALUE LIKE '%@%');"
            .to_owned();
    for (at, (kind, index)) in indexes.iter().enumerate() {
        let value = kinds.iter().find(|(name, _)| name == kind).unwrap().1;
        tables += &format!("CREATE TABLE t{at:02} (id int PRIMARY KEY, v {kind});");
        tables += &format!("CREATE UNIQUE INDEX ON t{at:02} ({index});");
        for (id, name) in ["anna", "eve"].iter().enumerate() {
            tables += &format!("INSERT INTO t{at:02} VALUES ({id}, {});", value.replace("{}", name));
        }
    }
    create("anonymise_unique", "");
    sql("anonymise_unique", &tables);
    let folder = tempfile::tempdir().unwrap();
    let found = selects(&check("anonymise_unique", &rules_file(&folder, "")).json());
    assert_eq!(found.len(), indexes.len());
    for ((_, _, select), (kind, index)) in found.iter().zip(indexes) {
        let rows = rows("anonymise_unique", select, SECRET);
        let values: Vec<&str> = rows.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        assert!(!rows.contains("corp.de") && rows.contains("@example.com"), "{kind} {index}: {rows}");
        assert!(values[0] != values[1], "{kind} {index}: {rows}");
    }
}

/// The spellings of an address that a type has for its own signs.
#[test]
fn an_address_is_seen_however_its_type_writes_it() {
    let values = [
        ("text", r#"'"john doe"@corp.de'"#),
        ("text[]", r#"ARRAY['"john doe"@corp.de']"#),
        ("quoted[]", r#"ARRAY['"john doe"@corp.de'::quoted]"#),
        ("person", r#"ROW(3, '"john doe"@corp.de')::person"#),
        ("person[]", r#"ARRAY[ROW(3, '"john doe"@corp.de')::person]"#),
        ("jsonb[]", r#"ARRAY['{"a": "\"john doe\"@corp.de"}'::jsonb]"#),
        ("jsonb", r#"'{"a": "\"john doe\"@corp.de"}'"#),
        ("json", r#"'{"a": "leak\u0040corp.de"}'"#),
        ("json", r#"'{"a": "leak\u0040corp\u002ede"}'"#),
        ("json", r#"'{"a": "leak\u0040corp\u002Ede"}'"#),
        ("json", r#"'{"a": "leak@\u0063orp.d\u0065"}'"#),
        ("json", r#"'{"a": "\u006ceak@corp.de\nb"}'"#),
        ("xml", r"'<a>leak&#64;corp&#46;de</a>'"),
        ("xml", r"'<a>leak&#x40;corp&#x2e;de</a>'"),
    ];
    let types = "CREATE TYPE person AS (n int, mail text); CREATE DOMAIN quoted AS text;";
    for ([_, rows], (kind, value)) in before_and_after("anonymise_spelt", types, &values).iter().zip(values) {
        // What is around it stays, so that the type takes it back.
        let taken = rows.trim_end().replace("\\\\", "\\").replace('\'', "''");
        sql("anonymise_spelt", format!("SELECT '{taken}'::{kind}"));
        let left = ["corp", "orp", "john", "leak", "002e"].iter().any(|word| rows.contains(word));
        assert!(!left && rows.contains("nobody@example.com"), "{kind} {value}: {rows}");
    }
}

/// A name on its own behind an `@` is no address, and what a type is made of is no part of one.
#[test]
fn what_arrays_rows_and_documents_are_made_of_is_never_taken_for_an_address() {
    let handle = r#"{"a": "@john.doe", "": "x y", "b": "x y \"@john.doe"}"#;
    let values = [
        ("text[]", "ARRAY['@john.doe', 'x y', '@john.doe z', '', '\"', 'x \"@john.doe']".to_owned()),
        ("jsonb", format!("'{handle}'")),
        ("json[]", format!("ARRAY['{handle}', '[]']::json[]")),
        ("jsonb[]", format!("ARRAY['{handle}', '\"@john.doe\"']::jsonb[]")),
        ("person", "ROW('x y', '@john.doe z')::person".to_owned()),
        ("person", "ROW('', '@john.doe')::person".to_owned()),
        ("person[]", "ARRAY[ROW('x y', '@john.doe z'), ROW('', ' @john.doe')]::person[]".to_owned()),
        ("holder", format!("ROW('x y', '{handle}')::holder")),
        ("holder[]", format!("ARRAY[ROW('x y', '{handle}'), ROW('@john.doe z', '\"\"')]::holder[]")),
    ];
    let types = "CREATE TYPE person AS (a text, b text); CREATE TYPE holder AS (a text, b jsonb);";
    for ([before, after], (kind, value)) in before_and_after("anonymise_made_of", types, &values).iter().zip(&values) {
        assert_eq!(after, before, "{kind} {value}");
    }
}

/// Makes a table for each type and value, and returns its row as it is, and as it becomes without a rule.
fn before_and_after(database: &str, types: &str, values: &[(&str, impl Display)]) -> Vec<[String; 2]> {
    let mut tables = types.to_owned();
    for (at, (kind, value)) in values.iter().enumerate() {
        tables += &format!("CREATE TABLE t{at:02} (v {kind}); INSERT INTO t{at:02} VALUES ({value});");
    }
    create(database, "");
    sql(database, &tables);
    let folder = tempfile::tempdir().unwrap();
    let found = selects(&check(database, &rules_file(&folder, "")).json());
    assert_eq!(found.len(), values.len());
    let both = |(table, _, select): &(String, Vec<String>, String)| {
        [&format!("SELECT v FROM {table}"), select].map(|query| rows(database, query, SECRET))
    };
    found.iter().map(both).collect()
}
