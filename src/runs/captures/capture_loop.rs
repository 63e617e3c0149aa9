//! Lets a capture go on after an error, round after round.

use crate::base::cancel;
use crate::base::error::{Kind, Result, hints, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::format::capture_record::ProblemKind;
use crate::format::changes::generation_id::GenerationId;
use crate::jobs::capture::Capture;
use crate::jobs::capture::base_needs::SharedNeeds;
use crate::jobs::capture::capture_progress::CaptureProgress;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::round_end::RoundEnd;
use crate::repository::Repository;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// First and longest pause before the next round.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Pause before the next round where no waiting mends what is wrong: somebody may have mended it meanwhile.
const SLOW_PAUSE: Duration = Duration::from_secs(300);

/// Returns the settings as they are now: secrets may have changed.
pub(crate) type SettingsSource<'a> = dyn Fn() -> Result<(Repository, CapturePlan)> + Sync + 'a;

pub(crate) struct CaptureLoop<'a> {
    pub settings: &'a SettingsSource<'a>,
    pub progress: &'a CaptureProgress,
    pub needs: &'a SharedNeeds,
    pub clock: fn() -> Timestamp,
    pub monitor: &'a dyn Monitor,
    /// Whether it goes on whatever is wrong. Else it ends where no waiting helps, or where nothing has been streamed yet: that is a mistake
    /// in the settings rather than an outage.
    pub is_patient: bool,
}

impl CaptureLoop<'_> {
    /// Captures until it is told to stop, or cannot go on. Returns why.
    pub fn run(&self) -> anyhow::Error {
        let (mut streamed, mut pause, mut told) = (None, FIRST_PAUSE, String::new());
        loop {
            let begun = Instant::now();
            let end = self.round(&mut streamed);
            if let RoundEnd::Stopped(error) = end {
                self.progress.stopped();
                return error;
            }
            let is_final = matches!(end, RoundEnd::Lost(_) | RoundEnd::Final(_));
            let is_renewed = matches!(end, RoundEnd::Renewed(_));
            let Some((problem, error)) = end.problem() else { continue };
            self.progress.failed(&error, problem, (self.clock)());
            if !self.is_patient && !is_renewed && (is_final || streamed.is_none()) {
                return error;
            }
            // Where a generation was begun, there is nothing to wait for.
            if is_renewed || begun.elapsed() > LAST_PAUSE {
                pause = FIRST_PAUSE;
            }
            let rest_for = pause_after(problem, &error, pause);
            let what = if is_renewed { "the new generation is captured" } else { "the capture goes on" };
            told = self.tell(what, &error, rest_for, told);
            if let Err(stopped) = cancel::rest(rest_for) {
                self.progress.stopped();
                return stopped;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            if is_final {
                // What follows may be another generation.
                streamed = None;
            }
        }
    }

    fn round(&self, streamed: &mut Option<GenerationId>) -> RoundEnd {
        let (repository, plan) = match (self.settings)() {
            Ok(settings) => settings,
            Err(error) => return error.into(),
        };
        let capture = Capture {
            repository: &repository,
            plan: &plan,
            progress: self.progress,
            needs: self.needs,
            clock: self.clock,
            monitor: self.monitor,
        };
        capture.round(streamed)
    }

    /// Says why the capture does not stream, and when it goes on. The same is not said again and again where pauses are long.
    fn tell(&self, what: &str, error: &anyhow::Error, pause: Duration, before: String) -> String {
        let hints: String = hints(error).iter().map(|hint| format!(" ({hint})")).collect();
        let text = format!("{error:#}{hints}");
        if pause < LAST_PAUSE || text != before {
            let time = many(pause.as_secs(), "second");
            self.monitor.warn(&format!("{what} in {time}: {text}"));
        }
        text
    }
}

/// Returns how long to wait. A slot that another process reads may be free soon: the server learns late that a host is gone.
fn pause_after(problem: ProblemKind, error: &anyhow::Error, pause: Duration) -> Duration {
    match problem {
        ProblemKind::Passing | ProblemKind::Gap => pause,
        _ if kind(error) == Kind::Busy => pause,
        ProblemKind::Slot | ProblemKind::Chain | ProblemKind::Settings => SLOW_PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Fault;

    #[test]
    fn only_what_no_waiting_mends_is_tried_again_slowly() {
        let (failed, busy) = (Fault::failed("no").into(), Fault::new(Kind::Busy, "in use").into());
        assert_eq!(pause_after(ProblemKind::Passing, &failed, FIRST_PAUSE), FIRST_PAUSE);
        assert_eq!(pause_after(ProblemKind::Settings, &busy, FIRST_PAUSE), FIRST_PAUSE);
        for problem in [ProblemKind::Settings, ProblemKind::Slot, ProblemKind::Chain] {
            assert_eq!(pause_after(problem, &failed, FIRST_PAUSE), SLOW_PAUSE);
        }
    }
}
