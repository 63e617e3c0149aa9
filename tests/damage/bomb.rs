//! What grows without bound when it is unpacked, or is not all that it claims to be.

use super::*;

/// An authentic backup of these packed bytes, whatever they unpack to.
fn packed(bytes: &[u8], method: Method, stated: u64) -> Sample {
    let store = Memory::default();
    let key = raw_key(KEY);
    let id: BackupId = "bomb-20260822T031500Z".parse().unwrap();
    let ours = repository(&store, Some(&key));
    let mut writer = ours.begin(id.clone().into(), Format::Plain, None, 0).unwrap();
    writer.write_all(bytes).unwrap();
    let manifest = writer.finish(ManifestDetails::default(), &NullMonitor).unwrap();
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
    let size = proof::size(1 << 29, 10 << 30);
    for (method, bytes) in [
        (Method::Xz, xz_of_zeros(size)),
        (Method::Zstd, zstd::encode_all(std::io::Read::take(std::io::repeat(0), size as u64), 1).unwrap()),
    ] {
        let bomb = packed(&bytes, method, STATED);
        assert!(bytes.len() < size >> 9, "{} bytes", bytes.len());
        let (given, outcome) = bomb.read();
        let error = outcome.unwrap_err();
        assert!(format!("{error:#}").contains("longer than the 100000 bytes"), "{error:#}");
        assert_eq!(kind(&error), Kind::Damaged);
        assert!(given.len() as u64 <= STATED);
        count_one();

        let folder = tempfile::tempdir().unwrap();
        bomb.put_into_folder(folder.path());
        let kib = largest(&pgbk(["verify", &bomb.id.to_string()]).key().directory(folder.path()), 3);
        assert!(kib < 128 << 10, "{method:?}: {kib} KiB");
        let file = folder.path().join("out.sql");
        let download = ["download", &bomb.id.to_string(), "-o", file.to_str().unwrap()].map(str::to_owned);
        pgbk(download.iter().map(String::as_str)).key().directory(folder.path()).expect(3).says("longer than");
        assert!(!file.exists());
    }
    tell("bombs", &format!("{size} bytes that unpack out of almost none, by xz and zstd"));
}

/// Backups of archives were taken on trust once.
#[test]
fn an_archive_that_was_cut_short_before_it_was_stored_is_found_by_a_look_at_the_content() {
    let store = Memory::default();
    let ours = repository(&store, None);
    let id: BackupId = "cut-20260822T031500Z".parse().unwrap();
    let mut writer = ours.begin(id.clone().into(), Format::Custom, None, 0).unwrap();
    writer.write_all(b"PGDMP\x01\x0e\x00\x04\x08\x01\x00").unwrap();
    writer
        .finish(ManifestDetails { pg_dump: Some("15.18".into()), ..ManifestDetails::default() }, &NullMonitor)
        .unwrap();
    assert!(verify(&ours, &id, Level::Stored, &NullMonitor).unwrap().ok);
    let found = verify(&ours, &id, Level::Content, &NullMonitor).unwrap();
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
    proof::counted("bombs", "a dictionary of 4 GiB, claimed", 0, 1);
}
