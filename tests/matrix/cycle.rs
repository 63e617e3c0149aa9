//! One cycle: a backup and a restore with the settings of a cell, and every claim of theirs looked at.

use super::cell::{BUCKETS, Bucket, Cell};
use super::stored::{HEADERS, LOCKING_HEADERS, stored};
use super::wire::Wire;
use postgres::Client;
use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use serde_json::json;
use support::cluster::cluster;
use support::database::{assert_same, comparable, connect, dump, features, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use support::s3::{Server, seaweedfs};

/// For what a person has to wait for.
const PATIENCE: u64 = 60_000;
const USER_ARGS: &str = "--exclude-table-data='parted*' --no-publications";
const SPLIT_USER_ARGS: [&str; 2] = ["--exclude-table-data=parted*", "--no-publications"];

/// What is the same for all cycles.
pub struct Ground {
    server: &'static Server,
    wire: Wire,
    buckets: [String; BUCKETS.len()],
    without: Expected,
    with_user_args: Expected,
}

/// What a dump says with and without user arguments, by the server's own pg_dump.
struct Expected {
    payload: Vec<u8>,
    /// Of the database that it comes back as.
    copy: Vec<u8>,
}

impl Ground {
    pub fn new() -> Ground {
        let server = seaweedfs();
        features("matrix");
        features("matrix_less");
        // What the user's arguments leave of it.
        sql("matrix_less", "TRUNCATE parted; DROP PUBLICATION everything");
        let payload = comparable(&stdout_of(tool("pg_dump", "matrix").args(SPLIT_USER_ARGS)));
        let copy = dump("matrix_less");
        let whole = dump("matrix");
        assert!(payload != whole && copy != whole && payload != copy);
        Ground {
            server,
            wire: Wire::to(&server.endpoint),
            buckets: BUCKETS.map(|bucket| match bucket {
                Bucket::Plain => server.bucket("plain"),
                Bucket::Versioned => server.versioned_bucket("versioned"),
                Bucket::Locking => server.locking_bucket("locking"),
            }),
            without: Expected { payload: whole.clone(), copy: whole },
            with_user_args: Expected { payload, copy },
        }
    }

    fn expected(&self, cell: &Cell) -> &Expected {
        if cell.user_args { &self.with_user_args } else { &self.without }
    }
}

/// Who runs cycles one after the other, with a source of its own: a database is backed up once at a time.
pub struct Worker<'a> {
    ground: &'a Ground,
    source: String,
    copy: String,
    client: Client,
}

impl Worker<'_> {
    pub fn new(ground: &Ground, number: usize) -> Worker<'_> {
        let source = format!("matrix_source_{number}");
        features(&source);
        Worker { ground, source, copy: format!("matrix_copy_{number}"), client: connect("postgres") }
    }

    /// Gives how many removals of what is locked were refused.
    pub fn cycle(&mut self, number: usize, cell: &Cell) -> usize {
        let ground = self.ground;
        let bucket = &ground.buckets[cell.bucket as usize];
        // None is the beginning of another.
        let folder = format!("cycle-{number:03}");
        let pgbk = settings(cell).s3(ground.server, bucket).set("S3_HOST_BASE", &ground.wire.endpoint);
        let pgbk = pgbk.set("S3_FOLDER", &folder).set("DB_NAME", &self.source);
        // What an earlier cycle restored would pass for what this one does.
        self.client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.copy)).unwrap();

        let said = self.back_up(cell, &pgbk);
        let stored = stored(ground.server, bucket, &folder);
        stored.is_what(cell, &ground.expected(cell).payload, &ground.wire.about(&folder));
        let arguments = if cell.user_args { json!(SPLIT_USER_ARGS) } else { json!([]) };
        assert_eq!(stored.manifest["dump"]["arguments"], arguments);
        says(cell, &said, stored.manifest["id"].as_str().unwrap());

        self.restore(cell, &pgbk, stored.manifest["id"].as_str().unwrap());
        self.came_back(cell);
        ground.wire.about(&folder);
        stored.remove(ground.server, bucket)
    }

    fn back_up(&self, cell: &Cell, pgbk: &Pgbk) -> String {
        let pgbk = pgbk.args(["backup"]);
        if cell.interactive {
            return end(at_a_terminal(&pgbk));
        }
        let ran = pgbk.expect(0);
        format!("{}{}", ran.err, ran.text())
    }

    fn restore(&self, cell: &Cell, pgbk: &Pgbk, id: &str) {
        if !cell.interactive {
            pgbk.args(["restore", "latest", "--to", &self.copy, "--yes"]).expect(0);
            return;
        }
        let mut session = at_a_terminal(&pgbk.args(["restore", "--to", &self.copy]));
        session.exp_string("Which backup:").unwrap();
        session.exp_string(id).unwrap();
        session.exp_string(" dump").unwrap();
        press(&mut session, "\r");
        session.exp_string(&format!("Type the database's name ({}) to restore", self.copy)).unwrap();
        press(&mut session, &format!("{}\r", self.copy));
        let text = end(session);
        assert!(text.contains("restored"), "{text}");
    }

    /// By what the server's own pg_dump says of both, which is every row and all of the schema.
    fn came_back(&self, cell: &Cell) {
        assert_same(&dump(&self.copy), &self.ground.expected(cell).copy);
    }
}

/// All but where it goes.
fn settings(cell: &Cell) -> Pgbk {
    let mut pgbk = connected().set("TERM", "xterm").set("PG_BIN_DIR", cluster().bin.display());
    let mut set = |on: bool, name: &str, value: &str| {
        if on {
            pgbk = pgbk.set(name, value);
        }
    };
    let bit = |on: bool| if on { "1" } else { "0" };
    set(cell.user_args, "PG_DUMP_USER_ARGS", USER_ARGS);
    set(cell.encrypted, "DB_BACKUP_ENCRYPT_KEY", support::pgbk::KEY);
    set(true, "DB_BACKUP_VERIFY", bit(cell.validated));
    set(true, "DB_BACKUP_COMPRESS", bit(cell.compressed));
    set(true, "AUTO_LIFECYCLE_POLICY_TAGS", bit(cell.tags));
    set(true, "S3_MD5_REQUIRED", bit(cell.md5));
    let headers = if cell.bucket == Bucket::Locking { LOCKING_HEADERS } else { HEADERS };
    set(cell.headers, "S3_REQUEST_HEADERS", headers);
    pgbk
}

/// What a person is told of the backup is what the cell asked for.
fn says(cell: &Cell, text: &str, id: &str) {
    let method = if cell.compressed { "xz 4" } else { "not compressed" };
    let cipher = if cell.encrypted { "encrypted" } else { "not encrypted" };
    let checked = if cell.validated { "MD5 compared" } else { "NOT checked" };
    for part in [id, &format!("({method}, {cipher}, {checked})")] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(text.contains("DB_BACKUP_VERIFY=0"), !cell.validated, "{text}");
}

fn at_a_terminal(pgbk: &Pgbk) -> PtySession {
    spawn_with_options(pgbk.command(), Options::new().timeout_ms(Some(PATIENCE))).unwrap()
}

fn press(session: &mut PtySession, keys: &str) {
    session.send(keys).unwrap();
    session.flush().unwrap();
}

/// Reads to the end, which must be a good one.
fn end(mut session: PtySession) -> String {
    let text = session.exp_eof().unwrap();
    let status = session.process().wait().unwrap();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}: {text}");
    text
}
