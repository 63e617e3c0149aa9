//! What is fed with anything, and what must hold whatever that is. Two drivers share it: `tests/fuzz.rs` for seconds in every test
//! run, and libFuzzer (`fuzzer.rs`) for as long as one likes.

use pgbk::base::databases::Databases;
use pgbk::base::error::Result;
use pgbk::base::progress::NullMonitor;
use pgbk::base::secret::Secret;
use pgbk::base::subject::Subject;
use pgbk::cli::values;
use pgbk::config::s3::headers as request_headers;
use pgbk::format::backup_id::BackupId;
use pgbk::format::changes::delta_head::DeltaHead;
use pgbk::format::changes::delta_reader::DeltaReader;
use pgbk::format::changes::delta_writer::{DeltaOutcome, DeltaWriter};
use pgbk::format::changes::relations::Relations;
use pgbk::format::changes::totals::SegmentTotals;
use pgbk::format::keys::Key;
use pgbk::format::lsn::Lsn;
use pgbk::format::manifest::encoding::EncodingName;
use pgbk::format::manifest::seal::SealedManifest;
use pgbk::format::manifest::{FORMAT, Manifest, unpacked};
use pgbk::format::pgoutput::change_message::decode;
use pgbk::format::sql::requirements::Requirements;
use pgbk::format::sql::splitter::{ScriptEvent, Splitter, StatementLimit};
use pgbk::format::sql::tokens::Tokens;
use pgbk::pipeline::pg_archive::{Archive, Completeness};
use pgbk::pipeline::table_counter::TableCounter;
use pgbk::repository::Repository;
use pgbk::runs::schedule::timetable::Timetable;
use pgbk::store::memory::Memory;
use pgbk::store::write_small;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, LazyLock};

pub type Target = fn(&[u8]);

pub const TARGETS: &[(&str, Target)] = &[
    ("meta", meta),
    ("script", script),
    ("schedule", schedule),
    ("headers", headers),
    ("names", names),
    ("archive", archive),
    ("doubletake", doubletake),
    ("pgoutput", pgoutput),
    ("delta", delta),
];

/// That with which the corpus was sealed: a secret to nobody.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static RAW: LazyLock<Key> = LazyLock::new(|| Key::raw(&Secret::new(KEY), None).expect("a key"));
/// What this key really sealed.
const GENUINE: [&[u8]; 2] = [include_bytes!("corpus/meta/keyed.meta"), include_bytes!("corpus/meta/keyed-small.meta")];

/// The document of a backup: nothing that the key did not seal is taken, and what can be read can be sealed and read again.
fn meta(data: &[u8]) {
    if let Ok(sealed) = SealedManifest::parse("shop/shop.meta", data.to_vec()) {
        let taken = sealed.authenticate(Some(&RAW), false).is_ok();
        assert!(!taken || GENUINE.contains(&data), "a forgery was taken");
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return };
    let own = Key::begin(&RAW).expect("working keys");
    // Seconds are for people: read and written again, they may differ in their last digit.
    let manifest = Manifest { pgbk: FORMAT, key: Some(own.note.clone()), seconds: Default::default(), ..manifest };
    // Of a format that this pgbk does not know, or of another key's making, it says so.
    let Ok(document) = manifest.seal(Some(&own)) else { return };
    if let Ok(sealed) = SealedManifest::parse("shop/shop.meta", document.clone())
        && let Ok((read, _)) = sealed.authenticate(Some(&RAW), false)
    {
        assert_eq!(read.seal(Some(&own)).expect("sealed before"), document);
    }
}

/// A dump: told in pieces it is the same as told at once.
fn script(data: &[u8]) {
    let (lengths, text) = data.split_at(data.len().min(4));
    let whole = told(&mut std::iter::once(text));
    let cuts = told(&mut pieces(lengths, text));
    assert_eq!(whole, cuts);
    let mut at_once = TableCounter::default();
    at_once.update(text);
    let mut in_pieces = TableCounter::default();
    pieces(lengths, text).for_each(|piece| in_pieces.update(piece));
    let (one, other) = (at_once.finish(), in_pieces.finish());
    assert!(one.tables == other.tables && one.complete == other.complete);
}

/// Of the lengths that these bytes give, over and over.
fn pieces<'a>(lengths: &'a [u8], mut text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().map(|length| usize::from(*length) + 1).cycle();
    std::iter::from_fn(move || {
        let length = lengths.next()?.min(text.len());
        let (piece, rest) = text.split_at(length);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Lines and what they say.
type Events = Vec<(u64, Vec<u8>)>;

fn told(pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<(Events, String)> {
    let mut events = Events::new();
    let mut requirements = Requirements::default();
    let mut splitter = Splitter::new(StatementLimit::Whole { limit: 1 << 16 });
    let mut sink = |event: ScriptEvent<'_>| {
        match event {
            ScriptEvent::Statement { line, text, .. } => {
                requirements.scan(text);
                tokens(text);
                events.push((line, text.to_vec()));
            }
            ScriptEvent::CopyStart { line, header, table } => events.push((line, [header, table.as_bytes()].concat())),
            ScriptEvent::CopyData(data) => events.last_mut().expect("a COPY before its rows").1.extend(data),
            ScriptEvent::CopyEnd { line, rows } => events.push((line, rows.to_string().into_bytes())),
            ScriptEvent::Meta { line, text } => events.push((line, text.to_vec())),
        }
        Ok(())
    };
    for piece in pieces {
        let mut taken = 0;
        while taken < piece.len() {
            taken += splitter.feed(&piece[taken..], &mut sink).ok()?;
        }
    }
    let ending = splitter.finish(&mut sink).ok()?;
    Some((events, format!("{ending:?}")))
}

fn tokens(text: &[u8]) {
    for token in Tokens::new(text) {
        // A byte that is no text becomes a mark of three.
        assert!(token.name().is_none_or(|name| name.len() <= 3 * text.len()));
    }
}

/// `CRON_SCHEDULE`: what is taken names times that come one after the other.
fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for zone in ["UTC", "Europe/Berlin"] {
        let zone = jiff::tz::TimeZone::get(zone).expect("a zone");
        let Ok(timetable) = Timetable::parse(text, &zone) else { return };
        let after = "2026-03-28T12:00:00Z".parse().expect("a time");
        let coming = timetable.coming(after, 5);
        assert!(coming.iter().all(|(at, _)| *at > after) && coming.is_sorted_by_key(|(at, _)| *at));
    }
}

/// `S3_REQUEST_HEADERS`: what is taken can stand in a request, and in nothing but its own line.
fn headers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(headers) = request_headers(text) else { return };
    for (name, value) in headers {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b":\"(),/;<=>?@[]{}\\".contains(&b)));
        assert!(!value.is_empty() && !value.chars().any(|c| c.is_ascii_control()), "{value:?}");
    }
}

/// Ids, keys and names: one spelling each, none that leads out of its folder.
fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<BackupId>() {
        assert_eq!(id.to_string(), text);
    }
    for id in
        [BackupId::of_key(text), BackupId::of_meta_key(text), BackupId::of_payload_key(text)].into_iter().flatten()
    {
        assert!(text.starts_with(&format!("{}/{id}.", id.subject().series())), "{text:?} is taken for {id}");
    }
    let (bare, _, _) = unpacked(text);
    assert!(text.starts_with(bare));
    let encoded = Subject::from(text).series();
    assert!(encoded.bytes().all(|b| b.is_ascii_graphic() && b != b'/') && !encoded.starts_with('.'), "{encoded}");
    if let Ok(Databases::Named(names)) = text.parse::<Databases>() {
        assert!(!names.is_empty() && names.iter().all(|name| !name.name().is_empty()), "{names:?}");
    }
    let _ = (values::size(text), values::duration(text), values::listen(text));
}

/// An archive of `pg_dump`: in pieces the same as at once, and whole only where nothing of it can be left out.
fn archive(data: &[u8]) {
    let (lengths, bytes) = data.split_at(data.len().min(4));
    let mut whole = Archive::default();
    whole.update(bytes);
    let mut cut = Archive::default();
    pieces(lengths, bytes).for_each(|piece| cut.update(piece));
    assert_eq!(whole.verdict(), cut.verdict());
    if whole.verdict() == Completeness::Whole {
        let mut shorter = Archive::default();
        shorter.update(&bytes[..bytes.len() - 1]);
        assert_ne!(shorter.verdict(), Completeness::Whole);
    }
}

/// A `.meta` that Doubletake wrote, or anybody else, beside a payload that is packed in any way.
fn doubletake(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(2));
    let (meta, payload) = rest.split_at(usize::from(head.first().copied().unwrap_or(0)).min(rest.len()));
    let names = [
        "backup.sql",
        "backup.sql.xz",
        "backup.sql.zst",
        "backup.sql.gz",
        "backup.sql.enc",
        "backup.sql.xz.enc",
        "backup.dump",
    ];
    let name = names[usize::from(head.get(1).copied().unwrap_or(0)) % names.len()];
    let store = Memory::default();
    write_small(&store, name, payload).expect("memory");
    write_small(&store, "backup.meta", meta).expect("memory");
    let key = Key::raw(&Secret::new(KEY), Some("000102030405060708090a0b0c0d0e0f")).expect("a key");
    let repository = Repository {
        store: Arc::new(store),
        variant: Default::default(),
        key: Some(key),
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    };
    if let Ok(old) = repository.old_backup(name)
        && let Ok(opened) = old.open(None, &NullMonitor)
    {
        let stated = opened.manifest.plain.bytes;
        let mut read = 0;
        if let Ok(mut plain) = opened.plain() {
            read = std::io::copy(&mut plain, &mut std::io::sink()).expect("what was read once can be read again");
        }
        assert_eq!(read, stated);
    }
}

/// Messages of a server, each behind its length in two bytes: what the writer makes of them, the reader finds again.
fn pgoutput(data: &[u8]) {
    let head = DeltaHead { start: Lsn(1), encoding: EncodingName::named("UTF8").expect("an encoding") };
    let mut writer = DeltaWriter::begin(Vec::new(), head, Relations::default()).expect("memory");
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (message, after) = after.split_at(after.len().min(usize::from(u16::from_be_bytes(*length))));
        rest = after;
        let Ok(message) = decode(message) else { continue };
        if writer.take(message).is_err() {
            return;
        }
    }
    let Some(end) = writer.position() else { return };
    let DeltaOutcome { to, totals, .. } = writer.finish(end.max(Lsn(2))).expect("between transactions");
    let found = read_whole(DeltaReader::begin(&to[..], 1 << 20)).expect("what pgbk wrote is read again");
    assert_eq!(found, totals);
}

/// A delta: in pieces it is the same as at once.
fn delta(data: &[u8]) {
    let (lengths, text) = data.split_at(data.len().min(1));
    let size = lengths.first().map_or(1, |length| usize::from(*length) + 1);
    let whole = totals_of(DeltaReader::begin(text, 1 << 14));
    let cut = totals_of(DeltaReader::begin(BufReader::with_capacity(size, text), 1 << 14));
    assert_eq!(whole, cut);
}

/// What a reader counts, if there is nothing that it refuses.
fn totals_of<R: BufRead>(reader: Result<DeltaReader<R>>) -> Option<SegmentTotals> {
    read_whole(reader).ok()
}

/// What a reader counts, or what it refuses first.
fn read_whole<R: BufRead>(reader: Result<DeltaReader<R>>) -> Result<SegmentTotals> {
    let mut reader = reader?;
    while reader.next_record()?.is_some() {}
    Ok(reader.totals())
}
