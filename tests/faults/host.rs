//! A man in the middle before a real S3 host: it counts what is asked, and spoils exactly the request that it was told to.

use super::fault::Fault;
use super::message::{Message, no_body, read};
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Longer than the client's own limit for one try, and than the run: whoever waits for it has given up before.
const FOR_EVER: Duration = Duration::from_secs(120);
/// Within the client's limit for one try.
const SLOW: Duration = Duration::from_millis(700);

pub struct Host {
    pub endpoint: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behind: SocketAddr,
    /// The number of the request to spoil, from 1.
    nth: usize,
    fault: Option<Fault>,
    asked: AtomicUsize,
    over: AtomicBool,
}

impl Host {
    /// Spoils nothing.
    pub fn transparent(behind: &str) -> Host {
        Host::start(behind, 0, None)
    }

    pub fn spoiling(behind: &str, nth: usize, fault: Fault) -> Host {
        Host::start(behind, nth, Some(fault))
    }

    fn start(behind: &str, nth: usize, fault: Option<Fault>) -> Host {
        let behind = behind.strip_prefix("http://").and_then(|host| host.parse().ok()).expect("http://address:port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new(Shared { behind, nth, fault, asked: AtomicUsize::new(0), over: AtomicBool::new(false) });
        let host = Host { endpoint: format!("http://{address}"), address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared).ok());
            }
        });
        host
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Whether the request that was to be spoiled came.
    pub fn fired(&self) -> bool {
        self.shared.fault.is_some() && self.asked() >= self.shared.nth
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let server = TcpStream::connect(shared.behind)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut wire = Wire { client: BufReader::new(client), server: BufReader::new(server), over: &shared.over };
    while let Some(request) = read(&mut wire.client, false)? {
        let number = shared.asked.fetch_add(1, Ordering::Relaxed) + 1;
        match &shared.fault {
            Some(fault) if number == shared.nth => return wire.spoil(&request, *fault),
            _ => {
                let answer = wire.ask(&request)?;
                answer.write(wire.client.get_mut(), !no_body(&request))?;
            }
        }
    }
    Ok(())
}

/// Both ends of one connection.
struct Wire<'a> {
    client: BufReader<TcpStream>,
    server: BufReader<TcpStream>,
    over: &'a AtomicBool,
}

impl Wire<'_> {
    fn ask(&mut self, request: &Message) -> io::Result<Message> {
        request.write(self.server.get_mut(), true)?;
        read(&mut self.server, no_body(request))?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The connection ends with it, so that what follows comes over a new one.
    fn spoil(&mut self, request: &Message, fault: Fault) -> io::Result<()> {
        let with_body = !no_body(request);
        match fault {
            Fault::Rejected(status, code) => Message::error(status, code).write(self.client.get_mut(), with_body),
            Fault::Ignored => Message::ok("").write(self.client.get_mut(), with_body),
            Fault::Page => {
                Message::ok("<html><body>Please log in</body></html>").write(self.client.get_mut(), with_body)
            }
            Fault::ErrorIn200 => Message::error(200, "InternalError").write(self.client.get_mut(), with_body),
            Fault::DoneButLost => {
                self.ask(request)?;
                Ok(())
            }
            Fault::DoneButRejected => {
                self.ask(request)?;
                Message::error(500, "InternalError").write(self.client.get_mut(), with_body)
            }
            Fault::DoneButHeld => {
                self.ask(request)?;
                self.hold();
                Ok(())
            }
            Fault::Held => {
                self.hold();
                Ok(())
            }
            Fault::Slow => {
                std::thread::sleep(SLOW);
                self.ask(request)?.write(self.client.get_mut(), with_body)
            }
            Fault::Reset => self.reset(),
            Fault::ResetAfterAnswerBegan => {
                let answer = self.ask(request)?;
                self.client.get_mut().write_all(&answer.first_half())?;
                self.reset()
            }
            Fault::SentDamaged => self.ask(&request.damaged())?.write(self.client.get_mut(), with_body),
            Fault::SentCut => self.server.get_mut().write_all(&request.first_half()),
            Fault::AnswerDamaged => self.ask(request)?.damaged().write(self.client.get_mut(), with_body),
            Fault::AnswerCut => {
                let answer = self.ask(request)?;
                self.client.get_mut().write_all(&answer.first_half())
            }
        }
    }

    /// Says nothing until the client has left.
    fn hold(&mut self) {
        let client = self.client.get_ref();
        client.set_read_timeout(Some(Duration::from_millis(200))).ok();
        let begun = std::time::Instant::now();
        while begun.elapsed() < FOR_EVER && !self.over.load(Ordering::Relaxed) {
            match client.peek(&mut [0]) {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return,
                _ => {}
            }
        }
    }

    /// Closes such that the other side sees a reset and no end.
    fn reset(&mut self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(self.client.get_ref(), Some(Duration::ZERO))?;
        Ok(())
    }
}
