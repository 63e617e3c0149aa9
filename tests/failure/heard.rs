//! What PostgreSQL's own programs warn of, although they end well; and what cannot be told.

use super::*;
use std::fs::OpenOptions;
use std::process::Stdio;

#[test]
fn what_pg_dump_warns_of_reaches_people_the_record_and_the_meta() {
    let database = cluster().database("subscriber");
    let nowhere = "CREATE SUBSCRIPTION unheard CONNECTION 'host=192.0.2.1 dbname=none' PUBLICATION p WITH (connect = false, slot_name = NONE)";
    cluster().psql(&database, nowhere);
    // Of a database without one it is said that it holds no table.
    cluster().psql(&database, "CREATE TABLE t ()");
    cluster().psql(&database, &format!("CREATE ROLE subscriber LOGIN IN ROLE pg_read_all_data PASSWORD '{PASSWORD}'"));
    let place = folder();
    let run =
        backup(&database).directory(&place.path().join("store")).set("STATE_DIR", place.path().join("state").display());
    let run = run.set("DB_USER", "subscriber");
    let warned = "pg_dump: warning: subscriptions not dumped because current user is not a superuser";
    let outcome = run.expect(0).says(warned);
    assert_eq!(outcome.err.matches("subscriptions not dumped").count(), 1, "{}", outcome.err);
    let history = run.args(["history"]).json();
    assert!(history[0]["warnings"][0].as_str().unwrap().starts_with(warned), "{history}");
    let meta = files(&place.path().join("store")).into_iter().find(|file| file.extension().unwrap() == "meta").unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(meta).unwrap()).unwrap();
    assert_eq!(meta["warnings"], history[0]["warnings"]);
    // A dump of which nothing is warned has no such member.
    let silent = backup(&small()).directory(&place.path().join("other")).json();
    assert!(silent.get("warnings").is_none(), "{silent}");
}

#[test]
fn what_pg_restore_and_pg_dumpall_warn_of_is_told_too() {
    let place = folder();
    let (database, say) = (small(), "echo a word of warning >&2; exec \"$REAL\" \"$@\"");
    let base = |arguments: &[&str]| pgbk(arguments.iter().copied()).server(cluster()).key().directory(place.path());
    let dumpall = Fake::of_program("pg_dumpall", say);
    with(base(&["backup", "@globals"]), &dumpall).set("BACKUP_GLOBALS", "1").expect(0).says("a word of warning");
    base(&["backup", &database]).set("DUMP_FORMAT", "custom").expect(0);
    let restore = Fake::of_program("pg_restore", say);
    for jobs in ["1", "2"] {
        let target = format!("{database}_{jobs}");
        let run = base(&["restore", "latest", "--database", &database, "--to", &target, "--yes", "--jobs", jobs]);
        let outcome = with(run, &restore).expect(0).says("a word of warning");
        assert_eq!(outcome.err.matches("a word of warning").count(), 1, "{}", outcome.err);
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_the_backup_stands() {
    for more in [&[][..], &["--json"]] {
        let place = folder();
        let run = backup(&small()).directory(place.path());
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run.command().args(more).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains("No space left on device"), "{said}");
        assert_eq!(files(place.path()).len(), 2);
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing() {
    let place = folder();
    let run = backup(&large()).directory(place.path());
    let limited = run.command_by(&["bash", "-c", "ulimit -f 2000; exec \"$@\"", "limited"]).output().unwrap();
    let said = String::from_utf8_lossy(&limited.stderr);
    assert!(limited.status.code() == Some(1) && said.contains("File too large"), "{:?}: {said}", limited.status);
    assert_empty(place.path());
}

#[test]
fn what_pg_dump_leaves_out_without_a_word_is_told_by_the_backup_and_by_doctor() {
    let database = cluster().database("mapped");
    cluster().psql(
        &database,
        &format!(
            "CREATE ROLE mapped LOGIN IN ROLE pg_read_all_data PASSWORD '{PASSWORD}'; CREATE EXTENSION postgres_fdw;
             CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; CREATE SERVER own FOREIGN DATA WRAPPER postgres_fdw; ALTER SERVER own OWNER TO postgres;
             GRANT USAGE ON FOREIGN SERVER own TO mapped; CREATE USER MAPPING FOR mapped SERVER own OPTIONS (password 'seen');
             CREATE USER MAPPING FOR postgres SERVER far OPTIONS (password 'unseen'); CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'unseen')"
        ),
    );
    let place = folder();
    let run = backup(&database).directory(place.path()).set("STATE_DIR", place.path().join("state").display());
    let omitted = "the role may not see the options of user mappings, passwords among them, which are left out: postgres on server far, public on server far";
    let of_role = run.set("DB_USER", "mapped");
    of_role.expect(0).says(omitted);
    assert_eq!(of_role.args(["history"]).json()[0]["warnings"][0], omitted);
    assert!(of_role.args(["doctor", database.as_str()]).expect(0).text().contains(omitted));
    // To a superuser all are shown.
    assert!(!run.expect(0).err.contains("left out"));
}
