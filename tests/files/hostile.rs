//! Archives that somebody with the key made, to be unpacked where they do not belong.

use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::base::subject::Subject;
use pgbk::format::keys::Key;
use pgbk::format::manifest::Format;
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::directory::Directory;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use support::id::free;
use support::pgbk::{KEY, Pgbk, connected};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

fn header(what: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(what);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header
}

/// An entry whose name is written as it is, whatever it is.
fn entry(archive: &mut Builder<Vec<u8>>, what: EntryType, name: &str, link: &str, data: &[u8]) {
    let mut header = header(what, data.len() as u64);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    archive.append(&header, data).unwrap();
}

fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (what, name, link) in entries {
        let data: &[u8] = if *what == EntryType::Regular { b"evil" } else { b"" };
        entry(&mut archive, *what, name, link, data);
    }
    archive.into_inner().unwrap()
}

/// Stores it, sealed with the key.
fn sealed(folder: &Path, archive: &[u8]) -> String {
    let store = Arc::new(Directory::open(folder).unwrap());
    let key = Key::raw(&Secret::new(KEY), None).unwrap();
    let repository = Repository {
        store,
        variant: Default::default(),
        key: Some(key),
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    };
    let id = free(folder, Subject::Files.name());
    let mut writer = repository.begin(id.into(), Format::Tar, None, 0).unwrap();
    writer.write_all(archive).unwrap();
    writer.finish(ManifestDetails::default(), &NullMonitor).unwrap().id.to_string()
}

struct Place {
    whole: TempDir,
    pgbk: Pgbk,
}

impl Place {
    fn new() -> Place {
        let whole = tempfile::tempdir().unwrap();
        fs::create_dir(whole.path().join("into")).unwrap();
        fs::write(whole.path().join("into/a"), "mine").unwrap();
        fs::write(whole.path().join("outside"), "mine").unwrap();
        let pgbk = connected().key().directory(&whole.path().join("store"));
        Place { whole, pgbk }
    }

    fn restore(&self, archive: &[u8]) -> (String, Pgbk) {
        let id = sealed(&self.whole.path().join("store"), archive);
        let into = self.whole.path().join("into").display().to_string();
        let run = self.pgbk.args(["restore", "--files", &id, "--yes", "--into", &into]);
        (id, run)
    }

    fn is_untouched(&self) {
        let into = self.whole.path().join("into");
        let names: Vec<_> = fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a"]);
        for file in ["into/a", "outside"] {
            assert_eq!(fs::read_to_string(self.whole.path().join(file)).unwrap(), "mine");
        }
        assert!(!self.whole.path().join("evil").exists() && !Path::new("/pgbk-evil").exists());
    }
}

#[test]
fn no_archive_leads_out_of_its_target() {
    use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Link, Regular, Symlink, XGlobalHeader, XHeader};
    let place = Place::new();
    let long = format!("{}../../../../../../../../../../../pgbk-evil", "x/../".repeat(30));
    let mut long_name = Builder::new(Vec::new());
    entry(&mut long_name, EntryType::GNULongName, "././@LongLink", "", format!("{long}\0").as_bytes());
    entry(&mut long_name, Regular, "short", "", b"evil");
    let mut endless = Builder::new(Vec::new());
    entry(&mut endless, EntryType::GNULongName, "././@LongLink", "", &vec![b'x'; 8 << 20]);
    entry(&mut endless, Regular, "short", "", b"evil");
    let mut behind = archive(&[(Regular, "b", "")]);
    behind.extend(archive(&[(Regular, "../evil", "")]));
    let mut broken = archive(&[(Regular, "b", "")]);
    broken[150] ^= 1;
    let mut short = archive(&[(Regular, "b", "")]);
    short.truncate(700);
    let lead_out = "leads out of where it is unpacked";
    let twice = "stands in the archive twice";
    let below = "which is no folder";
    let neither = "neither a file, a folder nor a link";
    let hostile: Vec<(Vec<u8>, &str)> = vec![
        (archive(&[(Regular, "b", ""), (Regular, "../evil", "")]), lead_out),
        (archive(&[(Regular, "b", ""), (Regular, "x/../../evil", "")]), lead_out),
        (archive(&[(Regular, "/pgbk-evil", "")]), lead_out),
        (archive(&[(Regular, "./b", "")]), lead_out),
        (archive(&[(Directory, "..", "")]), lead_out),
        (archive(&[(Regular, "", "")]), lead_out),
        (archive(&[(Symlink, "../evil", "/")]), lead_out),
        (archive(&[(Symlink, "x", ".."), (Regular, "x/evil", "")]), below),
        (archive(&[(Regular, "x/outside", ""), (Symlink, "x", "..")]), below),
        (archive(&[(Symlink, "x", "../outside"), (Regular, "x", "")]), twice),
        (archive(&[(Regular, "b", ""), (Regular, "b", "")]), twice),
        (archive(&[(Regular, "b", ""), (Regular, "b/", "")]), twice),
        (archive(&[(Link, "b", "../outside")]), neither),
        (archive(&[(Link, "b", "a")]), neither),
        (archive(&[(Char, "b", "")]), neither),
        (archive(&[(Block, "b", "")]), neither),
        (archive(&[(Fifo, "b", "")]), neither),
        (archive(&[(GNUSparse, "b", "")]), neither),
        (archive(&[(XHeader, "b", "")]), neither),
        (archive(&[(XGlobalHeader, "b", "")]), neither),
        (archive(&[(Symlink, "b", "")]), "leads nowhere"),
        (long_name.into_inner().unwrap(), lead_out),
        (endless.into_inner().unwrap(), "longer than any path"),
        (behind, "goes on behind its end"),
        (broken, "no archive as tar writes it"),
        (short, ""),
        (b"SELECT 1;".to_vec(), ""),
    ];
    for (archive, told) in hostile {
        let (id, run) = place.restore(&archive);
        run.expect(3).says(told);
        place.is_untouched();
        place.pgbk.args(["verify", &id]).expect(3);
    }
}

#[test]
fn links_and_folders_that_are_there_already_are_not_gone_through() {
    let place = Place::new();
    let into = place.whole.path().join("into");
    fs::create_dir(place.whole.path().join("elsewhere")).unwrap();
    fs::create_dir(into.join("folder")).unwrap();
    symlink("../elsewhere", into.join("link")).unwrap();
    for (entries, told) in [
        (&[(EntryType::Regular, "a", ""), (EntryType::Regular, "link/evil", "")][..], "a link, which is not followed"),
        (&[(EntryType::Regular, "a", ""), (EntryType::Directory, "link", "")], "a link, which is not followed"),
        (&[(EntryType::Regular, "a/b", "")], "is no folder, and stands in the way"),
        (
            &[(EntryType::Regular, "a", ""), (EntryType::Regular, "folder", "")],
            "is a folder, and no folder in the backup",
        ),
    ] {
        let (_, run) = place.restore(&archive(entries));
        run.expect(1).says(told);
        assert_eq!(fs::read_to_string(into.join("a")).unwrap(), "mine");
        assert_eq!(fs::read_dir(place.whole.path().join("elsewhere")).unwrap().count(), 0);
    }
    // In the place of a link itself a file may stand.
    let (_, run) = place.restore(&archive(&[(EntryType::Regular, "link", "")]));
    run.expect(0);
    assert!(into.join("link").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_damaged_backup_changes_nothing_wherever_it_is_damaged() {
    let place = Place::new();
    let mut good = Builder::new(Vec::new());
    for name in ["a", "b", "c/d"] {
        let mut header = header(EntryType::Regular, 2 << 20);
        good.append_data(&mut header, name, io::repeat(7).take(2 << 20)).unwrap();
    }
    let (id, run) = place.restore(&good.into_inner().unwrap());
    let payload = place.whole.path().join("store/@files").join(format!("{id}.tar.enc"));
    let bytes = fs::read(&payload).unwrap();
    for at in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        fs::write(&payload, damaged).unwrap();
        run.expect(3);
        place.is_untouched();
    }
    fs::write(&payload, &bytes).unwrap();
    run.expect(0);
    assert_eq!(fs::metadata(place.whole.path().join("into/c/d")).unwrap().len(), 2 << 20);
}
