//! Requests and answers of HTTP, as far as a man in the middle has to understand them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

#[derive(Clone)]
pub struct Message {
    /// The first line.
    pub first: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Whether the answer to this has no body, whatever its headers say.
pub fn no_body(request: &Message) -> bool {
    request.first.starts_with("HEAD ")
}

/// The next message, None at an end. The body is read whole, whether it has a length or comes in chunks.
pub fn read(from: &mut BufReader<TcpStream>, headers_only: bool) -> io::Result<Option<Message>> {
    loop {
        let Some(first) = line(from)? else { return Ok(None) };
        let mut headers = Vec::new();
        while let Some((name, value)) = line(from)?.unwrap_or_default().split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        // "100 Continue" comes before the answer.
        if first.starts_with("HTTP/1.1 1") {
            continue;
        }
        let mut message = Message { first, headers, body: Vec::new() };
        if message.header("expect").is_some() {
            from.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("expect"));
        }
        if !headers_only {
            message.read_body(from)?;
        }
        return Ok(Some(message));
    }
}

fn line(from: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut text = String::new();
    Ok((from.read_line(&mut text)? > 0).then(|| text.trim_end().to_owned()))
}

impl Message {
    pub fn ok(body: &str) -> Message {
        let headers = vec![("Content-Length".to_owned(), body.len().to_string())];
        Message { first: "HTTP/1.1 200 OK".to_owned(), headers, body: body.into() }
    }

    pub fn error(status: u16, code: &str) -> Message {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>");
        Message { first: format!("HTTP/1.1 {status} -"), ..Message::ok(&body) }
    }

    fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    }

    fn read_body(&mut self, from: &mut BufReader<TcpStream>) -> io::Result<()> {
        if self.header("transfer-encoding").is_some() {
            loop {
                let size = line(from)?.unwrap_or_default();
                let size = u64::from_str_radix(&size, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                from.take(size).read_to_end(&mut self.body)?;
                line(from)?;
                if size == 0 {
                    break;
                }
            }
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("transfer-encoding"));
            self.headers.push(("Content-Length".to_owned(), self.body.len().to_string()));
            return Ok(());
        }
        let length: usize = self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.body.resize(length, 0);
        from.read_exact(&mut self.body)
    }

    fn head(&self) -> String {
        let mut head = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }

    pub fn write(&self, to: &mut TcpStream, with_body: bool) -> io::Result<()> {
        to.write_all(self.head().as_bytes())?;
        if with_body { to.write_all(&self.body) } else { Ok(()) }
    }

    /// As far as the middle of its body, or of its headers where it has none.
    pub fn first_half(&self) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        if self.body.is_empty() {
            bytes.truncate(bytes.len() / 2);
        } else {
            bytes.extend_from_slice(&self.body[..self.body.len() / 2]);
        }
        bytes
    }

    /// One bit of the body is another, or one digit of the ETag where there is no body.
    pub fn damaged(&self) -> Message {
        let mut other = self.clone();
        let middle = other.body.len() / 2;
        if let Some(byte) = other.body.get_mut(middle) {
            *byte ^= 1;
        }
        for (name, value) in &mut other.headers {
            if self.body.is_empty() && name.eq_ignore_ascii_case("etag") {
                *value = value
                    .chars()
                    .map(|c| {
                        if c == 'a' {
                            'b'
                        } else if c.is_ascii_digit() {
                            'a'
                        } else {
                            c
                        }
                    })
                    .collect();
            }
        }
        other
    }
}
