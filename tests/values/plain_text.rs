//! Documents that cannot be read may hide that a series is encrypted: nothing goes beside them in plain text by a slip.

use super::pipes::KINDS;
use super::*;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::faulty::{Fault, Faulty};
use support::obstacle::put;
use support::pgbk::{Pgbk, pgbk};

/// The document of the newest backup.
fn newest(store: &Path) -> PathBuf {
    let folders = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|path| path.extension().is_some_and(|end| end == "meta")).max().unwrap()
}

fn place(folder: &Path) -> Pgbk {
    fs::write(folder.join("dump.sql"), "SELECT 1;\n-- PostgreSQL database dump complete\n").unwrap();
    let run = pgbk(["backup", "@files"]).directory(&folder.join("store"));
    run.set("STATE_DIR", folder.join("state").display()).set("BACKUP_FILES", folder.join("dump.sql").display())
}

/// Nothing is stored without a key, and says why; with one, or where plain text is meant, it is.
fn is_refused(plain: &Pgbk, named: &str, case: &str) {
    let outcome = plain.end();
    assert_eq!(outcome.code, Some(2), "{case}: {outcome:#?}");
    let said = outcome.says("no key is set: nothing is stored").says("NO_ENCRYPT=1");
    assert!(said.err.contains(named), "{case}, {named}: {said:#?}");
    for meant in [plain.set("NO_ENCRYPT", "1"), plain.key()] {
        let outcome = meant.end();
        assert_eq!(outcome.code, Some(0), "{case}: {outcome:#?}");
    }
}

/// Puts each thing in the place of the newest document, after another backup; returns how many.
fn after(before: &str) -> usize {
    let mut tried = 0;
    for kind in KINDS.into_iter().chain(["nothing", "empty", "cut", "too large", "no JSON", "another format"]) {
        let folder = tempfile::tempdir().unwrap();
        let plain = place(folder.path());
        match before {
            "none" => {}
            "plain" => drop(plain.expect(0)),
            _ => drop(plain.key().expect(0)),
        }
        plain.key().expect(0);
        let document = newest(&folder.path().join("store"));
        let text = fs::read(&document).unwrap();
        fs::remove_file(&document).unwrap();
        match kind {
            "nothing" => {}
            "empty" => fs::write(&document, "").unwrap(),
            "cut" => fs::write(&document, &text[..text.len() / 2]).unwrap(),
            "too large" => fs::File::create(&document).unwrap().set_len(1 << 40).unwrap(),
            "no JSON" => fs::write(&document, "\0\u{1b}[2J").unwrap(),
            "another format" => fs::write(&document, "{\"pgbk\": 77}").unwrap(),
            kind if put(kind, &document) => {}
            _ => continue,
        }
        // The one before tells as well.
        let named = if before == "encrypted" { "encrypted" } else { document.file_stem().unwrap().to_str().unwrap() };
        // One that has no memory of the store.
        let plain = plain.set("STATE_DIR", folder.path().join("other").display());
        is_refused(&plain, named, &format!("{kind} after {before}"));
        tried += 1;
    }
    tried
}

#[test]
fn whatever_stands_in_the_place_of_a_document_counts_as_one_that_was_encrypted() {
    let tried = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for before in ["none", "plain", "encrypted"] {
            let tried = &tried;
            scope.spawn(move || tried.fetch_add(after(before), Ordering::SeqCst));
        }
    });
    let tried = tried.into_inner();
    counted("values", "plain backups beside documents that cannot be read", 0, tried);
}

#[test]
fn a_bucket_that_does_not_give_a_document_counts_as_one_that_holds_an_encrypted_series() {
    for before in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let failing = Arc::new(AtomicBool::new(false));
        let fails = failing.clone();
        let faulty = Faulty::start(move |request, _| {
            let document = request.call() == "get" && request.path.ends_with(".meta");
            (document && fails.load(Ordering::SeqCst)).then_some(Fault::Answer(403, "AccessDenied"))
        });
        let dump = folder.path().join("dump.sql").display().to_string();
        let plain = place(folder.path()).args(["upload", &dump, "--database", "shop"]).set("STORE_DIR", "");
        let plain = plain.at(&faulty.endpoint, "bucket", "access", "secret");
        if before {
            plain.expect(0);
        }
        plain.key().expect(0);
        failing.store(true, Ordering::SeqCst);
        plain.expect(2).says("no key is set: nothing is stored").says(".meta").says("NO_ENCRYPT=1");
    }
    counted("values", "plain backups beside documents that a bucket does not give", 0, 2);
}
