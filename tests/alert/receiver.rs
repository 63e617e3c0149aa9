//! An HTTP server that notes what it is told, and answers as it was asked to.

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use support::cluster::cluster;

#[derive(Debug, Clone)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Status(u16),
    /// Takes the request and says nothing for as long as the test lives.
    Hang,
    HangUp,
    /// Takes no document with a text of more characters.
    UpTo(usize),
}

#[derive(Default)]
struct Shared {
    heard: Vec<Heard>,
    answers: VecDeque<Answer>,
    /// When no other is left.
    usual: Option<Answer>,
    silent: Vec<Sender<()>>,
}

pub struct Receiver {
    port: u16,
    scheme: &'static str,
    shared: Arc<Mutex<Shared>>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Receiver {
    pub fn start() -> Receiver {
        Receiver::listen("http", |stream| Some(Box::new(stream)))
    }

    /// With the test cluster's certificate.
    pub fn start_tls() -> Receiver {
        let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
        acceptor.set_private_key_file(cluster().tls("server.key"), SslFiletype::PEM).unwrap();
        acceptor.set_certificate_chain_file(cluster().tls("server.crt")).unwrap();
        let acceptor = acceptor.build();
        Receiver::listen("https", move |stream| Some(Box::new(acceptor.accept(stream).ok()?)))
    }

    fn listen(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (mine, wrap) = (Arc::clone(&shared), Arc::new(wrap));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, wrap) = (Arc::clone(&mine), Arc::clone(&wrap));
                thread::spawn(move || wrap(stream.unwrap()).map(|stream| serve(stream, &shared)));
            }
        });
        Receiver { port, scheme, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    /// To the next requests these, in this order; after them 200.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) -> &Receiver {
        self.shared.lock().unwrap().answers.extend(answers);
        self
    }

    /// To every request, until it is changed.
    pub fn always(&self, answer: Answer) -> &Receiver {
        self.shared.lock().unwrap().usual = Some(answer);
        self
    }

    /// What was heard since the last call.
    pub fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.shared.lock().unwrap().heard)
    }

    pub fn paths(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.path).collect()
    }

    /// The states of webhook documents.
    pub fn states(&self) -> Vec<String> {
        self.heard().iter().map(|heard| heard.json()["state"].as_str().unwrap().to_owned()).collect()
    }
}

fn longest(value: &Value) -> usize {
    match value {
        Value::String(text) => text.encode_utf16().count(),
        Value::Array(values) => values.iter().map(longest).max().unwrap_or(0),
        Value::Object(members) => members.values().map(longest).max().unwrap_or(0),
        _ => 0,
    }
}

fn serve(stream: Box<dyn Stream>, shared: &Mutex<Shared>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let field =
        |name: &str| head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
    let length = field("content-length:").map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let heard = Heard { method, path, head: head.clone(), body: String::from_utf8(body).unwrap() };
    let mut now = shared.lock().unwrap();
    now.heard.push(heard);
    let answer = now.answers.pop_front().or(now.usual).unwrap_or(Answer::Status(200));
    let longest =
        now.heard.last().map_or(0, |heard| serde_json::from_str(&heard.body).map_or(0, |value| longest(&value)));
    let answer = match answer {
        Answer::UpTo(limit) => Answer::Status(if longest > limit { 400 } else { 204 }),
        other => other,
    };
    match answer {
        Answer::UpTo(_) => None,
        Answer::Status(status) => {
            drop(now);
            let answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).ok()
        }
        Answer::HangUp => None,
        Answer::Hang => {
            let (hold, held) = channel();
            now.silent.push(hold);
            drop(now);
            held.recv().ok()
        }
    }
}
