//! What goes over the wire to an S3 server: it passes through unchanged, and the heads of the requests are kept.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug)]
pub struct Head {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
}

pub struct Wire {
    pub endpoint: String,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Wire {
    /// For as long as this process lives.
    pub fn to(endpoint: &str) -> Wire {
        let server = endpoint.strip_prefix("http://").expect("a server without TLS").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let endpoint = format!("http://{}", listener.local_addr().expect("address"));
        let heads = Arc::new(Mutex::default());
        let shared = Arc::clone(&heads);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, heads) = (server.clone(), Arc::clone(&shared));
                // A client that hangs up ends it, and is no failure of the wire.
                std::thread::spawn(move || pass(client, &server, &heads).ok());
            }
        });
        Wire { endpoint, heads }
    }

    /// Takes out the requests about this folder, in the order in which they were made.
    pub fn about(&self, folder: &str) -> Vec<Head> {
        let mut heads = self.heads.lock().unwrap();
        heads.extract_if(.., |head| head.target.contains(folder)).collect()
    }
}

fn pass(client: TcpStream, server: &str, heads: &Mutex<Vec<Head>>) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        io::copy(&mut answers, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
    let mut requests = BufReader::new(client);
    while let Some((raw, head)) = read_head(&mut requests)? {
        assert!(!head.headers.contains_key("transfer-encoding"), "a body of unknown length: {head:?}");
        let length = head.headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        // Known before its answer is, and so before whoever waits for that can look.
        heads.lock().unwrap().push(head);
        server.write_all(&raw)?;
        io::copy(&mut requests.by_ref().take(length), &mut server)?;
    }
    server.shutdown(Shutdown::Write)
}

/// None at the end of the connection.
fn read_head(requests: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, Head)>> {
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n\r\n") {
        if requests.read_until(b'\n', &mut raw)? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&raw).into_owned();
    let (request, headers) = text.split_once("\r\n").expect("a line");
    let mut words = request.split(' ').map(str::to_owned);
    let headers = headers.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    Ok(Some((raw, Head { method, target, headers })))
}

impl Head {
    fn parts(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }

    /// Whether it is about an object of this key, whose letters are such as stand in a URL unchanged.
    pub fn is_about(&self, key: &str) -> bool {
        self.parts().0.ends_with(&format!("/{key}"))
    }

    pub fn asks(&self, name: &str) -> bool {
        self.parts().1.split('&').any(|part| part.split('=').next() == Some(name))
    }
}
