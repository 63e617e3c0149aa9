//! The values that need more than clap's own parsers.

use crate::base::error::Fault;
use crate::format::backup_id::BackupId;
use jiff::{Span, SpanRelativeTo};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The longest time that PostgreSQL can count in milliseconds, in whole days.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 86_400);
/// Far beyond every use, and short enough to be added to any clock.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Which backup is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupChoice {
    Latest,
    Id(BackupId),
}

impl BackupChoice {
    /// Returns the id that is said; `None` for "latest".
    pub(crate) fn id(&self) -> Option<&BackupId> {
        match self {
            BackupChoice::Latest => None,
            BackupChoice::Id(id) => Some(id),
        }
    }
}

impl FromStr for BackupChoice {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" { Ok(BackupChoice::Latest) } else { text.parse().map(BackupChoice::Id) }
    }
}

/// Where to listen: the first of these addresses that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddresses(pub Vec<SocketAddr>);

/// An address with its port, or a port alone, which is that of every address.
pub fn listen(text: &str) -> Result<ListenAddresses, String> {
    let form = || "an address looks like 127.0.0.1:9187, [::1]:9187 or :9187".to_owned();
    let Some(port) = text.strip_prefix(':') else {
        return text.parse().map(|address| ListenAddresses(vec![address])).map_err(|_| form());
    };
    let port: u16 = port.parse().map_err(|_| form())?;
    // The first takes clients of both kinds, where the machine has both.
    Ok(ListenAddresses(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]))
}

/// Checks a note beside a backup: one line of at most so many characters, which a terminal can show.
pub(crate) fn note(text: &str) -> Result<String, String> {
    const LONGEST: usize = 200;
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST {
        return Err(format!("a note has 1 to {LONGEST} characters"));
    }
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if text.chars().any(odd) {
        return Err("a note is one line of plain characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A number with an optional K, M, G or T (powers of 1,024), also written KB or KiB.
pub fn size(text: &str) -> Result<u64, String> {
    let form = || "a size looks like 64M, 500G or 1T".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(form()),
    };
    let number: u64 = digits.parse().map_err(|_| form())?;
    number.checked_mul(1 << shift).ok_or_else(|| "a size is 16777215T at most".to_owned())
}

/// The smallest limit for the size of an object, in bytes: there is no store that takes no more, and a payload has a limited number of objects.
const SMALLEST_OBJECT: u64 = 8 << 20;

/// A size that an object may be limited to.
pub fn object_size(text: &str) -> Result<u64, String> {
    size(text)
        .and_then(|size| if size < SMALLEST_OBJECT { Err("such a size is at least 8M".to_owned()) } else { Ok(size) })
}

/// A time with its unit, such as 90s, 15m or 24h; 0 has none. A number alone is refused: who writes 24 may mean hours.
pub fn duration(text: &str) -> Result<Duration, String> {
    if !text.is_empty() && text.bytes().all(|sign| sign.is_ascii_digit()) {
        return match text.trim_start_matches('0') {
            "" => Ok(Duration::ZERO),
            number => Err(format!("a time has a unit: {number}s, {number}m or {number}h")),
        };
    }
    let signed: jiff::SignedDuration = text.parse().map_err(|_| "a time looks like 90s, 15m or 24h".to_owned())?;
    let parsed: Duration = signed.try_into().map_err(|_| "a time cannot be negative".to_owned())?;
    if parsed > LONGEST { Err("a time is ten years at most".to_owned()) } else { Ok(parsed) }
}

/// A time by the calendar, such as 12h, 7d, 4w, 3mo or 1y.
pub(crate) fn span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|_| "such a time looks like 12h, 7d, 4w, 3mo or 1y".to_owned())?;
    let fine = [
        span.get_minutes(),
        span.get_seconds(),
        span.get_milliseconds(),
        span.get_microseconds(),
        span.get_nanoseconds(),
    ];
    // Who writes 6m for six months must not be left with the backups of six minutes.
    if fine != [0; 5] {
        return Err("such a time has no unit below an hour (h); a month is mo".to_owned());
    }
    if !span.is_positive() {
        return Err("such a time is 1h at least".to_owned());
    }
    Ok(span)
}

/// A time that PostgreSQL is told too; 0 is for ever.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    if parsed > LONGEST_WAIT { Err("such a time is 24 days (576h) at most".to_owned()) } else { Ok(parsed) }
}

/// A time between two bases: as [`duration`] takes it, in days (`7d`, `P1D`), or as hours and minutes (`06:00`).
pub(crate) fn pause(text: &str) -> Result<Duration, String> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.len() <= 5 && !text.starts_with('+'));
    let parsed = match text.split_once(':') {
        Some((hours, minutes)) => match (number(hours), number(minutes)) {
            (Some(hours), Some(minutes @ 0..60)) => Duration::from_secs(hours * 3600 + minutes * 60),
            _ => return Err("hours and minutes look like 06:00".to_owned()),
        },
        None => duration(text).or_else(|why| days(text).ok_or(why))?,
    };
    match parsed {
        parsed if parsed < Duration::from_secs(60) => Err("such a time is 60s at least".to_owned()),
        parsed if parsed > LONGEST => Err("a time is ten years at most".to_owned()),
        parsed => Ok(parsed),
    }
}

/// Returns a time in days or weeks, each day of 24 hours. `None`: it is said in another way.
fn days(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// A time after which something is given up; 0 would give up at once.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    let parsed = wait(text)?;
    if parsed < Duration::from_secs(1) { Err("such a time is 1s at least".to_owned()) } else { Ok(parsed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1TiB"), Ok(1 << 40));
        assert_eq!(
            (object_size("8M"), object_size("8191K")),
            (Ok(8 << 20), Err("such a size is at least 8M".to_owned()))
        );
        for wrong in ["many", "99999999T", "5X", "5bb", "", "M", "-1", "1.5G"] {
            assert!(size(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_has_a_port_and_a_port_needs_no_address() {
        let shown = |text| listen(text).map(|listen| listen.0.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(shown("127.0.0.1:9187").unwrap(), ["127.0.0.1:9187"]);
        assert_eq!(shown(":9187").unwrap(), ["[::]:9187", "0.0.0.0:9187"]);
        for wrong in ["", ":", "9187", "127.0.0.1", "localhost:9187", ":70000", "::9187"] {
            assert!(listen(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_by_the_calendar_has_no_small_units() {
        for (text, shown) in
            [("12h", "12h"), ("7d", "7d"), ("4w", "4w"), ("3mo", "3mo"), ("1y 6mo", "1y 6mo"), ("P7D", "7d")]
        {
            assert_eq!(span(text).map(|span| format!("{span:#}")), Ok(shown.to_owned()));
        }
        for wrong in ["6m", "1h30m", "90s", "0d", "-7d", "7", "", "week", "7d ago", "1h1ns"] {
            assert!(span(wrong).is_err(), "{wrong:?}: {:?}", span(wrong));
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!((duration("90s"), duration("0")), (Ok(Duration::from_secs(90)), Ok(Duration::ZERO)));
        for parser in [duration, wait, limit, pause] {
            assert_eq!(parser("024"), Err("a time has a unit: 24s, 24m or 24h".to_owned()));
        }
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
        assert!(duration("18446744073709551615").is_err());
        assert!(wait("0").is_ok() && wait("576h").is_ok() && wait("577h").is_err());
        assert!(limit("0").is_err() && limit("1s").is_ok());
    }

    #[test]
    fn a_time_between_bases_is_said_in_hours_and_minutes_too() {
        for (text, seconds) in [
            ("06:30", 23_400),
            ("24h", 86_400),
            ("7d", 604_800),
            ("1w", 604_800),
            ("P1DT12H", 129_600),
            ("PT24H", 86_400),
            ("100:00", 360_000),
            ("90s", 90),
        ] {
            assert_eq!(pause(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "", ":", "6:60", "6:", ":30", "00:00", "1:2:3", "+6:00", "59s", "999999d", "d", "-1:00", "24", "-7d",
            "P1M", "1mo",
        ] {
            assert!(pause(wrong).is_err(), "{wrong:?}: {:?}", pause(wrong));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,20}", number in any::<u64>(), unit in "[a-zA-Z]{0,3}") {
            for text in [text, format!("{number}{unit}")] {
                let _ = (size(&text), limit(&text), span(&text), pause(&text), listen(&text), BackupChoice::from_str(&text));
                if let Ok(time) = duration(&text) {
                    prop_assert!(std::time::Instant::now().checked_add(time).is_some());
                }
            }
        }
    }
}
