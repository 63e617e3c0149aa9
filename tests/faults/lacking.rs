//! File systems that lack something, or do not let pgbk in: `strace` answers a call in their place.

use super::calls::Place;
use pgbk::store::Store;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Backs up, with every one of these calls failed so; gives the exit code, what was said, and the calls.
fn backed_up_without(place: &Place, calls: &str, error: &str, only: Option<&Path>) -> (Option<i32>, String, String) {
    let log = place.at("calls");
    let (trace, inject) = (format!("trace={calls},linkat"), format!("inject={calls}:error={error}"));
    let mut whole = vec!["strace", "-f", "-b", "execve", "-qq", "-o", log.to_str().unwrap()];
    whole.extend(["-e", &trace, "-e", &inject]);
    whole.extend(only.iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
    let output = place.run(&["backup", "@files"]).command_by(&whole).output().expect("strace");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, fs::read_to_string(&log).unwrap())
}

#[test]
fn where_no_rename_refuses_a_taken_name_an_object_is_published_by_a_link() {
    for error in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let place = Place::new();
        let (code, said, calls) = backed_up_without(&place, "renameat2", error, None);
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
    let (code, said, _) = backed_up_without(&place, "mkdir,mkdirat", "EACCES", Some(&store));
    assert_eq!(code, Some(1), "{said}");
    let refused = format!("cannot create \"{}/", store.display());
    assert!(said.contains(&refused) && said.contains(": Permission denied (os error 13)"), "{said}");
    let hint = format!("hint: let the user that runs pgbk (uid {}) write there", rustix::process::getuid().as_raw());
    assert!(said.contains(&hint), "{said}");
    assert!(!store.exists());
}
