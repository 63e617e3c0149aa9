//! Decides which backups of one database stay, from the rules, the backups and the time.
//!
//! Only good backups of the past count: one that is damaged, or dated ahead of now, takes no place that a rule has to
//! give, and stays. The newest good one always stays. So do the newest of each server whose backups are judged together,
//! and the newest that a restore test has proven.

use crate::base::error::{Fault, Result};
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::short;
use crate::format::manifest::order::places;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use std::collections::BTreeSet;

/// Sets how many backups to keep, and for how long. 0 is no rule.
#[derive(Debug, Clone, Default)]
pub struct RetentionRules {
    pub last: u32,
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    /// Keeps what is at most this old, counted back from the newest good backup, so that a time without backups costs none of them.
    pub within: Option<Span>,
    /// Keeps at least this many good backups: the newest ones make up for what the other rules do not keep.
    pub minimum: u32,
    /// Keeps the bases by which every moment of this span can be restored, counted back from the newest good base.
    pub capture: Option<Span>,
}

/// Rules that keep something, and the zone in which days begin.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: RetentionRules,
    zone: TimeZone,
}

/// A backup to decide on, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: BackupId,
    /// System identifier of the server that made it; `None` if its document names none.
    pub server: Option<String>,
    /// Position in its series; 0 if its document does not say.
    pub sequence: u64,
    /// Says whether a restore test has proven it.
    pub proven: bool,
    /// Reasons why it stays whatever the rules say. It takes its place among them all the same.
    pub held: Vec<String>,
    /// Describes why it is not good; `None` for a good one.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub id: BackupId,
    /// Reasons why it stays. Without one it is removed.
    pub reasons: Vec<String>,
}

impl Decision {
    pub fn keeps(&self) -> bool {
        !self.reasons.is_empty()
    }
}

#[derive(Debug, Clone, Copy)]
enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Policy {
    /// Refuses rules that would keep nothing.
    pub fn new(rules: RetentionRules, zone: TimeZone) -> Result<Policy> {
        let counts = [rules.last, rules.hourly, rules.daily, rules.weekly, rules.monthly, rules.yearly];
        if rules.within.is_none() && counts == [0; 6] {
            return Err(Fault::usage("no rule says which backups to keep")
                .hint("set one of KEEP_LAST, KEEP_HOURLY, KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY, KEEP_YEARLY to 1 or more, or KEEP_WITHIN to a time such as 30d")
                .into());
        }
        Ok(Policy { rules, zone })
    }

    /// Returns the same rules without the minimum.
    pub fn without_minimum(&self) -> Policy {
        Policy { rules: RetentionRules { minimum: 0, ..self.rules.clone() }, zone: self.zone.clone() }
    }

    /// Returns how far back from a base every moment is to be restorable, with the rule in words. `None`: no rule says so.
    pub fn capture_since(&self, newest: Timestamp) -> Option<(Timestamp, String)> {
        let span = self.rules.capture?;
        // A span that leads before the beginning of time holds everything.
        let since =
            newest.to_zoned(self.zone.clone()).checked_sub(span).map_or(Timestamp::MIN, |since| since.timestamp());
        Some((since, format!("capture {span:#}")))
    }

    /// Decides on each backup of one series. The decisions come newest first, in the order in which the
    /// backups were made, whatever clocks have dated them.
    pub fn decide(&self, backups: &[Candidate], now: Timestamp) -> Vec<Decision> {
        let dated: Vec<_> = backups.iter().map(|backup| (backup.id.taken_at(), backup.sequence)).collect();
        let mut sorted: Vec<_> = places(&dated).into_iter().zip(backups).collect();
        sorted.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let sorted: Vec<&Candidate> = sorted.into_iter().map(|(_, backup)| backup).collect();
        let mut decisions: Vec<Decision> =
            sorted.iter().map(|backup| Decision { id: backup.id.clone(), reasons: excused(backup, now) }).collect();
        let counted: Vec<usize> = (0..decisions.len()).filter(|at| !decisions[*at].keeps()).collect();
        let times: Vec<Zoned> =
            counted.iter().map(|at| sorted[*at].id.taken_at().to_zoned(self.zone.clone())).collect();
        let mut reasons = self.reasons(&times);
        let servers: Vec<Option<&str>> = counted.iter().map(|at| sorted[*at].server.as_deref()).collect();
        newest_of_each(&servers, &mut reasons);
        // What is newer may turn out to be worth nothing.
        if let Some(at) = counted.iter().position(|at| sorted[*at].proven) {
            reasons[at].push("last proven".to_owned());
        }
        for (at, reasons) in counted.into_iter().zip(reasons) {
            decisions[at].reasons = [reasons, sorted[at].held.clone()].concat();
        }
        decisions
    }

    /// Returns why each of these backups stays; no reason if none does. All are good, and the newest comes first.
    fn reasons(&self, times: &[Zoned]) -> Vec<Vec<String>> {
        let mut reasons = vec![Vec::new(); times.len()];
        let Some(newest) = times.first() else { return reasons };
        reasons[0].push("newest good one".to_owned());
        for (at, reasons) in reasons.iter_mut().take(self.rules.last as usize).enumerate() {
            reasons.push(format!("last {}", at + 1));
        }
        self.within(newest, times, &mut reasons);
        let rules = &self.rules;
        for (period, count) in [
            (Period::Hour, rules.hourly),
            (Period::Day, rules.daily),
            (Period::Week, rules.weekly),
            (Period::Month, rules.monthly),
            (Period::Year, rules.yearly),
        ] {
            for (at, name) in firsts(times, period, count as usize) {
                reasons[at].push(name);
            }
        }
        let kept = reasons.iter().filter(|reasons| !reasons.is_empty()).count();
        let missing = (rules.minimum as usize).saturating_sub(kept);
        for reasons in reasons.iter_mut().filter(|reasons| reasons.is_empty()).take(missing) {
            reasons.push(format!("minimum {}", rules.minimum));
        }
        reasons
    }

    fn within(&self, newest: &Zoned, times: &[Zoned], reasons: &mut [Vec<String>]) {
        let Some(span) = self.rules.within else { return };
        // A span that leads before the beginning of time holds everything.
        let since = newest.checked_sub(span).ok();
        for (time, reasons) in times.iter().zip(reasons) {
            if since.as_ref().is_none_or(|since| time >= since) {
                reasons.push(format!("within {span:#}"));
            }
        }
    }
}

/// Keeps the newest backup of each server if several made one series: an adopted server may still make backups, and
/// they must not crowd out the newest of the other.
fn newest_of_each(servers: &[Option<&str>], reasons: &mut [Vec<String>]) {
    let mut seen = BTreeSet::new();
    if servers.iter().collect::<BTreeSet<_>>().len() < 2 {
        return;
    }
    for (server, reasons) in servers.iter().zip(reasons) {
        if let Some(server) = server
            && seen.insert(server)
        {
            reasons.push(format!("newest of server …{}", short(server)));
        }
    }
}

/// Returns why a backup stays that no rule counts; empty if the rules decide.
fn excused(backup: &Candidate, now: Timestamp) -> Vec<String> {
    match &backup.trouble {
        Some(trouble) => vec![format!("no good, left for you to see: {trouble}")],
        None if backup.id.is_from_the_future(now) => vec!["its time is still to come".to_owned()],
        None => Vec::new(),
    }
}

/// Returns the newest backup of each period, for as many as `count` periods that have one.
fn firsts(times: &[Zoned], period: Period, count: usize) -> Vec<(usize, String)> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (at, time) in times.iter().enumerate() {
        if found.len() == count {
            break;
        }
        // Of the hour that comes twice when the clock is set back, each counts.
        let offset = if matches!(period, Period::Hour) { time.offset().seconds() } else { 0 };
        let (rule, name) = named(period, time);
        if !seen.contains(&(offset, name.clone())) {
            found.push((at, format!("{rule} {name}")));
            seen.push((offset, name));
        }
    }
    found
}

fn named(period: Period, time: &Zoned) -> (&'static str, String) {
    let written = |form: &str| time.strftime(form).to_string();
    match period {
        Period::Hour => ("hourly", written("%Y-%m-%dT%H")),
        Period::Day => ("daily", written("%Y-%m-%d")),
        // The year of a week is not always that of its days.
        Period::Week => ("weekly", written("%G-W%V")),
        Period::Month => ("monthly", written("%Y-%m")),
        Period::Year => ("yearly", written("%Y")),
    }
}

/// Returns whether more than half of the backups would be removed.
pub(crate) fn is_most(decisions: &[Decision]) -> bool {
    let going = decisions.iter().filter(|decision| !decision.keeps()).count();
    going * 2 > decisions.len()
}

#[cfg(test)]
mod tests;
