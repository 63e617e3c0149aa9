//! Shows how far a step is. A pipe moves in bursts: it takes in a block of xz at once, and then nothing for many
//! seconds. So the rate and the time left are those of the whole step, and the elapsed time is shown whether anything
//! moves or not.

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// How often a bar is drawn where nothing moves.
const TICK: Duration = Duration::from_millis(500);

/// Draws a bar, or a wheel where the total is not known, until it is cleared. `place` puts it among the others.
pub(crate) fn bar(place: impl FnOnce(ProgressBar) -> ProgressBar, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {far}"),
        None => (ProgressBar::new_spinner(), "{spinner} {far}"),
    };
    // The message is what is stored, the prefix the stage.
    if let Ok(style) = ProgressStyle::with_template(&format!("{template}{{msg}}, {{elapsed}} so far{{prefix}}")) {
        bar.set_style(style.with_key("far", far));
    }
    let bar = place(bar);
    bar.enable_steady_tick(TICK);
    bar
}

/// Returns the progress as text: bytes, rate and, if the total is known, the estimated time left.
pub(crate) fn line(done: u64, total: Option<u64>, seconds: f64) -> String {
    let rate = done as f64 / seconds.max(0.001);
    let mut text = format!("{} at {}/s", HumanBytes(done), HumanBytes(rate as u64));
    // The total is the server's estimate: the step may end early or late, and says so with a "~".
    if let Some(total) = total.filter(|total| *total > done) {
        text.push_str(&format!(", of ~{}", HumanBytes(total)));
        if let Some(left) = left(total - done, rate) {
            text.push_str(&format!(", ~{} left", HumanDuration(left)));
        }
    }
    text
}

/// Returns how long the rest takes at this rate; None where nothing has moved yet.
fn left(rest: u64, rate: f64) -> Option<Duration> {
    (rate >= 1.0).then(|| Duration::try_from_secs_f64(rest as f64 / rate).ok()).flatten()
}

fn far(state: &ProgressState, to: &mut dyn Write) {
    let moving = state.len().filter(|total| *total > 0);
    let _ = to.write_str(&line(state.pos(), moving, state.elapsed().as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_what_is_left_are_those_of_the_whole_step() {
        // 24 MiB at once, and nothing for 23 seconds.
        let text = line(24 << 20, Some(192 << 20), 24.0);
        assert_eq!(text, "24.00 MiB at 1.00 MiB/s, of ~192.00 MiB, ~3 minutes left");
        assert_eq!(line(0, Some(192 << 20), 16.0), "0 B at 0 B/s, of ~192.00 MiB");
        assert_eq!(line(300 << 20, Some(192 << 20), 100.0), "300.00 MiB at 3.00 MiB/s");
    }
}
