//! Shows the work that is under way, of which there may be several pieces: as bars, or as a line of each from time to time.

use crate::base::progress::{ProgressId, Update};
use crate::cli::console::progress;
use indicatif::{HumanBytes, MultiProgress, ProgressBar};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time between two lines of progress where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Holds the pieces of work that have begun and not ended.
#[derive(Default)]
pub(crate) struct OpenWork {
    pieces: BTreeMap<ProgressId, ShownWork>,
    begun: u64,
    bars: MultiProgress,
}

struct ShownWork {
    name: String,
    total: Option<u64>,
    begun: Instant,
    /// Time from the beginning at which the next line is due, where there is no bar.
    due: Duration,
    done: u64,
    /// Bytes handed to the store; 0 where the work stores none.
    stored: u64,
    bar: Option<ProgressBar>,
}

impl OpenWork {
    /// Adds a piece of work, with a bar if it `draws`.
    pub fn begin(&mut self, name: &str, total: Option<u64>, draws: bool) -> ProgressId {
        self.begun += 1;
        let bar = draws.then(|| progress::bar(|bar| self.bars.add(bar), total));
        let (name, begun, due) = (name.to_owned(), Instant::now(), LINE_EVERY);
        let id = ProgressId(self.begun);
        self.pieces.insert(id, ShownWork { name, total, begun, due, done: 0, stored: 0, bar });
        id
    }

    /// Shows how it goes on. Returns a line that is due where there is no bar. A piece that is not shown any more has none.
    pub fn update(&mut self, of: ProgressId, update: Update<'_>) -> Option<String> {
        if update == Update::Ended {
            self.pieces.remove(&of).and_then(|piece| piece.bar)?.finish_and_clear();
            return None;
        }
        self.pieces.get_mut(&of)?.update(update)
    }

    /// Prints something where the bars are, which are drawn anew below it.
    pub fn suspend(&self, print: impl FnOnce()) {
        match self.pieces.values().any(|piece| piece.bar.is_some()) {
            true => self.bars.suspend(print),
            false => print(),
        }
    }

    /// Takes all bars away.
    pub fn clear(&mut self) {
        for bar in std::mem::take(&mut self.pieces).into_values().filter_map(|piece| piece.bar) {
            bar.finish_and_clear();
        }
    }
}

impl ShownWork {
    fn update(&mut self, update: Update<'_>) -> Option<String> {
        match update {
            Update::Advanced(bytes) => self.done += bytes,
            Update::Stored(bytes) => self.stored = bytes,
            Update::Stage(_) | Update::Ended => {}
        }
        match (&self.bar, update) {
            (Some(bar), Update::Advanced(_)) => bar.set_position(self.done),
            (Some(bar), Update::Stored(bytes)) => bar.set_message(format!(", {} stored", HumanBytes(bytes))),
            (Some(bar), Update::Stage(name)) => bar.set_prefix(format!(", {name}")),
            // Of a short one nobody waits for the end.
            (None, Update::Stage(name)) if self.begun.elapsed() >= LINE_EVERY => {
                return Some(format!("{}: {name}", self.name));
            }
            (None, Update::Advanced(_)) => return self.line(),
            _ => {}
        }
        None
    }

    /// Returns a line of progress if one is due.
    fn line(&mut self) -> Option<String> {
        let elapsed = self.begun.elapsed();
        if elapsed < self.due {
            return None;
        }
        self.due = elapsed + LINE_EVERY;
        let stored = match self.stored {
            0 => String::new(),
            stored => format!(", {} stored", HumanBytes(stored)),
        };
        Some(format!("{}: {}{stored}", self.name, progress::line(self.done, self.total, elapsed.as_secs_f64())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a line of this piece be due now.
    fn hurry(work: &mut OpenWork, id: ProgressId) {
        work.pieces.get_mut(&id).unwrap().due = Duration::ZERO;
    }

    #[test]
    fn each_of_several_pieces_of_work_has_its_own_bytes_and_lines() {
        let mut work = OpenWork::default();
        let (one, other) = (work.begin("backup a", Some(1 << 20), false), work.begin("backup b", None, false));
        assert_ne!(one, other);
        assert_eq!(work.update(one, Update::Advanced(1024)), None, "nothing is due");
        assert_eq!(work.update(other, Update::Stored(2048)), None);
        hurry(&mut work, one);
        let line = work.update(one, Update::Advanced(1024)).unwrap();
        assert!(line.starts_with("backup a: 2.00 KiB at ") && line.contains("of ~1.00 MiB"), "{line}");
        assert_eq!(work.update(one, Update::Advanced(1)), None, "not again at once");
        hurry(&mut work, other);
        let line = work.update(other, Update::Advanced(1)).unwrap();
        assert!(line.starts_with("backup b: 1 B at ") && line.ends_with(", 2.00 KiB stored"), "{line}");

        assert_eq!(work.update(one, Update::Ended), None);
        assert_eq!(work.update(one, Update::Advanced(1)), None);
        hurry(&mut work, other);
        assert!(work.update(other, Update::Advanced(1)).unwrap().starts_with("backup b: 2 B at "), "the other goes on");
    }
}
