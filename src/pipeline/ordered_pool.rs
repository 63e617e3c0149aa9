//! Does the same work for each item, for several at a time, and gives the results in the order of the items.

use crate::base::error::Result;
use crate::base::threads;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// An item, and where its result goes.
type PoolJob<I, O> = (I, SyncSender<O>);

/// Takes the items. Dropping it ends the threads once the items that were taken are done.
pub(crate) struct OrderedPool<I, O> {
    items: Sender<PoolJob<I, O>>,
    /// Where each result is to be had. Its capacity bounds how many items are on their way.
    order: SyncSender<Receiver<O>>,
    threads: Vec<JoinHandle<()>>,
}

/// Gives the results. Dropping it has further items refused.
pub(crate) struct OrderedResults<O>(Receiver<Receiver<O>>);

impl<I: Send + 'static, O: Send + 'static> OrderedPool<I, O> {
    /// Starts at most `most` threads of this name, and fewer where the system gives no more; it is an error if it gives none.
    pub fn begin(
        name: &str,
        most: usize,
        work: impl Fn(I) -> O + Send + Sync + 'static,
    ) -> Result<(OrderedPool<I, O>, OrderedResults<O>)> {
        let (items, waiting) = channel::<PoolJob<I, O>>();
        let (order, results) = sync_channel(most);
        let (waiting, work) = (Arc::new(Mutex::new(waiting)), Arc::new(work));
        let worker = || {
            let (waiting, work) = (Arc::clone(&waiting), Arc::clone(&work));
            move || {
                while let Some((item, result)) = next(&waiting) {
                    // Nobody may want the result any more.
                    result.send(work(item)).ok();
                }
            }
        };
        let mut threads = vec![threads::begin(name, worker())?];
        threads.extend((1..most).map_while(|_| threads::begin(name, worker()).ok()));
        Ok((OrderedPool { items, order, threads }, OrderedResults(results)))
    }

    /// Takes an item, and waits while too many are on their way. False: nobody takes results any more.
    pub fn send(&self, item: I) -> bool {
        let (result, coming) = sync_channel(1);
        self.order.send(coming).is_ok() && self.items.send((item, result)).is_ok()
    }

    /// Takes a result that comes from elsewhere, in its place behind the items so far. It waits and returns as [`send`](Self::send) does.
    pub fn put(&self, coming: Receiver<O>) -> bool {
        self.order.send(coming).is_ok()
    }

    /// Takes no more items, and returns the threads, to be waited for.
    pub fn end(self) -> Vec<JoinHandle<()>> {
        self.threads
    }
}

impl<O> OrderedResults<O> {
    /// Waits for the next result. The outer `None` is the end; the inner one a thread that died over its item.
    pub fn next(&self) -> Option<Option<O>> {
        self.0.recv().ok().map(|coming| coming.recv().ok())
    }
}

/// Returns the next item. `None`: there are no more.
fn next<T>(waiting: &Mutex<Receiver<T>>) -> Option<T> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items_whoever_is_done_first() {
        // The first item is done only after the second one.
        let (done, told) = channel();
        let (done, told) = (Mutex::new(done), Mutex::new(told));
        let (pool, results) = OrderedPool::begin("test", 2, move |item: u32| {
            match item {
                0 => told.lock().unwrap().recv().unwrap(),
                1 => done.lock().unwrap().send(()).unwrap(),
                _ => {}
            }
            item * 10
        })
        .unwrap();
        let giver = std::thread::spawn(move || (0..20).all(|item| pool.send(item)));
        let found: Vec<u32> = std::iter::from_fn(|| results.next()).map(Option::unwrap).collect();
        assert_eq!(found, (0..20).map(|item| item * 10).collect::<Vec<_>>());
        assert!(giver.join().unwrap());
    }

    #[test]
    fn without_anybody_who_takes_results_items_are_refused() {
        let (pool, results) = OrderedPool::begin("test", 1, |item: u32| item).unwrap();
        drop(results);
        assert!(!pool.send(1));
    }
}
