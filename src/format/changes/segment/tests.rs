//! The documents of a chain: sealed, read again, and refused where they contradict themselves or each other.

use super::*;
use crate::base::error::{Kind, kind};
use crate::base::secret::Secret;
use crate::format::changes::chain_cut::ChainCut;
use crate::format::changes::generation::ServerIdentifier;
use crate::format::changes::sequence_sample::SequenceNote;
use crate::format::changes::table_break::BreakReason;
use crate::format::changes::timeline_history::TimelineSwitch;
use crate::format::manifest::encoding::EncodingName;
use crate::format::manifest::{Method, Tag};
use crate::format::pgoutput::relation::Relation;
use serde_json::{Value, json};

fn generation(key: Option<&DerivedKeys>) -> Generation {
    Generation {
        pgbk_changes: CHAIN_FORMAT,
        id: "20260822T031500Z-5f0c21ab".parse().unwrap(),
        database: Subject::from("shop"),
        start: Lsn(0x100),
        created_at: "2026-08-22T03:15:00Z".parse().unwrap(),
        system_identifier: ServerIdentifier(7_301_234_567_890_123_456),
        timeline: 1,
        server_version: "15.18".into(),
        server_version_num: 150_018,
        encoding: EncodingName::named("UTF8").unwrap(),
        slot: "pgbk_shop".parse().unwrap(),
        publications: vec!["pgbk \"shop\"".parse().unwrap()],
        key: key.map(|keys| keys.note.clone()),
    }
}

fn segment(start: u64, end: u64, previous: Option<PreviousSegment>, keys: Option<&DerivedKeys>) -> Segment {
    let name = |text: &str| TableName::of_text(text).unwrap();
    let nonce = [7; 4];
    let packed = Compression { method: Method::Zstd, level: 3 };
    let extension = extension(Format::Plain, Some(packed), keys.is_some());
    let folder = generation(None).folder();
    let relation = Relation::of_text(r#"5 d "public"."t" ("id" 23 -1 key)"#).unwrap();
    Segment {
        pgbk_changes: CHAIN_FORMAT,
        database: Subject::from("shop"),
        generation: folder.generation,
        start: Lsn(start),
        end: Lsn(end),
        previous,
        written_at: "2026-08-22T03:20:00Z".parse().unwrap(),
        first_commit: Some("2026-08-22T03:16:00Z".parse().unwrap()),
        last_commit: Some("2026-08-22T03:17:00Z".parse().unwrap()),
        transactions: 2,
        tables: vec![TableChanges {
            name: name(r#""public"."t""#),
            changes: ChangeCounts { inserts: 1, updates: 2, deletes: 3, truncates: 4 },
        }],
        relations: vec![RelationState { relation, from: Lsn(start), definition: None }],
        breaks: vec![TableBreak {
            table: name(r#""public".U&"u\000a""#),
            oid: 6,
            from: Lsn(start + 1),
            reason: BreakReason::Renamed,
            seen_at: None,
            until: None,
        }],
        timelines: Some(TimelineHistory::new(2, vec![TimelineSwitch { timeline: 1, end: Lsn(0x90) }])),
        sequences: Some(SequenceSample { at: Lsn(end), changed: vec![note(5, 42), note(6, -1)] }),
        pgbk: "0.1.0".into(),
        object: folder.key(&GenerationObject::Payload { start: Lsn(start), nonce, extension }),
        version_id: None,
        compression: Some(packed),
        key: keys.map(|keys| keys.note.clone()),
        encryption: keys.map(|keys| Encryption { cipher: CIPHER.into(), iv: Some(keys.iv) }),
        plain: Digest { bytes: 900, blake2b: [1; 64] },
        stored: Digest { bytes: 300, blake2b: [2; 64] },
        chunks: Chunks { size: 1 << 20, tags: vec![Tag([3; 32])] },
    }
}

fn note(oid: u32, last: i64) -> SequenceNote {
    SequenceNote::of_text(&format!(r#"{oid} "public".U&"s\000a{oid}" {last} called"#)).unwrap()
}

fn key(digit: &str) -> Key {
    Key::raw(&Secret::new(digit.repeat(64)), None).unwrap()
}

fn open(bytes: &[u8], start: u64, key: Option<&Key>) -> Result<Segment> {
    let document = SealedChainDocument::parse("x.meta", bytes.to_vec())?;
    let place = (&generation(None).folder(), Lsn(start));
    Segment::open(&document, place, key, false).map(|(segment, _)| segment)
}

#[test]
fn documents_are_read_as_they_were_sealed_with_their_key_and_no_other() {
    let (own, other) = (key("a"), key("b"));
    let keys = own.begin().unwrap();
    for (keys, own) in [(None, None), (Some(&keys), Some(&own))] {
        let (chain, part) = (generation(keys), segment(0x100, 0x200, None, keys));
        let bytes = part.seal(keys).unwrap();
        assert_eq!(open(&bytes, 0x100, own).unwrap(), part);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with("{\n  \"pgbk_changes\": 1,\n"), "{text}");
        assert!(text.contains("\"start\": \"0/100\"") && text.contains(r#""5 d \"public\".\"t\" (\"id\" 23 -1 key)""#));
        assert!(open(&bytes, 0x100, Some(&other)).is_err());
        assert!(open(&bytes, 0x101, own).is_err());
        let sealed = SealedChainDocument::parse("gen.meta", chain.seal(keys).unwrap()).unwrap();
        assert_eq!(Generation::open(&sealed, &chain.folder(), own, false).unwrap(), chain);
        assert_eq!(sealed.key().is_some(), keys.is_some());
        // What is the document of a segment is no manifest, and none of a generation.
        assert!(crate::format::manifest::seal::SealedManifest::parse("x.meta", bytes.clone()).is_err());
        let sealed = SealedChainDocument::parse("x.meta", bytes.clone()).unwrap();
        assert!(Generation::open(&sealed, &chain.folder(), own, false).is_err());
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(open(&changed, 0x100, own).is_err(), "{at}");
        }
    }
    assert!(open(&segment(0x100, 0x200, None, Some(&keys)).seal(Some(&keys)).unwrap(), 0x100, None).is_err());
}

#[test]
fn segments_are_a_chain_in_which_none_can_be_left_out_or_replaced() {
    let generation = generation(None);
    let seal = |segment: &Segment| *SealedChainDocument::parse("x.meta", segment.seal(None).unwrap()).unwrap().seal();
    let first = segment(0x100, 0x200, None, None);
    let previous = PreviousSegment { start: first.start, seal: seal(&first) };
    let second = segment(0x200, 0x300, Some(previous), None);
    let third = segment(0x300, 0x400, Some(PreviousSegment { start: second.start, seal: seal(&second) }), None);
    first.follows(&generation, None).unwrap();
    second.follows(&generation, Some((&first, &seal(&first)))).unwrap();
    third.follows(&generation, Some((&second, &seal(&second)))).unwrap();
    let mut other = first.clone();
    other.transactions += 1;
    for (one, before) in [
        (&second, None),
        (&third, Some((&first, seal(&first)))),
        (&second, Some((&other, seal(&other)))),
        (&first, Some((&first, seal(&first)))),
    ] {
        let error = one.follows(&generation, before.as_ref().map(|(segment, seal)| (*segment, seal))).unwrap_err();
        assert_eq!(kind(&error), Kind::Damaged);
    }
}

#[test]
fn a_document_that_pgbk_cannot_have_written_is_neither_written_nor_read() {
    let sealed = |document: &Value| {
        let text = crate::format::sealed_text::unsealed(serde_json::to_string_pretty(document).unwrap());
        let seal = crate::format::sealed_text::unkeyed(text.as_bytes());
        crate::format::sealed_text::sealed(text, seal, false)
    };
    let whole = segment(0x100, 0x200, None, None);
    let document = serde_json::to_value(&whole).unwrap();
    assert_eq!(open(&sealed(&document), 0x100, None).unwrap(), whole);
    for (place, value) in [
        ("/pgbk_changes", json!(0)),
        ("/pgbk_changes", json!(2)),
        ("/database", json!("other")),
        ("/generation", json!("20260822T031500Z-5F0C21AB")),
        ("/start", json!("0/0100")),
        ("/end", json!("0/100")),
        ("/end", json!("0/99")),
        ("/previous", json!({"start": "0/100", "seal": "00".repeat(32)})),
        ("/previous", json!({"start": "0/99", "seal": "00"})),
        ("/first_commit", json!(null)),
        ("/first_commit", json!("2026-08-22T03:18:00Z")),
        ("/transactions", json!(0)),
        ("/tables/0/name", json!("public.t")),
        ("/tables/0/changes", json!([0, 0, 0, 0])),
        ("/tables/0/changes", json!([1, 0, 0])),
        ("/tables/0/changes", json!([1, 0, 0, -1])),
        ("/relations/0/relation", json!("5 d public.t ()")),
        ("/relations/0/from", json!("0/201")),
        ("/breaks/0/from", json!("0/201")),
        ("/breaks/0/reason", json!("other")),
        ("/timelines/timeline", json!(1)),
        ("/timelines/left/0/timeline", json!(0)),
        ("/sequences/at", json!("0/1FF")),
        ("/sequences/changed/0", json!("5 public.s 1 called")),
        ("/sequences/changed/0", json!(r#"5 "public"."s" 1); DROP TABLE t; -- called"#)),
        ("/sequences/changed/0", json!("5 \"public\".\"s\n\" 1 called")),
        ("/sequences/changed/0", json!(r#"6 "public"."s" 1 called"#)),
        ("/object", json!("shop/shop.sql.zst")),
        ("/object", json!("@changes/shop/20260822T031500Z-5f0c21ab/0000000000000101-07070707.sql.zst")),
        ("/object", json!("@changes/shop/20260822T031500Z-5f0c21ab/0000000000000100-07070707.sql")),
        ("/encryption", json!({"cipher": "aes-256-cbc", "iv": null})),
        ("/chunks/size", json!(1000)),
        ("/chunks/tags", json!([])),
    ] {
        let mut changed = document.clone();
        *changed.pointer_mut(place).unwrap() = value.clone();
        assert!(open(&sealed(&changed), 0x100, None).is_err(), "{place} {value}");
    }
    // A segment from before there were samples, and one with what a later pgbk may add.
    let mut older = document.clone();
    older.as_object_mut().unwrap().shift_remove("sequences");
    older["later"] = json!({"any": [1]});
    assert_eq!(open(&sealed(&older), 0x100, None).unwrap(), Segment { sequences: None, ..whole.clone() });
    let mut twice = document.clone();
    let table = twice["tables"][0].clone();
    twice["tables"].as_array_mut().unwrap().push(table);
    assert!(open(&sealed(&twice), 0x100, None).is_err());
    let ends_first = Segment { end: whole.start, ..whole };
    assert!(ends_first.seal(None).is_err());
}

#[test]
fn the_document_of_a_cut_has_all_sequences_that_the_removed_segments_left() {
    let sample = |end: u64, texts: &[&str]| {
        let note = |text: &&str| SequenceNote::of_text(text).unwrap();
        Some(SequenceSample { at: Lsn(end + 1), changed: texts.iter().map(note).collect() })
    };
    let with = |start, sequences| Segment { sequences, ..segment(start, start + 0x100, None, None) };
    let (a, b, c) = (r#"5 "s"."a" 1 called"#, r#"6 "s"."b" 1 uncalled"#, r#"7 "s"."c" denied"#);
    let mut cut = ChainCut::behind(&with(0x100, None), [0; 32], None);
    assert_eq!(cut.sequences, None);
    for (start, sequences) in [
        (0x200, sample(0x300, &[a, b])),
        (0x300, None),
        (0x400, sample(0x500, &[r#"5 "s"."a" 9 called"#, r#"6 "s"."b" gone"#, c])),
    ] {
        cut = ChainCut::behind(&with(start, sequences), [0; 32], Some(cut));
    }
    assert_eq!(cut.sequences, sample(0x500, &[r#"5 "s"."a" 9 called"#, c]));
    let open = |cut: &ChainCut| {
        let sealed = SealedChainDocument::parse("x.meta", cut.seal(None).unwrap()).unwrap();
        ChainCut::open(&sealed, (&cut.folder(), cut.start), None, false)
    };
    assert_eq!(open(&cut).unwrap(), cut);
    cut.sequences = sample(0x500, &[c, a]);
    assert!(open(&cut).is_err());
}

#[test]
fn a_generation_that_no_server_has_is_refused() {
    let document = serde_json::to_value(generation(None)).unwrap();
    for (place, value) in [
        ("/system_identifier", json!("0")),
        ("/system_identifier", json!("07")),
        ("/system_identifier", json!(7)),
        ("/slot", json!("Slot")),
        ("/slot", json!("")),
        ("/slot", json!("a'b")),
        ("/publications", json!([])),
        ("/publications", json!([""])),
        ("/publications", json!(["a\0b"])),
        ("/timeline", json!(0)),
        ("/start", json!("0/0")),
        ("/encoding", json!("UTF16")),
        ("/database", json!("@globals")),
        ("/id", json!("20260822T031500Z")),
    ] {
        let mut changed = document.clone();
        *changed.pointer_mut(place).unwrap() = value.clone();
        let folder = generation(None).folder();
        let read = serde_json::from_value::<Generation>(changed);
        assert!(read.is_err() || read.is_ok_and(|read| read.fault(&folder).is_some()), "{place} {value}");
    }
}
