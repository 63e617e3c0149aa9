//! Seeded histories: hosts that back up, rules that remove rightly, and somebody who removes by none.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pgbk::format::backup_id::BackupId;
use pgbk::repository::retention::{Candidate, Policy, RetentionRules};
use pgbk::runs::missing_backups::{RecordedBackup, SeriesCheck, SeriesFacts};
use std::collections::BTreeSet;
use support::proof::{counted, size};
use support::random::Random;

/// Who removes old backups.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Removes {
    Nobody,
    /// This host, after its runs and by hand.
    Here,
    /// Another one, by rules that this host has too.
    ElsewhereBySame,
    /// Another one, by rules that this host knows nothing of.
    ElsewhereByOther,
    /// The bucket, what is older than so many hours and not the newest.
    Bucket,
}

const ALL: [Removes; 5] =
    [Removes::Nobody, Removes::Here, Removes::ElsewhereBySame, Removes::ElsewhereByOther, Removes::Bucket];

struct World {
    removes: Removes,
    /// Those of whoever removes by rules.
    rules: Policy,
    now: Timestamp,
    there: BTreeSet<BackupId>,
    /// This host's.
    known: Vec<RecordedBackup>,
    removed: BTreeSet<BackupId>,
    sight: Option<SeriesCheck>,
}

impl World {
    fn new(random: &mut Random) -> World {
        let some = |random: &mut Random| random.below(4) as u32;
        let rules = RetentionRules {
            last: 1 + some(random),
            hourly: some(random),
            daily: some(random),
            weekly: some(random),
            minimum: some(random),
            capture: None,
            ..RetentionRules::default()
        };
        World {
            removes: ALL[random.below(ALL.len())],
            rules: Policy::new(rules, TimeZone::UTC).unwrap(),
            now: "2026-11-01T00:00:00Z".parse().unwrap(),
            there: BTreeSet::new(),
            known: Vec::new(),
            removed: BTreeSet::new(),
            sight: None,
        }
    }

    /// The rules that this host looks by.
    fn policy(&self) -> Option<&Policy> {
        matches!(self.removes, Removes::Here | Removes::ElsewhereBySame).then_some(&self.rules)
    }

    fn back_up(&mut self, here: bool) {
        let (id, previous) = (BackupId::new("shop", self.now), self.there.last().cloned());
        if here {
            let known = previous.as_ref().and_then(|id| self.known.iter().find(|one| one.id == *id));
            let sequence = known.map_or(1, |one| one.sequence + 1);
            self.known.push(RecordedBackup { id: id.clone(), made: self.now, sequence, previous });
        }
        self.there.insert(id);
        if here && self.removes == Removes::Here {
            self.remove_rightly();
        }
    }

    fn decided(&self, rules: &Policy) -> BTreeSet<BackupId> {
        let candidate = |id: &BackupId| Candidate {
            id: id.clone(),
            server: None,
            proven: false,
            sequence: 0,
            held: Vec::new(),
            trouble: None,
        };
        let all: Vec<Candidate> = self.there.iter().map(candidate).collect();
        rules.decide(&all, self.now).into_iter().filter(|one| !one.keeps()).map(|one| one.id).collect()
    }

    fn remove_rightly(&mut self) {
        let old = self.now - SignedDuration::from_hours(40);
        let going: BTreeSet<BackupId> = match self.removes {
            Removes::Nobody => BTreeSet::new(),
            Removes::Bucket => {
                let newest = self.there.last().cloned();
                self.there.iter().filter(|id| id.taken_at() < old && Some(*id) != newest.as_ref()).cloned().collect()
            }
            _ => self.decided(&self.rules.clone()),
        };
        if self.removes == Removes::Here {
            self.removed.extend(going.iter().cloned());
        }
        self.there.retain(|id| !going.contains(id));
    }

    /// By hand, with the strictest rules that there are; where this host does so, it knows.
    fn remove_by_hand(&mut self) {
        let newest = self.there.last().cloned();
        let going: Vec<BackupId> = self.there.iter().filter(|id| Some(*id) != newest.as_ref()).cloned().collect();
        self.removed.extend(going.iter().cloned());
        self.there.retain(|id| Some(id) == newest.as_ref());
    }

    fn look(&mut self) -> Vec<BackupId> {
        let look = SeriesFacts {
            known: &self.known,
            there: &self.there,
            bare: &BTreeSet::new(),
            removed: &self.removed,
            policy: self.policy(),
            now: self.now,
        };
        let sight = look.after(self.sight.as_ref());
        let missed = sight.missed.iter().map(|one| one.id.clone()).collect();
        self.sight = Some(sight);
        missed
    }

    /// One thing that happens rightly.
    fn go_on(&mut self, random: &mut Random) {
        self.now += SignedDuration::from_mins(1 + random.below(600) as i64);
        match random.below(10) {
            0..=4 => {
                self.back_up(true);
                // One that was killed has not looked.
                if random.below(10) > 0 {
                    self.look();
                }
            }
            5 => self.back_up(false),
            6 | 7 => self.remove_rightly(),
            8 if matches!(self.removes, Removes::Here | Removes::ElsewhereByOther) && !self.there.is_empty() => {
                let before = self.removed.clone();
                self.remove_by_hand();
                if self.removes == Removes::ElsewhereByOther {
                    self.removed = before;
                }
            }
            _ => {
                self.look();
            }
        }
    }

    fn is_missed(&self, id: &BackupId) -> bool {
        self.sight.as_ref().is_some_and(|sight| sight.missed.iter().any(|one| one.id == *id))
    }
}

#[test]
fn whatever_is_removed_rightly_is_never_missed() {
    let mut random = Random::new("histories");
    let histories = size(2000, 100_000);
    for number in 0..histories {
        let mut world = World::new(&mut random);
        for _ in 0..random.below(60) {
            world.go_on(&mut random);
            let missed = world.sight.as_ref().map(|sight| sight.missed.clone()).unwrap_or_default();
            assert!(missed.is_empty(), "history {number}, {:?}: {missed:?}", world.removes);
        }
    }
    counted("missed", "histories in which everything was removed rightly: none was missed", histories, 0);
}

#[test]
fn a_newest_backup_that_is_taken_and_an_emptied_store_are_always_missed() {
    let mut random = Random::new("thefts");
    let (histories, mut taken) = (size(2000, 100_000), 0);
    for number in 0..histories {
        let mut world = World::new(&mut random);
        for _ in 0..random.below(40) {
            world.go_on(&mut random);
        }
        world.now += SignedDuration::from_mins(1);
        world.back_up(true);
        let looked = random.below(2) == 0;
        if looked {
            world.look();
        }
        let newest = world.known.last().unwrap().id.clone();
        let stood: BTreeSet<BackupId> =
            world.known.iter().map(|one| one.id.clone()).filter(|id| world.there.contains(id)).collect();
        let all = random.below(2) == 0;
        let kept = world.policy().map(|policy| world.decided(policy));
        match all {
            true => world.there.clear(),
            false => drop(world.there.remove(&newest)),
        }
        // By a look right then, or by that of the next run.
        world.now += SignedDuration::from_mins(1 + random.below(3000) as i64);
        if random.below(2) == 0 {
            world.back_up(true);
        }
        world.look();
        assert!(world.is_missed(&newest), "history {number}, {:?}: the newest, {newest}", world.removes);
        let foreign = world.known.len() < 2;
        for id in stood.iter().filter(|_| all && looked && !foreign) {
            // Where rules are known here, those that they keep; else all that stood.
            let counts = kept.as_ref().is_none_or(|going| !going.contains(id));
            assert!(!counts || world.is_missed(id), "history {number}, {:?}: {id} of {stood:?}", world.removes);
        }
        taken += 1;
    }
    counted("missed", "newest backups taken and stores emptied: all were missed", taken, 0);
}
