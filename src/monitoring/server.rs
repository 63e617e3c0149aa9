//! A small web server that gives ready answers to everybody who can reach its address. It runs on a thread of its
//! own. However many clients there are and however slow they are, each gets its turn and none stays.

use crate::base::error::Result;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Time within which a request must have arrived.
const ASKING: Duration = Duration::from_secs(5);
/// Time within which a connection must be over, with its answer.
const TURN: Duration = Duration::from_secs(15);
/// Longest head of a request, in bytes. A body is not read.
const HEAD: usize = 16 << 10;
/// Number of clients at the same time. Beyond that, the oldest connection is closed.
const CLIENTS: usize = 64;
/// Time between two attempts to listen: an address that is taken may become free.
const AGAIN: Duration = Duration::from_secs(5);

pub struct PageAnswer {
    pub code: u16,
    pub kind: &'static str,
    pub body: String,
}

/// Returns the answer for a path. None: there is nothing.
pub type PageAnswers = dyn Fn(&str) -> Option<PageAnswer> + Send + Sync;

/// A message of the server about itself.
pub enum ListenRemark {
    Listens(SocketAddr),
    /// The server cannot listen, and tries again.
    CannotListen(io::Error),
}

/// Serves for as long as the process lives, at the first of the addresses that can be had.
pub fn serve(
    addresses: &[SocketAddr],
    policy: &str,
    answers: Arc<PageAnswers>,
    tell: impl Fn(ListenRemark),
) -> Result<()> {
    let policy = HeaderValue::from_str(policy)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(addresses, &tell).await;
        let mut clients: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    clients.retain(|client| !client.is_finished());
                    if clients.len() >= CLIENTS
                        && let Some(oldest) = clients.pop_front()
                    {
                        oldest.abort();
                    }
                    clients.push_back(tokio::spawn(one(stream, policy.clone(), Arc::clone(&answers))).abort_handle());
                }
                // Too many open files, or a client that is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    })
}

async fn listen(addresses: &[SocketAddr], tell: &impl Fn(ListenRemark)) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(addresses).await {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    tell(ListenRemark::Listens(address));
                }
                return listener;
            }
            Err(error) if !told => {
                tell(ListenRemark::CannotListen(error));
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Serves one request of one client.
async fn one(stream: TcpStream, policy: HeaderValue, answers: Arc<PageAnswers>) {
    let service = service_fn(move |request| {
        let response = response(&request, &policy, answers.as_ref());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // However it ends, it is over: there is nobody whom an error could be told.
    let _ = tokio::time::timeout(TURN, connection).await;
}

fn response(request: &Request<Incoming>, policy: &HeaderValue, answers: &PageAnswers) -> Response<Full<Bytes>> {
    let plain = |code, body: &str| PageAnswer { code, kind: "text/plain; charset=utf-8", body: format!("{body}\n") };
    let answer = if [Method::GET, Method::HEAD].contains(request.method()) {
        answers(request.uri().path())
            .unwrap_or_else(|| plain(404, "there is nothing here: try / or /metrics or /healthz"))
    } else {
        plain(405, "nothing can be changed here: GET and HEAD only")
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, answer.kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (ALLOW, "GET, HEAD"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy.clone());
    response
}
