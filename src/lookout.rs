//! Keeps a status at hand for those who ask over HTTP. Its threads are never waited for: whatever becomes of them, of a disk or
//! store that does not answer or of clients that do not read, backups go on.

mod looks;

pub use looks::Notice;

use crate::missed::Watch;
use crate::monitor::{Monitor, Silent};
use crate::status::{Source, Status, metrics, page};
use crate::vault::{Server, Vault};
use crate::web::{self, Answer, Word};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often `STATE_DIR` is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A status that is older tells nothing any more.
const STALE: Duration = Duration::from_secs(60);

pub struct Settings {
    /// Tried in this order.
    pub addresses: Vec<SocketAddr>,
    pub state_dir: PathBuf,
    pub vault: Vault,
    pub watch: Watch,
    /// Asks the server whose backups are counted who it is.
    pub server: Box<dyn Fn() -> Server + Send>,
    pub clock: fn() -> Timestamp,
}

pub struct Lookout {
    runs: Sender<()>,
    remarks: Receiver<Remark>,
    notices: Option<Receiver<Notice>>,
}

enum Remark {
    Said(String),
    Warned(String),
}

/// The newest status, and when it was made.
type Newest = Mutex<Option<(Status, Instant)>>;

impl Lookout {
    pub fn start(settings: Settings) -> Lookout {
        let Settings { addresses, state_dir, vault, watch, server, clock } = settings;
        let (say, remarks) = channel();
        let (runs, ends) = channel();
        let (notice, notices) = channel();
        let newest: Arc<Newest> = Arc::default();
        let (kept, folder) = (Arc::clone(&newest), state_dir.clone());
        spawn("status", &say, move |_| renew(Source::new(folder), clock, &kept));
        spawn("store", &say, move |say| {
            looks::Looks { state_dir, vault, watch, server, clock, say: say.clone(), notice, told: false }.go_on(&ends);
        });
        spawn("web", &say, move |say| serve(&addresses, newest, say));
        Lookout { runs, remarks, notices: Some(notices) }
    }

    /// Hands over what people are to be told of, once: whoever has it tells them.
    pub fn notices(&mut self) -> Option<Receiver<Notice>> {
        self.notices.take()
    }

    /// What tells it that a run has ended.
    pub fn bell(&self) -> Sender<()> {
        self.runs.clone()
    }

    /// What it has to say since the last time.
    pub fn tell(&self, monitor: &dyn Monitor) {
        for remark in self.remarks.try_iter() {
            match remark {
                Remark::Said(text) => monitor.info(&text),
                Remark::Warned(text) => monitor.warn(&text),
            }
        }
    }
}

fn spawn(name: &'static str, say: &Sender<Remark>, work: impl FnOnce(&Sender<Remark>) + Send + 'static) {
    let own = say.clone();
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(move || work(&own)) {
        say.send(Remark::Warned(format!("cannot start the thread \"{name}\" of LISTEN: {error}"))).ok();
    }
}

fn renew(mut source: Source, clock: fn() -> Timestamp, newest: &Newest) {
    let mut last = None;
    loop {
        let status = match source.status(clock(), &Silent) {
            Ok(status) => last.insert(status).clone(),
            Err(error) => last.clone().unwrap_or_else(|| Status::unknown(clock())).but(format!("{error:#}")),
        };
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, Instant::now()));
        thread::sleep(EVERY);
    }
}

fn serve(addresses: &[SocketAddr], newest: Arc<Newest>, say: &Sender<Remark>) {
    let answers = move |path: &str| answer(path, &newest);
    let tell = |word| {
        let remark = match word {
            Word::Listens(address) => Remark::Said(format!("status, metrics and health are at http://{address}/")),
            Word::CannotListen(error) => {
                let places: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                let places = places.join(" or ");
                Remark::Warned(format!("cannot listen on {places}: {error}; it is tried again, and backups go on"))
            }
        };
        say.send(remark).ok();
    };
    let served = web::serve(addresses, &page::policy(), Arc::new(answers), tell);
    if let Err(error) = served {
        say.send(Remark::Warned(format!("nothing is served on LISTEN: {error:#}"))).ok();
    }
}

fn answer(path: &str, newest: &Newest) -> Option<Answer> {
    let plain = |code, body| Answer { code, kind: "text/plain; charset=utf-8", body };
    let known = ["/", "/metrics", "/healthz"].contains(&path);
    let kept = newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = match kept {
        _ if !known => return None,
        None => return Some(plain(503, "nothing is known yet\n".to_owned())),
        Some((status, made)) if made.elapsed() > STALE => {
            status.but(format!("nothing new is known for {} s: STATE_DIR does not answer", made.elapsed().as_secs()))
        }
        Some((status, _)) => status,
    };
    Some(match path {
        "/metrics" => Answer { code: 200, kind: metrics::CONTENT_TYPE, body: metrics::text(&status) },
        "/healthz" => plain(if status.healthy { 200 } else { 503 }, format!("{}\n", status.line())),
        _ => Answer { code: 200, kind: "text/html; charset=utf-8", body: page::html(&status) },
    })
}
