//! Sends the parts of one upload, several at a time, and completes it. An upload that is dropped before it is complete is aborted.

use crate::base::error::{Fault, Result};
use crate::store::PutResult;
use crate::store::network::part_sink::{AbortResult, PartSink};
use crate::store::network::waiter::{ABORT_LIMIT, GRACE};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};

pub(crate) struct PartSender<S: PartSink> {
    sink: Arc<S>,
    key: String,
    begun: Arc<S::Begun>,
    part_size: u64,
    tasks: JoinSet<Result<(u32, S::Part)>>,
    done: Vec<(u32, S::Part)>,
    sent: u32,
    /// Whether the upload is still to be completed, and to be aborted if it is dropped.
    open: bool,
}

impl<S: PartSink> PartSender<S> {
    pub fn new(sink: &Arc<S>, key: &str, begun: S::Begun, part_size: u64) -> PartSender<S> {
        PartSender {
            sink: Arc::clone(sink),
            key: key.to_owned(),
            begun: Arc::new(begun),
            part_size,
            tasks: JoinSet::new(),
            done: Vec::new(),
            sent: 0,
            open: true,
        }
    }

    /// Waits until another part of this upload may be sent. A part that has failed is an error here.
    pub fn make_room(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.end(ended)?;
        }
        while self.tasks.len() >= self.sink.plan().in_flight.max(1) {
            self.wait_for_one()?;
        }
        Ok(())
    }

    /// Sends a part, once the store's uploads together have room for it.
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        let limit = self.sink.plan().part_limit;
        if self.sent >= limit {
            let size = bytes.len();
            return Err(Fault::failed(format!("\"{}\" needs more than {limit} parts of {size} bytes", self.key))
                .hint(self.sink.plan().larger_parts)
                .into());
        }
        let room = self.sink.waiter().wait(self.sink.buffers().room(bytes.len() as u64))?;
        self.sent += 1;
        let (number, sink, key, begun) = (self.sent, Arc::clone(&self.sink), self.key.clone(), Arc::clone(&self.begun));
        let work = async move {
            let part = sink.send(&key, &begun, number, bytes).await;
            drop(room);
            Ok((number, part?))
        };
        self.tasks.spawn_on(work, self.sink.waiter().handle());
        Ok(())
    }

    /// Waits until all parts that were sent have arrived.
    pub fn wait_for_all(&mut self) -> Result<()> {
        while !self.tasks.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }

    pub fn complete(&mut self, bytes: u64) -> Result<PutResult> {
        self.wait_for_all()?;
        self.done.sort_by_key(|(number, _)| *number);
        let parts = std::mem::take(&mut self.done).into_iter().map(|(_, part)| part).collect();
        let receipt = self.sink.complete(&self.key, &self.begun, parts, (bytes, self.part_size))?;
        self.open = false;
        Ok(receipt)
    }

    fn wait_for_one(&mut self) -> Result<()> {
        match self.sink.waiter().wait(self.tasks.join_next())? {
            Some(ended) => self.end(ended),
            None => Ok(()),
        }
    }

    fn end(&mut self, ended: std::result::Result<Result<(u32, S::Part)>, JoinError>) -> Result<()> {
        self.done.push(ended??);
        Ok(())
    }

    /// Aborts the upload. The parts on their way end first: the host may store a part that comes after the abort, and
    /// keep it for ever.
    fn abort(&mut self) {
        let waiter = self.sink.waiter();
        let all_ended = waiter.clean_up(async { while self.tasks.join_next().await.is_some() {} }, GRACE).is_some();
        self.tasks.abort_all();
        waiter.clean_up(
            async {
                for attempt in 0..3 {
                    match self.sink.abort(&self.key, &self.begun).await {
                        Ok(AbortResult::Now) if all_ended => return,
                        Ok(AbortResult::Before) => return,
                        _ => tokio::time::sleep(Duration::from_millis(300 << attempt)).await,
                    }
                }
            },
            ABORT_LIMIT,
        );
    }
}

impl<S: PartSink> Drop for PartSender<S> {
    fn drop(&mut self) {
        if self.open {
            self.abort();
        }
    }
}
