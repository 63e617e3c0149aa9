//! Publishes the status over HTTP. Runs on its own threads, which the scheduler never joins, so that a dead disk,
//! store or client cannot hold up a backup.

pub(crate) mod scans;

use crate::base::progress::{Monitor, NullMonitor};
use crate::base::state_dir::StateDir;
use crate::monitoring::publisher::scans::{ScanRemark, WatchedStore};
use crate::monitoring::server::{self, ListenRemark, PageAnswer};
use crate::monitoring::source::StatusSource;
use crate::monitoring::status::Status;
use crate::monitoring::{metrics, page};
use crate::repository::newest::ServerIdentity;
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

pub struct PublisherSettings {
    /// Addresses to listen on, tried in this order.
    pub addresses: Vec<SocketAddr>,
    pub state: StateDir,
    /// The stores to scan, that of the plain backups first.
    pub stores: Vec<WatchedStore>,
    /// Asks the server for its identity; the backups of that server are counted.
    pub server: Box<dyn Fn() -> ServerIdentity + Send>,
    pub clock: fn() -> Timestamp,
}

pub struct Publisher {
    runs: Sender<()>,
    remarks: Receiver<ScanRemark>,
    notices: Option<Receiver<Notice>>,
}

/// The newest status, and when it was made.
type NewestStatus = Mutex<Option<(Status, Instant)>>;

impl Publisher {
    pub fn start(settings: PublisherSettings) -> Publisher {
        let PublisherSettings { addresses, state, stores, server, clock } = settings;
        let (say, remarks) = channel();
        let (runs, ends) = channel();
        let (notice, notices) = channel();
        let newest: Arc<NewestStatus> = Arc::default();
        let (kept, source) = (Arc::clone(&newest), StatusSource::new(state.clone()));
        spawn("status", &say, move |_| renew(source, clock, &kept));
        spawn("store", &say, move |say| {
            scans::StoreScans { state, stores, server, clock, say: say.clone(), notice, told: false }.go_on(&ends);
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
                ScanRemark::Said(text) => monitor.info(&text),
                ScanRemark::Warned(text) => monitor.warn(&text),
            }
        }
    }
}

fn spawn(name: &'static str, say: &Sender<ScanRemark>, work: impl FnOnce(&Sender<ScanRemark>) + Send + 'static) {
    let own = say.clone();
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(move || work(&own)) {
        say.send(ScanRemark::Warned(format!("cannot start the thread \"{name}\" of LISTEN: {error}"))).ok();
    }
}

fn renew(mut source: StatusSource, clock: fn() -> Timestamp, newest: &NewestStatus) {
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

fn serve(addresses: &[SocketAddr], newest: Arc<NewestStatus>, say: &Sender<ScanRemark>) {
    let answers = move |path: &str| answer(path, &newest);
    let tell = |word| {
        let remark = match word {
            ListenRemark::Listens(address) => {
                ScanRemark::Said(format!("status, metrics and health are at http://{address}/"))
            }
            ListenRemark::CannotListen(error) => {
                let places: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
                let places = places.join(" or ");
                ScanRemark::Warned(format!("cannot listen on {places}: {error}; it is tried again, and backups go on"))
            }
        };
        say.send(remark).ok();
    };
    let served = server::serve(addresses, &page::policy(), Arc::new(answers), tell);
    if let Err(error) = served {
        say.send(ScanRemark::Warned(format!("nothing is served on LISTEN: {error:#}"))).ok();
    }
}

fn answer(path: &str, newest: &NewestStatus) -> Option<PageAnswer> {
    let plain = |code, body| PageAnswer { code, kind: "text/plain; charset=utf-8", body };
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
        "/metrics" => PageAnswer { code: 200, kind: metrics::CONTENT_TYPE, body: metrics::text(&status) },
        "/healthz" => plain(if status.healthy { 200 } else { 503 }, format!("{}\n", status.line())),
        _ => PageAnswer { code: 200, kind: "text/html; charset=utf-8", body: page::html(&status) },
    })
}
