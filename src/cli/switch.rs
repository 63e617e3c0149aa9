//! The value of a switch: 0 or 1.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use std::ffi::OsStr;

/// Reads a switch, by all words that people use for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SwitchParser;

impl TypedValueParser for SwitchParser {
    type Value = bool;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<bool, clap::Error> {
        TypedValueParser::parse_ref(&switch, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["0", "1"].into_iter().map(PossibleValue::new)))
    }
}

/// Returns whether a switch is on.
fn switch(text: &str) -> Result<bool, &'static str> {
    match text.to_lowercase().as_str() {
        "0" | "n" | "no" | "f" | "false" | "off" => Ok(false),
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        _ => Err("it takes 0 or 1 (also no or yes, false or true, off or on)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::builder::BoolishValueParser;

    #[test]
    fn a_switch_takes_every_word_that_clap_takes_for_one() {
        let command = Command::new("x");
        let words = "0 1 n y no yes f t false true off on No YES tRue 2 01 maybe -1 oui".split(' ').chain([""]);
        for word in words {
            let expected = BoolishValueParser::new().parse_ref(&command, None, OsStr::new(word)).ok();
            assert_eq!(SwitchParser.parse_ref(&command, None, OsStr::new(word)).ok(), expected, "{word}");
        }
    }
}
