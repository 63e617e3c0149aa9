//! Stores the changes of a real database as a chain of segments, as a capture does, and makes bases of backups.

use crate::cluster::{Cluster, PASSWORD, PATIENCE, USER};
use crate::forger::reseal;
use crate::pgbk::{KEY, Outcome, Pgbk};
use crate::process::until;
use jiff::Timestamp;
use pgbk::base::secret::Secret;
use pgbk::base::subject::Subject;
use pgbk::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument};
use pgbk::format::changes::delta_head::DeltaHead;
use pgbk::format::changes::delta_writer::DeltaWriter;
use pgbk::format::changes::generation::{Generation, ServerIdentifier};
use pgbk::format::changes::generation_id::GenerationId;
use pgbk::format::changes::relations::Relations;
use pgbk::format::changes::replay_session::REPLAY_SESSION;
use pgbk::format::changes::segment::{PreviousSegment, Segment};
use pgbk::format::changes::segment_name::GenerationObject;
use pgbk::format::changes::sequence_sample::{SequenceNote, SequenceSample};
use pgbk::format::keys::Key;
use pgbk::format::keys::derived_keys::DerivedKeys;
use pgbk::format::lsn::Lsn;
use pgbk::format::manifest::base_alignment::BaseAlignment;
use pgbk::format::manifest::encoding::EncodingName;
use pgbk::format::manifest::{Compression, Encryption, Format, Method};
use pgbk::format::pgoutput::change_message::decode;
use pgbk::format::sql::object_name::ObjectName;
use pgbk::format::transaction_snapshot::TransactionSnapshot;
use pgbk::pipeline::pack::{Pack, PackOptions};
use pgbk::postgres::replication::capture_candidate::CaptureCandidate;
use pgbk::postgres::replication::table_shape::TableShape;
use pgbk::store::directory::Directory;
use pgbk::store::write_small;
use postgres::{Client, NoTls};
use rustix::process::Signal;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The chain of one database, which grows by what [`store`](Capture::store) finds.
pub struct Capture<'a> {
    cluster: &'a Cluster,
    database: String,
    folder: PathBuf,
    slot: String,
    pub generation: Generation,
    known: Relations,
    /// The last segment, with its seal.
    last: Option<(Segment, [u8; 32])>,
    /// The sequences that the next segment states. `None`: it has no sample.
    sequences: Option<Vec<SequenceNote>>,
}

impl<'a> Capture<'a> {
    /// Makes a publication and a slot, and stores the document of a generation that begins there.
    pub fn begin(cluster: &'a Cluster, database: &str, folder: &Path) -> Capture<'a> {
        let ask = |query: &str| cluster.psql(database, query);
        // A server has its slots for all databases.
        let slot = format!("pgbk_{database}");
        ask("CREATE PUBLICATION p FOR ALL TABLES");
        ask(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
        let start = ask(&format!("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{slot}'"));
        let keys = keys();
        let now = Timestamp::now();
        let generation = Generation {
            pgbk_changes: CHAIN_FORMAT,
            id: GenerationId::new(now).unwrap(),
            database: Subject::from(database),
            start: start.parse().unwrap(),
            created_at: now,
            system_identifier: ServerIdentifier(
                ask("SELECT system_identifier FROM pg_control_system()").parse().unwrap(),
            ),
            timeline: 1,
            server_version: ask("SHOW server_version"),
            server_version_num: ask("SHOW server_version_num").parse().unwrap(),
            encoding: EncodingName::named(&ask("SHOW server_encoding")).unwrap(),
            slot: slot.parse().unwrap(),
            publications: vec!["p".parse().unwrap()],
            key: Some(keys.note.clone()),
        };
        let mut known = Relations::default();
        let citext = ask("SELECT oid FROM pg_type WHERE typname = 'citext'");
        if let Ok(citext) = citext.parse() {
            known.set_equality(citext, ObjectName::new(b"public").unwrap());
        }
        let (database, folder) = (database.to_owned(), folder.to_owned());
        let capture = Capture { cluster, database, folder, slot, generation, known, last: None, sequences: None };
        let document = capture.generation.seal(Some(&keys)).unwrap();
        write_small(&capture.directory(), &capture.generation.key_name(), &document).unwrap();
        capture
    }

    /// Stores everything that has been committed since the last time as one segment. Returns where it ends.
    pub fn store(&mut self) -> Lsn {
        self.store_as(|script| script)
    }

    /// Stores what somebody with the key makes of the script instead.
    pub fn store_as(&mut self, edit: impl Fn(String) -> String) -> Lsn {
        let start = self.last.as_ref().map_or(self.generation.start, |(segment, _)| segment.end);
        let keys = keys();
        let options = PackOptions {
            format: Format::Plain,
            compression: Some(Compression { method: Method::Zstd, level: 3 }),
            derived_keys: Some(&keys),
            encrypt: true,
            expected: 0,
        };
        let mut client = self.client();
        let peek = "SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', \
                    'publication_names', 'p', 'messages', 'true')";
        let messages = client.query(peek, &[&self.slot]).unwrap();
        let head = DeltaHead { start, encoding: self.generation.encoding };
        let mut writer = DeltaWriter::begin(Vec::new(), head, self.known.clone()).unwrap();
        let tables = CaptureCandidate::list(&mut client).unwrap();
        for TableShape { relation, definition, .. } in TableShape::list(&mut client, &tables).unwrap() {
            if self.known.known(relation.oid).is_none() {
                writer.state(relation, definition).unwrap();
            }
        }
        for message in &messages {
            writer.take(decode(message.get(0)).unwrap()).unwrap();
        }
        let end = writer.position().unwrap();
        let written = writer.finish(end).unwrap();
        self.known = written.known;
        let mut pack = Pack::new(Vec::new(), &options).unwrap();
        // A script of a database in another encoding is no text.
        match String::from_utf8(written.to) {
            Ok(script) => pack.write_all(edit(script).as_bytes()).unwrap(),
            Err(bytes) => pack.write_all(bytes.as_bytes()).unwrap(),
        }
        let packed = pack.finish().unwrap();
        let extension = "sql.zst.enc".to_owned();
        let object = GenerationObject::Payload { start, nonce: [7; 4], extension };
        let previous = self.last.as_ref().map(|(before, seal)| PreviousSegment { start: before.start, seal: *seal });
        let mut segment = Segment {
            pgbk_changes: CHAIN_FORMAT,
            database: self.generation.database.clone(),
            generation: self.generation.id,
            start,
            end,
            previous,
            written_at: Timestamp::now(),
            first_commit: None,
            last_commit: None,
            transactions: 0,
            tables: Vec::new(),
            relations: written.relations,
            breaks: written.breaks,
            timelines: None,
            sequences: self.sequences.take().map(|changed| SequenceSample { at: end, changed }),
            pgbk: "0.1.0".into(),
            object: self.generation.folder().key(&object),
            version_id: None,
            compression: options.compression,
            key: Some(keys.note.clone()),
            encryption: Some(Encryption { cipher: "aes-256-cbc".into(), iv: Some(keys.iv) }),
            plain: packed.plain,
            stored: packed.stored,
            chunks: packed.chunks,
        };
        segment.set_totals(&written.totals);
        let document = segment.seal(Some(&keys)).unwrap();
        let seal = *SealedChainDocument::parse("x", document.clone()).unwrap().seal();
        write_small(&self.directory(), &segment.object, &packed.writer).unwrap();
        write_small(&self.directory(), &segment.key_name(), &document).unwrap();
        self.last = Some((segment, seal));
        self.cluster.psql(&self.database, &format!("SELECT pg_replication_slot_advance('{}', '{end}')", self.slot));
        end
    }

    /// Has the next segment state these sequences, in the texts of its document.
    pub fn state_sequences(&mut self, texts: &[&str]) {
        let note = |text: &&str| SequenceNote::of_text(text).unwrap_or_else(|| panic!("no sequence: {text}"));
        self.sequences = Some(texts.iter().map(note).collect());
    }

    /// Backs the database up, and makes a base of it.
    pub fn base(&self, pgbk: &Pgbk) -> String {
        let id = pgbk.backup(&self.database, &[]);
        let after = self.position();
        reseal(&self.folder, &id, |manifest| {
            let snapshot = &manifest.snapshot.as_ref().unwrap().snapshot;
            let snapshot = TransactionSnapshot::of_text(snapshot).unwrap();
            manifest.changes = BaseAlignment::new(self.generation.id, snapshot, (after, after));
            assert!(manifest.changes.is_some());
        });
        id
    }

    /// Returns where the next record of the server's log begins.
    pub fn position(&self) -> Lsn {
        self.cluster.psql(&self.database, "SELECT pg_current_wal_insert_lsn()").parse().unwrap()
    }

    /// Returns the last segment.
    pub fn last(&self) -> &Segment {
        &self.last.as_ref().unwrap().0
    }

    fn directory(&self) -> Directory {
        Directory::open(&self.folder).unwrap()
    }

    fn client(&self) -> Client {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(self.cluster.port).user(USER).password(PASSWORD).dbname(&self.database);
        let mut client = config.connect(NoTls).unwrap();
        for (name, value) in REPLAY_SESSION {
            client.batch_execute(&format!("SET {name} = '{value}'")).unwrap();
        }
        // Of this connection only bytes are read.
        let encoding = self.generation.encoding.as_str();
        client.batch_execute(&format!("SET client_encoding = '{encoding}'")).unwrap();
        client
    }
}

/// Lets `pgbk capture` run, with the settings of this run, until all of the work is stored. `last` is one more change, by which that is seen.
pub fn capture_work(run: &Pgbk, (cluster, database): (&Cluster, &str), work: &str, last: &str) -> Outcome {
    let mut running = run.args(["capture", database]).start();
    cluster.psql(database, work);
    // Others write into the server's log as well: something of this database has to lie behind the place.
    let place: Lsn = cluster.psql(database, "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
    cluster.psql(database, last);
    let is_stored = || {
        let status = run.args(["capture", database, "--status"]).json();
        status["chain"]["end"].as_str().is_some_and(|end| end.parse::<Lsn>().unwrap() > place)
    };
    let stored = until(PATIENCE, || !running.runs() || is_stored()) && running.runs();
    running.signal(Signal::TERM);
    let outcome = running.end();
    assert!(stored && outcome.code == Some(143), "{}", outcome.err);
    outcome
}

fn keys() -> DerivedKeys {
    Key::raw(&Secret::new(KEY), None).unwrap().begin().unwrap()
}

/// Every table of a database with the number of its own rows, and a digest of them that does not depend on their order.
pub fn rows(cluster: &Cluster, database: &str) -> Vec<String> {
    let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                  WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1";
    let tables = cluster.psql(database, tables);
    // A name may have a line end in it, which no query of these tests is about.
    let rows = |table: &str| {
        let digest = "md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE \"C\"))";
        let found = cluster.psql(database, &format!("SELECT count(*), {digest} FROM ONLY {table} r"));
        format!("{table} {found}")
    };
    tables.lines().map(rows).collect()
}
