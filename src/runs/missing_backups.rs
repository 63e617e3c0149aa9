//! Finds missed backups: they were stored, pgbk has not removed them, and they are not in the store.
//!
//! Others may remove backups rightly: a host that prunes with its own `STATE_DIR`, or a rule of the bucket. They thin out old backups and
//! leave the newest. So a backup that is gone is missed if it was the newest when it went, or if this host's own rules still keep it.
//! Backups that went together with the newest are missed as well, because no rule removes the newest.

#[cfg(test)]
mod tests;
pub(crate) mod watch;

use crate::format::backup_id::BackupId;
use crate::repository::retention::{Candidate, Policy};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A backup of one series that the history knows to have been stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBackup {
    pub id: BackupId,
    /// Time at which its run ended.
    pub made: Timestamp,
    /// Position in the series; 0 if its run could not read the store.
    pub sequence: u64,
    /// Newest backup of the series that its run found there; `None` if it found none.
    pub previous: Option<BackupId>,
}

/// A backup that is missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingBackup {
    pub id: BackupId,
    pub made: Timestamp,
    /// Time at which it was first looked for in vain.
    pub since: Timestamp,
}

/// The result of one check of a series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesCheck {
    /// Newest backup that the history knew then; `None` if it knew none.
    pub newest: Option<BackupId>,
    /// Backups that the history knew and that were there.
    pub standing: BTreeSet<BackupId>,
    /// Missed backups, newest first.
    pub missed: Vec<MissingBackup>,
}

/// Facts that one check of a series starts from.
#[derive(Debug, Clone, Copy)]
pub struct SeriesFacts<'a> {
    /// Backups that the history knows, in any order.
    pub known: &'a [RecordedBackup],
    /// Backups of the series that are whole in the store, whether the history knows them or not.
    pub there: &'a BTreeSet<BackupId>,
    /// Backups that have a `.meta` but no payload.
    pub bare: &'a BTreeSet<BackupId>,
    /// Backups that pgbk removed from here, or that a person knows to be gone.
    pub removed: &'a BTreeSet<BackupId>,
    /// Retention policy of this host; `None` if it has none, or if the store removes by rules of its own.
    pub policy: Option<&'a Policy>,
    pub now: Timestamp,
}

impl SeriesFacts<'_> {
    /// Returns the result of this check. `before` is the result of the one before it; `None`: there was none.
    pub fn after(&self, before: Option<&SeriesCheck>) -> SeriesCheck {
        let known = self.in_order();
        let kept = self.kept();
        let gone = |known: &RecordedBackup| !self.there.contains(&known.id) && !self.removed.contains(&known.id);
        let told = |id: &BackupId| before.is_some_and(|before| before.missed.iter().any(|missed| missed.id == *id));
        let rules_let_go = |id: &BackupId| kept.as_ref().is_some_and(|kept| !kept.contains(id));
        // Of what went before the first look nobody knows by which rules.
        let rules_keep = |id: &BackupId| kept.as_ref().is_some_and(|kept| kept.contains(id));
        let new = self.newly_gone(&known, before);
        let ends = self.ends(&known, &new, before);
        let mut missed = Vec::new();
        for (at, one) in known.iter().enumerate().filter(|(_, one)| gone(one)) {
            let is_missed = match told(&one.id) {
                // Until the rules would have removed it by themselves.
                true => !rules_let_go(&one.id),
                false => new.contains(&at) && (ends.contains(&at) || before.is_some() && rules_keep(&one.id)),
            };
            if is_missed {
                let since = before.and_then(|before| before.missed.iter().find(|missed| missed.id == one.id));
                let since = since.map_or(self.now, |missed| missed.since);
                missed.push(MissingBackup { id: one.id.clone(), made: one.made, since });
            }
        }
        missed.reverse();
        let standing = known.iter().filter(|one| self.there.contains(&one.id)).map(|one| one.id.clone()).collect();
        SeriesCheck { newest: known.last().map(|one| one.id.clone()), standing, missed }
    }

    /// Returns the oldest backup that went since the check before and was not removed by pgbk; `None` if none did.
    pub fn oldest_newly_gone(&self, before: Option<&SeriesCheck>) -> Option<BackupId> {
        let known = self.in_order();
        self.newly_gone(&known, before).into_iter().map(|at| known[at].id.clone()).min()
    }

    /// Returns the backups in the order in which they were made, as this host saw it. Sequences alone are not enough: if the newest
    /// is lost, the next one gets its sequence again.
    fn in_order(&self) -> Vec<&RecordedBackup> {
        let mut known: Vec<&RecordedBackup> = self.known.iter().collect();
        known.sort_by_key(|one| (one.made, one.sequence));
        known
    }

    /// Returns the positions of the backups that went since the check before; without one, of all that are gone.
    fn newly_gone(&self, known: &[&RecordedBackup], before: Option<&SeriesCheck>) -> BTreeSet<usize> {
        let newest = before.and_then(|before| before.newest.as_ref());
        let seen = newest.and_then(|newest| known.iter().rposition(|one| one.id == *newest));
        let stood = |one: &RecordedBackup| before.is_some_and(|before| before.standing.contains(&one.id));
        let gone = |one: &RecordedBackup| !self.there.contains(&one.id) && !self.removed.contains(&one.id);
        let all = known.iter().enumerate();
        let new = all.filter(|(at, one)| gone(one) && (stood(one) || seen.is_none_or(|seen| *at > seen)));
        new.map(|(at, _)| at).collect()
    }

    /// Returns what the rules of this host keep without their minimum, which depends on what others removed. `None`: it has no rules.
    fn kept(&self) -> Option<BTreeSet<BackupId>> {
        let policy = self.policy?.without_minimum();
        // One that is gone may have the sequence of a later one, and stands where its date puts it.
        let there = |one: &&RecordedBackup| self.there.contains(&one.id);
        let sequences: BTreeMap<&BackupId, u64> =
            self.known.iter().filter(there).map(|one| (&one.id, one.sequence)).collect();
        let sequence = |id: &BackupId| sequences.get(id).copied().unwrap_or(0);
        let mut ids: BTreeSet<&BackupId> = self.known.iter().map(|one| &one.id).chain(self.there).collect();
        ids.retain(|id| !self.removed.contains(id));
        let candidate = |id: &BackupId| Candidate {
            id: id.clone(),
            server: None,
            sequence: sequence(id),
            proven: false,
            held: Vec::new(),
            trouble: None,
        };
        let candidates: Vec<Candidate> = ids.into_iter().map(candidate).collect();
        let decisions = policy.decide(&candidates, self.now);
        Some(decisions.into_iter().filter(|one| one.keeps()).map(|one| one.id).collect())
    }

    /// Returns the positions of the backups that were the newest when they went, and of those that
    /// were there with the newest and went with it.
    fn ends(&self, known: &[&RecordedBackup], new: &BTreeSet<usize>, before: Option<&SeriesCheck>) -> BTreeSet<usize> {
        let mut ends: BTreeSet<usize> = new.iter().copied().filter(|at| !self.had_a_successor(known, *at)).collect();
        let Some(before) = before else { return ends };
        // Its document was there to be found by the next run, and its payload was not.
        let bare = |at: &usize| self.bare.contains(&known[*at].id) && before.newest.as_ref() == Some(&known[*at].id);
        ends.extend(new.iter().copied().filter(bare));
        let stood = |at: &usize| before.standing.contains(&known[*at].id);
        let top = (0..known.len()).rev().find(stood);
        if top.is_some_and(|top| ends.contains(&top)) {
            let survivor = (0..known.len()).rev().find(|at| stood(at) && self.there.contains(&known[*at].id));
            ends.extend(new.iter().copied().filter(|at| stood(at) && survivor.is_none_or(|survivor| *at > survivor)));
        }
        ends
    }

    /// Returns whether the run after it found this backup or a newer one there: from then on it was not the newest any more. That run may
    /// have been another host's, which this history does not know.
    fn had_a_successor(&self, known: &[&RecordedBackup], at: usize) -> bool {
        let id = &known[at].id;
        match known.get(at + 1) {
            // A run that could not look has not missed it either, and one whose clock lay behind did not look for it.
            Some(next) if next.sequence == 0 || next.id < *id => true,
            Some(next) => next.previous.as_ref().is_some_and(|previous| previous >= id),
            None => self.there.iter().any(|other| {
                other > id && !other.is_from_the_future(self.now) && known.iter().all(|one| one.id != *other)
            }),
        }
    }
}

/// Returns the message about missed backups; `None` if there are none.
pub(crate) fn describe(missed: &[MissingBackup], location: &str) -> Option<String> {
    const NAMED: usize = 10;
    let newest = missed.first()?;
    let database = newest.id.subject();
    if let [only] = missed {
        return Some(format!(
            "backup {} of \"{database}\", made at {:.0}, is gone from {location}, and pgbk's retention did not remove it; missed since {:.0}",
            only.id, only.made, only.since
        ));
    }
    let mut names: Vec<String> = missed.iter().take(NAMED).map(|one| one.id.to_string()).collect();
    if missed.len() > NAMED {
        names.push(format!("and {} more", missed.len() - NAMED));
    }
    Some(format!(
        "{} backups of \"{database}\" are gone from {location}, and pgbk's retention did not remove them; the newest, {}, was made at {:.0}; missed since {:.0}: {}",
        missed.len(),
        newest.id,
        newest.made,
        newest.since,
        names.join(", ")
    ))
}

/// Returns the message about missed backups that are there again; `None` if there are none.
pub(crate) fn describe_back(back: &[MissingBackup], location: &str, now: Timestamp) -> Option<String> {
    let newest = back.first()?;
    let names: Vec<String> = back.iter().map(|one| one.id.to_string()).collect();
    Some(format!(
        "backups of \"{}\" that were missed are in {location} again, as was seen at {now:.0}: {}",
        newest.id.subject(),
        names.join(", ")
    ))
}

/// Hint that says what a person may do about missed backups.
pub(crate) const REMEDY: &str = "look who may delete there, and for older versions of them in the bucket; if it is known why they are gone, say \
                          \"pgbk doctor --forget-missing\"";
