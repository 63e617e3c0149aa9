//! Several servers and several times in one folder.

use crate::missed::made::{folder, made};
use crate::missed::*;
use jiff::ToSpan;
use support::cluster::Cluster;

#[test]
fn a_series_begun_beside_anothers_is_told_to_people_once_and_counted_apart() {
    let scene = Scene::new("beside");
    let own = scene.backups(2);
    let other = Cluster::start();
    other.psql("postgres", &format!("CREATE DATABASE {}", scene.name));
    let elsewhere = scene.place.folder.path().join("elsewhere");
    let theirs = |arguments: &[&str]| scene.run(arguments).server(&other).set("STATE_DIR", elsewhere.display());
    // One that fails has told it, and one that succeeds does not tell it again.
    theirs(&["backup", &scene.name, "--pg-dump-args", "--table=absent"]).expect(1).says("begins a series of its own");
    let heard = scene.heard();
    let notices = |heard: &[(String, String)]| heard.iter().filter(|one| one.0 == "notice").count();
    assert_eq!(notices(&heard), 1, "{heard:?}");
    for _ in 0..2 {
        theirs(&["backup", &scene.name]).expect(0);
    }
    theirs(&["backup", &scene.name, "--pg-dump-args", "--table=absent"]).expect(1);
    assert_eq!(notices(&scene.heard()), 0);

    let file = scene.place.folder.path().join("dump.sql");
    fs::write(&file, "SELECT 1;\n").unwrap();
    scene.run(&["upload", file.to_str().unwrap(), "--database", &scene.name, "--allow-incomplete"]).expect(0);
    let (scheduler, address) = serving(&scene);
    let name = &scene.name;
    await_metric(address, &format!("pgbk_store_backups{{database=\"{name}\"}} 2"));
    await_metric(address, &format!("pgbk_store_other_backups{{database=\"{name}\"}} 3"));
    await_metric(address, &format!("pgbk_store_backups_missing{{database=\"{name}\"}} 0"));
    assert_eq!(get(address, "/healthz").code, 200);
    let status = scene.run(&["status", "--json"]).expect(0).json();
    let store = &status["store"];
    assert_eq!((&store["databases"][name]["backups"], &store["others"][name]["backups"]), (&2.into(), &3.into()));
    assert!(
        store["newest"].as_array().unwrap().iter().all(|kept| !kept["id"].as_str().unwrap().starts_with(name.as_str())
            || own.contains(&kept["id"].as_str().unwrap().to_owned()))
    );
    assert!(get(address, "/").body.contains("beside them 3 in "));
    scheduler.stop();

    // Each misses its own and no other's.
    scene.take(&own[1]);
    quiet(theirs(&["backup", name]).expect(0));
    scene.run(&["backup", name]).expect(0).says(&format!("backup {} of ", own[1]));
    let finding = scene.finding("other servers' backups", &[]).unwrap();
    assert!(finding["detail"].as_str().unwrap().contains("3 of server "), "{finding:#}");
}

#[test]
fn two_servers_of_one_host_have_one_state_and_are_missed_apart() {
    let scene = Scene::new("shared");
    let own = scene.backups(2);
    let other = Cluster::start();
    other.psql("postgres", &format!("CREATE DATABASE {}", scene.name));
    let theirs = || scene.run(&["backup", &scene.name, "--json"]).server(&other).expect(0);
    quiet(theirs());
    let newest = id(&quiet(theirs()));
    scene.take(&newest);
    scene.backups(1);
    assert!(theirs().err.contains(&format!("backup {newest} of ")));
    scene.take(&own[1]);
    assert!(!theirs().err.contains(&own[1]));
}

#[test]
fn the_doctor_names_what_is_dated_ahead() {
    let scene = Scene::new("ahead");
    scene.backups(1);
    assert_eq!(scene.finding("backups from the future", &[]), None);
    let ahead = (Timestamp::now() + 48.hours()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let id = made(&folder(&scene.place.store()), &scene.name, &ahead);
    let finding = scene.finding("backups from the future", &[]).unwrap();
    assert!(
        finding["status"] == "note" && finding["detail"].as_str().unwrap().contains(&id.to_string()),
        "{finding:#}"
    );
}
