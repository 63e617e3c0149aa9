//! The server ends a session: what it says last is what pgbk reports, whenever that comes and however the connection closes.

use rustix::net::sockopt::set_socket_linger;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::cluster::{PATIENCE, cluster};
use support::database;
use support::message::{is_of_pgbk, message, read, read_rest};
use support::pgbk::connected;
use support::process::until;
use support::proof;

const LAST_WORD: &str = "terminated by the administrator, as planned";

/// How the connection closes behind the server's last word.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Close {
    /// As a server's process that exits.
    End,
    /// As where the server has not read all that was sent to it: what the client sends next fails.
    Reset,
}

/// The message in whose place the session ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// The one with this number, counted over all of pgbk's connections.
    Number(usize),
    /// The first one that says that such a statement is done.
    Done(&'static str),
}

impl Moment {
    fn is(self, number: usize, message: &[u8]) -> bool {
        match self {
            Moment::Number(wanted) => wanted == number,
            // Its type, its length, and the statement.
            Moment::Done(statement) => message[0] == b'C' && message[5..].starts_with(statement.as_bytes()),
        }
    }
}

/// Ends the session of one message.
struct Administrator {
    at: Moment,
    close: Close,
    passed: AtomicUsize,
}

impl Administrator {
    fn start(at: Moment, close: Close) -> (u16, Arc<Administrator>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let administrator = Arc::new(Administrator { at, close, passed: AtomicUsize::new(0) });
        let shared = Arc::clone(&administrator);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.pass(client).ok());
            }
        });
        (port, administrator)
    }

    fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", cluster().port))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let hello = read_rest(&mut client, Vec::new())?;
        server.write_all(&hello)?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            io::copy(&mut from, &mut to).ok();
            to.shutdown(Shutdown::Write)
        });
        if !is_of_pgbk(&hello) {
            io::copy(&mut server, &mut client)?;
            return client.shutdown(Shutdown::Both);
        }
        // A login that is refused has its own words.
        while read_and_pass(&mut server, &mut client)? != b'Z' {}
        loop {
            let message = read(&mut server)?;
            if self.at.is(self.passed.fetch_add(1, Ordering::Relaxed), &message) {
                return self.end(&mut client, &mut server);
            }
            client.write_all(&message)?;
        }
    }

    fn end(&self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
        let word = format!("SFATAL\0VFATAL\0C57P01\0M{LAST_WORD}\0\0");
        if self.close == Close::Reset {
            set_socket_linger(&*client, Some(Duration::ZERO))?;
        }
        client.write_all(&message(b'E', word.as_bytes()))?;
        // A reset takes back what is still on its way.
        assert!(until(PATIENCE, || is_delivered(client)));
        server.shutdown(Shutdown::Both)?;
        client.shutdown(Shutdown::Both)
    }
}

/// Returns whether the other side has all that was written, by the queue that the system shows for the connection.
fn is_delivered(stream: &TcpStream) -> bool {
    let ends = |address: io::Result<SocketAddr>| format!(":{:04X}", address.unwrap().port());
    let (local, peer) = (ends(stream.local_addr()), ends(stream.peer_addr()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.find(|row| row[1].ends_with(&local) && row[2].ends_with(&peer)).expect("the connection");
    own[4].starts_with("00000000:")
}

fn read_and_pass(server: &mut impl Read, client: &mut impl Write) -> io::Result<u8> {
    let message = read(server)?;
    client.write_all(&message)?;
    Ok(message[0])
}

#[test]
fn whenever_a_server_ends_a_session_its_last_word_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    database::create("parting", "");
    database::sql("parting", "CREATE TABLE t AS SELECT i, repeat('x', 200) FROM generate_series(1, 50000) i");
    database::sql("parting", "CREATE VIEW v AS SELECT * FROM t");
    let run = connected().key().directory(folder.path()).set("PGSSLMODE", "disable");
    run.backup("parting", &[]);
    let restore = |at: usize, close: Close| {
        let (port, administrator) = Administrator::start(Moment::Number(at), close);
        let copy = format!("parted_{at}");
        let output = run.set("DB_PORT", port).args(["restore", "latest", "--yes", "--to", &copy]).end();
        (output, administrator.passed.load(Ordering::Relaxed), copy)
    };
    let (_, messages, _) = restore(usize::MAX, Close::End);
    assert!(messages > 100, "{messages}");
    let step = proof::size(97, 3);
    let (mut silent, mut restored, mut refused) = (Vec::new(), 0, 0);
    for at in (0..messages).step_by(step) {
        for close in [Close::End, Close::Reset] {
            let (output, _, copy) = restore(at, close);
            let is_there = database::exists(&copy);
            match output.code {
                // What only helps, such as to tell servers apart, may fail.
                Some(0) if database::sql(&copy, "SELECT count(*) FROM v") == "50000" => restored += 1,
                Some(1) if output.err.contains(LAST_WORD) && !is_there => refused += 1,
                code => silent.push(format!("{at} {close:?}: {code:?} {}", output.err)),
            }
            if is_there {
                database::sql("postgres", format!("DROP DATABASE {copy}"));
            }
        }
    }
    assert!(silent.is_empty(), "{} of {messages}: {silent:#?}", silent.len());
    assert!(refused > restored, "{refused} refused, {restored} restored");
    proof::counted("last_word", "sessions ended by the server, by message and way", restored, refused);
}

/// What the server has done and not answered is taken back all the same.
#[test]
fn a_database_whose_creation_is_not_answered_is_not_left() {
    let folder = tempfile::tempdir().unwrap();
    database::create("unanswered", "");
    database::sql("unanswered", "CREATE TABLE t AS SELECT 1 AS i");
    let run = connected().key().directory(folder.path()).set("PGSSLMODE", "disable");
    run.backup("unanswered", &[]);
    for statement in ["CREATE DATABASE", "REVOKE"] {
        for close in [Close::End, Close::Reset] {
            let (port, _) = Administrator::start(Moment::Done(statement), close);
            let restore = ["restore", "latest", "--jobs", "2", "--yes", "--to", "unanswered_copy"];
            run.set("DB_PORT", port).args(restore).expect(1).says(LAST_WORD);
            assert!(!database::exists("unanswered_copy"), "{statement} {close:?}");
        }
    }
}

#[test]
fn a_session_that_an_administrator_ends_while_rows_are_sent_says_so() {
    let folder = tempfile::tempdir().unwrap();
    database::create("ending", "");
    database::sql("ending", "CREATE TABLE t AS SELECT i, repeat('x', 300) FROM generate_series(1, 300000) i");
    let run = connected().key().directory(folder.path());
    run.backup("ending", &[]);
    for number in 0..proof::size(4, 20) {
        let copy = format!("ended_{number}");
        let running = run.args(["restore", "latest", "--yes", "--to", &copy]).start();
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = '{copy}' AND state = 'active' AND query LIKE 'COPY%'"
        );
        assert!(until(PATIENCE, || database::sql("postgres", &end) != "0"), "no rows were sent");
        let outcome = running.end();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        outcome.says("terminating connection due to administrator command (SQLSTATE 57P01)");
        assert!(!database::exists(&copy));
    }
}
