//! A small S3 host of our own whose only purpose is to fail on demand, and to show what it was asked.

mod answers;

pub use answers::Etags;

use crate::authority::authority;
use answers::{Answer, answer, error, ok, store, write_answer};
use jiff::Timestamp;
use openssl::ssl::SslAcceptor;
use pgbk::base::secret::Secret;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The S3 call that this is.
    pub fn call(&self) -> &'static str {
        let has = |name: &str| self.query.split('&').any(|part| part.split('=').next() == Some(name));
        match self.method.as_str() {
            "HEAD" => "head",
            "GET" if has("list-type") => "list",
            "GET" if has("retention") => "get-retention",
            "PUT" if has("retention") => "retain",
            "GET" if has("tagging") => "get-tags",
            "GET" if has("uploads") => "uploads",
            "GET" => "get",
            "PUT" if has("partNumber") => "part",
            "PUT" if has("tagging") => "tag",
            "PUT" => "put",
            "POST" if has("uploads") => "begin",
            "POST" => "complete",
            "DELETE" if has("uploadId") => "abort",
            "DELETE" => "delete",
            _ => "other",
        }
    }
}

#[derive(Debug, Clone)]
pub enum Fault {
    /// Answers this instead of doing what was asked.
    Answer(u16, &'static str),
    /// Answers this document instead of doing what was asked.
    Says(String),
    /// Answers this, and that the bucket is in that region, instead of doing what was asked.
    Elsewhere(u16, &'static str, &'static str),
    /// Answers as if it had done what was asked.
    Ignored,
    /// Stores as many bytes as it was sent, of which the last is another.
    Spoils,
    /// As that, and hangs up instead of answering.
    SpoilsInSilence,
    /// A success by its status, a failure by its text.
    ErrorIn200,
    /// Does what was asked, and answers this.
    DoneBut(u16, &'static str),
    /// Does what was asked, and hangs up instead of answering.
    DoneButSilent,
    /// Does what was asked, and says nothing for so long.
    DoneButHangs(Duration),
    /// Puts something else in the object's place, drops the upload, and hangs up.
    DoneByAnother,
    /// Hangs up before the body's last bytes.
    Short,
    /// Sends fewer bytes than were asked for, as if they were all.
    Less,
    /// Leaves out that the answer is a range.
    NoRange,
    /// Answers with other headers. A `Transfer-Encoding` takes the place of the length.
    Headers(fn(&mut Headers)),
    /// Says nothing for so long.
    Hang(Duration),
}

pub type Headers = Vec<(&'static str, String)>;

type Plan = dyn Fn(&Request, usize) -> Option<Fault> + Send + Sync;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    etags: BTreeMap<String, String>,
    kind_of_etags: Etags,
    /// The document that each object is locked by.
    retained: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// The path and the begin of every upload, also of those that are over.
    begun_for: BTreeMap<String, (String, Timestamp)>,
    begun: usize,
    /// The document that each object was tagged with.
    tags: BTreeMap<String, Vec<u8>>,
    seen: Vec<Request>,
    calls: BTreeMap<&'static str, usize>,
}

pub struct Faulty {
    pub endpoint: String,
    pub ca: Option<Vec<u8>>,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    /// The plan gets each request with the number of its like so far, from 1, and may spoil it.
    pub fn start(plan: impl Fn(&Request, usize) -> Option<Fault> + Send + Sync + 'static) -> Faulty {
        Self::serve(Arc::new(plan), None)
    }

    pub fn with_etags(self, etags: Etags) -> Faulty {
        self.state.lock().unwrap().kind_of_etags = etags;
        self
    }

    /// Speaks TLS with a certificate of an authority of its own.
    pub fn start_tls() -> Faulty {
        let (acceptor, ca) = authority();
        Faulty { ca: Some(ca), ..Self::serve(Arc::new(|_: &Request, _| None), Some(acceptor)) }
    }

    fn serve(plan: Arc<Plan>, tls: Option<SslAcceptor>) -> Faulty {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let endpoint = format!("{}://127.0.0.1:{port}", if tls.is_some() { "https" } else { "http" });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, plan, tls) = (Arc::clone(&shared), Arc::clone(&plan), tls.clone());
                std::thread::spawn(move || {
                    match tls {
                        None => serve(stream, &state, &*plan).ok(),
                        Some(tls) => tls.accept(stream).ok().and_then(|stream| serve(stream, &state, &*plan).ok()),
                    };
                });
            }
        });
        Faulty { endpoint, ca: None, state }
    }

    pub fn settings(&self) -> S3Settings {
        S3Settings {
            endpoint: Some(self.endpoint.clone()),
            bucket: "bucket".to_owned(),
            access_key: Some("key".to_owned()),
            secret_key: Some(Secret::new("topsecret")),
            part_size: Some(5 << 20),
            timeout: Duration::from_secs(20),
            attempts: 3,
            ..S3Settings::default()
        }
    }

    pub fn store(&self) -> S3 {
        S3::open(self.settings()).expect("open the store")
    }

    pub fn count(&self, call: &str) -> usize {
        self.seen().iter().filter(|request| request.call() == call).count()
    }

    pub fn seen(&self) -> Vec<Request> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The keys of everything that is there.
    pub fn keys(&self) -> Vec<String> {
        let key = |path: &String| path.trim_start_matches("/bucket/").to_owned();
        self.state.lock().unwrap().objects.keys().map(key).collect()
    }

    pub fn objects(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().objects.values().cloned().collect()
    }

    /// Begins an upload as another program would.
    pub fn begin_another(&self, key: &str) {
        let mut state = self.state.lock().unwrap();
        let (id, path) = (format!("another-{key}"), format!("/bucket/{key}"));
        state.uploads.insert(id.clone(), BTreeMap::new());
        state.begun_for.insert(id, (path, Timestamp::now()));
    }

    /// The documents that objects were tagged with.
    pub fn tags(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.tags.values().map(|tags| String::from_utf8_lossy(tags).into_owned()).collect()
    }

    pub fn open_uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }
}

fn serve(stream: impl Read + Write, state: &Mutex<State>, plan: &Plan) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream)? {
        let call = request.call();
        let fault = {
            let mut state = state.lock().unwrap();
            state.seen.push(request.clone());
            let count = state.calls.entry(call).or_default();
            *count += 1;
            plan(&request, *count)
        };
        let out = stream.get_mut();
        match fault {
            Some(Fault::Answer(status, code)) => write_answer(out, call, &error(status, code), None)?,
            Some(Fault::Elsewhere(status, code, region)) => {
                let mut answer = error(status, code);
                answer.headers.push(("x-amz-bucket-region", region.to_owned()));
                write_answer(out, call, &answer, None)?;
            }
            Some(Fault::Says(document)) => write_answer(out, call, &ok(Vec::new(), document), None)?,
            Some(spoils @ (Fault::Spoils | Fault::SpoilsInSilence)) => {
                let mut spoiled = request.clone();
                spoiled.body.last_mut().into_iter().for_each(|last| *last ^= 1);
                let full = answer(&mut state.lock().unwrap(), &spoiled);
                if matches!(spoils, Fault::SpoilsInSilence) {
                    return Ok(());
                }
                write_answer(out, call, &full, None)?;
            }
            Some(Fault::Ignored) => write_answer(out, call, &ok(Vec::new(), ""), None)?,
            Some(Fault::ErrorIn200) => {
                write_answer(out, call, &Answer { status: 200, ..error(500, "InternalError") }, None)?
            }
            Some(Fault::DoneBut(status, code)) => {
                answer(&mut state.lock().unwrap(), &request);
                write_answer(out, call, &error(status, code), None)?;
            }
            Some(Fault::DoneButSilent) => {
                answer(&mut state.lock().unwrap(), &request);
                return Ok(());
            }
            Some(Fault::DoneButHangs(time)) => {
                answer(&mut state.lock().unwrap(), &request);
                std::thread::sleep(time);
                return Ok(());
            }
            Some(Fault::DoneByAnother) => {
                let mut state = state.lock().unwrap();
                state.uploads.clear();
                store(&mut state, &request, b"another".to_vec(), "another".to_owned());
                return Ok(());
            }
            Some(Fault::Short) => {
                let full = answer(&mut state.lock().unwrap(), &request);
                return write_answer(out, call, &full, Some(full.body.len() / 2));
            }
            Some(Fault::Less) => {
                let mut full = answer(&mut state.lock().unwrap(), &request);
                full.body.truncate(full.body.len() / 2);
                write_answer(out, call, &full, None)?;
            }
            Some(Fault::NoRange) => {
                let mut full = answer(&mut state.lock().unwrap(), &request);
                full.status = 200;
                full.headers.retain(|(name, _)| *name != "Content-Range");
                write_answer(out, call, &full, None)?;
            }
            Some(Fault::Headers(change)) => {
                let mut full = answer(&mut state.lock().unwrap(), &request);
                change(&mut full.headers);
                write_answer(out, call, &full, None)?;
            }
            Some(Fault::Hang(time)) => {
                std::thread::sleep(time);
                return Ok(());
            }
            None => {
                let full = answer(&mut state.lock().unwrap(), &request);
                write_answer(out, call, &full, None)?;
            }
        }
    }
    Ok(())
}

fn read_request(stream: &mut BufReader<impl Read + Write>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if headers.get("expect").is_some_and(|value| value == "100-continue") {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Request { method, path: path.replace("%40", "@"), query: query.to_owned(), headers, body }))
}
