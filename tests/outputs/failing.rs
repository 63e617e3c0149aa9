//! What keeps the anonymised backup from being made keeps no plain one from it, is told, and leaves nothing half-made.

use crate::outputs::{Place, RULES, source};
use std::fs;
use support::database::sql;
use support::pgbk::Outcome;

/// Runs a backup whose anonymised output fails: the plain one is there, and of the other nothing.
#[track_caller]
fn fails(place: &Place, database: &str, more: &[&str], code: i32) -> Outcome {
    let pgbk = place.pgbk("plain,anonymised");
    let before = pgbk.args(["list"]).json().as_array().unwrap().len();
    let outcome = pgbk.args(["backup", database].iter().chain(more).copied()).expect(code);
    let outcome = outcome.says("stored, and the anonymised backup is not");
    assert_eq!(pgbk.args(["list"]).json().as_array().unwrap().len(), before + 1);
    let left = fs::read_dir(place.path().join(format!("store/{database}@anonymised")));
    assert_eq!(left.map_or(0, Iterator::count), 0, "{outcome:#?}");
    pgbk.args(["verify", "latest", "--database", database]).expect(0);
    let newest = pgbk.args(["history"]).json()[0].clone();
    assert_eq!((newest["state"].as_str(), newest["backup"].is_object()), (Some("failed"), true), "{newest}");
    outcome
}

#[test]
fn strict_rules_fail_the_copy_as_soon_as_a_column_is_new_and_the_plain_backup_goes_on() {
    source("outputs_strict");
    let people =
        RULES.replace("[tables.public.orders]", "profile = { sql = \"'{}'\" }\ntags = 'null'\n[tables.public.orders]");
    let place = Place::new(&format!("strict = true\n{people}[tables.public.visits]\n'*' = 'keep'\n"));
    place.pgbk("plain,anonymised").args(["backup", "outputs_strict"]).expect(0);
    fs::remove_dir_all(place.path().join("store/outputs_strict@anonymised")).unwrap();
    sql("outputs_strict", "ALTER TABLE people ADD insurance bigint");
    for jobs in ["1", "2"] {
        let outcome = fails(&place, "outputs_strict", &["--jobs", jobs], 1);
        outcome.says("the rules are strict, and 1 column has none: \"public\".\"people\".\"insurance\"");
    }
}

#[test]
fn rules_that_do_not_fit_are_told_with_their_place_and_rows_that_cannot_be_read_anonymised_are_never_written_unchanged()
{
    source("outputs_unfit");
    for (rules, code, words) in [
        ("[tables.public.people]\nage = 'keep'\n", 2, "there is no column \"age\""),
        ("[tables.public.people]\nid = 'text'\n", 2, "would not be unique"),
        ("[tables.public.visits]\npage = { sql = 'nothing' }\n", 2, "nothing"),
        // Found as it is read: by then the plain rows are on their way.
        ("[tables.public.visits]\npage = { sql = '1 / (page % 7)' }\n", 1, "division by zero"),
    ] {
        for jobs in ["1", "2"] {
            fails(&Place::new(rules), "outputs_unfit", &["--jobs", jobs], code).says(words);
        }
    }
    let place = Place::new(RULES);
    fails(&place, "outputs_unfit", &["--pg-dump-args=--inserts"], 2).says("--inserts");
    let pgbk = place.pgbk("plain,anonymised");
    pgbk.unset("ANONYMISE_SECRET").args(["backup", "outputs_unfit"]).expect(2).says("ANONYMISE_SECRET");
    pgbk.unset("ANONYMISE_RULES").args(["backup", "outputs_unfit"]).expect(2).says("ANONYMISE_RULES");
    place.pgbk("anonymised").args(["backup", "outputs_unfit"]).expect(2).says("plain");
}

#[test]
fn an_address_that_no_rule_and_no_default_has_replaced_fails_the_copy_and_is_never_shown() {
    source("outputs_scan");
    sql(
        "outputs_scan",
        "CREATE TYPE contact AS ENUM ('none', 'eve@plantagenet.org');
         CREATE TABLE contacts (id int PRIMARY KEY, who contact); INSERT INTO contacts SELECT g, 'none' FROM generate_series(1, 50) g;
         INSERT INTO contacts VALUES (51, 'eve@plantagenet.org')",
    );
    for jobs in ["1", "2"] {
        let outcome = fails(&Place::new(RULES), "outputs_scan", &["--jobs", jobs], 1);
        let outcome = outcome
            .says("what looks like an e-mail address is left in column \"who\" of \"public\".\"contacts\", row 51");
        // Its definition has it, too, and people are told of that.
        assert!(outcome.err.contains("definitions hold") && !outcome.err.contains("eve@"), "{outcome:#?}");
    }
    let place = Place::new(&format!("{RULES}[tables.public.contacts]\nwho = 'keep'\n"));
    place.pgbk("plain,anonymised").args(["backup", "outputs_scan"]).expect(0);
}
