//! Publishes the status over HTTP. Runs on its own threads, which the scheduler never joins, so that a dead disk,
//! store or client cannot hold up a backup.

pub(crate) mod scans;

use crate::base::progress::{Monitor, NullMonitor};
use crate::base::state_dir::StateDir;
use crate::monitoring::publisher::scans::Remark;
use crate::monitoring::server::{self, Answer, Word};
use crate::monitoring::source::Source;
use crate::monitoring::status::Status;
use crate::monitoring::{metrics, page};
use crate::repository::Repository;
use crate::repository::newest::Server;
use crate::runs::missed::watch::Watch;
use jiff::Timestamp;
use scans::Notice;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Time between two reads of `STATE_DIR`.
const EVERY: Duration = Duration::from_secs(1);
/// Age from which a status is out of date, and so not healthy.
const STALE: Duration = Duration::from_secs(60);

pub struct Settings {
    /// Addresses to listen on, tried in this order.
    pub addresses: Vec<SocketAddr>,
    pub state: StateDir,
    pub repository: Repository,
    pub watch: Watch,
    /// Asks the server for its identity; the backups of that server are counted.
    pub server: Box<dyn Fn() -> Server + Send>,
    pub clock: fn() -> Timestamp,
}

pub struct Publisher {
    runs: Sender<()>,
    remarks: Receiver<Remark>,
    notices: Option<Receiver<Notice>>,
}

/// The newest status, and when it was made.
type Newest = Mutex<Option<(Status, Instant)>>;

impl Publisher {
    pub fn start(settings: Settings) -> Publisher {
        let Settings { addresses, state, repository, watch, server, clock } = settings;
        let (say, remarks) = channel();
        let (runs, ends) = channel();
        let (notice, notices) = channel();
        let newest: Arc<Newest> = Arc::default();
        let (kept, source) = (Arc::clone(&newest), Source::new(state.clone()));
        spawn("status", &say, move |_| renew(source, clock, &kept));
        spawn("store", &say, move |say| {
            scans::Looks { state, repository, watch, server, clock, say: say.clone(), notice, told: false }
                .go_on(&ends);
        });
        spawn("web", &say, move |say| serve(&addresses, newest, say));
        Publisher { runs, remarks, notices: Some(notices) }
    }

    /// Returns the channel of notices that are to be sent as alerts. None: it was taken before.
    pub fn notices(&mut self) -> Option<Receiver<Notice>> {
        self.notices.take()
    }

    /// Returns the sender by which the publisher learns that a run has ended.
    pub fn bell(&self) -> Sender<()> {
        self.runs.clone()
    }

    /// Logs the publisher's messages since the last call.
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
        let status = match source.status(clock(), &NullMonitor) {
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
    let served = server::serve(addresses, &page::policy(), Arc::new(answers), tell);
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
