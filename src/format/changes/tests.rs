//! Deltas as a whole: what the writer makes of messages, and what the reader says of it.

mod hostile_tests;
mod script_tests;

use crate::format::changes::delta_head::DeltaHead;
use crate::format::changes::delta_reader::DeltaReader;
use crate::format::changes::delta_record::DeltaRecord;
use crate::format::changes::delta_writer::{DeltaOutcome, DeltaWriter, LONGEST_LINE};
use crate::format::changes::relations::Relations;
use crate::format::changes::totals::SegmentTotals;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;
use crate::format::pgoutput::change_message::decode;
use crate::format::pgoutput::tests::{MessageMaker, begin, commit, relation};
use std::sync::LazyLock;

static HEAD: LazyLock<DeltaHead> =
    LazyLock::new(|| DeltaHead { start: Lsn(0x100), encoding: EncodingName::named("UTF8").unwrap() });

/// A value of a row; `None` is NULL.
type Value<'a> = Option<&'a str>;

fn row(made: MessageMaker, kind: u8, values: &[Value<'_>]) -> MessageMaker {
    let values: Vec<_> = values.iter().map(|value| value.map(|text| Some(text.as_bytes()))).collect();
    made.row(kind, &values)
}

fn insert(oid: u32, values: &[Value<'_>]) -> Vec<u8> {
    row(MessageMaker::of(b'I').word(oid), b'N', values).done()
}

/// An update with the old row of this kind, if there is one.
fn update(oid: u32, old: Option<(u8, &[Value<'_>])>, new: &[Value<'_>]) -> Vec<u8> {
    let head = MessageMaker::of(b'U').word(oid);
    let head = old.into_iter().fold(head, |made, (kind, values)| row(made, kind, values));
    row(head, b'N', new).done()
}

fn delete(oid: u32, kind: u8, old: &[Value<'_>]) -> Vec<u8> {
    row(MessageMaker::of(b'D').word(oid), kind, old).done()
}

fn truncate(oids: &[u32], options: u8) -> Vec<u8> {
    let head = MessageMaker::of(b'T').word(oids.len() as u32).raw(&[options]);
    oids.iter().fold(head, |made, oid| made.word(*oid)).done()
}

/// A table with a key and a text.
fn keyed(oid: u32, name: &[u8]) -> Vec<u8> {
    relation(oid, name, b'd', &[(b"id", 23, true), (b"v", 25, false)])
}

/// A table whose rows are told by all of their columns.
fn full(oid: u32, name: &[u8]) -> Vec<u8> {
    relation(oid, name, b'f', &[(b"id", 23, true), (b"v", 25, true), (b"j", 114, true), (b"e", 20_000, true)])
}

/// The messages of one transaction that commits from `at` on.
fn transaction(at: u64, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    [&[begin(at, 7)], messages, &[commit(at, at + 8)]].concat()
}

fn writer(known: Relations) -> DeltaWriter<Vec<u8>> {
    DeltaWriter::begin(Vec::new(), *HEAD, known).unwrap()
}

/// Returns what comes of these messages.
fn written(messages: &[Vec<u8>]) -> DeltaOutcome<Vec<u8>> {
    let mut writer = writer(Relations::default());
    messages.iter().for_each(|message| writer.take(decode(message).unwrap()).unwrap());
    let end = writer.position().unwrap().max(Lsn(HEAD.start.0 + 1));
    writer.finish(end).unwrap()
}

/// The lines behind the settings.
fn body(outcome: &DeltaOutcome<Vec<u8>>) -> Vec<String> {
    let text = String::from_utf8(outcome.to.clone()).unwrap();
    let settings = HEAD.text().lines().count();
    text.lines().skip(settings).map(str::to_owned).collect()
}

/// The lines of one transaction, without those that begin and end it.
#[track_caller]
fn records(messages: &[Vec<u8>]) -> Vec<String> {
    let outcome = written(&transaction(0x200, messages));
    let (_, totals) = read(&outcome.to).unwrap();
    assert_eq!(totals, outcome.totals);
    let lines = body(&outcome);
    lines.get(2..lines.len().saturating_sub(3)).unwrap_or_default().to_vec()
}

/// Returns what the reader says of a script, record by record.
fn read(script: &[u8]) -> anyhow::Result<(Vec<String>, SegmentTotals)> {
    let mut reader = DeltaReader::begin(script, LONGEST_LINE)?;
    told(&mut reader)
}

fn told(reader: &mut DeltaReader<&[u8]>) -> anyhow::Result<(Vec<String>, SegmentTotals)> {
    let mut said = Vec::new();
    while let Some(record) = reader.next_record()? {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        said.push(match record {
            DeltaRecord::Begin(head) => format!("begin {} {}", head.xid, head.commit),
            DeltaRecord::Relation(relation) => format!("relation {}", relation.table.text()),
            DeltaRecord::Break(table) => format!("break {}", table.text()),
            DeltaRecord::Change { kind, table, statement, rows } => {
                assert!(text(statement).contains(&text(&table.quoted())));
                format!("{kind:?} {} {rows}", table.text())
            }
            DeltaRecord::Truncate { tables, statement } => format!("{} {}", tables.len(), text(statement)),
            DeltaRecord::CopyBegin { table, .. } => format!("copy {}", table.text()),
            DeltaRecord::CopyRows(rows) => text(rows),
            DeltaRecord::CopyEnd { rows, .. } => format!("copied {rows}"),
            DeltaRecord::Commit { end } => format!("commit {end}"),
            DeltaRecord::End { end } => format!("end {end}"),
        });
    }
    Ok((said, reader.totals()))
}
