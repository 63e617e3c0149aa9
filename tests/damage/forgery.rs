//! Documents and payloads that somebody without the key puts in the place of others.

use super::*;
use pgbk::pipeline::checksum::{ChunkMac, Hasher};

/// Two backups of one database, as they are stored.
pub fn two_backups() -> (Sample, Sample) {
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
        count_one();
        format!("{error:#}")
    };
    assert!(swapped(&two, &one, &one).contains("chunk 0"));
    assert!(swapped(&one, &two, &one).contains(&format!("is the .meta of {}", two.id)));
    // The whole old pair under the newer name.
    assert!(swapped(&one, &one, &two).contains(&format!("is the .meta of {}", one.id)));
    tell("forgeries", "swaps and replays of pairs");
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
    count_one();
    // Nor with its own name written over it.
    let renamed = copied.edited(&sample.object, &object);
    let text = String::from_utf8(renamed.meta.clone()).unwrap();
    let meta = text.replace(&sample.id.to_string(), &id.to_string()).replace(sample.id.subject().name(), "bank");
    refused("a renamed pair", &Sample { meta: meta.into_bytes(), ..renamed }, 0);
    tell("forgeries", "pairs under another name");
}

#[test]
fn a_document_that_another_key_sealed_is_refused() {
    let sample = Sample::keyed();
    let foreign = Sample { key: Some(raw_key(OTHER_KEY)), ..sample.clone() };
    let error = foreign.read().1.unwrap_err();
    assert_eq!((kind(&error), error.to_string().starts_with("wrong key")), (Kind::OtherKey, true), "{error:#}");
    assert!(hints(&error)[0].contains("DB_BACKUP_ENCRYPT_KEY"));
    count_one();
    // An attacker's own backup under the same name, with the check value of the right key copied into it.
    let derived_keys = raw_key(OTHER_KEY).begin().unwrap();
    let (mut manifest, ours) = repository(&sample.store(), sample.key.as_ref()).manifest(&sample.id).unwrap();
    manifest.key = Some(ours.unwrap().note);
    refused("a forged .meta", &Sample { meta: manifest.seal(Some(&derived_keys)).unwrap(), ..sample }, 0);
    tell("forgeries", "documents of another key");
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
    let theirs = repository(&store, None);
    let mut writer = theirs.begin(sample.id.clone().into(), Format::Plain, None, 0).unwrap();
    writer.write_all(b"CREATE ROLE mallory SUPERUSER;\n").unwrap();
    writer.finish(ManifestDetails::default(), &NullMonitor).unwrap();
    let (given, outcome) = read(&repository(&store, Some(&raw_key(KEY))), &sample.id);
    let error = outcome.unwrap_err();
    assert_eq!((kind(&error), given.len()), (Kind::Damaged, 0));
    assert!(format!("{error:#}").contains("is not authenticated, but a key is set"), "{error:#}");
    count_one();
    // Nor may an unkeyed document speak for an encrypted payload, even where unkeyed ones are allowed.
    let mut lenient = repository(&stripped.store(), sample.key.as_ref());
    lenient.allow_unauthenticated = true;
    assert_eq!(kind(&read(&lenient, &sample.id).1.unwrap_err()), Kind::Damaged);
    count_one();
    tell("forgeries", "downgrades to no key");
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
        count_one();
    }
    tell("forgeries", "downgrades of the iterations");
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
    tell("forgeries", "downgrades of the cipher");
}

#[test]
fn a_format_version_that_never_was_is_damage() {
    let error = Sample::keyed().edited("\"pgbk\": 3", "\"pgbk\": 0").read().1.unwrap_err();
    assert_eq!(kind(&error), Kind::Damaged);
    assert!(format!("{error:#}").contains("not a whole .meta document: there is no format version 0"), "{error:#}");
}

/// Whoever has the password can seal what they like.
#[test]
fn a_payload_of_another_salt_than_its_document_names_is_refused_although_its_tags_fit() {
    let mut sample = Sample::with_password();
    let (_, derived_keys) = repository(&sample.store(), sample.key.as_ref()).manifest(&sample.id).unwrap();
    sample.payload[8] ^= 1;
    let mut summer = Hasher::default();
    summer.update(&sample.payload);
    let (stored, tagger) = (summer.finish(), ChunkMac::of(derived_keys.as_ref()));
    let tags = vec![tagger.tag(&sample.payload, 0, true)];
    let sealed = sample.resealed(|manifest| (manifest.stored, manifest.chunks.tags) = (stored, tags));
    let (given, outcome) = sealed.read();
    let error = outcome.unwrap_err();
    assert_eq!((kind(&error), given.len()), (Kind::Damaged, 0));
    assert!(format!("{error:#}").contains("does not begin with the salt that its .meta names"), "{error:#}");
}

#[test]
fn a_missing_payload_is_damage_and_says_which() {
    let sample = Sample::keyed();
    let store = sample.store();
    store.remove(&sample.object, None).unwrap();
    let error = read(&repository(&store, sample.key.as_ref()), &sample.id).1.unwrap_err();
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
    tell("forgeries", "deep and huge documents");
}

/// Equal rows make equal plain text at equal places, as far as the dumps' own random mark allows.
#[test]
pub fn two_backups_of_the_same_data_have_no_block_in_common() {
    let folder = tempfile::tempdir().unwrap();
    let name = database("twice", sample::MANY_ROWS);
    let payload = || {
        let made = backup(pgbk(["backup", &name]).key(), folder.path());
        std::fs::read(folder.path().join(&made.object)).unwrap()
    };
    let (one, two) = (payload(), payload());
    assert!(one.len() > CHUNK && one.len().abs_diff(two.len()) < 256, "{} and {} bytes", one.len(), two.len());
    let blocks: std::collections::HashSet<&[u8]> = one.chunks(16).collect();
    assert_eq!(blocks.len(), one.len().div_ceil(16), "blocks of one backup repeat");
    assert!(two.chunks(16).all(|block| !blocks.contains(block)), "they have a block in common");
}
