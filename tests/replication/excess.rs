//! A server that says more than any PostgreSQL does, or out of order, while it streams.

use super::{Source, at_port, failure, logical};
use pgbk::format::lsn::Lsn;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use support::message::{message, read, read_rest};

/// What comes right behind the word that the stream begins.
#[derive(Debug, Clone, Copy)]
pub enum Lie {
    /// This once, and nothing more.
    Once(&'static [u8]),
    /// The same again and again.
    Endless(&'static [u8]),
    /// The beginning of a message that is said to be as long as this.
    Long(u32),
    /// This, and then the end.
    Cut(&'static [u8]),
}

/// Stands between the client and the real server, and lies in the stream. Gives its port.
pub fn liar(lie: Lie) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || pass(client, lie).ok());
        }
    });
    port
}

fn pass(mut client: TcpStream, lie: Lie) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", logical().port))?;
    server.write_all(&read_rest(&mut client, Vec::new())?)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write)
    });
    loop {
        let message = read(&mut server)?;
        client.write_all(&message)?;
        if message[0] == b'W' {
            break;
        }
    }
    match lie {
        Lie::Once(bytes) => client.write_all(bytes)?,
        Lie::Endless(bytes) => while client.write_all(bytes).is_ok() {},
        Lie::Long(length) => {
            client.write_all(&[&b"d"[..], &length.to_be_bytes(), &[0; 1000]].concat())?;
        }
        Lie::Cut(bytes) => {
            client.write_all(bytes)?;
            return client.shutdown(Shutdown::Both);
        }
    }
    // The line stays open: the other side has to end it.
    io::copy(&mut server, &mut io::sink()).map(drop)
}

#[test]
fn a_server_that_lies_in_the_stream_is_left_and_named() {
    let source = Source::new("lied_to");
    let notice: &'static [u8] =
        message(b'N', &[b"SNOTICE\0VNOTICE\0C00000\0M".as_slice(), &[b'x'; 60_000], b"\0\0"].concat()).leak();
    let parameter: &'static [u8] = message(b'S', &[b"a\0".as_slice(), &[b'x'; 60_000], b"\0"].concat()).leak();
    let lies = [
        (Lie::Endless(notice), "(NoticeResponse), which no PostgreSQL server does"),
        (Lie::Endless(parameter), "(ParameterStatus), which no PostgreSQL server does"),
        (Lie::Long(0x7fff_ffff), "(CopyData) of 2147483643 bytes"),
        (Lie::Long(3), "a message of 3 bytes"),
        (Lie::Once(b"D\0\0\0\x06\0\0"), "type 0x44 came where no PostgreSQL server sends one"),
        (Lie::Once(b"Z\0\0\0\x05I"), "type 0x5a came where no PostgreSQL server sends one"),
        (Lie::Once(b"W\0\0\0\x07\0\0\0"), "type 0x57 came where no PostgreSQL server sends one"),
        (Lie::Once(b"V\0\0\0\x04"), "sent a message of type 0x56"),
        (Lie::Once(b"d\0\0\0\x05x"), "type 0x64 came that is not what PostgreSQL servers send"),
        (Lie::Once(b"d\0\0\0\x06wx"), "type 0x64 came that is not what PostgreSQL servers send"),
        (Lie::Once(b"c\0\0\0\x04"), "has ended the stream"),
        (Lie::Once(b"E\0\0\0\x20SERROR\0C58000\0Mas planned\0\0\0\0"), "the server says: as planned (SQLSTATE 58000)"),
        (Lie::Cut(b"d\0\0\0\x40w"), "the server closed the connection and gave no reason"),
        (
            Lie::Cut(b"E\0\0\0\x29SFATAL\0VFATAL\0C57P01\0Mthe last word\0\0"),
            "the server says: the last word (SQLSTATE 57P01)",
        ),
    ];
    for (lie, said) in lies {
        let port = liar(lie);
        let connection = at_port(port, &source.name).open_for_replication("pgbk test").unwrap();
        let mut stream = connection.stream(&source.slot, Lsn(0), &source.publications).unwrap();
        let error = format!("{:#}", failure(&mut stream));
        assert!(error.contains(said) && error.contains(&port.to_string()), "{lie:?}: {error}");
        drop(stream);
        assert!(support::process::until(support::cluster::PATIENCE, || source.is_idle()));
    }
}
