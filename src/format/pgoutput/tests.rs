//! The decoder, fed with messages that are made here by their specification, and with anything else.

use super::change_message::{ChangeMessage, LogicalMessage, Truncation, decode};
use super::relation::{Relation, RelationColumn, ReplicaIdentity};
use super::row::{ColumnValue, OldRow};
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::{ObjectName, TableName};
use proptest::prelude::*;

/// 2026-08-22T03:15:00Z, in microseconds since 2000.
pub(crate) const TIME: i64 = 840_683_700_000_000;

/// A message that is put together field by field.
#[derive(Default, Clone)]
pub(crate) struct MessageMaker(Vec<u8>);

impl MessageMaker {
    pub(crate) fn of(kind: u8) -> MessageMaker {
        MessageMaker(vec![kind])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> MessageMaker {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn word(self, word: u32) -> MessageMaker {
        self.raw(&word.to_be_bytes())
    }

    pub(crate) fn long(self, long: u64) -> MessageMaker {
        self.raw(&long.to_be_bytes())
    }

    pub(crate) fn text(self, text: &[u8]) -> MessageMaker {
        self.raw(text).raw(b"\0")
    }

    /// A row; `None` is NULL, and `Some(None)` is an unchanged large value.
    pub(crate) fn row(self, kind: u8, values: &[Option<Option<&[u8]>>]) -> MessageMaker {
        let head = self.raw(&[kind]).raw(&(values.len() as u16).to_be_bytes());
        values.iter().fold(head, |made, value| match value {
            None => made.raw(b"n"),
            Some(None) => made.raw(b"u"),
            Some(Some(text)) => made.raw(b"t").word(text.len() as u32).raw(text),
        })
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn begin(commit: u64, xid: u32) -> Vec<u8> {
    MessageMaker::of(b'B').long(commit).long(TIME as u64).word(xid).done()
}

pub(crate) fn commit(commit: u64, end: u64) -> Vec<u8> {
    MessageMaker::of(b'C').raw(&[0]).long(commit).long(end).long(TIME as u64).done()
}

/// A table of `public`; the columns with their type, and whether they are of the key.
pub(crate) fn relation(oid: u32, name: &[u8], identity: u8, columns: &[(&[u8], u32, bool)]) -> Vec<u8> {
    let head = MessageMaker::of(b'R').word(oid).text(b"public").text(name).raw(&[identity]);
    let head = head.raw(&(columns.len() as u16).to_be_bytes());
    let columns = columns.iter().fold(head, |made, (name, type_oid, is_key)| {
        made.raw(&[u8::from(*is_key)]).text(name).word(*type_oid).word(u32::MAX)
    });
    columns.done()
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).unwrap()
}

#[test]
fn each_kind_of_message_is_read() {
    let (begun, done) = (begin(16, 7), commit(16, 24));
    assert!(matches!(decode(&begun), Ok(ChangeMessage::Begin(begin)) if begin.commit == Lsn(16) && begin.xid == 7));
    let ChangeMessage::Commit(commit) = decode(&done).unwrap() else { panic!() };
    assert_eq!(
        (commit.commit, commit.end, commit.time.to_string().as_str()),
        (Lsn(16), Lsn(24), "2026-08-22T03:15:00Z")
    );
    let shape = relation(5, b"t", b'f', &[(b"a", 23, true), (b"b", 25, false)]);
    let column = |text: &str, type_oid, is_key| RelationColumn { name: name(text), type_oid, modifier: -1, is_key };
    let expected = Relation {
        oid: 5,
        table: TableName { schema: name("public"), name: name("t") },
        identity: ReplicaIdentity::Full,
        columns: vec![column("a", 23, true), column("b", 25, false)],
    };
    assert_eq!(decode(&shape).unwrap(), ChangeMessage::Relation(expected));
    let kind = MessageMaker::of(b'Y').word(99).text(b"").text(b"int4").done();
    assert_eq!(decode(&kind).unwrap(), ChangeMessage::Type { oid: 99, schema: name("pg_catalog"), name: name("int4") });
    let origin = MessageMaker::of(b'O').long(3).text(b"up").done();
    assert_eq!(decode(&origin).unwrap(), ChangeMessage::Origin { commit: Lsn(3), name: b"up" });
}

#[test]
fn rows_are_read_with_what_was_before_them() {
    use ColumnValue::{Null, Text, Unchanged};
    let values: &[Option<Option<&[u8]>>] = &[Some(Some(b"1")), None, Some(None)];
    let new = vec![Text(b"1"), Null, Unchanged];
    let insert = MessageMaker::of(b'I').word(5).row(b'N', values).done();
    assert_eq!(decode(&insert).unwrap(), ChangeMessage::Insert { relation: 5, new: new.clone() });
    for (kind, old) in [
        (None, None),
        (Some(b'K'), Some(OldRow::Key(vec![Text(b"0")]))),
        (Some(b'O'), Some(OldRow::Full(vec![Text(b"0")]))),
    ] {
        let head = MessageMaker::of(b'U').word(5);
        let head = kind.into_iter().fold(head, |made, kind| made.row(kind, &[Some(Some(b"0"))]));
        let update = head.row(b'N', values).done();
        assert_eq!(decode(&update).unwrap(), ChangeMessage::Update { relation: 5, old, new: new.clone() });
    }
    let delete = MessageMaker::of(b'D').word(5).row(b'K', &[None]).done();
    assert_eq!(decode(&delete).unwrap(), ChangeMessage::Delete { relation: 5, old: OldRow::Key(vec![Null]) });
}

#[test]
fn truncations_and_messages_are_read_with_their_options() {
    let truncate = MessageMaker::of(b'T').word(2).raw(&[3]).word(5).word(6).done();
    let expected = Truncation { relations: vec![5, 6], cascade: true, restart_identity: true };
    assert_eq!(decode(&truncate).unwrap(), ChangeMessage::Truncate(expected));
    for transactional in [false, true] {
        let sent = MessageMaker::of(b'M').raw(&[u8::from(transactional)]).long(9).text(b"p").word(2).raw(b"\0x").done();
        let expected = LogicalMessage { transactional, at: Lsn(9), prefix: b"p", content: b"\0x" };
        assert_eq!(decode(&sent).unwrap(), ChangeMessage::Logical(expected));
    }
}

#[test]
fn what_no_server_sends_is_refused_however_long_it_says_to_be() {
    let long = [0xFF; 4];
    for (what, bytes) in [
        ("nothing", vec![]),
        ("an unknown kind", vec![b'S', 0, 0, 0, 1, 1]),
        ("a transaction without a number", begin(16, 0)),
        ("a commit that ends before it begins", commit(24, 16)),
        ("flags of a commit", MessageMaker::of(b'C').raw(&[1]).long(1).long(2).long(0).done()),
        ("a time that there is not", MessageMaker::of(b'B').long(1).long(i64::MAX as u64).word(1).done()),
        ("a value that is longer than all", MessageMaker::of(b'I').word(5).raw(b"N\0\x01t").raw(&long).done()),
        ("more columns than bytes", MessageMaker::of(b'I').word(5).raw(b"N\xff\xffn").done()),
        ("a value in binary", MessageMaker::of(b'I').word(5).raw(b"N\0\x01b\0\0\0\0").done()),
        ("a value with a zero byte", MessageMaker::of(b'I').word(5).row(b'N', &[Some(Some(b"a\0b"))]).done()),
        ("an old row alone", MessageMaker::of(b'U').word(5).row(b'K', &[None]).done()),
        ("a deleted row that is new", MessageMaker::of(b'D').word(5).row(b'N', &[None]).done()),
        ("tables that are not there", MessageMaker::of(b'T').raw(&long).raw(&[0]).done()),
        ("a table without a number", MessageMaker::of(b'T').word(1).raw(&[0]).word(0).done()),
        ("unknown options", MessageMaker::of(b'T').word(1).raw(&[4]).word(5).done()),
        ("a message that is not there", MessageMaker::of(b'M').raw(&[1]).long(9).text(b"p").raw(&long).done()),
        ("a table without a name", relation(5, b"", b'd', &[])),
        ("an unknown identity", relation(5, b"t", b'x', &[])),
        ("a column without a name", relation(5, b"t", b'd', &[(b"", 23, false)])),
        ("a text without an end", MessageMaker::of(b'O').long(3).raw(b"up").done()),
    ] {
        assert!(decode(&bytes).is_err(), "{what}");
    }
}

#[test]
fn a_message_is_read_whole_or_not_at_all() {
    let messages = [
        begin(16, 7),
        commit(16, 24),
        relation(5, b"t", b'd', &[(b"a", 23, true)]),
        MessageMaker::of(b'U').word(5).row(b'K', &[Some(Some(b"0"))]).row(b'N', &[Some(Some(b"1")), Some(None)]).done(),
        MessageMaker::of(b'T').word(2).raw(&[2]).word(5).word(6).done(),
        MessageMaker::of(b'M').raw(&[1]).long(9).text(b"p").word(2).raw(b"xy").done(),
    ];
    for message in messages {
        assert!(decode(&message).is_ok());
        (0..message.len()).for_each(|length| assert!(decode(&message[..length]).is_err(), "{length} of {message:?}"));
        assert!(decode(&[&message[..], b"\0"].concat()).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        kind in proptest::sample::select(b"BCORYIUDTMX".to_vec()),
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'N'), Just(b'K'), Just(b't'), any::<u8>()], 0..80)
    ) {
        let _ = decode(&[&[kind][..], &bytes].concat());
    }
}
