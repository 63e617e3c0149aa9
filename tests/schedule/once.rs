//! `schedule --once`: for a timer that is not pgbk's own.

use super::database;
use support::cluster::cluster;
use support::scheduler::Place;

#[test]
fn once_waits_for_the_first_run_and_ends_as_it_does() {
    let place = Place::new();
    let name = database("once");
    // Not every second, of which one may pass before it is looked what is due.
    let (code, said) = place.start(&place.schedule("*/4 * * * * *", &name).args(["schedule", "--once"])).end();
    assert_eq!((code, place.count("done")), (Some(0), 1), "{said}");
    assert!(said.contains("the next run begins at"), "{said}");
    let missing = place.schedule("* * * * * *", "no_such_database").args(["schedule", "--once"]);
    let (code, said) = place.start(&missing).end();
    assert!(code == Some(4) && said.contains("no_such_database"), "{code:?} {said}");
}

#[test]
fn once_does_first_what_was_missed() {
    let place = Place::new();
    let name = database("late");
    place.run(&["backup", &name]).expect(0);
    place.put_back(2);
    let run = place.schedule("@daily", &name).args(["schedule", "--once"]);
    let (code, said) = place.start(&run).end();
    assert_eq!((code, &place.history(&[])[0]["cause"]), (Some(0), &"catch-up".into()), "{said}");
    // Its exit code is that of the run.
    place.put_back(2);
    cluster().psql("postgres", &format!("ALTER DATABASE {name} RENAME TO {name}_away"));
    let (code, said) = place.start(&run).end();
    assert_eq!((code, &place.history(&[])[0]["state"]), (Some(4), &"failed".into()), "{said}");
}
