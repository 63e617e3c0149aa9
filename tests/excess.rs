//! A server that says more than any PostgreSQL does, or whoever stands before one: pgbk ends by itself, with little memory.

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use support::cluster::cluster;
use support::message::{is_of_pgbk, message, read, read_rest};
use support::pgbk::{Pgbk, connected};
use support::{database, proof};
use tempfile::TempDir;

/// Of address space, as for documents.
const LIMIT: u64 = 384 << 20;
/// Beyond each time limit that pgbk has been given.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every type of message that a server may send, and some that no server of today sends to a client like this.
const KINDS: &[u8] = b"RKZSNAETtDCdGHc123InsvVW\0x";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trick {
    /// The same again and again, each as it should be.
    Endless,
    /// One that is said to be as long as there can be, and comes.
    Huge,
    Zero,
    Negative,
    /// One whose end does not come.
    Cut,
    /// As it should be, but one value where others are asked for; and then as if nothing had been.
    Odd,
}

const TRICKS: [Trick; 5] = [Trick::Endless, Trick::Huge, Trick::Zero, Trick::Negative, Trick::Cut];

/// When it begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Before the first word.
    Start,
    /// Behind the server's word that the login is good.
    LoggedIn,
    /// In place of the answer to this command of a connection.
    Answer(usize),
    /// While rows are sent.
    Copy,
}

const PHASES: [Phase; 5] = [Phase::Start, Phase::LoggedIn, Phase::Answer(1), Phase::Answer(3), Phase::Copy];

/// A message as it should be; `number` makes it differ from others.
fn proper(kind: u8, number: usize) -> Vec<u8> {
    let long = "x".repeat(8000);
    let body: Vec<u8> = match kind {
        b'R' => 3_u32.to_be_bytes().to_vec(),
        b'K' => vec![1; 8],
        b'Z' => b"I".to_vec(),
        b'S' => format!("p{number}\0{long}\0").into_bytes(),
        b'N' => format!("SNOTICE\0VNOTICE\0C00000\0M{long}\0\0").into_bytes(),
        b'E' => b"SERROR\0VERROR\0C58000\0Mas planned\0\0".to_vec(),
        b'A' => [&[0; 4][..], b"channel\0", &long.as_bytes()[..7000], b"\0"].concat(),
        b'T' | b't' => vec![0; 2],
        b'D' => [&[0, 1][..], &8000_u32.to_be_bytes(), long.as_bytes()].concat(),
        b'C' => b"COPY 3\0".to_vec(),
        b'd' => long.into_bytes(),
        b'G' | b'H' => vec![0; 3],
        _ => Vec::new(),
    };
    message(kind, &body)
}

/// One column of text.
const DESCRIPTION: [u8; 22] = [0, 1, b'v', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0];
const ROW: [u8; 10] = [0, 1, 0, 0, 0, 4, b'9', b'9', b'9', b'9'];

/// Plays the trick until the other side has left, or for ever.
fn play(to: &mut impl Write, kind: u8, trick: Trick) -> io::Result<()> {
    match trick {
        Trick::Endless => {
            for number in 0.. {
                to.write_all(&proper(kind, number))?;
            }
        }
        Trick::Huge => {
            to.write_all(&[&[kind][..], &0x7fff_ffff_u32.to_be_bytes()].concat())?;
            while to.write_all(&[b'x'; 64 << 10]).is_ok() {}
        }
        Trick::Zero => to.write_all(&[kind, 0, 0, 0, 0])?,
        Trick::Negative => to.write_all(&[kind, 0xff, 0xff, 0xff, 0xff])?,
        Trick::Odd => to.write_all(
            &[message(b'T', &DESCRIPTION), message(b'D', &ROW), proper(b'C', 0), proper(b'Z', 0)].concat(),
        )?,
        Trick::Cut => to.write_all(&[&[kind][..], &100_u32.to_be_bytes(), b"ten bytes."].concat())?,
    }
    Ok(())
}

/// Stands between pgbk and the real server, and plays its trick on each connection of pgbk's own.
fn meddler(phase: Phase, kind: u8, trick: Trick) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || meddle(client, phase, kind, trick).ok());
        }
    });
    port
}

fn meddle(mut client: TcpStream, phase: Phase, kind: u8, trick: Trick) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", cluster().port))?;
    let hello = read_rest(&mut client, Vec::new())?;
    let own = is_of_pgbk(&hello);
    server.write_all(&hello)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write)
    });
    if !own {
        io::copy(&mut server, &mut client)?;
        return client.shutdown(Shutdown::Both);
    }
    let (mut logged_in, mut answers, mut copies) = (false, 0, false);
    loop {
        let due = match phase {
            Phase::Start => true,
            Phase::LoggedIn => logged_in,
            Phase::Answer(number) => answers == number,
            Phase::Copy => copies,
        };
        if due {
            play(&mut client, kind, trick)?;
            if trick == Trick::Odd {
                while read(&mut server)?[0] != b'Z' {}
                answers += 1;
                continue;
            }
            return match trick {
                Trick::Cut => client.shutdown(Shutdown::Both),
                // The line stays open: the other side has to end it.
                _ => io::copy(&mut server, &mut io::sink()).map(drop),
            };
        }
        let message = read(&mut server)?;
        logged_in |= message.starts_with(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0]);
        answers += usize::from(message[0] == b'Z');
        copies |= message[0] == b'G';
        client.write_all(&message)?;
    }
}

/// Runs it with little memory to its own end, and gives the exit code and what it said.
fn ended(run: &Pgbk) -> (Option<i32>, String) {
    let limit = format!("--as={LIMIT}");
    let mut command = run.command_by(&["prlimit", &limit]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()).ok());
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        kill_process(process, Signal::KILL).unwrap();
        return (None, "it did not end".to_owned());
    };
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A store with one backup, and pgbk that knows it.
fn keeping(database: &str) -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path()).set("PGSSLMODE", "disable").set("PGCONNECT_TIMEOUT", 20);
    database::small(database, &["a", "b", "c"]);
    run.backup(database, &[]);
    (folder, run.set("DB_NAME", database))
}

type Case = (Phase, u8, Trick);

/// Each of them when it is due; gives those that did not end as they should.
fn tried(cases: &[Case], run: &Pgbk) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some((phase, kind, trick)) = cases.get(number) else { return };
                    let run = run.set("DB_PORT", meddler(*phase, *kind, *trick));
                    let copy = format!("talked_{number}");
                    let run = match (phase, number % 3) {
                        (Phase::Copy, _) => run.args(["restore", "latest", "--yes", "--to", &copy]),
                        (_, 0) => run.args(["doctor"]),
                        (_, 1) => run.args(["restore", "latest", "--yes", "--to", &copy]),
                        _ => run.args(["backup"]),
                    };
                    let (code, said) = ended(&run);
                    if code != Some(1) || said.trim().is_empty() || said.contains("panicked") {
                        let kind = char::from(*kind);
                        failed.lock().unwrap().push(format!("{phase:?} {kind:?} {trick:?}: {code:?} {said}"));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

#[test]
fn whatever_a_server_says_too_much_of_ends_each_command_with_an_error() {
    let (_folder, run) = keeping("talked");
    let all = PHASES
        .iter()
        .flat_map(|phase| KINDS.iter().flat_map(move |kind| TRICKS.iter().map(move |trick| (*phase, *kind, *trick))));
    // One in eleven meets every kind, trick and phase.
    let cases: Vec<Case> = proof::sample(all, 17, 0).collect();
    let failed = tried(&cases, &run);
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
    proof::counted("excess", "answers without end, of any length or cut short, by type and phase", 0, cases.len());
}

#[test]
fn an_answer_of_another_shape_than_was_asked_for_is_an_error_and_no_panic() {
    let (_folder, run) = keeping("asked");
    let commands: [&[&str]; 4] =
        [&["doctor"], &["backup"], &["restore", "latest", "--yes", "--to"], &["verify", "--level", "restore"]];
    let cases = (1..=12).flat_map(|answer| commands.map(|command| (answer, command)));
    let cases: Vec<(usize, &[&str])> =
        cases.filter(|(answer, command)| proof::whole() || command[0] != "verify" || answer % 4 == 1).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((answer, command)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let copy = format!("odd_{answer}");
                    let more = (command[0] == "restore").then_some(copy.as_str());
                    let port = meddler(Phase::Answer(*answer), b'T', Trick::Odd);
                    let run = run.set("DB_PORT", port).args(command.iter().copied().chain(more));
                    let (code, said) = ended(&run);
                    assert!(code.is_some_and(|code| code <= 5), "{command:?} {answer}: {code:?} {said}");
                    assert!(!said.contains("panicked") && !said.contains("died"), "{command:?} {answer}: {said}");
                }
            });
        }
    });
    proof::counted("excess", "answers of another shape than was asked for", 0, cases.len());
}

#[test]
fn a_server_that_floods_after_tls_has_begun_is_left_as_well() {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key_file(cluster().tls("server.key"), SslFiletype::PEM).unwrap();
    acceptor.set_certificate_chain_file(cluster().tls("server.crt")).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            read_rest(&mut client, Vec::new()).unwrap();
            client.write_all(b"S").unwrap();
            let Ok(mut client) = acceptor.accept(client) else { continue };
            read_rest(&mut client, Vec::new()).unwrap();
            client.write_all(&message(b'R', &[0; 4])).unwrap();
            play(&mut client, b'S', Trick::Endless).ok();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path()).set("DB_PORT", port).set("DB_NAME", "any");
    let (code, said) = ended(&run.set("PGSSLMODE", "require").args(["backup"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("(ParameterStatus), which no PostgreSQL server does") && said.contains("hint: "), "{said}");
}

#[test]
fn an_answer_about_tls_that_is_none_is_no_reason_to_go_on_without() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            read_rest(&mut client, Vec::new()).unwrap();
            client.write_all(&proper(b'E', 0)).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path()).set("DB_PORT", port).set("DB_NAME", "any");
    for mode in ["prefer", "require"] {
        // To go on without TLS is what somebody on the way may want.
        let (code, said) = ended(&run.set("PGSSLMODE", mode).args(["backup"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("answered with byte 0x45 when asked for TLS") && !said.contains("before that"), "{said}");
    }
}
