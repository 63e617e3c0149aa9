//! Servers of other kinds, all of which answer with text that was made to be obeyed by a terminal.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Listens on a port of its own, and does this with every connection.
fn serve(answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|mut stream| drop(answer(&mut stream))));
    port
}

/// An S3 host that gives the same answer to everything.
pub fn s3(status: u16, body: String) -> u16 {
    serve(move |stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} Whatever\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        if !head.starts_with("head ") {
            stream.write_all(body.as_bytes())?;
        }
        Ok(())
    })
}

/// A mail server that takes nothing, and says why.
pub fn mail(text: String) -> u16 {
    serve(move |stream| {
        stream.write_all(b"220 here\r\n")?;
        let mut said = Vec::new();
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 {
            said.push(byte[0]);
            if byte[0] != b'\n' {
                continue;
            }
            match said.starts_with(b"EHLO") {
                true => stream.write_all(b"250 here\r\n")?,
                false => write!(stream, "550 {text}\r\n")?,
            }
            said.clear();
        }
        Ok(())
    })
}

/// A PostgreSQL server that lets nobody in, and says why.
pub fn postgres(text: String) -> u16 {
    serve(move |stream| {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut packet = vec![0; u32::from_be_bytes(length) as usize - 4];
            stream.read_exact(&mut packet)?;
            // Whoever asks for TLS is told that there is none, and goes on.
            if packet.len() > 4 {
                break;
            }
            stream.write_all(b"N")?;
        }
        let mut fields = Vec::new();
        for (kind, value) in
            [('S', "FATAL"), ('V', "FATAL"), ('C', "28000"), ('M', &text), ('D', &text), ('H', &text), ('W', &text)]
        {
            fields.extend(format!("{kind}{value}\0").into_bytes());
        }
        fields.push(0);
        stream.write_all(b"E")?;
        stream.write_all(&(fields.len() as u32 + 4).to_be_bytes())?;
        stream.write_all(&fields)
    })
}
