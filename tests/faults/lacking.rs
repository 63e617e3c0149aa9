//! File systems that lack something, or do not let pgbk in: `strace` answers a call in their place.

use super::calls::Place;
use pgbk::store::Store;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Backs up, with every one of these calls failed so; gives the exit code, what was said, and the calls.
fn backed_up_without(place: &Place, calls: &str, error: &str, only: &[&Path]) -> (Option<i32>, String, String) {
    run_without(place, &["backup", "@files"], calls, error, only)
}

fn run_without(
    place: &Place,
    arguments: &[&str],
    calls: &str,
    error: &str,
    only: &[&Path],
) -> (Option<i32>, String, String) {
    let log = place.at("calls");
    let (trace, inject) = (format!("trace={calls},linkat"), format!("inject={calls}:error={error}"));
    let mut whole = vec!["strace", "-f", "-b", "execve", "-qq", "-o", log.to_str().unwrap()];
    whole.extend(["-e", &trace, "-e", &inject]);
    whole.extend(only.iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
    let output = place.run(arguments).command_by(&whole).output().expect("strace");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, fs::read_to_string(&log).unwrap())
}

#[test]
fn where_no_rename_refuses_a_taken_name_an_object_is_published_by_a_link() {
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let place = Place::new();
        let (code, said, calls) = backed_up_without(&place, "renameat2", error, &[]);
        assert_eq!(code, Some(0), "{error}: {said}");
        let count = |sign: &str| calls.lines().filter(|line| line.contains(sign)).count();
        assert!(count("(INJECTED)") >= 2 && count("linkat(") >= 2, "{error}: {calls}");
        let keys = place.keys();
        assert_eq!((keys.len(), place.store().unfinished("").unwrap().len()), (2, 0), "{error}");
        for key in keys {
            assert_eq!(fs::metadata(place.at("store").join(&key)).unwrap().nlink(), 1, "{error}: {key}");
        }
        place.run(&["verify", "--all", "--level", "content"]).expect(0);
    }
}

#[test]
fn a_place_that_pgbk_may_not_write_to_is_named_and_who_may_not() {
    let place = Place::new();
    let store = place.at("store");
    let (code, said, _) = backed_up_without(&place, "mkdir,mkdirat", "EACCES", &[&store]);
    assert_eq!(code, Some(1), "{said}");
    let refused = format!("cannot create \"{}/", store.display());
    assert!(said.contains(&refused) && said.contains(": Permission denied (os error 13)"), "{said}");
    let hint = format!("hint: let the user that runs pgbk (uid {}) write there", rustix::process::getuid().as_raw());
    assert!(said.contains(&hint), "{said}");
    assert!(!store.exists());
}

#[test]
fn where_there_are_no_links_either_an_object_is_published_under_a_name_that_was_reserved() {
    for error in ["EPERM", "ENOSYS", "EOPNOTSUPP"] {
        let place = Place::new();
        // No link is made of the first kind where the second is not there.
        let rename = if error == "EPERM" { "EINVAL" } else { error };
        let log = place.at("calls");
        let [trace, first, second] = [
            "trace=renameat2,linkat,renameat".to_owned(),
            format!("inject=renameat2:error={rename}"),
            format!("inject=linkat:error={error}"),
        ];
        let whole = ["strace", "-f", "-b", "execve", "-qq", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &first];
        let whole = [&whole[..], &["-e", &second]].concat();
        let output = place.run(&["backup", "@files"]).command_by(&whole).output().expect("strace");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}: {said}");
        let calls = fs::read_to_string(&log).unwrap();
        let count = |sign: &str| calls.lines().filter(|line| line.contains(sign)).count();
        assert!(count("linkat(") >= 2 && count("renameat(") >= 2, "{error}: {calls}");
        assert_eq!((place.keys().len(), place.store().unfinished("").unwrap().len()), (2, 0), "{error}");
        place.run(&["verify", "--all", "--level", "content"]).expect(0);
    }
}

#[test]
fn folders_that_cannot_be_flushed_are_no_reason_to_keep_nothing_and_files_are() {
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let place = Place::new();
        let (store, series) = (place.at("store"), place.at("store/@files"));
        let folders: [&Path; 3] = [store.parent().unwrap(), &store, &series];
        let (code, said, calls) = backed_up_without(&place, "fsync", error, &folders);
        assert_eq!(code, Some(0), "{error}: {said}");
        assert!(calls.matches("(INJECTED)").count() >= 4, "{error}: {calls}");
        place.run(&["verify", "--all", "--level", "content"]).expect(0);
    }
    let place = Place::new();
    let (code, said, _) = backed_up_without(&place, "fsync", "EINVAL", &[]);
    assert_eq!((code, place.keys().len()), (Some(1), 0), "{said}");
    assert!(said.contains("Invalid argument (os error 22)"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_marked_as_a_store_is_a_finding_and_stays_unmarked() {
    let place = Place::new();
    fs::create_dir(place.at("store")).unwrap();
    let store = place.at("store");
    let arguments = ["doctor", "postgres", "--make-store"];
    let (code, said, _) = run_without(&place, &arguments, "renameat2,linkat", "EIO", &[&store]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Input/output error (os error 5)"), "{said}");
    assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
}
