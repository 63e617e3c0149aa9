//! What the binary does with damage.

use super::*;
use crate::damage::forgery::two_backups;
use support::database::exists;

fn restore(sample: &Sample, folder: &Path, target: &str, more: &[&str]) -> Outcome {
    let id = sample.id.to_string();
    let arguments = ["restore", &id, "--yes", "--to", target].into_iter().chain(more.iter().copied());
    pgbk(arguments).server(cluster()).key().directory(folder).expect(3)
}

#[test]
fn the_binary_restores_nothing_of_a_damaged_backup_and_says_where_the_damage_is() {
    let mut random = Random::new("restores");
    let (small, several) = (Sample::keyed(), Sample::of_several_chunks());
    cluster().psql("postgres", "CREATE DATABASE kept");
    cluster().psql("kept", "CREATE TABLE mine AS SELECT 1 AS one");
    for round in 0..24 {
        let sample = if round % 4 == 3 { &several } else { &small };
        let mut damaged = sample.clone();
        let folder = tempfile::tempdir().unwrap();
        let of_meta = round % 3 == 2;
        flip(if of_meta { &mut damaged.meta } else { &mut damaged.payload }, &mut random);
        damaged.put_into_folder(folder.path());
        let said = if round % 2 == 0 {
            restore(&damaged, folder.path(), &format!("lost_{round}"), &[]).err
        } else {
            restore(&damaged, folder.path(), "kept", &["--clean"]).err
        };
        if of_meta {
            assert!(said.contains(&sample.id.to_string()) || said.contains("key"), "{said}");
        } else {
            let at = damaged.payload.iter().zip(&sample.payload).position(|(one, other)| one != other).unwrap();
            let start = at / CHUNK * CHUNK;
            let end = (start + CHUNK).min(sample.payload.len());
            let chunk = format!("chunk {}, bytes {start} to {end}", at / CHUNK);
            assert!(said.contains(&chunk) && said.contains(&sample.object), "no {chunk:?} in {said}");
            assert!(said.contains("hint: restore an older backup"), "{said}");
        }
        assert!(!exists(&format!("lost_{round}")));
        assert_eq!(cluster().psql("kept", "SELECT one FROM mine"), "1");
        count_one();
    }
    tell("forgeries", "flips, restored by the binary");
}

#[test]
fn verify_all_says_which_backup_is_damaged_and_where_and_that_the_others_are_well() {
    let folder = tempfile::tempdir().unwrap();
    let several = Sample::of_several_chunks();
    let mut damaged = several.clone();
    damaged.payload[CHUNK + 5] ^= 1;
    damaged.put_into_folder(folder.path());
    Sample::keyed().put_into_folder(folder.path());
    let (one, two) = two_backups();
    one.put_into_folder(folder.path());
    // A document of a later format among them must not hide the rest.
    two.edited("\"pgbk\": 3", "\"pgbk\": 4").put_into_folder(folder.path());

    for level in ["stored", "content"] {
        let run = pgbk(["verify", "--all", "--level", level, "--json"]).key().directory(folder.path());
        let found = run.expect(3).json();
        let of = |id: &BackupId| {
            let id = id.to_string();
            found["backups"].as_array().unwrap().iter().find(|backup| backup["id"] == *id).expect("the backup").clone()
        };
        assert_eq!((&found["checked"], of(&one.id)["ok"].as_bool()), (&4.into(), Some(true)), "{found:#}");
        assert_eq!(of(&Sample::keyed().id)["ok"], true);
        let error = of(&several.id)["error"].as_str().unwrap().to_owned();
        assert!(error.contains(&several.object) && error.contains("chunk 1, bytes 1048576 to 2097152"), "{error}");
        assert!(of(&two.id)["error"].as_str().unwrap().contains("format version 4"), "{found:#}");

        let text = pgbk(["verify", "--all", "--level", level]).key().directory(folder.path()).expect(3).text();
        let line = text.lines().find(|line| line.contains(&several.id.to_string())).unwrap();
        assert!(line.contains("DAMAGED"), "{text}");
        assert!(text.lines().any(|line| line.contains(&one.id.to_string()) && line.contains(" ok ")), "{text}");
    }
}

#[test]
fn verify_of_what_is_damaged_exits_with_3_at_every_level_that_can_see_it() {
    let sample = Sample::keyed();
    let look = |sample: &Sample, level: &str, code: i32| {
        let folder = tempfile::tempdir().unwrap();
        sample.put_into_folder(folder.path());
        pgbk(["verify", "--level", level]).key().directory(folder.path()).expect(code);
    };
    let mut flipped = sample.clone();
    flipped.payload[100] ^= 4;
    look(&flipped, "meta", 0);
    look(&flipped, "stored", 3);
    look(&flipped, "content", 3);
    let shorter = Sample { payload: sample.payload[1..].to_vec(), ..sample.clone() };
    look(&shorter, "meta", 3);
    // What the .meta says is known all the same.
    let folder = tempfile::tempdir().unwrap();
    shorter.put_into_folder(folder.path());
    let found = pgbk(["verify", "--json"]).key().directory(folder.path()).expect(3).json()["backups"][0].clone();
    assert_eq!((&found["stored_bytes"], &found["rows"]), (&sample.payload.len().into(), &1000.into()), "{found:#}");
    assert_eq!((&found["plain_bytes"], &found["tables"]), (&sample.plain.len().into(), &1.into()));
    // What only the content shows: authentic, but not what it states.
    let other = sample.resealed(|manifest| manifest.plain.blake2b[0] ^= 1);
    look(&other, "stored", 0);
    look(&other, "content", 3);
    let rows = sample.resealed(|manifest| manifest.tables[0].rows += 1);
    look(&rows, "content", 3);
}

#[test]
fn the_wrong_key_or_password_leaves_no_file_and_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.sql");
    let path = file.display().to_string();
    for (sample, name, wrong) in [
        (Sample::keyed(), "DB_BACKUP_ENCRYPT_KEY", OTHER_KEY),
        (Sample::with_password(), "ENC_PASSWORD", "correct horse: battery\\staple %42"),
        (Sample::keyed(), "ENC_PASSWORD", ENC_PASSWORD),
        (Sample::with_password(), "DB_BACKUP_ENCRYPT_KEY", KEY),
    ] {
        sample.put_into_folder(folder.path());
        let id = sample.id.to_string();
        let run = |arguments: &[&str]| pgbk(arguments.iter().copied()).set(name, wrong).directory(folder.path());
        run(&["download", &id, "-o", &path]).expect(3).says("wrong key");
        assert!(!file.exists());
        assert_eq!(run(&["download", &id, "-o", "-"]).expect(3).text(), "");
        run(&["restore", &id, "--yes", "--to", "lost"]).server(cluster()).expect(3).says("wrong key");
        assert!(!exists("lost"));
    }
    let orphans = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
    assert!(orphans.into_iter().all(|name| !name.to_string_lossy().contains("partial")));
}

/// `download --raw` works without the key, so the document is not authenticated there: it still must not say where to write.
#[test]
fn a_forged_document_cannot_lead_a_raw_download_elsewhere() {
    let sample = Sample::keyed();
    let own = format!("\"object\": \"{}\"", sample.object);
    for object in ["x/.bashrc", "../../etc/cron.d/x", "..", "a/b/../..", "/etc/passwd", "x/"] {
        let folder = tempfile::tempdir().unwrap();
        let forged = sample.edited(&own, &format!("\"object\": \"{object}\""));
        let store = folder.path().join("store");
        forged.put_into_folder(&store);
        std::fs::create_dir_all(store.join("x")).unwrap();
        std::fs::write(store.join("x/.bashrc"), &sample.payload).unwrap();
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let arguments = ["download", &sample.id.to_string(), "--raw", "-o", out.to_str().unwrap()].map(str::to_owned);
        pgbk(arguments.iter().map(String::as_str)).directory(&store).expect(3);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "{object}");
    }
}

/// The same in both directions: what is put into a store by hand is looked at first.
#[test]
fn a_damaged_pair_is_not_taken_in_by_a_raw_upload() {
    let sample = Sample::keyed();
    for spoil_meta in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = sample.clone();
        let bytes = if spoil_meta { &mut damaged.meta } else { &mut damaged.payload };
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let payload = damaged.put_into_folder(&folder.path().join("copy"));
        let store = folder.path().join("store");
        pgbk(["upload", "--raw", payload.to_str().unwrap()]).key().directory(&store).expect(3);
        assert!(!store.join(sample.id.meta_key()).exists() && !store.join(&sample.object).exists());
    }
}

#[test]
fn files_under_a_databases_name_make_no_database() {
    let sample = Sample::keyed().resealed(|manifest| {
        manifest.dump.format = Format::Tar;
        manifest.object = manifest.object.replace(".sql", ".tar");
    });
    let (folder, id) = (tempfile::tempdir().unwrap(), sample.id.to_string());
    sample.put_into_folder(folder.path());
    pgbk(["restore", &id, "--yes", "--to", "lost_files"])
        .server(cluster())
        .key()
        .directory(folder.path())
        .expect(2)
        .says("holds files, which no database takes")
        .says("hint: \"pgbk download\" writes it to a file for tar");
    assert!(!exists("lost_files"));
}

/// Both keys may be lost from a settings file: then the message says that one is needed.
#[test]
fn a_backup_with_a_key_and_no_key_set_is_a_settings_mistake() {
    let sample = Sample { key: None, ..Sample::keyed() };
    let error = sample.read().1.unwrap_err();
    assert_eq!(kind(&error), Kind::Usage);
    let other = Sample { key: Some(Key::Password(Secret::new("x"))), ..sample };
    assert_eq!(kind(&other.read().1.unwrap_err()), Kind::OtherKey);
    let store = Memory::default();
    write_small(&store, "shop/readme.txt", b"not ours").unwrap();
    assert_eq!(repository(&store, None).catalog(None).unwrap().ids(), []);
}

/// Its first bytes are read before the rest, for what they say of extensions.
#[test]
fn a_proof_of_a_damaged_backup_says_where_the_damage_is_and_leaves_no_scratch() {
    let several = Sample::of_several_chunks();
    for at in [5, CHUNK + 5] {
        let mut damaged = several.clone();
        damaged.payload[at] ^= 1;
        let folder = tempfile::tempdir().unwrap();
        damaged.put_into_folder(folder.path());
        let id = several.id.to_string();
        let run = pgbk(["verify", &id, "--level", "restore"]).server(cluster()).key().directory(folder.path());
        let outcome = run.set("STATE_DIR", folder.path().join("state").display()).expect(3);
        let start = at / CHUNK * CHUNK;
        let chunk = format!("chunk {}, bytes {start} to {}", at / CHUNK, start + CHUNK);
        assert!(outcome.text().contains(&chunk) || outcome.err.contains(&chunk), "{outcome:#?}");
        let left = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'pgbk_%')
            + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgbk_%')";
        assert_eq!(cluster().psql("postgres", left), "0");
    }
}
