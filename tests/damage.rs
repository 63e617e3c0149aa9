//! Damage and forgery: every kind of it is refused before a byte of it reaches anything.

#[path = "damage/sample.rs"]
mod sample;
mod support;

use pgbk::error::{Kind, hints, kind};
use pgbk::jobs::verify::verify;
use pgbk::keys::Key;
use pgbk::level::Level;
use pgbk::manifest::{BackupId, Compression, Format, Manifest, Method};
use pgbk::monitor::Silent;
use pgbk::secret::Secret;
use pgbk::store::memory::Memory;
use pgbk::store::{Store, write_small};
use pgbk::vault::About;
use sample::{Sample, backup, database, raw_key, read, vault, without_seal};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use support::cluster::cluster;
use support::pgbk::{ENC_PASSWORD, KEY, OTHER_KEY, Outcome, Pgbk, pgbk};
use support::random::Random;

const CHUNK: usize = 1 << 20;

/// Must fail as damage, and give nothing out beyond what lies before the damaged chunk.
fn refused(what: &str, damaged: &Sample, undamaged_chunks: usize) {
    let (given, outcome) = damaged.read();
    let error = outcome.expect_err(what);
    let version = format!("{error:#}").contains("has format version");
    assert!(kind(&error) == Kind::Damaged || version, "{what}: {error:#}");
    assert!(given.len() <= undamaged_chunks * CHUNK, "{what}: {} bytes came out", given.len());
    assert!(damaged.plain.starts_with(&given), "{what}: something else than the dump came out");
}

fn flip(bytes: &mut [u8], random: &mut Random) -> String {
    let (at, bit) = (random.below(bytes.len()), random.below(8));
    bytes[at] ^= 1 << bit;
    format!("bit {bit} of byte {at}")
}

fn flips(sample: &Sample, payload: usize, meta: usize, random: &mut Random) {
    for _ in 0..payload {
        let mut damaged = sample.clone();
        let what = flip(&mut damaged.payload, random);
        let chunk = damaged.payload.iter().zip(&sample.payload).position(|(one, other)| one != other).unwrap() / CHUNK;
        refused(&format!("{what} of the payload"), &damaged, chunk);
    }
    for _ in 0..meta {
        let mut damaged = sample.clone();
        let what = flip(&mut damaged.meta, random);
        refused(&format!("{what} of the .meta"), &damaged, 0);
    }
}

/// Every length that is a multiple of 16, and every one of the last 64.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    (0..whole).filter(move |length| length % 16 == 0 || length + 64 >= whole)
}

fn truncations(sample: &Sample) -> usize {
    let mut count = 0;
    for length in lengths(sample.payload.len()) {
        let damaged = Sample { payload: sample.payload[..length].to_vec(), ..sample.clone() };
        refused(&format!("a payload cut to {length} bytes"), &damaged, 0);
        count += 1;
    }
    for length in lengths(sample.meta.len()) {
        let damaged = Sample { meta: sample.meta[..length].to_vec(), ..sample.clone() };
        refused(&format!("a .meta cut to {length} bytes"), &damaged, 0);
        count += 1;
    }
    count
}

#[test]
fn every_one_of_a_thousand_flipped_bits_is_noticed_with_a_raw_key() {
    let mut random = Random::new("flips with a raw key");
    flips(&Sample::keyed(), 450, 450, &mut random);
    let several = Sample::of_several_chunks();
    assert!(several.payload.len() > 2 * CHUNK, "{}", several.payload.len());
    flips(&several, 100, 0, &mut random);
}

#[test]
fn every_flipped_bit_is_noticed_with_a_password() {
    // Each look derives the key anew, which takes its time.
    flips(&Sample::with_password(), 25, 25, &mut Random::new("flips with a password"));
}

#[test]
fn every_flipped_bit_is_noticed_without_a_key() {
    flips(&Sample::without_key(), 500, 500, &mut Random::new("flips without a key"));
}

#[test]
fn every_truncation_is_noticed() {
    for sample in [Sample::keyed(), Sample::without_key()] {
        assert!(truncations(&sample) > 1000);
    }
}

/// The size is checked first, so the tags get their turn where the `.meta` itself states the shorter size.
#[test]
fn a_truncation_that_the_meta_agrees_with_is_noticed_by_the_tags() {
    let sample = Sample::keyed();
    for length in lengths(sample.payload.len()).step_by(7) {
        let shorter = sample.resealed(|manifest| manifest.stored.bytes = length as u64);
        let damaged = Sample { payload: sample.payload[..length].to_vec(), ..shorter };
        refused(&format!("a payload and a size of {length} bytes"), &damaged, 0);
    }
}

#[test]
fn appended_bytes_are_noticed() {
    for (count, sample) in [(1, Sample::keyed()), (16, Sample::keyed()), (CHUNK, Sample::of_several_chunks())] {
        let mut longer = sample.clone();
        longer.payload.extend(std::iter::repeat_n(0x5a, count));
        refused("a longer payload", &longer, 0);
        let mut longer = sample.clone();
        longer.meta.extend(std::iter::repeat_n(b' ', count));
        refused("a longer .meta", &longer, 0);
    }
}

#[test]
fn swapped_chunks_are_noticed_at_the_first_of_them() {
    let sample = Sample::of_several_chunks();
    let mut swapped = sample.clone();
    let (first, rest) = swapped.payload.split_at_mut(CHUNK);
    first.swap_with_slice(&mut rest[..CHUNK]);
    refused("chunks 0 and 1 swapped", &swapped, 0);
    let mut doubled = sample;
    doubled.payload.copy_within(0..CHUNK, CHUNK);
    refused("chunk 0 in the place of chunk 1", &doubled, 1);
}

/// Two backups of one database, as they are stored.
fn two_backups() -> (Sample, Sample) {
    let folder = tempfile::tempdir().unwrap();
    let name = database("pair", sample::ROWS);
    let make = || {
        let manifest = backup(pgbk(["backup", &name]).key(), folder.path());
        Sample {
            payload: std::fs::read(folder.path().join(&manifest.object)).unwrap(),
            meta: std::fs::read(folder.path().join(manifest.meta_key())).unwrap(),
            id: manifest.id,
            object: manifest.object,
            plain: Default::default(),
            key: Some(raw_key(KEY)),
        }
    };
    (make(), make())
}

#[test]
fn what_belongs_to_another_backup_is_not_taken_for_this_one() {
    let (one, two) = two_backups();
    assert!(one.read().1.is_ok() && two.read().1.is_ok() && one.payload != two.payload);
    let swapped = |payload: &Sample, meta: &Sample, named: &Sample| {
        let mixed = Sample { payload: payload.payload.clone(), meta: meta.meta.clone(), ..named.clone() };
        let error = mixed.read().1.expect_err("a mixture was accepted");
        assert_eq!(kind(&error), Kind::Damaged, "{error:#}");
        format!("{error:#}")
    };
    assert!(swapped(&two, &one, &one).contains("chunk 0"));
    assert!(swapped(&one, &two, &one).contains(&format!("is the .meta of {}", two.id)));
    // The whole old pair under the newer name.
    assert!(swapped(&one, &one, &two).contains(&format!("is the .meta of {}", one.id)));
}

#[test]
fn another_databases_pair_under_this_ones_name_is_refused() {
    let sample = Sample::keyed();
    let id = BackupId::new("bank", sample.id.taken_at());
    let object = id.object_key("sql.xz.enc");
    let copied = Sample { id: id.clone(), object: object.clone(), ..sample.clone() };
    let (given, outcome) = copied.read();
    let error = outcome.unwrap_err();
    assert_eq!((kind(&error), given.len()), (Kind::Damaged, 0), "{error:#}");
    // Nor with its own name written over it.
    let renamed = copied.edited(&sample.object, &object);
    let text = String::from_utf8(renamed.meta.clone()).unwrap();
    let meta = text.replace(&sample.id.to_string(), &id.to_string()).replace(sample.id.database(), "bank");
    refused("a renamed pair", &Sample { meta: meta.into_bytes(), ..renamed }, 0);
}

#[test]
fn a_document_that_another_key_sealed_is_refused() {
    let sample = Sample::keyed();
    let foreign = Sample { key: Some(raw_key(OTHER_KEY)), ..sample.clone() };
    let error = foreign.read().1.unwrap_err();
    assert_eq!((kind(&error), error.to_string().starts_with("wrong key")), (Kind::Damaged, true), "{error:#}");
    assert!(hints(&error)[0].contains("DB_BACKUP_ENCRYPT_KEY"));
    // An attacker's own backup under the same name, with the check value of the right key copied into it.
    let working = raw_key(OTHER_KEY).begin().unwrap();
    let (mut manifest, ours) = vault(&sample.store(), sample.key.as_ref()).manifest(&sample.id).unwrap();
    manifest.key = Some(ours.unwrap().note);
    refused("a forged .meta", &Sample { meta: manifest.seal(Some(&working)).unwrap(), ..sample }, 0);
}

/// The manifest as an attacker reads it, who has no key.
fn claims(sample: &Sample) -> Manifest {
    serde_json::from_slice(&without_seal(&sample.meta)).unwrap()
}

#[test]
fn a_downgrade_to_no_key_is_refused_while_a_key_is_set() {
    let sample = Sample::keyed();
    // The seal alone.
    let stripped = Sample { meta: claims(&sample).seal(None).unwrap(), ..sample.clone() };
    refused("a checksum in the place of the mac", &stripped, 0);
    // Everything: a plain, unkeyed backup of the attacker's own, whole in itself.
    let store = Memory::default();
    let theirs = vault(&store, None);
    let mut deposit = theirs.begin(sample.id.clone(), Format::Plain, None, 0).unwrap();
    deposit.write_all(b"CREATE ROLE mallory SUPERUSER;\n").unwrap();
    deposit.finish(About::default(), &Silent).unwrap();
    let (given, outcome) = read(&vault(&store, Some(&raw_key(KEY))), &sample.id);
    let error = outcome.unwrap_err();
    assert_eq!((kind(&error), given.len()), (Kind::Damaged, 0));
    assert!(format!("{error:#}").contains("is not authenticated, but a key is set"), "{error:#}");
    // Nor may an unkeyed document speak for an encrypted payload, even where unkeyed ones are allowed.
    let mut lenient = vault(&stripped.store(), sample.key.as_ref());
    lenient.allow_unauthenticated = true;
    assert_eq!(kind(&read(&lenient, &sample.id).1.unwrap_err()), Kind::Damaged);
}

#[test]
fn fewer_iterations_are_refused_before_a_key_is_derived() {
    let sample = Sample::with_password();
    for iterations in ["1", "1000", "599999", "4294967295"] {
        let begun = Instant::now();
        let weak = sample.edited("\"iterations\": 600000", &format!("\"iterations\": {iterations}"));
        let (_, outcome) = weak.read();
        let error = outcome.unwrap_err();
        assert!(format!("{error:#}").contains("refusing key derivation"), "{error:#}");
        assert_eq!(kind(&error), Kind::Damaged);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn another_cipher_or_kdf_is_refused() {
    refused("another cipher", &Sample::keyed().edited("\"aes-256-cbc\"", "\"aes-128-ecb\""), 0);
    refused("no cipher", &Sample::keyed().edited("\"aes-256-cbc\"", "\"none\""), 0);
    refused("another derivation", &Sample::with_password().edited("pbkdf2-hmac-sha256", "pbkdf2-hmac-md5"), 0);
    // Even the owner of the key does not get away with it.
    let sample = Sample::keyed().resealed(|manifest| manifest.encryption.as_mut().unwrap().cipher = "none".into());
    refused("a cipher that is none", &sample, 0);
    let iv = Sample::keyed().resealed(|manifest| manifest.encryption.as_mut().unwrap().iv = Some([0; 16]));
    let (_, outcome) = iv.read();
    assert_eq!(kind(&outcome.unwrap_err()), Kind::Damaged, "another IV");
}

#[test]
fn a_missing_payload_is_damage_and_says_which() {
    let sample = Sample::keyed();
    let store = sample.store();
    store.remove(&sample.object, None).unwrap();
    let error = read(&vault(&store, sample.key.as_ref()), &sample.id).1.unwrap_err();
    assert_eq!(kind(&error), Kind::Damaged);
    assert!(format!("{error:#}").contains(&format!("the payload \"{}\"", sample.object)), "{error:#}");
}

#[test]
fn a_deep_or_huge_document_is_refused_and_does_no_harm() {
    let sample = Sample::keyed();
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{{\"pgbk\": {}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let seal = format!(",\n  \"mac\": \"{}\"\n}}\n", "0".repeat(64));
    for mut meta in [deep("[", "]", 1_000_000), deep("{\"a\":", "}", 500_000), b"{".repeat(3_000_000)] {
        meta.extend_from_slice(seal.as_bytes());
        refused("a deep .meta", &Sample { meta, ..sample.clone() }, 0);
    }
    let huge = Sample { meta: vec![b' '; (64 << 20) + 1], ..sample };
    let error = huge.read().1.unwrap_err();
    assert_eq!(kind(&error), Kind::Damaged);
    assert!(format!("{error:#}").contains("more than the"), "{error:#}");
}

/// An authentic backup of these packed bytes, whatever they unpack to.
fn packed(bytes: &[u8], method: Method, stated: u64) -> Sample {
    let store = Memory::default();
    let key = raw_key(KEY);
    let id: BackupId = "bomb-20260822T031500Z".parse().unwrap();
    let ours = vault(&store, Some(&key));
    let mut deposit = ours.begin(id.clone(), Format::Plain, None, 0).unwrap();
    deposit.write_all(bytes).unwrap();
    let manifest = deposit.finish(About::default(), &Silent).unwrap();
    let get = |key: &str| pgbk::store::read_small(&store, key, u64::MAX).unwrap();
    let sample = Sample {
        payload: get(&manifest.object),
        meta: get(&manifest.meta_key()),
        id,
        object: manifest.object.clone(),
        plain: Default::default(),
        key: Some(key),
    };
    sample.resealed(|manifest| {
        manifest.compression = Some(Compression { method, level: 4 });
        manifest.object = manifest.id.object_key(&format!("sql.{}.enc", method.extension()));
        manifest.plain.bytes = stated;
    })
}

fn xz_of_zeros(bytes: usize) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 0);
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// The largest resident size, in KiB, of a run that must end with this code.
fn largest(run: &Pgbk, code: i32) -> u64 {
    let output = run.wrapped("/usr/bin/time", &["-f", "%M"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said.trim_end().lines().last().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no size in {said}"))
}

#[test]
fn a_bomb_stops_at_the_stated_size_and_takes_no_memory() {
    const STATED: u64 = 100_000;
    for (method, bytes) in [
        (Method::Xz, xz_of_zeros(1 << 29)),
        (Method::Zstd, zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 29), 1).unwrap()),
    ] {
        let bomb = packed(&bytes, method, STATED);
        assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
        let (given, outcome) = bomb.read();
        let error = outcome.unwrap_err();
        assert!(format!("{error:#}").contains("longer than the 100000 bytes"), "{error:#}");
        assert_eq!(kind(&error), Kind::Damaged);
        assert!(given.len() as u64 <= STATED);

        let folder = tempfile::tempdir().unwrap();
        bomb.put_into_folder(folder.path());
        let kib = largest(&pgbk(["verify", &bomb.id.to_string()]).key().directory(folder.path()), 3);
        assert!(kib < 128 << 10, "{method:?}: {kib} KiB");
        let file = folder.path().join("out.sql");
        let download = ["download", &bomb.id.to_string(), "-o", file.to_str().unwrap()].map(str::to_owned);
        pgbk(download.iter().map(String::as_str)).key().directory(folder.path()).expect(3).says("longer than");
        assert!(!file.exists());
    }
}

/// Backups of archives were taken on trust once.
#[test]
fn an_archive_that_was_cut_short_before_it_was_stored_is_found_by_a_look_at_the_content() {
    let store = Memory::default();
    let ours = vault(&store, None);
    let id: BackupId = "cut-20260822T031500Z".parse().unwrap();
    let mut deposit = ours.begin(id.clone(), Format::Custom, None, 0).unwrap();
    deposit.write_all(b"PGDMP\x01\x0e\x00\x04\x08\x01\x00").unwrap();
    deposit.finish(About { pg_dump: Some("15.18".into()), ..About::default() }, &Silent).unwrap();
    assert!(verify(&ours, &id, Level::Stored, &Silent).unwrap().ok);
    let found = verify(&ours, &id, Level::Content, &Silent).unwrap();
    assert_eq!((found.ok, found.kind), (false, Some(Kind::Damaged)));
    assert!(found.error.unwrap().contains("is cut short"));
}

/// A stream whose header claims a dictionary of 4 GiB.
fn xz_with_huge_dictionary() -> Vec<u8> {
    let mut bytes = xz_of_zeros(1 << 20);
    let length = (usize::from(bytes[12]) + 1) * 4;
    let header = &mut bytes[12..12 + length];
    let filter = header.windows(2).position(|pair| pair == [0x21, 0x01]).expect("an LZMA2 filter");
    header[filter + 2] = 40;
    let mut crc = flate2::Crc::new();
    crc.update(&header[..length - 4]);
    header[length - 4..].copy_from_slice(&crc.sum().to_le_bytes());
    bytes
}

#[test]
fn an_xz_stream_that_claims_a_huge_dictionary_is_refused() {
    let bomb = packed(&xz_with_huge_dictionary(), Method::Xz, 1 << 20);
    let (given, outcome) = bomb.read();
    let error = outcome.unwrap_err();
    assert_eq!((kind(&error), given.len()), (Kind::Damaged, 0), "{error:#}");
    assert!(format!("{error:#}").contains("xz cannot decode the payload"), "{error:#}");
    let folder = tempfile::tempdir().unwrap();
    bomb.put_into_folder(folder.path());
    let kib = largest(&pgbk(["verify", &bomb.id.to_string()]).key().directory(folder.path()), 3);
    assert!(kib < 128 << 10, "{kib} KiB");
}

fn databases() -> String {
    cluster().psql(
        "postgres",
        "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE 'lost%'",
    )
}

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
        assert_eq!(databases(), "");
        assert_eq!(cluster().psql("kept", "SELECT one FROM mine"), "1");
    }
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
    two.edited("\"pgbk\": 1", "\"pgbk\": 2").put_into_folder(folder.path());

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
        assert!(of(&two.id)["error"].as_str().unwrap().contains("format version 2"), "{found:#}");

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
        assert_eq!(databases(), "");
    }
    let leftovers = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
    assert!(leftovers.into_iter().all(|name| !name.to_string_lossy().contains("partial")));
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

/// Both keys may be lost from a settings file: then the message says that one is needed.
#[test]
fn a_backup_with_a_key_and_no_key_set_is_a_settings_mistake() {
    let sample = Sample { key: None, ..Sample::keyed() };
    let error = sample.read().1.unwrap_err();
    assert_eq!(kind(&error), Kind::Usage);
    let other = Sample { key: Some(Key::Password(Secret::new("x"))), ..sample };
    assert_eq!(kind(&other.read().1.unwrap_err()), Kind::Damaged);
    let store = Memory::default();
    write_small(&store, "shop/readme.txt", b"not ours").unwrap();
    assert_eq!(vault(&store, None).ids(None).unwrap(), []);
}
