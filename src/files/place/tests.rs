use super::*;
use crate::files::{pack, walk};
use crate::monitor::Silent;
use std::collections::BTreeMap;

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
    pack(&walk(&[source.path().to_owned()], &Silent).unwrap(), &mut archive, &Silent).unwrap();

    let root = tempfile::tempdir().unwrap();
    let there = root.path().join(source.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&there).unwrap();
    ["1", "2"].iter().for_each(|name| fs::write(there.join(name), "mine").unwrap());
    let target = Target::look(root.path(), Contents::read(&mut archive.as_slice()).unwrap()).unwrap();
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
    pack(&walk(&[source.path().to_owned()], &Silent).unwrap(), &mut other, &Silent).unwrap();
    assert!(target.place(&mut other.as_slice()).is_err());
    assert!(texts(root.path()).values().all(|text| text == "backup"));
}
