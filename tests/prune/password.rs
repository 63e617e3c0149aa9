//! Backups made with a password, each with a salt of its own: what a look at all of them costs.

use super::past::{folder, made};
use pgbk::base::secret::Secret;
use pgbk::format::keys::Key;
use pgbk::repository::Repository;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use support::cluster::PATIENCE;
use support::pgbk::{ENC_PASSWORD, Pgbk, pgbk};
use support::process::until;
use support::proof;

/// Hours of one day, of which each costs a derivation.
fn count() -> usize {
    proof::size(8, 16)
}

fn stored(path: &Path) {
    let repository = Repository { key: Some(Key::Password(Secret::new(ENC_PASSWORD))), ..folder(path) };
    for hour in 0..count() {
        made(&repository, "shop", &format!("2024-03-01T{hour:02}:00:00Z"));
    }
}

fn run(store: &Path, state: &Path, arguments: &[&str]) -> Pgbk {
    let run = pgbk(arguments.iter().copied()).directory(store).set("STATE_DIR", state.display());
    run.set("ENC_PASSWORD", ENC_PASSWORD)
}

/// The derivations that are kept.
fn kept(ring: &Path) -> usize {
    fs::read_to_string(ring).map_or(0, |text| text.lines().count() - 1)
}

/// The processor's time that a run took, which does not depend on what else the host does.
fn work(run: &Pgbk) -> f64 {
    let output = run.wrapped("bash", &["-c", "TIMEFORMAT=%U; time \"$@\"", "bash"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said.lines().last().unwrap().parse().unwrap()
}

#[test]
fn many_backups_of_one_password_cost_a_new_process_one_derivation() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { place.path().join(name) };
    stored(&at("store"));
    let dry = ["prune", "shop", "--keep-last", "1", "--dry-run"];

    // A signal ends it among derivations, and what is done is done for the next one.
    let running = run(&at("store"), &at("state"), &dry).start();
    let ring = at("state/keyring");
    assert!(until(PATIENCE, || kept(&ring) > 0), "nothing is kept");
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!(ended.code, Some(143), "{ended:#?}");
    let so_far = kept(&ring);
    assert!(so_far < count(), "all of them were derived although it was told to stop");

    let first = work(&run(&at("store"), &at("fresh"), &dry));
    assert_eq!(kept(&at("fresh/keyring")), count());
    for arguments in [
        &dry[..],
        &["verify", "--all", "--level", "meta"],
        &["prune", "shop", "--keep-last", "1", "--dry-run", "--json"],
    ] {
        let again = work(&run(&at("store"), &at("fresh"), arguments));
        assert!(again * 5.0 < first, "{arguments:?}: {again} s after {first} s");
    }
    assert_eq!(kept(&at("fresh/keyring")), count());

    // Another password opens nothing of it, and a file that is spoiled, or none, only costs.
    let other = run(&at("store"), &at("fresh"), &["verify", "shop-20240301T000000Z", "--level", "meta"]);
    other.set("ENC_PASSWORD", "not that one").expect(3);
    let text = fs::read_to_string(at("fresh/keyring")).unwrap();
    let ids: Vec<String> = text.lines().skip(1).map(|line| line[16..].to_owned()).collect();
    // Every salt says what was derived with the next one.
    let mut turned = text.lines().next().unwrap().to_owned() + "\n";
    for (line, next) in text.lines().skip(1).zip(ids.iter().cycle().skip(1)) {
        turned += &format!("{}{next}\n", &line[..16]);
    }
    for spoiled in [turned, "pgbk keyring 1 \n".to_owned(), "x".repeat(1 << 21), String::new()] {
        fs::write(at("fresh/keyring"), &spoiled).unwrap();
        run(&at("store"), &at("fresh"), &["verify", "shop-20240301T000000Z", "--level", "meta"]).expect(0);
    }
    fs::remove_file(at("fresh/keyring")).unwrap();
    fs::create_dir(at("fresh/keyring")).unwrap();
    run(&at("store"), &at("fresh"), &["verify", "shop-20240301T000000Z", "--level", "meta"]).expect(0);
}
