//! The scheduler as the first process of a container.

use super::{database, in_mid_dump, with};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::{Duration, Instant};
use support::cluster::PATIENCE;
use support::fake::Fake;
use support::process::until;
use support::scheduler::Place;

#[test]
fn as_the_first_process_of_a_container_it_leaves_no_zombies() {
    let place = Place::new();
    let name = database("first_process");
    // Its orphan leaves the group, and so is not killed with it; nobody but the first process can bury it.
    let fake = Fake::new("setsid sh -c 'sleep 0.05; echo >> '$NOTES/orphans & exec \"$REAL\" \"$@\"");
    let run = with(place.schedule("* * * * * *", &name), &fake);
    let scheduler = place.start_by(&run, &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    place.await_count("done", 3);
    let first = children(scheduler.child.id());
    assert_eq!(first.len(), 1, "{}", scheduler.said());
    let orphans = || fs::read_to_string(fake.note("orphans")).unwrap_or_default().lines().count();
    assert!(until(PATIENCE, || orphans() >= 3));
    let zombies = || children(first[0]).into_iter().filter(|child| state(*child) == Some('Z')).count();
    assert!(until(PATIENCE, || zombies() == 0), "{} zombies", zombies());
    assert_eq!(children(first[0]).len(), 1, "the scheduler itself is not the only child");

    let begun = Instant::now();
    kill_process(Pid::from_raw(first[0] as i32).unwrap(), Signal::TERM).unwrap();
    let (code, said) = scheduler.end();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(code == Some(143) && said.contains("stopped by signal 15"), "{code:?} {said}");
}

fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_command_docker_could_have_started_beside_it_is_no_second_run() {
    // The scheduler holds the lock, and a run by hand finds it.
    let place = Place::new();
    let name = database("exec");
    let (scheduler, fake) = in_mid_dump(&place, &name);
    place.run(&["backup", &name]).expect(5).says("is being backed up by");
    assert_eq!(place.history(&[])[0]["state"], "skipped");
    fake.open_gate();
    place.await_count("done", 1);
    scheduler.stop();
    assert_eq!(place.backups(), place.count("done"));
}
