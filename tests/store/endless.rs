//! Hosts that never come to an end: their answers are cut off in bounded memory and time, whatever command asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::pgbk::pgbk;
use support::proof;

/// In KiB: what a run may map.
const MEMORY: &str = "1500000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// A page whose one key never ends.
    LongPage,
    /// An error whose code never ends.
    LongError,
    /// The same page again and again, each with a word of its own for the next.
    SamePages,
    NoPages,
    /// One byte now and then.
    Trickle,
    Redirect,
}

const HARMS: [Harm; 6] =
    [Harm::LongPage, Harm::LongError, Harm::SamePages, Harm::NoPages, Harm::Trickle, Harm::Redirect];

const COMMANDS: [&[&str]; 3] = [&["list"], &["verify", "--all"], &["prune", "shop", "--keep-last", "1"]];

/// Serves that, and leads whom it leads elsewhere to the other port.
fn serve(harm: Harm, elsewhere: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let pages = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = Arc::clone(&pages);
            std::thread::spawn(move || while answer(&stream, harm, elsewhere, &pages).is_ok() {});
        }
    });
    port
}

fn answer(mut stream: &TcpStream, harm: Harm, elsewhere: u16, pages: &AtomicUsize) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut head = Vec::new();
    loop {
        match lines.next().ok_or(std::io::ErrorKind::UnexpectedEof)?? {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let start = |status, headers: &str| format!("HTTP/1.1 {status} -\r\n{headers}\r\n");
    let first = head.first().ok_or(std::io::ErrorKind::UnexpectedEof)?;
    if first.starts_with("HEAD") && harm != Harm::Redirect {
        return stream.write_all(start(404, "Content-Length: 0\r\n").as_bytes());
    }
    let chunked = "Transfer-Encoding: chunked\r\n";
    match harm {
        Harm::LongPage | Harm::LongError => {
            let (status, text) = match harm {
                Harm::LongPage => (200, "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>"),
                _ => (403, "<Error><Code>"),
            };
            stream.write_all(format!("{}{:x}\r\n{text}\r\n", start(status, chunked), text.len()).as_bytes())?;
            let much = [b"100000\r\n".as_slice(), &vec![b'A'; 1 << 20], b"\r\n"].concat();
            loop {
                stream.write_all(&much)?;
            }
        }
        Harm::SamePages | Harm::NoPages => {
            let next = pages.fetch_add(1, Ordering::Relaxed);
            let key = if harm == Harm::SamePages {
                "<Contents><Key>shop/shop-20260101T000000Z.meta</Key></Contents>"
            } else {
                ""
            };
            let body = format!(
                "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>{key}</ListBucketResult>"
            );
            stream.write_all(format!("{}{body}", start(200, &format!("Content-Length: {}\r\n", body.len()))).as_bytes())
        }
        Harm::Trickle => {
            stream.write_all(start(200, "Content-Length: 1000000\r\n").as_bytes())?;
            loop {
                stream.write_all(b"<")?;
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Harm::Redirect => {
            let place = format!("Location: http://127.0.0.1:{elsewhere}/\r\nContent-Length: 0\r\n");
            stream.write_all(start(307, &place).as_bytes())
        }
    }
}

#[test]
fn a_host_that_never_ends_is_left_in_bounded_memory_whatever_command_asks() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("bind");
    let other = elsewhere.local_addr().expect("address").port();
    elsewhere.set_nonblocking(true).expect("nonblocking");
    let cases: Vec<_> = HARMS.iter().flat_map(|harm| COMMANDS.map(|command| (*harm, command))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((harm, command)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let endpoint = format!("http://127.0.0.1:{}", serve(*harm, other));
                    let run = pgbk(command.iter().copied()).at(&endpoint, "bucket", "key", "topsecret");
                    let run = if *harm == Harm::Trickle { run.set("S3_TIMEOUT", "4s") } else { run };
                    let script = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
                    let output = run.wrapped("bash", &["-c", &script]);
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    let case = format!("{harm:?} {command:?}: {:?} {said}", output.status);
                    assert_eq!(output.status.signal(), None, "{case}");
                    assert_eq!(output.status.code(), Some(1), "{case}");
                    let told = match harm {
                        Harm::LongPage | Harm::LongError => "it is longer than 16 MiB",
                        Harm::SamePages | Harm::NoPages => "says again and again that there is more",
                        Harm::Trickle => "gave no answer within 4 seconds",
                        Harm::Redirect => "answered 307",
                    };
                    assert!(said.contains(told), "{case}");
                }
            });
        }
    });
    assert!(elsewhere.accept().is_err(), "a redirection was followed");
    proof::counted("endless", "answers without an end, by kind and command", 0, cases.len());
}
