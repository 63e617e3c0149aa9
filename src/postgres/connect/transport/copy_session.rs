//! Runs queries on a session whose rows of COPY are taken out of the stream. Nothing happens between the calls: while nobody takes
//! rows, nothing is read.

use crate::postgres::connect::transport::copied_rows::{CopiedRows, TakenRows};
use crate::postgres::connect::transport::stream_layer::ServerLine;
use postgres::SimpleQueryMessage;
use postgres::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_postgres::Client;

/// Longest wait for the connection to close; a healthy server closes it at once.
const LEAVE: Duration = Duration::from_secs(2);

type Answer = Pin<Box<dyn Future<Output = Result<Vec<SimpleQueryMessage>, Error>> + Send>>;

pub(crate) struct CopySession {
    runtime: Arc<Runtime>,
    exchange: Exchange,
}

/// Says what of a query has come.
pub(crate) enum SessionStep {
    Copied(TakenRows),
    /// The whole answer, without rows of COPY: the query is over.
    Answered(Vec<SimpleQueryMessage>),
}

struct Exchange {
    /// `None` once the session is to be closed.
    client: Option<Arc<Client>>,
    /// `None` once the connection is lost.
    line: Option<ServerLine>,
    /// Why the connection was lost.
    lost: Option<Error>,
    /// `None` while no query runs.
    answer: Option<Answer>,
    copied: CopiedRows,
}

impl CopySession {
    pub fn new(runtime: Arc<Runtime>, client: Client, line: ServerLine, copied: CopiedRows) -> CopySession {
        let client = Some(Arc::new(client));
        CopySession { runtime, exchange: Exchange { client, line: Some(line), lost: None, answer: None, copied } }
    }

    /// Returns whether a query has not been answered whole.
    pub fn is_busy(&self) -> bool {
        self.exchange.answer.is_some()
    }

    /// Returns how many bytes have come from the server.
    pub fn heard(&self) -> u64 {
        self.exchange.copied.lock().heard
    }

    /// Begins a query; the first step sends it. `copies` says whether it has rows of COPY, which are refused otherwise.
    pub fn begin(&mut self, text: &str, copies: bool) {
        self.exchange.copied.lock().expect(copies);
        let (client, text) = (self.exchange.client.clone(), text.to_owned());
        self.exchange.answer =
            client.map(|client| -> Answer { Box::pin(async move { client.simple_query(&text).await }) });
    }

    /// Waits for what comes next of the query, and appends rows to `rows`. Returns `None` if nothing has come within this time.
    pub fn step(&mut self, rows: &mut Vec<u8>, time: Duration) -> Option<Result<SessionStep, Error>> {
        let CopySession { runtime, exchange } = self;
        runtime.block_on(async { timeout(time, poll_fn(|cx| exchange.poll_step(cx, rows))).await.ok() })
    }

    /// Runs statements without COPY and returns their answer. Waits without a limit.
    pub fn simple_query(&mut self, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.begin(text, false);
        let CopySession { runtime, exchange } = self;
        loop {
            let step = runtime.block_on(poll_fn(|cx| exchange.poll_step(cx, &mut Vec::new())))?;
            if let SessionStep::Answered(answer) = step {
                return Ok(answer);
            }
        }
    }
}

impl Exchange {
    fn poll_step(&mut self, cx: &mut Context<'_>, rows: &mut Vec<u8>) -> Poll<Result<SessionStep, Error>> {
        self.poll_line(cx);
        // The rows came before everything that the driver knows by now.
        if let Some(taken) = self.copied.lock().take(rows) {
            return Poll::Ready(Ok(SessionStep::Copied(taken)));
        }
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let Poll::Ready(answer) = answer.as_mut().poll(cx) else { return Poll::Pending };
        self.answer = None;
        Poll::Ready(match answer {
            // To the query it is only that the connection is closed.
            Err(error) if error.is_closed() => Err(self.lost.take().unwrap_or(error)),
            answer => answer.map(SessionStep::Answered),
        })
    }

    /// Reads and writes as much as is possible now.
    fn poll_line(&mut self, cx: &mut Context<'_>) {
        let Some(line) = &mut self.line else { return };
        if let Poll::Ready(end) = line.as_mut().poll(cx) {
            self.line = None;
            self.lost = end.err();
        }
    }
}

impl Drop for CopySession {
    /// Tells the server that the session is over, unless it still owes an answer, which may never come. Then the server notices
    /// that the connection is closed.
    fn drop(&mut self) {
        self.exchange.client = None;
        if let (Some(line), false) = (self.exchange.line.take(), self.is_busy()) {
            // Who does not hear it is left all the same.
            let _ = self.runtime.block_on(async { timeout(LEAVE, line).await });
        }
    }
}
