use super::*;
use crate::base::progress::NullMonitor;
use crate::files::pack::pack;
use crate::files::walk::walk;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

type Swap = Box<dyn FnOnce()>;

thread_local! {
    /// How many more steps to take before the swap, and the swap.
    static DUE: RefCell<Option<(usize, Swap)>> = const { RefCell::new(None) };
}

/// Called before each step that a restore takes in the target.
pub(crate) fn between() {
    let due = DUE.with_borrow_mut(|due| match due {
        Some((0, _)) => due.take(),
        Some((left, _)) => {
            *left -= 1;
            None
        }
        None => None,
    });
    if let Some((_, swap)) = due {
        swap();
    }
}

fn texts(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(std::io::Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => found.extend(texts(&path)),
            path => drop(found.insert(path.clone(), fs::read_to_string(&path).unwrap())),
        }
    }
    found
}

#[test]
fn where_one_cannot_be_put_into_its_place_all_are_as_they_were() {
    let source = tempfile::tempdir().unwrap();
    for name in ["1", "2", "new/3", "z"] {
        let path = source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "backup").unwrap();
    }
    let mut archive = Vec::new();
    pack(&walk(&[source.path().to_owned()], &NullMonitor).unwrap(), &mut archive, &NullMonitor).unwrap();

    let root = tempfile::tempdir().unwrap();
    let there = root.path().join(source.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&there).unwrap();
    ["1", "2"].iter().for_each(|name| fs::write(there.join(name), "mine").unwrap());
    let target = UnpackTarget::look(root.path(), ArchiveContents::read(&mut archive.as_slice()).unwrap()).unwrap();
    // Something comes into the way of the last one after the look.
    fs::create_dir(there.join("z")).unwrap();
    let before = texts(root.path());
    let error = target.place(&mut archive.as_slice()).unwrap_err();
    assert!(format!("{error:#}").starts_with("nothing was changed: "), "{error:#}");
    assert_eq!(texts(root.path()), before);
    assert!(!there.join("new").exists());

    fs::remove_dir(there.join("z")).unwrap();
    let placed = target.place(&mut archive.as_slice()).unwrap();
    assert_eq!((placed.files, placed.replaced), (4, 2));
    assert!(texts(root.path()).values().all(|text| text == "backup"));
    assert_eq!(texts(root.path()).len(), 4, "something is left behind");

    // Another archive than the one that was looked at is not unpacked.
    fs::write(source.path().join("1"), "other bytes").unwrap();
    let mut other = Vec::new();
    pack(&walk(&[source.path().to_owned()], &NullMonitor).unwrap(), &mut other, &NullMonitor).unwrap();
    assert!(target.place(&mut other.as_slice()).is_err());
    assert!(texts(root.path()).values().all(|text| text == "backup"));
}

/// Returns everything that a restore could change in a folder of plain files.
fn state(folder: &Path) -> Vec<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.push(folder.to_owned());
    let seen = paths.iter().map(|path| {
        let (seen, text) = (path.symlink_metadata().unwrap(), fs::read_to_string(path).unwrap_or_default());
        let times = (seen.mtime(), seen.mtime_nsec(), seen.nlink());
        format!("{path:?} {:o} {} {} {times:?} {text}", seen.mode(), seen.uid(), seen.gid())
    });
    seen.collect()
}

/// Puts something else in the place of a name: a link to a folder, one to a file, another folder.
fn swap(victim: &Path, outside: &Path, how: usize) {
    let away = victim.with_extension("away");
    let _ = fs::rename(victim, away);
    let _ = match how {
        0 => symlink(outside, victim),
        1 => symlink(outside.join("suid"), victim),
        _ => fs::create_dir(victim),
    };
}

#[test]
fn whatever_name_is_swapped_at_whatever_step_nothing_outside_is_touched() {
    let source = tempfile::tempdir().unwrap();
    let docs = source.path().join("docs");
    fs::create_dir_all(docs.join("new/deep")).unwrap();
    for name in ["mine", "new/file", "new/deep/suid"] {
        fs::write(docs.join(name), "backup").unwrap();
        fs::set_permissions(docs.join(name), Permissions::from_mode(0o6777)).unwrap();
    }
    symlink("mine", docs.join("new/link")).unwrap();
    fs::set_permissions(docs.join("new"), Permissions::from_mode(0o6777)).unwrap();
    let mut archive = Vec::new();
    pack(&walk(&[source.path().to_owned()], &NullMonitor).unwrap(), &mut archive, &NullMonitor).unwrap();
    let below = source.path().strip_prefix("/").unwrap().join("docs");
    let (mut tried, mut restored) = (0, 0);
    let victims = ["", "new", "new/deep", "mine", "new/file", "new/deep/suid", "new/link", "beside"];
    for (victim, how) in victims.into_iter().flat_map(|victim: &'static str| (0..3).map(move |how| (victim, how))) {
        // Each step for a link to a folder; every third for the others.
        for step in (0..).step_by(if how == 0 { 1 } else { 3 }) {
            let whole = tempfile::tempdir().unwrap();
            let (root, outside) = (whole.path().join("root"), whole.path().join("outside"));
            fs::create_dir_all(root.join(&below)).unwrap();
            fs::create_dir(&outside).unwrap();
            for name in ["suid", "mine", "file", "deep", "0", "1"] {
                fs::write(outside.join(name), "theirs").unwrap();
            }
            fs::write(root.join(&below).join("mine"), "before").unwrap();
            let (before, docs, elsewhere) = (state(&outside), root.join(&below), outside.clone());
            let target = UnpackTarget::look(&root, ArchiveContents::read(&mut archive.as_slice()).unwrap()).unwrap();
            let act = move || {
                let beside = || {
                    let mut there = fs::read_dir(&docs).unwrap().map(|entry| entry.unwrap().path());
                    there.find(|path| path.to_string_lossy().contains(".pgbk-restore-"))
                };
                match victim {
                    "beside" => drop(beside().map(|path| swap(&path, &elsewhere, how))),
                    name => swap(&docs.join(name), &elsewhere, how),
                }
            };
            DUE.set(Some((step, Box::new(act))));
            restored += usize::from(target.place(&mut archive.as_slice()).is_ok());
            assert_eq!(state(&outside), before, "{victim:?} swapped at step {step} in way {how}");
            if DUE.take().is_some() {
                break;
            }
            tried += 1;
        }
    }
    assert!(tried > 300 && restored > victims.len(), "{tried} swaps, {restored} restored");
}
