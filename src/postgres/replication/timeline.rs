//! Reads the history of a timeline: when the server's log left another one, as it does when a standby is promoted.

use crate::base::error::{Fault, Result};
use crate::format::changes::timeline_history::TimelineSwitch;

/// Reads the text of a history file: a line for each timeline before this one, the oldest first. Empty lines and comments count for
/// nothing.
pub(crate) fn read_history(text: &str) -> Result<Vec<TimelineSwitch>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let timeline = words.next().and_then(|word| word.parse().ok());
            let end = words.next().and_then(|word| word.parse().ok());
            match (timeline, end) {
                (Some(timeline), Some(end)) => Ok(TimelineSwitch { timeline, end }),
                _ => {
                    Err(Fault::failed(format!("the server's history of its timeline has a line that is none: {line}"))
                        .into())
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_tells_of_one_timeline_before() {
        let text = "1\t0/3000158\tno recovery target specified\n\n# x\n2\t0/16B374D8\tbefore 2000-01-01\n";
        let read = read_history(text).unwrap();
        let told: Vec<String> = read.iter().map(|one| format!("{} {}", one.timeline, one.end)).collect();
        assert_eq!(told, ["1 0/3000158", "2 0/16B374D8"]);
        for text in ["1", "x\t0/1\t", "1\tnowhere\t"] {
            assert!(read_history(text).is_err(), "{text:?}");
        }
    }
}
