//! A client that says what it is told to, whether that is HTTP or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use support::cluster::PATIENCE;

#[derive(Debug)]
pub struct Page {
    pub code: u16,
    pub head: String,
    pub body: String,
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes back, up to the end of the connection; nothing where it is cut.
pub fn say(address: SocketAddr, text: &[u8]) -> String {
    let mut stream = connect(address);
    // The server need not read all of it.
    stream.write_all(text).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn ask(address: SocketAddr, method: &str, path: &str) -> Page {
    let answer = say(address, format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: no answer but {answer:?}"));
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Page { code, head: head.to_lowercase(), body: body.to_owned() }
}

pub fn get(address: SocketAddr, path: &str) -> Page {
    ask(address, "GET", path)
}
