//! A bad line on loopback, for what speaks TCP: it goes between a client and its server.

use rustix::net::connect_unspec;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What is wrong with the line. A number of bytes counts what has passed in both directions, over all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    Nothing,
    /// Everything takes so much longer.
    Latency(Duration),
    /// So many bytes pass in a second, in each direction.
    Bandwidth(usize),
    /// Each byte comes in a packet of its own.
    Slicer,
    /// The end of a connection arrives so much later.
    SlowClose(Duration),
    /// After so many bytes, the connection of the last of them is reset; others go on.
    ResetAfter(u64),
    /// After so many bytes, the connection of the last of them ends as if all had been said; others go on.
    LimitData(u64),
    /// After so many bytes every connection is reset, and new ones too.
    Down(u64),
    /// After so many bytes nothing passes any more, and nobody is told.
    Blackhole(u64),
}

/// What is to be done with some bytes.
enum Pass {
    All,
    /// So many of them, and then the end.
    Reset(usize),
    End(usize),
    Never,
}

struct Line {
    behind: SocketAddr,
    toxic: Toxic,
    passed: AtomicU64,
    over: AtomicBool,
}

pub struct Proxy {
    pub address: SocketAddr,
    line: Arc<Line>,
}

impl Proxy {
    pub fn start(behind: SocketAddr, toxic: Toxic) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let line = Arc::new(Line { behind, toxic, passed: AtomicU64::new(0), over: AtomicBool::new(false) });
        let proxy = Proxy { address, line: Arc::clone(&line) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if line.over.load(Ordering::Relaxed) {
                    return;
                }
                let line = Arc::clone(&line);
                std::thread::spawn(move || line.connect(client).ok());
            }
        });
        proxy
    }

    /// The bytes that have passed so far.
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

impl Line {
    fn connect(self: &Arc<Line>, client: TcpStream) -> io::Result<()> {
        if matches!(self.toxic, Toxic::Down(limit) if self.passed.load(Ordering::Relaxed) >= limit) {
            connect_unspec(&client)?;
            return Ok(());
        }
        let server = TcpStream::connect(self.behind)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (line, from, to) = (Arc::clone(self), client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || line.carry(from, to).ok());
        self.carry(server, client)
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                if let Toxic::SlowClose(time) = self.toxic {
                    std::thread::sleep(time);
                }
                return to.shutdown(Shutdown::Write);
            }
            match self.pass(count) {
                Pass::All => self.hand_on(&mut to, &buffer[..count])?,
                Pass::Reset(count) => {
                    to.write_all(&buffer[..count])?;
                    connect_unspec(&from)?;
                    connect_unspec(&to)?;
                    return Ok(());
                }
                Pass::End(count) => {
                    to.write_all(&buffer[..count])?;
                    from.shutdown(Shutdown::Both).ok();
                    return to.shutdown(Shutdown::Both);
                }
                Pass::Never => {
                    self.hold(&from);
                    // The other direction has its own handle.
                    from.shutdown(Shutdown::Both).ok();
                    return to.shutdown(Shutdown::Both);
                }
            }
        }
    }

    fn pass(&self, count: usize) -> Pass {
        let count = count as u64;
        let before = self.passed.fetch_add(count, Ordering::Relaxed);
        let crosses = |limit: u64| before <= limit && limit < before + count;
        match self.toxic {
            Toxic::ResetAfter(limit) if crosses(limit) => Pass::Reset((limit - before) as usize),
            Toxic::LimitData(limit) if crosses(limit) => Pass::End((limit - before) as usize),
            Toxic::Down(limit) if before + count > limit => Pass::Reset(limit.saturating_sub(before) as usize),
            Toxic::Blackhole(limit) if before + count > limit => Pass::Never,
            _ => Pass::All,
        }
    }

    fn hand_on(&self, to: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        match self.toxic {
            Toxic::Latency(time) => {
                std::thread::sleep(time);
                to.write_all(bytes)
            }
            Toxic::Slicer => bytes.iter().try_for_each(|byte| to.write_all(&[*byte])),
            Toxic::Bandwidth(rate) => bytes.chunks((rate / 10).max(1)).try_for_each(|piece| {
                if self.over.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                std::thread::sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64));
                to.write_all(piece)
            }),
            _ => to.write_all(bytes),
        }
    }

    /// Neither ends nor says anything until the test is over or the other side has left.
    fn hold(&self, mut from: &TcpStream) {
        from.set_read_timeout(Some(Duration::from_millis(200))).ok();
        while !self.over.load(Ordering::Relaxed) {
            match from.read(&mut [0; 1024]) {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return,
                _ => {}
            }
        }
    }
}
