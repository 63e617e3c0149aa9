//! Rules that are wrong: each is told with its place, and nothing else happens.

use crate::anonymise::{checking, rules_file};
use std::fs;
use support::database::{create, sql};
use support::pgbk::connected;

#[test]
fn each_mistake_in_the_rules_is_told_with_its_place_and_ends_with_code_2() {
    create("anonymise_wrong", "");
    sql(
        "anonymise_wrong",
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE TABLE t (n int PRIMARY KEY, s varchar(5), u text UNIQUE, m mood, a int[], g int GENERATED ALWAYS AS (n + 1) STORED);
         CREATE TABLE r (n int REFERENCES t)",
    );
    let folder = tempfile::tempdir().unwrap();
    for (rules, told) in [
        ("[tables.public.t\n", "line 1, column 17: unclosed table"),
        ("strict = maybe\n", "line 1, column 10"),
        ("secret = 'x'\n", "line 1, column 1: unknown field `secret`"),
        ("[tables.public.t]\nn = 'nul'\n", "line 2, column 5: \"nul\" is no kind of rule; there are keep, null, "),
        ("[tables.public.t]\nx = 'null'\n", "line 2, column 1: there is no column \"x\" in \"public\".\"t\""),
        ("[tables.public.T]\nn = 'keep'\n", "line 1, column 16: there is no table \"public\".\"T\""),
        (
            "[tables.public.t]\nn = 'email'\n",
            "line 2, column 1: the rule \"email\" cannot hold for \"public\".\"t\".\"n\"",
        ),
        ("[tables.public.t]\nu = 'name'\n", "would not be unique"),
        ("[tables.public.t]\nn = 'null'\n", "a foreign key"),
        ("[tables.public.t]\nn = 'keep'\n[tables.public.r]\nn = { constant = 1 }\n", "though a foreign key joins them"),
        ("[tables.public.t]\ng = 'keep'\n", "computed"),
        ("[tables.public.t]\nm = { constant = 'glad' }\n", "does not accept the rule for \"public\".\"t\".\"m\""),
        ("[tables.public.t]\ns = { sql = 'nothing + 1' }\n", "does not accept the rule for \"public\".\"t\".\"s\""),
        (
            "[tables.public.t]\ns = { sql = \"s); DROP TABLE r; SELECT ('x'\" }\n",
            "does not accept the rule for \"public\".\"t\".\"s\"",
        ),
        ("[tables.public.t]\ns = { sql = 'max(s)' }\n", "does not accept the rule for \"public\".\"t\""),
        (
            "[tables.public.t]\na = { sql = \"'x'::text\" }\nm = { sql = 'n' }\n",
            "does not accept the rule for \"public\".\"t\".\"m\"",
        ),
    ] {
        let outcome = checking("anonymise_wrong", &rules_file(&folder, rules)).expect(2);
        assert!(outcome.err.contains(told) && outcome.out.is_empty(), "{rules}: {outcome:?}");
    }
    assert_eq!(sql("anonymise_wrong", "SELECT count(*) FROM r"), "0");
}

#[test]
fn what_is_set_wrong_is_told_before_a_server_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = rules_file(&folder, "");
    let set = checking("postgres", &file).set("DB_HOST", "/nonexistent");
    set.unset("ANONYMISE_RULES").expect(2).says("no rules are set");
    set.set("ANONYMISE_RULES", "/nonexistent/rules.toml").expect(2).says("cannot read the rules");
    set.set("ANONYMISE_RULES", folder.path().display()).expect(2).says("no plain file");
    set.set("ANONYMISE_SECRET", "too short").expect(2).says("fewer than 16 characters");
    set.args(["anonymise", "postgres"]).expect(2).says("--check");
    set.args(["anonymise", "--check"]).set("DB_NAME", "a,b").expect(2).says("no database is named, or more than one");
    fs::write(&file, format!("# {}", "x".repeat(1 << 20))).unwrap();
    set.expect(2).says("more than 1 MiB");
    fs::write(&file, b"a = '\xff'").unwrap();
    set.expect(2).says("no UTF-8 text");
    // The secret may be in a file, as every secret.
    fs::write(&file, "").unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "short\n").unwrap();
    set.unset("ANONYMISE_SECRET")
        .set("ANONYMISE_SECRET_FILE", secret.display())
        .expect(2)
        .says("fewer than 16 characters");
    connected().args(["anonymise", "--check", "anonymise_not_there", "--rules", file.to_str().unwrap()]).expect(4);
}
