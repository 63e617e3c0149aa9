//! A thread plays the server.

use super::*;
use crate::base::cancel::limit;
use crate::postgres::connect::settings::ConnectionOverrides;
use crate::postgres::replication::stream_message::StreamMessage;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const LONG: Duration = Duration::from_secs(60);

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// One row of text.
fn row(values: &[&str]) -> Vec<u8> {
    let cells = values.iter().flat_map(|value| [&(value.len() as u32).to_be_bytes(), value.as_bytes()].concat());
    message(b'D', &[(values.len() as u16).to_be_bytes().to_vec(), cells.collect()].concat())
}

fn described(columns: u16) -> Vec<u8> {
    let column = [&b"c\0"[..], &[0; 18]].concat();
    message(b'T', &[columns.to_be_bytes().to_vec(), column.repeat(columns.into())].concat())
}

fn ready(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat()
}

/// Reads one message; the first has no type.
fn read(peer: &mut impl Read, typed: bool) -> io::Result<Vec<u8>> {
    let (mut kind, mut length) = ([0], [0; 4]);
    if typed {
        peer.read_exact(&mut kind)?;
    }
    peer.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    peer.read_exact(&mut body)?;
    Ok(body)
}

/// Lets a client in, with a setting's news that comes late and in pieces, then gives one answer to each query. Behind the last the
/// connection stays open, and is read unless the server is deaf. Returns the first packet.
fn play(mut peer: TcpStream, answers: Vec<Vec<u8>>, deaf: bool) -> io::Result<Vec<u8>> {
    peer.set_nodelay(true)?;
    let hello = read(&mut peer, false)?;
    peer.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat())?;
    let preamble = [described(1), row(&[""]), message(b'C', b"SELECT 1\0"), described(1), row(&["150000"])];
    let late = message(b'S', b"TimeZone\0UTC\0");
    let mut answers = answers.into_iter();
    read(&mut peer, true)?;
    peer.write_all(&[ready(&preamble), late[..7].to_vec()].concat())?;
    let facts = ready(&[described(2), row(&["7", "UTF8"])]);
    peer.write_all(&late[7..])?;
    read(&mut peer, true)?;
    peer.write_all(&facts)?;
    for answer in answers.by_ref() {
        read(&mut peer, true)?;
        peer.write_all(&answer)?;
    }
    if deaf {
        loop {
            std::thread::park();
        }
    }
    while read(&mut peer, true).is_ok() {}
    Ok(hello)
}

fn server(answers: Vec<Vec<u8>>, deaf: bool) -> (ConnectionSettings, std::thread::JoinHandle<io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = ConnectionOverrides {
        host: Some("127.0.0.1".to_owned()),
        port: Some(listener.local_addr().unwrap().port()),
        user: Some("u".to_owned()),
        ..ConnectionOverrides::default()
    };
    let plain = |name: &str| (name == "PGSSLMODE").then(|| "disable".to_owned());
    let settings = ConnectionSettings::resolve(given, &plain).unwrap();
    (settings, std::thread::spawn(move || play(listener.accept()?.0, answers, deaf)))
}

fn stream(more: Vec<Vec<u8>>, deaf: bool) -> (ChangeStream, std::thread::JoinHandle<io::Result<Vec<u8>>>) {
    let begins = message(b'W', &[0; 3]);
    let (settings, server) = server([vec![ready(&[]), begins], more].concat(), deaf);
    let slot = "s".parse().unwrap();
    let stream = settings.open_for_replication("pgbk").unwrap().stream(&slot, Lsn(0), &["p".parse().unwrap()]).unwrap();
    (stream, server)
}

#[test]
fn the_first_packet_asks_for_replication_and_keeps_the_rest() {
    let (settings, server) = server(vec![ready(&[described(4), row(&["77", "3", "1/A", "d"])])], false);
    let mut connection = settings.open_for_replication("pgbk").unwrap();
    let identity = connection.identify().unwrap();
    assert_eq!((identity.timeline, identity.flushed), (3, Lsn(0x1_0000_000A)));
    assert_eq!((connection.version_num(), connection.encoding()), (150_000, "UTF8"));
    drop(connection);
    let hello = server.join().unwrap().unwrap();
    let has = |text: &[u8]| hello.windows(text.len()).any(|part| part == text);
    assert!(has(b"\0replication\0database\0\0") && has(b"user\0u\0") && has(b"application_name\0pgbk\0"));
}

#[test]
fn an_end_of_the_runs_time_ends_each_wait_within_a_second() {
    let (mut quiet, _server) = stream(Vec::new(), false);
    assert_eq!(quiet.next(Duration::ZERO).unwrap(), StreamMessage::Quiet);
    let (settings, _mute) = server(Vec::new(), false);
    let mut connection = settings.open_for_replication("pgbk").unwrap();
    let _limit = limit(Some(Duration::from_millis(300)));
    let begun = Instant::now();
    let waited = std::iter::repeat_with(|| quiet.next(LONG).map(drop)).find_map(std::result::Result::err).unwrap();
    assert!(waited.to_string().contains("its limit of 0 s"), "{waited:#}");
    assert!(connection.identify().unwrap_err().to_string().contains("its limit of 0 s"));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_server_is_told_of_the_client_when_it_asks_and_by_each_confirmation() {
    let alive = message(b'd', &[&b"k"[..], &9_u64.to_be_bytes(), &5_i64.to_be_bytes(), &[1]].concat());
    let (mut stream, _server) = stream(vec![alive.clone(), alive], false);
    // Each of its words comes behind one of the client's.
    stream.confirm(Lsn(4), Lsn(3)).unwrap();
    let told = StreamMessage::Keepalive { wal_end: Lsn(9), server_time: 5, reply_requested: true };
    for _ in 0..2 {
        let begun = Instant::now();
        while stream.next(LONG).unwrap() != told {
            assert!(begun.elapsed() < LONG);
        }
    }
    assert_eq!(stream.confirmed(), Lsn(3));
}

#[test]
fn a_server_that_takes_nothing_is_given_up_and_not_waited_for() {
    let (mut stream, _server) = stream(Vec::new(), true);
    let begun = Instant::now();
    let error = std::iter::repeat_with(|| stream.ask()).find_map(std::result::Result::err).unwrap();
    assert!(format!("{error:#}").contains("takes nothing that is sent to it"), "{error:#}");
    assert!(begun.elapsed() < LONG);
}

#[test]
fn commands_are_those_that_the_version_knows() {
    let slot: SlotName = "s".parse().unwrap();
    let made = |failover, export_snapshot, version| create(&slot, SlotOptions { failover, export_snapshot }, version);
    assert!(made(false, false, 120_000).unwrap().ends_with("\"s\" LOGICAL pgoutput NOEXPORT_SNAPSHOT"));
    assert!(made(true, false, 170_000).unwrap().ends_with("(SNAPSHOT 'nothing', FAILOVER true)"));
    assert!(made(true, false, 160_009).is_err());
    let publications = ["a".parse().unwrap(), "b'c".parse().unwrap()];
    let begun = |version| start(&slot, Lsn(0x1_0000_0002), &publications, version);
    assert_eq!(
        begun(130_000),
        "START_REPLICATION SLOT \"s\" LOGICAL 1/2 (proto_version '1', publication_names '\"a\",\"b''c\"')"
    );
    assert!(begun(140_000).ends_with(", messages 'true')"));
}
