//! Starts threads, with the time limits of the thread that starts them. A system may refuse one: that is an error, or fewer threads do
//! the work.

use crate::base::cancel::Cancel;
use crate::base::error::{Fault, Result};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle, scope};

/// Stack of each thread of [`each`], in bytes: as little as its calls need. A request that is refused, in a build without optimisation,
/// needs more than half of it.
const STACK: usize = 1 << 20;

/// Keeps the threads' memory together, where the C library is glibc; call it before the first thread begins. By itself the library
/// reserves 64 MiB of addresses for each thread, of which it gives little back: with a limit of addresses (`ulimit -v`) that is all there
/// is, and in a container much stays in use.
pub fn share_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    // SAFETY: sets a number that the allocator heeds from then on. Where it is refused, all stays as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Starts a thread of this name. An error means that the system gives none.
pub(crate) fn begin<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let work = limited(work);
    Builder::new().name(name.to_owned()).spawn(work).map_err(|error| refused(name, &error).into())
}

/// Starts a thread that ends with the scope. An error means that the system gives none.
pub(crate) fn begin_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let work = limited(work);
    Builder::new().name(name.to_owned()).spawn_scoped(scope, work).map_err(|error| refused(name, &error).into())
}

/// Runs `work` for each item on at most `most` threads, and on fewer where the system gives no more; the calling thread always
/// works, so 0 means 1. Returns the results in the order of the items. After an error no further item is begun, and the error is
/// returned.
pub(crate) fn each<I: Sync, T: Send>(
    things: &[I],
    most: usize,
    work: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, broken) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut done = Vec::new();
        while !broken.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { break };
            let one = work(thing);
            broken.fetch_or(one.is_err(), Ordering::Relaxed);
            done.push((at, one));
        }
        done
    };
    let mut all = scope(|scope| {
        // This thread always works.
        let begin =
            |_| Builder::new().name("each".to_owned()).stack_size(STACK).spawn_scoped(scope, limited(worker)).ok();
        let others: Vec<_> = (1..most.min(things.len())).map_while(begin).collect();
        let mut all = worker();
        for other in others {
            all.extend(other.join().map_err(|_| Fault::failed("a thread panicked"))?);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, one)| one).collect()
}

/// Returns the work with the time limits of this thread.
fn limited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let cancel = Cancel::of_thread();
    move || {
        let _limits = cancel.enter();
        work()
    }
}

fn refused(name: &str, error: &std::io::Error) -> Fault {
    Fault::failed(format!("cannot start the thread \"{name}\": {error}"))
        .hint("give pgbk more memory, or let it have more threads (ulimit -u, pids limit of the container)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_and_in_its_order_by_however_many() {
        let things: Vec<usize> = (0..500).collect();
        for most in [0, 1, 2, 64, 1000] {
            assert_eq!(each(&things, most, |thing| Ok(thing * 2)).unwrap(), (0..1000).step_by(2).collect::<Vec<_>>());
        }
        assert!(each(&things, 8, |thing| if *thing == 77 { Err(Fault::failed("no").into()) } else { Ok(()) }).is_err());
        assert_eq!(each(&[] as &[u8], 8, |_| Ok(())).unwrap(), [(); 0]);
    }
}
