//! What `pgbk doctor` says of the outputs beside the plain one.

use crate::outputs::{OTHER_KEY, Place, RULES, SECRET, source};
use serde_json::Value;
use std::fs;
use support::pgbk::{KEY, Pgbk};

/// The findings whose name begins so, by the rest of the name: status, and what is said.
fn findings(pgbk: &Pgbk, begin: &str) -> Vec<(String, String, String)> {
    let document = pgbk.args(["doctor", "--json"]).end().json();
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let all = document["findings"].as_array().unwrap().iter();
    let all = all.filter_map(|one| Some((word(one, "what").strip_prefix(begin)?.to_owned(), one)));
    all.map(|(what, one)| (what, word(one, "status"), word(one, "detail"))).collect()
}

#[track_caller]
fn finding(pgbk: &Pgbk, what: &str, status: &str, words: &str) {
    let found = findings(pgbk, "anonymised: ");
    let fits = |(name, of, detail): &(String, String, String)| name == what && of == status && detail.contains(words);
    assert!(found.iter().any(fits), "no {status} of {what} with \"{words}\" in {found:#?}");
}

#[test]
fn the_store_of_copies_is_tried_like_the_other_and_what_their_key_means_is_said() {
    source("outputs_doctor");
    let place = Place::new(RULES);
    let copies = place.path().join("copies");
    let plain = place.pgbk("plain").unset("NO_ENCRYPT").key().set("DB_NAME", "outputs_doctor");
    plain.args(["doctor", "--make-store"]).expect(0);
    assert_eq!(findings(&plain, "anonymised: "), []);
    let beside = plain.set("OUTPUTS", "plain,custom,anonymised");
    finding(&beside, "key", "note", "reads the backups of production, too, which are in the same folder");
    let own_key = beside.set("ANON_ENCRYPT_KEY", OTHER_KEY);
    finding(&own_key, "key", "note", "in the folder of the other backups");
    finding(&beside.unset("DB_BACKUP_ENCRYPT_KEY"), "key", "note", "none: they are not encrypted");
    let own = own_key.set("ANON_STORE_DIR", copies.display());
    fs::create_dir(&copies).unwrap();
    finding(&own, "key", "ok", "their own, in a place of their own");
    finding(&own.set("ANON_ENCRYPT_KEY", KEY.to_uppercase()), "key", "note", "is that of the other backups");
    own.set("ANON_ENCRYPT_KEY", KEY).args(["backup"]).expect(0).says("the same key as the others");
    finding(&own.set("ANON_ENCRYPT_KEY", "short"), "key", "fail", "ANON_ENCRYPT_KEY");
    for what in ["store: write", "store: read", "store: list", "store: delete", "leftovers"] {
        finding(&own, what, "ok", "");
    }
    assert!(!findings(&beside, "anonymised: ").iter().any(|(what, ..)| what == "store: write"));
    own.args(["backup"]).expect(0);
    finding(&own, "key: newest backups", "ok", "");
    finding(&own.set("ANON_ENCRYPT_KEY", KEY), "key: newest backups", "note", "was made with");
    assert!(findings(&own, "custom: ").iter().any(|(what, status, _)| what == "key: newest backups" && status == "ok"));
    let both = own.set("ANON_S3_FOLDER", "copies");
    finding(&both, "store", "fail", "both ANON_STORE_DIR and ANON_S3_FOLDER are set");
    let text = own.args(["doctor"]).expect(0).text();
    assert!(text.contains("nothing stands in the way of a backup"), "{text}");

    // What a killed run left there is swept there.
    let left = copies.join("outputs_doctor@anonymised/outputs_doctor@anonymised-20260101T000000Z.sql");
    fs::write(&left, "half").unwrap();
    finding(&own, "leftovers", "note", "outputs_doctor@anonymised-20260101T000000Z.sql");
    own.args(["doctor", "--clean", "--older-than", "0s"]).expect(0);
    assert!(!left.exists());
    let meta = fs::read_dir(copies.join("outputs_doctor@anonymised")).unwrap().map(|entry| entry.unwrap().path());
    let meta = meta.filter(|path| path.extension().is_some_and(|end| end == "meta")).max().unwrap();
    let payload = meta.with_extension("sql");
    let payload = if payload.exists() { payload } else { meta.with_extension("sql.enc") };
    fs::remove_file(payload).unwrap();
    let key = format!("outputs_doctor@anonymised/{}", meta.file_name().unwrap().to_str().unwrap());
    finding(&own, "damaged backups", "note", &key);
    own.args(["doctor", "--remove-meta", &key]).expect(0);
    assert!(!meta.exists());
}

#[test]
fn rules_that_are_missing_wrong_or_do_not_fit_a_database_are_said_before_a_run_fails_by_them() {
    source("outputs_rules");
    let place = Place::new(RULES);
    let pgbk = place.pgbk("plain,anonymised").set("DB_NAME", "outputs_rules");
    pgbk.args(["doctor", "--make-store"]).expect(0);
    let rules = |text: &str| fs::write(place.path().join("rules.toml"), text).unwrap();
    finding(&pgbk, "rules", "note", "\"outputs_rules\": 2 columns that may hold text have no rule");
    rules(&RULES.replace("notes =", "profile = 'null'\ntags = 'null'\nnotes ="));
    finding(&pgbk, "rules", "ok", "rules.toml\" fit \"outputs_rules\"");
    for (text, words) in [
        ("[tables.public.people]\nage = 'keep'\n", "\"outputs_rules\": the rules in"),
        ("[tables.public.people]\nage = 'keep'\n", "there is no column \"age\""),
        ("[tables.public.visits]\npage = { sql = 'nothing' }\n", "nothing"),
        ("strict = true\n", "the rules are strict"),
        ("no rules", "are wrong"),
    ] {
        rules(text);
        finding(&pgbk, "rules", "fail", words);
        pgbk.args(["doctor"]).expect(1);
    }
    fs::remove_file(place.path().join("rules.toml")).unwrap();
    finding(&pgbk, "rules", "fail", "cannot read the rules in");
    finding(&pgbk.unset("ANONYMISE_RULES"), "rules", "fail", "no rules are set");
    rules(RULES);
    finding(&pgbk.unset("ANONYMISE_SECRET"), "rules", "fail", "ANONYMISE_SECRET is not set");
    let outcome = pgbk.args(["doctor", "--json"]).expect(0);
    assert!(!outcome.text().contains(SECRET));
    for (name, value, words) in
        [("OUTPUTS", "anonymised", "OUTPUTS does not name plain"), ("ANON_KEEP_LAST", "few", "ANON_KEEP_")]
    {
        let text = pgbk.set(name, value).args(["doctor"]).expect(1).text();
        assert!(text.contains(words), "{text}");
    }
}
