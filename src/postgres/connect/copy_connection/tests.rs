//! A thread plays the server.

use super::*;
use crate::base::cancel::limit;
use crate::base::error::{Kind, hints, kind};
use crate::postgres::connect::settings::ConnectionOverrides;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{JoinHandle, spawn};

const LONG: Duration = Duration::from_secs(30);

trait Peer: Read + Write + Send {}
impl Peer for TcpStream {}
impl Peer for UnixStream {}

/// Says what the server sends at a query, and whether it goes on then.
enum Act {
    Answer(Vec<u8>),
    ThenClose(Vec<u8>),
    ThenNothing(Vec<u8>),
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0").as_bytes())
}

fn copy(rows: &[&str]) -> Vec<u8> {
    let rows = rows.iter().flat_map(|row| message(b'd', format!("{row}\n").as_bytes())).collect();
    [message(b'H', &[0; 7]), rows, message(b'c', b""), message(b'C', b"COPY 1\0")].concat()
}

/// Returns one column of values, of which an empty one is NULL.
fn table(values: &[&str]) -> Vec<u8> {
    let rows = values.iter().flat_map(|value| match value.len() {
        0 => message(b'D', &[0, 1, 0xff, 0xff, 0xff, 0xff]),
        length => message(b'D', &[&[0, 1, 0, 0, 0, length as u8], value.as_bytes()].concat()),
    });
    let column = [b"\0\x01a\0".as_slice(), &[0; 18]].concat();
    [message(b'T', &column), rows.collect(), message(b'C', b"SELECT 1\0")].concat()
}

fn ready(answer: &[Vec<u8>]) -> Vec<u8> {
    [answer.concat(), message(b'Z', b"I")].concat()
}

/// Reads one message; the first has no type.
fn read(peer: &mut impl Read, typed: bool) -> io::Result<(u8, Vec<u8>)> {
    let (mut kind, mut length) = ([0], [0; 4]);
    if typed {
        peer.read_exact(&mut kind)?;
    }
    peer.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    peer.read_exact(&mut body)?;
    Ok((kind[0], body))
}

/// Answers the preamble, then the queries. Returns the types of messages that have come since.
fn play(mut peer: impl Peer, acts: Vec<Act>) -> io::Result<String> {
    read(&mut peer, false)?;
    peer.write_all(&ready(&[message(b'R', &[0; 4])]))?;
    let mut kinds = String::new();
    for act in [Act::Answer(ready(&[table(&[""]), table(&["150000"])]))].into_iter().chain(acts) {
        kinds.push(read(&mut peer, true)?.0.into());
        match act {
            Act::Answer(bytes) => peer.write_all(&bytes)?,
            Act::ThenClose(bytes) => {
                peer.write_all(&bytes)?;
                return Ok(kinds);
            }
            Act::ThenNothing(bytes) => {
                peer.write_all(&bytes)?;
                break;
            }
        }
    }
    while let Ok((kind, _)) = read(&mut peer, true) {
        kinds.push(kind.into());
    }
    Ok(kinds)
}

fn settings(host: &str, port: u16) -> ConnectionSettings {
    let given = ConnectionOverrides {
        host: Some(host.to_owned()),
        port: Some(port),
        user: Some("u".to_owned()),
        ..ConnectionOverrides::default()
    };
    ConnectionSettings::resolve(given, &|_| None).unwrap()
}

fn server(acts: Vec<Act>) -> (ConnectionSettings, JoinHandle<io::Result<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The first connection asks for TLS as that is the default; the server has none.
    (
        settings("127.0.0.1", port),
        spawn(move || {
            let mut peer = listener.accept()?.0;
            read(&mut peer, false)?;
            peer.write_all(b"N")?;
            play(peer, acts)
        }),
    )
}

fn open(settings: &ConnectionSettings, stall: Duration) -> CopyConnection {
    settings.open_for_copy("pgbk", stall).unwrap()
}

/// Returns the rows of each statement.
fn copies(connection: &mut CopyConnection) -> Result<Vec<String>> {
    let (mut copies, mut rows) = (Vec::new(), Vec::new());
    loop {
        match connection.next(&mut rows)? {
            CopyStep::Rows => assert!(rows.ends_with(b"\n")),
            CopyStep::End => copies.push(String::from_utf8(std::mem::take(&mut rows)).unwrap()),
            CopyStep::Done => {
                assert!(rows.is_empty(), "rows without an end");
                return Ok(copies);
            }
        }
    }
}

fn copies_and_asks(mut connection: CopyConnection) {
    assert_eq!(connection.query("SELECT").unwrap(), [[Some("x".to_owned())], [None]]);
    connection.copy("COPY a TO STDOUT; COPY b TO STDOUT; COPY c TO STDOUT").unwrap();
    assert!(connection.query("SELECT").unwrap_err().to_string().contains("was not read to its end"));
    assert_eq!(copies(&mut connection).unwrap(), ["1\n2\n", "", "3\n"]);
    assert!(connection.next(&mut Vec::new()).unwrap_err().to_string().contains("no query runs"));
    assert_eq!(connection.query("SELECT").unwrap(), [[Some("y".to_owned())]]);
}

fn acts() -> Vec<Act> {
    vec![
        Act::Answer(ready(&[table(&["x", ""])])),
        Act::Answer(ready(&[copy(&["1", "2"]), copy(&[]), copy(&["3"])])),
        Act::Answer(ready(&[table(&["y"])])),
    ]
}

#[test]
fn tables_are_copied_and_questions_answered_over_tcp_and_the_end_is_said() {
    let (settings, server) = server(acts());
    copies_and_asks(open(&settings, LONG));
    assert_eq!(server.join().unwrap().unwrap(), "QQQQX");
}

#[test]
fn tables_are_copied_and_questions_answered_over_a_unix_socket_and_the_end_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let server = spawn(move || play(listener.accept()?.0, acts()));
    copies_and_asks(open(&settings(folder.path().to_str().unwrap(), 5432), LONG));
    assert_eq!(server.join().unwrap().unwrap(), "QQQQX");
}

#[test]
fn an_error_of_the_server_comes_with_its_message_and_the_connection_goes_on() {
    let broken = [message(b'H', &[0; 7]), message(b'd', b"1\n"), error("ERROR", "XX001", "invalid page")];
    let (settings, _server) = server(vec![Act::Answer(ready(&broken)), Act::Answer(ready(&[table(&["y"])]))]);
    let mut connection = open(&settings, LONG);
    connection.copy("COPY a TO STDOUT").unwrap();
    let mut rows = Vec::new();
    assert_eq!(connection.next(&mut rows).unwrap(), CopyStep::Rows);
    assert_eq!(rows, b"1\n");
    assert_eq!(connection.next(&mut rows).unwrap_err().to_string(), "the server says: invalid page");
    assert_eq!(connection.query("SELECT").unwrap(), [[Some("y".to_owned())]]);
}

#[test]
fn a_lost_connection_is_an_error_with_the_last_word_of_the_server() {
    let begun = [message(b'H', &[0; 7]), message(b'd', b"1\n")].concat();
    let word = error("FATAL", "57P01", "terminating connection due to administrator command");
    let said = "the server says: terminating connection due to administrator command";
    let unsaid = "the server closed the connection and gave no reason; its log may give one";
    for (last, text) in [(word, said), (Vec::new(), unsaid)] {
        let (settings, _server) = server(vec![Act::ThenClose([begun.clone(), last].concat())]);
        let mut connection = open(&settings, LONG);
        connection.copy("COPY a TO STDOUT").unwrap();
        assert_eq!(copies(&mut connection).unwrap_err().to_string(), text);
        assert!(connection.query("SELECT").is_err());
    }
}

#[test]
fn a_server_that_sends_nothing_is_given_up_and_not_waited_for_at_the_end() {
    let begun = [message(b'H', &[0; 7]), message(b'd', b"1\n")].concat();
    let (settings, server) = server(vec![Act::ThenNothing(begun)]);
    let mut connection = open(&settings, Duration::from_millis(300)).when_stalled("wait longer");
    connection.copy("COPY a TO STDOUT").unwrap();
    let error = copies(&mut connection).unwrap_err();
    let port = settings.endpoints().unwrap()[0].port;
    assert_eq!(error.to_string(), format!("127.0.0.1:{port} sent nothing for 0.3 s"));
    assert_eq!(hints(&error), ["wait longer"]);
    assert!(connection.query("SELECT").is_err());
    let begun = Instant::now();
    drop(connection);
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(server.join().unwrap().unwrap(), "QQ");
}

#[test]
fn a_wait_ends_with_the_time_of_the_run() {
    let (settings, _server) = server(vec![Act::ThenNothing(Vec::new())]);
    let mut connection = open(&settings, LONG);
    let _limit = limit(Some(Duration::from_millis(300)));
    connection.copy("COPY a TO STDOUT").unwrap();
    assert!(copies(&mut connection).unwrap_err().to_string().contains("its limit of 0 s"));
}

#[test]
fn rows_that_nobody_has_asked_for_are_an_error() {
    let rows = vec!["x"; 1000];
    let (settings, _server) = server(vec![Act::Answer(ready(&[copy(&rows)])), Act::Answer(ready(&[table(&["y"])]))]);
    let mut connection = open(&settings, LONG);
    assert!(connection.query("SELECT").is_err());
    assert_eq!(connection.query("SELECT").unwrap(), [[Some("y".to_owned())]]);
}

#[test]
fn what_cannot_be_reached_is_explained_as_on_every_connection() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    for settings in [settings("127.0.0.1", free), settings(folder.path().to_str().unwrap(), 5432)] {
        let ordinary = settings.open("pgbk").err().unwrap();
        let own = settings.open_for_copy("pgbk", LONG).err().unwrap();
        assert_eq!((format!("{own:#}"), hints(&own)), (format!("{ordinary:#}"), hints(&ordinary)));
        assert!(kind(&own) == Kind::Failed && own.to_string().starts_with("cannot connect to"), "{own:#}");
    }
}
