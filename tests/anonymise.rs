//! `pgbk anonymise`: what the rules say for each column, and the rows that come of it.

mod rows;
mod secret;
mod special_values;
mod wrong;

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use support::database::{create, sql, stdout_of, tool};
use support::pgbk::{Outcome, Pgbk, connected};
use tempfile::TempDir;

/// What the session has for a secret; pgbk itself gives a hash of its own.
const SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const LONG_SECRET: &str = "never in a log: 8b1a9953c4611296a827abf8c47804d7";

fn rules_file(folder: &TempDir, rules: &str) -> PathBuf {
    let path = folder.path().join("rules.toml");
    fs::write(&path, rules).unwrap();
    path
}

/// The call that lists the columns of a database.
fn checking(database: &str, rules: &std::path::Path) -> Pgbk {
    let pgbk = connected().args(["anonymise", "--check", database]).set("ANONYMISE_RULES", rules.display());
    pgbk.set("ANONYMISE_SECRET", LONG_SECRET)
}

fn check(database: &str, rules: &std::path::Path) -> Outcome {
    let pgbk = checking(database, rules);
    pgbk.args(["anonymise", "--check", database, "--json"]).expect(0)
}

/// Each table with its columns, quoted, and its query, in the order of their names.
fn selects(document: &Value) -> Vec<(String, Vec<String>, String)> {
    let quoted = |name: &Value| format!("\"{}\"", name.as_str().unwrap().replace('"', "\"\""));
    let tables = document["tables"].as_array().unwrap().iter().map(|table| {
        let columns = table["columns"].as_array().unwrap().iter().map(|column| quoted(&column["name"])).collect();
        let name = format!("{}.{}", quoted(&table["schema"]), quoted(&table["table"]));
        (name, columns, table["select"].as_str().unwrap().to_owned())
    });
    tables.collect()
}

/// The rows of a query in a session with this secret, as COPY writes them.
#[track_caller]
fn rows(database: &str, select: &str, secret: &str) -> String {
    let mut psql = tool("psql", database);
    psql.env("PGOPTIONS", format!("-c pgbk.anonymise_secret={} -c search_path=", secret.replace(' ', "\\ ")));
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", &format!("COPY ({select}) TO STDOUT")]);
    String::from_utf8(stdout_of(&mut psql)).unwrap()
}

#[test]
fn each_column_is_listed_with_its_rule_or_without_one() {
    create("anonymise_list", "");
    sql(
        "anonymise_list",
        "CREATE TABLE people (id int PRIMARY KEY, mail text UNIQUE, note text);
         CREATE TABLE orders (id int PRIMARY KEY, mail text REFERENCES people (mail), j jsonb);
         CREATE TABLE parts (k text, v text) PARTITION BY LIST (k); CREATE TABLE part_a PARTITION OF parts DEFAULT",
    );
    let folder = tempfile::tempdir().unwrap();
    let file =
        rules_file(&folder, "[tables.public.people]\nmail = 'email'\nid = 'keep'\n[tables.public.parts]\nv = 'text'\n");
    let outcome = checking("anonymise_list", &file).expect(0);
    let lines: Vec<String> =
        outcome.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "TABLE COLUMN TYPE RULE FROM",
            "public.orders id integer - no rule: unchanged",
            "public.orders mail text email foreign key",
            "public.orders j jsonb - NO RULE: addresses replaced",
            "public.part_a k text - NO RULE: unchanged, as it decides which partition a row is in",
            "public.part_a v text text rules of its parent table",
            "public.people id integer keep rules",
            "public.people mail text email rules",
            "public.people note text - NO RULE: addresses replaced",
            "4 columns have no rule; 3 of them may hold text, in which e-mail addresses become nobody@example.com and all else stays",
        ]
    );
    assert!(!outcome.err.contains("ANONYMISE_SECRET"), "{outcome:?}");
    checking("anonymise_list", &file).unset("ANONYMISE_SECRET").expect(0).says("ANONYMISE_SECRET is not set");
    let document = check("anonymise_list", &file).json();
    assert_eq!(
        (&document["strict"], &document["passed"], &document["secret_is_set"]),
        (&false.into(), &true.into(), &true.into())
    );
    assert_eq!((&document["columns_without_rule"], &document["text_columns_without_rule"]), (&4.into(), &3.into()));
    let column = &document["tables"][0]["columns"][1];
    let expected = serde_json::json!({"name": "mail", "type": "text", "may_hold_text": true, "rule": "email", "from": "foreign-key"});
    assert_eq!(column, &expected);
}

#[test]
fn strict_rules_fail_as_soon_as_a_column_is_new() {
    create("anonymise_strict", "");
    sql("anonymise_strict", "CREATE TABLE customers (id int, mail text); CREATE TABLE towns (a text, b int)");
    let folder = tempfile::tempdir().unwrap();
    let file = rules_file(
        &folder,
        "strict = true\n[tables.public.customers]\nid = 'keep'\nmail = 'email'\n[tables.public.towns]\n'*' = 'keep'\n",
    );
    checking("anonymise_strict", &file).expect(0);
    sql("anonymise_strict", "ALTER TABLE towns ADD c text; ALTER TABLE customers ADD passport bigint");
    let outcome = checking("anonymise_strict", &file).expect(1);
    assert!(
        outcome.text().contains("1 column has no rule") && outcome.text().contains("rules are strict"),
        "{outcome:?}"
    );
    let line = outcome.text().lines().find(|line| line.contains("passport")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.ends_with("no rule: unchanged")), "{outcome:?}");
    let document = checking("anonymise_strict", &file)
        .args(["anonymise", "--check", "anonymise_strict", "--json"])
        .expect(1)
        .json();
    assert_eq!((&document["passed"], &document["columns_without_rule"]), (&false.into(), &1.into()));
}

#[test]
fn the_example_of_the_page_is_read_and_names_every_column() {
    create("anonymise_page", "");
    sql(
        "anonymise_page",
        "CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, name text, phone text, street text, born date, \"limit\" int, status text, notes text, passport text, initials text);
         CREATE TABLE countries (code char(2), name text)",
    );
    let page = fs::read_to_string(support::process::root().join("docs/anonymise.md")).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outcome = checking("anonymise_page", &rules_file(&folder, example)).expect(0);
    assert!(!outcome.text().to_lowercase().contains("no rule"), "{outcome:?}");
}
