//! A `.meta` that states what the backup does not hold, made with the key.

use crate::proven::receiver::{Heard, Receiver};
use crate::proven::{left_on, of, prove, tables, wrong};
use pgbk::format::manifest::Manifest;
use serde_json::Value;
use support::cluster::cluster;
use support::database::{features, small, sql};
use support::forger;
use support::proof;
use support::scheduler::Place;

/// Seals the backup's `.meta` anew with what is made of it.
fn reseal(place: &Place, id: &str, change: impl FnOnce(&mut Manifest)) {
    forger::reseal(&place.store(), id, change);
}

/// What is changed, the tables that are wrong then, and what is said of them.
type Forgery<'a> = (&'a dyn Fn(&mut Manifest), &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_table_with_other_rows_or_contents_than_stated_is_named() {
    let place = Place::new();
    small("proven_forged", &["a", "b", "c"]);
    sql("proven_forged", "CREATE TABLE untouched AS SELECT 1 AS one; CREATE TABLE gone AS SELECT 2 AS two");
    let run = of(&place, "proven_forged").key();
    let id = run.backup("proven_forged", &[]);
    let original = std::fs::read(place.store().join(format!("proven_forged/{id}.meta"))).unwrap();
    let table = |manifest: &mut Manifest, change: fn(&mut pgbk::format::manifest::Table)| {
        change(manifest.tables.iter_mut().find(|table| table.name == "public.t").unwrap());
    };
    let rename = |manifest: &mut Manifest| {
        manifest.tables.iter_mut().find(|table| table.name == "public.gone").unwrap().name = "public.other".to_owned();
    };
    let forgeries: [Forgery; 4] = [
        (
            &|one| table(one, |table| table.rows = 4),
            &[("public.t", "differs")],
            "the .meta states 4 rows, 3 were restored",
        ),
        (&|one| table(one, |table| table.bytes += 1), &[("public.t", "differs")], "with other contents"),
        (&|one| table(one, |table| table.blake2b[31] ^= 1), &[("public.t", "differs")], "with other contents"),
        (&rename, &[("public.other", "missing"), ("public.gone", "extra")], "NOT STATED"),
    ];
    for (change, expected, words) in forgeries {
        std::fs::write(place.store().join(format!("proven_forged/{id}.meta")), &original).unwrap();
        reseal(&place, &id, change);
        let (_, finding) = prove(&run, 3);
        assert_eq!(wrong(&finding), expected);
        let error = finding["error"].as_str().unwrap();
        assert!(error.contains(expected[0].0) && !error.contains("untouched"), "{error}");
        let text = run.args(["verify", "--level", "restore"]).expect(3).text();
        assert!(text.contains("UNPROVEN") && text.contains(words), "{text}");
        assert_eq!(left_on(cluster()), Vec::<String>::new());
    }
}

/// A figure of a table that is stated otherwise by as little as can be.
fn misstate(manifest: &mut Manifest, nth: usize) -> String {
    let at = nth % manifest.tables.len();
    let table = &mut manifest.tables[at];
    match nth / 2 % 5 {
        0 => table.rows += 1,
        1 => table.rows = table.rows.wrapping_sub(1),
        2 => table.bytes += 1,
        3 => table.bytes = table.bytes.wrapping_sub(1),
        _ => table.blake2b[nth * 7 % 32] ^= 1 << (nth % 8),
    }
    table.name.clone()
}

#[test]
fn whichever_figure_of_a_table_is_not_as_restored_that_table_alone_is_found() {
    let place = Place::new();
    features("proven_figures");
    let run = of(&place, "proven_figures").key();
    let id = run.backup("proven_figures", &[]);
    let meta = place.store().join(format!("proven_figures/{id}.meta"));
    let original = std::fs::read(&meta).unwrap();
    let (mut same, mut found) = (0, 0);
    for nth in 0..proof::size(2, 60) {
        std::fs::write(&meta, &original).unwrap();
        let named = std::sync::Mutex::new(String::new());
        reseal(&place, &id, |manifest| *named.lock().unwrap() = misstate(manifest, nth));
        let (_, finding) = prove(&run, 3);
        assert_eq!(wrong(&finding), [(named.lock().unwrap().as_str(), "differs")]);
        found += wrong(&finding).len();
        same += tables(&finding).len() - wrong(&finding).len();
    }
    proof::counted("proofs", "figures of tables stated otherwise than restored", same, found);
}

#[test]
fn more_rows_than_can_be_counted_are_a_misstatement_like_any_other() {
    let place = Place::new();
    small("proven_countless", &["a"]);
    sql("proven_countless", "CREATE TABLE other AS SELECT 1 AS x");
    let run = of(&place, "proven_countless").key();
    let id = run.backup("proven_countless", &[]);
    reseal(&place, &id, |manifest| {
        manifest.tables.push(manifest.tables[0].clone());
        manifest.tables.iter_mut().for_each(|table| (table.rows, table.bytes) = (u64::MAX, u64::MAX));
    });
    let (_, finding) = prove(&run, 3);
    assert_eq!(wrong(&finding), [("public.other", "differs"), ("public.t", "differs")]);
}

#[test]
fn people_are_told_of_a_backup_that_is_not_proven_and_of_the_next_that_is() {
    let place = Place::new();
    small("proven_told", &["a"]);
    let receiver = Receiver::start();
    let run = of(&place, "proven_told")
        .key()
        .set("WEBHOOK_URL", receiver.url("/hook"))
        .set("PING_URL", receiver.url("/ping"));
    let id = run.unset("WEBHOOK_URL").unset("PING_URL").backup("proven_told", &[]);
    let meta = place.store().join(format!("proven_told/{id}.meta"));
    let original = std::fs::read(&meta).unwrap();
    reseal(&place, &id, |manifest| manifest.tables[0].rows += 1);
    prove(&run, 3);
    prove(&run, 3);
    std::fs::write(&meta, &original).unwrap();
    prove(&run, 0);
    prove(&run, 0);
    let heard = receiver.heard();
    let told: Vec<Value> = heard.iter().filter(|heard| heard.path == "/hook").map(Heard::json).collect();
    let subjects: Vec<&str> = told.iter().map(|told| told["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    assert!(subjects[0].starts_with("verification of proven_told failed"), "{subjects:?}");
    assert!(subjects[1].starts_with("verification of proven_told works again"), "{subjects:?}");
    assert!(told[0]["error"].as_str().unwrap().contains("public.t"), "{:#}", told[0]);
    // A monitor counts backups; of proofs it hears of those that failed.
    let pings: Vec<&str> = heard.iter().map(|heard| heard.path.as_str()).filter(|path| *path != "/hook").collect();
    assert_eq!(pings, ["/ping/fail", "/ping/fail"]);
}

#[test]
fn what_the_server_was_not_given_says_nothing_against_the_backup() {
    let dump = |lacking: &str, collated: &str| {
        format!(
            "{lacking};\nCREATE TABLE public.t (v text{collated});\nCOPY public.t (v) FROM stdin;\nx\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n"
        )
    };
    let label = "CREATE SCHEMA s; SECURITY LABEL FOR nobody ON SCHEMA s IS 'x'";
    for (lacking, collated, code, said) in [
        (label, "", 0, "security label provider \"nobody\" is not loaded"),
        ("SET default_table_access_method = nowhere", "", 0, "nowhere"),
        ("CREATE COLLATION public.c (provider = libc, locale = 'xx_XX')", " COLLATE public.c", 1, "xx_XX"),
    ] {
        let place = Place::new();
        let run = of(&place, "postgres");
        run.args(["upload", "-", "--database", "lacking"]).input(dump(lacking, collated).as_bytes()).expect(0);
        let ran = run.args(["verify", "latest", "--database", "lacking", "--origin", "upload", "--level", "restore"]);
        let ran = ran.expect(code);
        let told = format!("{}{}", ran.text(), ran.err);
        assert!(told.contains(said), "{told}");
    }
}
