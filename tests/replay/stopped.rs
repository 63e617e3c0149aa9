//! A restore to a moment that a person does not want after all.

use super::*;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use rustix::process::Signal;
use support::cluster::PATIENCE;
use support::process::until;

fn exists(database: &str) -> bool {
    cluster().psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'")) == "1"
}

#[test]
fn who_types_another_name_or_interrupts_the_replay_has_no_new_database() {
    // A copy of the database waits for whoever inserts this row.
    let world = World::with(
        "stopped",
        "CREATE FUNCTION passes(v text) RETURNS bool LANGUAGE plpgsql AS
            $$ BEGIN IF v = 'slow' AND current_database() LIKE '%\\_copy' THEN PERFORM pg_catalog.pg_sleep(600); END IF; RETURN true; END $$;
         CREATE TABLE t (v text PRIMARY KEY CHECK (passes(v)))",
    );
    let mut capture = world.capture();
    capture.base(&world.run);
    world.work(&["INSERT INTO t VALUES ('slow')"]);
    capture.store();
    let copy = format!("{}_copy", world.database);
    let arguments = ["restore", "--at", "latest", "--database", &world.database, "--to", &copy];
    for more in [&[][..], &["--table", "t"]] {
        let asked = world.run.args(arguments.into_iter().chain(more.iter().copied())).set("TERM", "xterm");
        let patience = Options::new().timeout_ms(Some(PATIENCE.as_millis() as u64));
        let mut session = spawn_with_options(asked.command(), patience).unwrap();
        session.exp_string(&format!("Type the database's name ({copy}) to restore")).unwrap();
        session.send_line(&world.database).unwrap();
        session.exp_string("not confirmed: nothing was restored").unwrap();
        session.exp_eof().unwrap();
        let code = session.process().wait().unwrap();
        assert!(matches!(code, rexpect::process::WaitStatus::Exited(_, 1)), "{code:?}");
        assert!(!exists(&copy));
    }
    let running = world.run.args(arguments.into_iter().chain(["--yes"])).start();
    let waits = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{copy}' AND wait_event = 'PgSleep'");
    assert!(until(PATIENCE, || cluster().psql("postgres", &waits) == "1"));
    running.signal(Signal::INT);
    let outcome = running.end();
    assert_eq!(outcome.code, Some(130), "{outcome:#?}");
    assert!(outcome.err.contains("interrupted by signal 2"), "{outcome:#?}");
    assert!(!exists(&copy), "{outcome:#?}");
}
