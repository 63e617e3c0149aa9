//! Values that no rule can change: NULL, what is no number, and what is endless.

use crate::anonymise::{SECRET, check, rows, rules_file, selects};
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
