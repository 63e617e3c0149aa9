//! A mail server without TLS and login, which answers as a test says where a real one would not.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The line that stands for the connection itself, which is answered first of all.
pub const GREETING: &str = "";
/// The line that ends a mail.
pub const END: &str = ".";

/// What is answered to a line in place of the usual; None: the usual.
type Rule = dyn Fn(&str) -> Option<&'static str> + Send + Sync;

/// A mail that was taken, and whom it was taken for.
#[derive(Debug, Clone)]
pub struct Taken {
    pub to: Vec<String>,
    pub text: String,
}

pub struct Clerk {
    pub port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Clerk {
    pub fn start(rule: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Clerk {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (rule, taken): (Arc<Rule>, _) = (Arc::new(rule), Arc::new(Mutex::new(Vec::new())));
        let clerk = Clerk { port, taken: Arc::clone(&taken) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (rule, taken) = (Arc::clone(&rule), Arc::clone(&taken));
                thread::spawn(move || serve(client, &*rule, &taken).ok());
            }
        });
        clerk
    }

    /// Those that were taken since it was asked last.
    pub fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

fn serve(client: TcpStream, rule: &Rule, taken: &Mutex<Vec<Taken>>) -> io::Result<()> {
    let mut stream = BufReader::new(client);
    let mut to = Vec::new();
    answer(&mut stream, rule, GREETING, "220 here")?;
    loop {
        let line = read(&mut stream)?;
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => drop(answer(&mut stream, rule, &line, "250-localhost\r\n250 8BITMIME")?),
            "MAIL" => {
                to.clear();
                answer(&mut stream, rule, &line, "250 yes")?;
            }
            "RCPT" if answer(&mut stream, rule, &line, "250 yes")? => to.push(address(&line)),
            "RCPT" => {}
            "DATA" if answer(&mut stream, rule, &line, "354 go")? => {
                let mut text = String::new();
                loop {
                    match read(&mut stream)?.as_str() {
                        END => break,
                        line => text.push_str(&format!("{line}\n")),
                    }
                }
                if answer(&mut stream, rule, END, "250 taken")? {
                    taken.lock().unwrap().push(Taken { to: to.clone(), text });
                }
            }
            _ => drop(answer(&mut stream, rule, &line, "250 yes")?),
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// Returns whether it was a yes. Hangs up after the answer that says so.
fn answer(stream: &mut BufReader<TcpStream>, rule: &Rule, line: &str, usual: &str) -> io::Result<bool> {
    let answer = rule(line).unwrap_or(usual);
    stream.get_mut().write_all(format!("{answer}\r\n").as_bytes())?;
    if answer.starts_with("421") {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    Ok(answer.starts_with(['2', '3']))
}

/// Of `RCPT TO:<address>`.
fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
