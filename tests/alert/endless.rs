//! Mail servers that do not come to an end, or whoever stands before one: they are left in bounded time and memory, and the alert is kept.

use super::{Scene, checked};
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use support::cluster::cluster;
use support::pgbk::{Outcome, Pgbk};
use support::proof;

/// Of address space.
const MEMORY: u64 = 512 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// A line without an end.
    Line,
    /// An answer of long lines without an end.
    Lines,
    /// The same of lines that say nothing.
    Empty,
    /// A byte now and then, well within the time that each of them may take.
    Trickle,
    /// The end of the answer never comes.
    Silence,
}

const TRICKS: [Trick; 5] = [Trick::Line, Trick::Lines, Trick::Empty, Trick::Trickle, Trick::Silence];

/// In place of which answer it begins: a command, or one of those below.
type Moment = &'static str;
/// Before any word.
const GREETING: Moment = "greeting";
/// Where the bytes of TLS are due.
const HANDSHAKE: Moment = "handshake";
/// The answer to a mail itself.
const ACCEPTED: Moment = ".";
/// The first answer under TLS that came by STARTTLS.
const SEALED: Moment = "sealed";

const PLAIN: &[Moment] = &[GREETING, "EHLO", "AUTH", "MAIL", "RCPT", "DATA", ACCEPTED];
const STARTTLS: &[Moment] =
    &[GREETING, "EHLO", "STARTTLS", HANDSHAKE, SEALED, "AUTH", "MAIL", "RCPT", "DATA", ACCEPTED];
const TLS: &[Moment] = &[HANDSHAKE, GREETING, "EHLO", "AUTH", "MAIL", "RCPT", "DATA", ACCEPTED];

type Case = (&'static str, Moment, Trick);

fn cases() -> Vec<Case> {
    let ways = [("none", PLAIN), ("starttls", STARTTLS), ("tls", TLS)];
    let moments = ways.iter().flat_map(|(security, moments)| moments.iter().map(|moment| (*security, *moment)));
    moments.flat_map(|(security, moment)| TRICKS.map(|trick| (security, moment, trick))).collect()
}

/// A server that is as it should be until the moment has come.
struct Server {
    port: u16,
    /// Words of clients, of all connections.
    heard: Arc<Mutex<Vec<String>>>,
}

/// What a trick does once its moment has come, to the stream or to what is below TLS.
type Play = Arc<dyn Fn(&mut dyn Write) -> io::Result<()> + Send + Sync>;

/// What a connection needs to know.
#[derive(Clone)]
struct Plan {
    security: &'static str,
    moment: Moment,
    play: Play,
    heard: Arc<Mutex<Vec<String>>>,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Server {
    fn start(security: &'static str, moment: Moment, trick: Trick) -> Server {
        Server::playing(security, moment, move |stream| play(stream, moment, trick))
    }

    fn playing(
        security: &'static str,
        moment: Moment,
        play: impl Fn(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let plan = Plan { security, moment, play: Arc::new(play), heard: Arc::clone(&heard) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = plan.clone();
                thread::spawn(move || plan.serve(client));
            }
        });
        Server { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Plan {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        if self.security == "tls" {
            return self.talk(self.sealed(client)?, false);
        }
        let plain = client.try_clone()?;
        match self.talk(client, false) {
            // Asked for TLS.
            Err(error) if error.kind() == ErrorKind::Other => self.talk(self.sealed(plain)?, true),
            other => other,
        }
    }

    fn sealed(&self, mut client: TcpStream) -> io::Result<impl Stream> {
        if self.moment == HANDSHAKE {
            (self.play)(&mut client)?;
        }
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
        acceptor.set_private_key_file(cluster().tls("server.key"), SslFiletype::PEM)?;
        acceptor.set_certificate_chain_file(cluster().tls("server.crt"))?;
        acceptor.build().accept(client).map_err(|_| ErrorKind::ConnectionAborted.into())
    }

    /// Answers until the client has gone. The error of no other kind is its wish for TLS.
    fn talk(&self, stream: impl Stream, sealed: bool) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        if !sealed {
            self.answer(GREETING, "220 here\r\n", stream.get_mut())?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let word = line.trim_end().split(' ').next().unwrap().to_owned();
            self.heard.lock().unwrap().push(word.clone());
            let answer = match word.as_str() {
                "EHLO" => "250-localhost\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n",
                "STARTTLS" => "220 go\r\n",
                "AUTH" => "235 yes\r\n",
                "DATA" => "354 go\r\n",
                _ => "250 yes\r\n",
            };
            self.answer(if sealed && word == "EHLO" { SEALED } else { &word }, answer, stream.get_mut())?;
            match word.as_str() {
                "STARTTLS" => return Err(ErrorKind::Other.into()),
                "DATA" => {
                    while line != ".\r\n" {
                        line.clear();
                        if stream.read_line(&mut line)? == 0 {
                            return Ok(());
                        }
                    }
                    self.answer(ACCEPTED, "250 yes\r\n", stream.get_mut())?;
                    self.heard.lock().unwrap().push("accepted".to_owned());
                }
                _ => {}
            }
        }
    }

    fn answer(&self, moment: &str, usual: &str, stream: &mut impl Write) -> io::Result<()> {
        if moment == self.moment { (self.play)(stream) } else { stream.write_all(usual.as_bytes()) }
    }
}

/// Until the other side has left, or for ever.
fn play(stream: &mut dyn Write, moment: Moment, trick: Trick) -> io::Result<()> {
    if moment == HANDSHAKE {
        // A record of TLS with a ServerHello, each as long as can be; warnings of TLS; and empty records.
        let start = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff";
        return go_on(stream, trick, start, 0, [b"\x15\x03\x03\x00\x02\x01\x5a", b"\x16\x03\x03\x00\x00"]);
    }
    let long = format!("250-{}\r\n", "x".repeat(900));
    go_on(stream, trick, b"250-", b'x', [long.as_bytes(), b"250-\r\n"])
}

/// `start` and `more` of it, or `pieces` that are long or say nothing.
fn go_on(stream: &mut dyn Write, trick: Trick, start: &[u8], more: u8, pieces: [&[u8]; 2]) -> io::Result<()> {
    let [lines, empty] = pieces.map(|piece| piece.repeat(1000));
    if !matches!(trick, Trick::Lines | Trick::Empty) {
        stream.write_all(start)?;
    }
    loop {
        match trick {
            Trick::Line => stream.write_all(&[more; 64 << 10])?,
            Trick::Lines => stream.write_all(&lines)?,
            Trick::Empty => stream.write_all(&empty)?,
            Trick::Trickle => {
                stream.write_all(&[more])?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(100));
            }
            Trick::Silence => thread::park(),
        }
    }
}

fn to(server: &Server, security: &str, scene: Scene) -> Scene {
    scene.mail(server.port, "ops@example.org").set("SMTP_SECURITY", security).login()
}

/// Runs it to the end with little memory.
fn ended(run: &Pgbk) -> Outcome {
    let begun = Instant::now();
    let limit = format!("--as={MEMORY}");
    // What hangs is ended as what has crashed.
    let output = run.wrapped("timeout", &["--signal=ABRT", "60", "prlimit", &limit]);
    checked(Outcome::of(output, begun.elapsed()))
}

/// What the doctor finds out of a mail server that it has been told to send through.
fn finding(scene: &Scene) -> (String, String) {
    let outcome = ended(&scene.run(&["doctor", &scene.database, "--test-alerts", "--json"]));
    let document: Value = serde_json::from_slice(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"));
    let findings = document["findings"].as_array().unwrap();
    let of_mail =
        findings.iter().find(|finding| finding["what"].as_str().unwrap().starts_with("mail through")).unwrap();
    let text = |name: &str| of_mail[name].as_str().unwrap().to_owned();
    (text("status"), text("detail"))
}

/// What may be said of it.
fn reasons(moment: Moment, trick: Trick) -> &'static [&'static str] {
    match trick {
        Trick::Trickle | Trick::Silence => &["it did not answer in time"],
        // To read so many takes long.
        Trick::Empty => &["SMTP response too large", "it did not answer in time", "it sent more than 1 MiB", "error:"],
        // OpenSSL has limits of its own, which are less.
        _ if moment == HANDSHAKE => &["error:"],
        Trick::Line => &["it sent more than 1 MiB, which no mail server does"],
        Trick::Lines => &["SMTP response too large"],
    }
}

#[test]
fn a_mail_server_that_never_ends_is_left_in_bounded_memory_whatever_it_was_asked() {
    // One in three meets every moment, trick and way.
    let cases: Vec<Case> = proof::sample(cases(), 3, 0).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut scene = Scene::new("endless");
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (security, moment, trick) = *case;
                    let server = Server::start(security, moment, trick);
                    scene.settings.clear();
                    let patience = if matches!(trick, Trick::Line | Trick::Lines) { "30s" } else { "2s" };
                    // Nobody listens there, and so there is little to look at beside.
                    scene = to(&server, security, scene).set("ALERT_TIMEOUT", patience).set("DB_PORT", 1);
                    let (status, detail) = finding(&scene);
                    if status != "fail" || !reasons(moment, trick).iter().any(|reason| detail.contains(reason)) {
                        failed.lock().unwrap().push(format!("{case:?}: {status}: {detail}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
    proof::counted("mail", "answers of a mail server without an end, by what was asked, trick and TLS", 0, cases.len());
}

#[test]
fn an_alert_that_such_a_server_was_given_is_kept_for_the_next_run() {
    for (security, moment, trick) in
        [("none", GREETING, Trick::Line), ("starttls", "STARTTLS", Trick::Lines), ("tls", ACCEPTED, Trick::Line)]
    {
        let server = Server::start(security, moment, trick);
        let scene = to(&server, security, Scene::new("kept"));
        let run = scene.run(&["backup", &scene.database, "--pg-dump-args", "--table=missing"]);
        let outcome = ended(&run);
        assert_eq!((outcome.code, scene.kept()), (Some(1), 1), "{outcome:#?}");
        let told = format!("no mail through localhost:{}: ", server.port);
        outcome.says(&told).says(reasons(moment, trick)[0]).says("the alert is kept and sent with the next run");
    }
}

#[test]
fn a_mail_that_was_accepted_is_sent_whatever_is_said_to_the_goodbye() {
    for trick in TRICKS {
        let server = Server::start("starttls", "QUIT", trick);
        let scene = to(&server, "starttls", Scene::new("goodbye")).set("ALERT_TIMEOUT", "6s");
        let found = finding(&scene);
        assert_eq!(found, ("ok".to_owned(), "has taken the test message".to_owned()), "{trick:?}");
        assert_eq!(server.heard().iter().filter(|word| *word == "accepted").count(), 1, "{trick:?}");
    }
}

#[test]
fn plain_text_that_came_along_with_the_answer_to_starttls_is_no_answer_under_tls() {
    let server = Server::playing("starttls", "STARTTLS", |stream| {
        stream.write_all(
            b"220 go\r\n250-localhost\r\n250 AUTH PLAIN\r\n235 yes\r\n250 yes\r\n250 yes\r\n354 go\r\n250 accepted\r\n",
        )
    });
    let scene = to(&server, "starttls", Scene::new("forged"));
    let (status, detail) = finding(&scene);
    assert_eq!(status, "fail", "{detail}");
    assert!(detail.contains("error:"), "{detail}");
    assert_eq!(server.heard(), ["EHLO", "STARTTLS"]);
}
