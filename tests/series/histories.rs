//! Histories at random: whatever servers, clocks and people do, nothing is lost and nothing is taken for something else.

use crate::series::world::{DATABASE, Made, Maker, World, identifier, rules};
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::Manifest;
use pgbk::format::manifest::lineage::Owner;
use pgbk::jobs::prune::scope::PruneScope;
use pgbk::repository::new_backup::Adoption;
use pgbk::repository::newest::ServerIdentity;
use std::collections::BTreeSet;
use support::proof;
use support::random::Random;

/// What an act may remove, by whose rules.
enum By {
    /// No rules: nothing.
    Nobody,
    Server(usize),
    Everybody,
    /// Those of what names no server.
    Nameless,
}

/// Of the backups of one maker that are dated before this clock, the one that was made last.
fn newest(made: &[Made], maker: Maker, at: jiff::Timestamp) -> Option<&Made> {
    made.iter().rev().find(|one| one.maker == maker && !one.id.is_from_the_future(at))
}

impl World {
    /// What must hold of everything that an act has removed.
    fn judge(&self, before: &BTreeSet<BackupId>, by: &By, now: jiff::Timestamp) {
        let after = self.stored();
        let gone: Vec<&BackupId> = before.difference(&after).collect();
        let makers: BTreeSet<Maker> = before.iter().map(|id| self.maker(id)).collect();
        let own: BTreeSet<Maker> = match by {
            By::Nobody => BTreeSet::new(),
            By::Server(server) => {
                self.adopted[*server].iter().chain([server]).map(|server| Maker::Server(*server)).collect()
            }
            By::Everybody => (0..self.servers()).map(Maker::Server).collect(),
            By::Nameless => BTreeSet::from([Maker::Old, Maker::Upload]),
        };
        let others = makers.iter().any(|maker| matches!(maker, Maker::Server(_)) && !own.contains(maker));
        for id in gone {
            let told = format!("{id} of {:?}, at {now}: {:#?}", self.maker(id), self.told);
            let allowed = match self.maker(id) {
                Maker::Server(_) => own.contains(&self.maker(id)),
                Maker::Old | Maker::Upload => match by {
                    By::Nobody => false,
                    By::Server(_) => !others,
                    By::Everybody => self.is_one_series(&makers),
                    By::Nameless => true,
                },
            };
            assert!(allowed, "removed by the rules of another: {told}");
            assert!(!self.pinned.contains(id), "pinned: {told}");
            assert!(!id.is_from_the_future(now), "its time is still to come: {told}");
            let maker = self.maker(id);
            let stored: Vec<Made> =
                self.made.iter().filter(|one| before.contains(&one.id) || after.contains(&one.id)).cloned().collect();
            if let Maker::Server(_) = maker {
                assert_ne!(
                    newest(&stored, maker, now).map(|one| &one.id),
                    Some(id),
                    "the newest of its server: {told}"
                );
            }
            // Of several servers' the sequences say nothing of which was proven last; what has none was made before all that have one,
            // whatever date a clock gave those.
            let proven: Vec<Made> = stored.into_iter().filter(|one| self.proven.contains(&one.id)).collect();
            let last = newest(&proven, maker, now)
                .filter(|last| proven.iter().all(|one| one.maker == maker || maker != Maker::Old && one.id < last.id));
            assert!(last.is_none_or(|last| last.id != *id || own.len() > 1), "the last proven: {told}");
        }
        // Where there are good ones, the newest of all of them is left.
        let past = |ids: &BTreeSet<BackupId>| ids.iter().any(|id| !id.is_from_the_future(now));
        assert!(past(&after) || !past(before), "none is left: {:#?}", self.told);
    }

    /// Whether what several servers made is one series, by adoption.
    fn is_one_series(&self, makers: &BTreeSet<Maker>) -> bool {
        let servers: BTreeSet<usize> = makers
            .iter()
            .filter_map(|maker| match maker {
                Maker::Server(server) => Some(*server),
                _ => None,
            })
            .collect();
        servers.len() < 2
            || servers
                .iter()
                .any(|server| servers.iter().all(|one| one == server || self.adopted[*server].contains(one)))
    }

    /// The last run of each server that said "done" is stored, and is its latest unless it is dated ahead of who asks.
    fn is_well(&self, server: usize) {
        let stored = self.stored();
        let told = format!("server {server} at {}: {:#?}", self.now(server), self.told);
        let maker = Maker::Server(server);
        let last = self.of(maker).last();
        assert!(last.is_none_or(|last| stored.contains(&last.id)), "the last run is not there: {told}");
        let kept: Vec<Made> = self.made.iter().filter(|one| stored.contains(&one.id)).cloned().collect();
        let latest = self.repository.latest(&self.catalog(), &DATABASE.into(), &self.asker(server));
        match newest(&kept, maker, self.now(server)) {
            Some(expected) => {
                let latest = latest.unwrap_or_else(|error| panic!("{error:#}: {told}")).id;
                // What has no sequence stands where its date puts it.
                let old = self.maker(&latest) == Maker::Old && latest > expected.id;
                assert!(latest == expected.id || old, "latest is {latest}, not {}: {told}", expected.id);
            }
            None if last.is_some() => {
                let own = latest.as_ref().is_ok_and(|latest| self.maker(&latest.id) == Maker::Old);
                assert!(own || latest.is_err(), "{latest:?} stands in for what a clock hides: {told}");
            }
            None => {
                if let Ok(latest) = latest {
                    let named = latest.remark.is_some() || self.maker(&latest.id) == Maker::Old;
                    assert!(named, "another's without a word: {latest:?}: {told}");
                }
            }
        }
    }

    /// Sequences only grow, and ids do not go back behind what the clock of the run believes.
    fn in_order(&self, made: &Manifest, server: usize, before: &BTreeSet<BackupId>) {
        let told = format!("{} at {}: {:#?}", made.id, self.now(server), self.told);
        let now = self.now(server);
        let series = || self.of(Maker::Server(server)).filter(|one| one.id != made.id);
        for one in series() {
            assert!(one.sequence < made.sequence, "{} has sequence {}, {told}", one.id, one.sequence);
        }
        let believed = |one: &&Made| before.contains(&one.id) && !one.id.is_from_the_future(now);
        if let Some(newest) = series().filter(believed).map(|one| &one.id).max() {
            // After one that is as far ahead as a name may be comes none that is.
            let after = |id: &BackupId| BackupId::new(DATABASE, id.taken_at() + std::time::Duration::from_secs(1));
            let mut next = after(newest);
            while before.contains(&next) {
                next = after(&next);
            }
            assert!(*newest < made.id || next.is_from_the_future(now), "{} is behind {newest}: {told}", made.id);
        }
        assert!(!made.id.is_from_the_future(now), "{told}");
        assert_eq!(made.owner(), Owner::Server(identifier(server)));
    }

    fn act(&mut self, clocks: bool) {
        let server = self.random.below(self.servers());
        let before = self.stored();
        let now = self.now(server);
        let any = |world: &mut World| {
            let ids: Vec<BackupId> = world.stored().into_iter().collect();
            (!ids.is_empty()).then(|| ids[world.random.below(ids.len())].clone())
        };
        let act = self.random.below(24);
        self.told.push(format!("{act} by server {server} at {now}"));
        let by = match act {
            0..=5 => self.run(server, &before, None),
            6..=9 => {
                let rules = rules(&mut self.random);
                self.run(server, &before, Some(rules))
            }
            10 => {
                self.backup(server, &Adoption::No, true);
                By::Nobody
            }
            11 | 12 => {
                self.upload(server);
                By::Nobody
            }
            13 => {
                if let Some(id) = any(self) {
                    self.repository.pin(&id).expect("pin");
                    self.pinned.insert(id);
                }
                By::Nobody
            }
            14 => {
                if let Some(id) = self.pinned.pop_first() {
                    self.repository.unpin(&id).expect("unpin");
                }
                By::Nobody
            }
            15 => {
                if let Ok(latest) = self.repository.latest(&self.catalog(), &DATABASE.into(), &self.asker(server)) {
                    self.proven.insert(latest.id);
                }
                By::Nobody
            }
            16 if self.servers() > 1 => self.adopt(server),
            17..=19 => self.pruned(server, now),
            _ => {
                if clocks {
                    self.jump();
                }
                By::Nobody
            }
        };
        self.judge(&before, &by, now);
        self.is_well(server);
        self.wait();
    }

    fn run(
        &mut self,
        server: usize,
        before: &BTreeSet<BackupId>,
        rules: Option<pgbk::repository::retention::RetentionRules>,
    ) -> By {
        let made = self.backup(server, &Adoption::No, false).expect("a backup");
        self.in_order(&made, server, before);
        let Some(rules) = rules else { return By::Nobody };
        self.told.push(format!("{} and {rules:?}", made.id));
        self.upkeep(&made, rules, self.now(server));
        assert!(self.stored().contains(&made.id), "what the run made is gone: {:#?}", self.told);
        By::Server(server)
    }

    fn adopt(&mut self, server: usize) -> By {
        let other = self.random.below(self.servers());
        let adopt = if self.random.below(2) == 0 { Adoption::Only } else { Adoption::This(identifier(other)) };
        if let Some(made) = self.backup(server, &adopt, false) {
            self.told.push(format!("{} goes on with {:?}", made.id, made.adopted));
        }
        By::Nobody
    }

    fn pruned(&mut self, server: usize, now: jiff::Timestamp) -> By {
        let rules = rules(&mut self.random);
        let (scope, by) = match self.random.below(6) {
            0 => (PruneScope::All, By::Everybody),
            1 => (PruneScope::Of(ServerIdentity::Unasked), By::Everybody),
            2 => (PruneScope::Nobody, By::Nameless),
            3 => (PruneScope::Of(ServerIdentity::Unnamed), By::Nobody),
            _ => (PruneScope::Of(ServerIdentity::Named(identifier(server))), By::Server(server)),
        };
        self.told.push(format!("{scope:?} and {rules:?}"));
        // Where no server makes anything with a name, what has none is that of the one that asks.
        let nameless = !self.made.iter().any(|one| matches!(one.maker, Maker::Server(_)));
        let by = if matches!(by, By::Nobody) && nameless { By::Server(server) } else { by };
        self.prune(scope, rules, now);
        by
    }
}

fn history(world: &mut World, acts: usize, clocks: bool) {
    for _ in 0..world.random.below(3) {
        let days = 1 + world.random.below(500);
        world.old(i64::try_from(days).expect("days"));
    }
    for _ in 0..acts {
        world.act(clocks);
    }
    // Once every clock is right again, the last runs are believed.
    world.right_clocks();
    (0..world.servers()).for_each(|server| world.is_well(server));
}

#[test]
fn under_any_clocks_the_last_run_is_stored_and_is_the_latest() {
    let mut seeds = Random::new("clocks");
    let many = proof::size(30, 2_000);
    let mut runs = 0;
    for at in 0..many {
        let mut world = World::new(1, at % 2 == 0, seeds.fork());
        history(&mut world, 30, true);
        runs += world.made.len();
    }
    proof::counted("clocks", "histories of one server, whose clocks were off by up to 20 years and jumped", many, 0);
    proof::counted("clocks", "backups that were made in them", runs, 0);
}

#[test]
fn servers_in_one_folder_never_cross_whatever_they_and_people_do() {
    let mut seeds = Random::new("servers");
    let many = proof::size(30, 1_000);
    let mut runs = 0;
    for at in 0..many {
        let mut world = World::new(2 + at % 2, at % 4 < 2, seeds.fork());
        history(&mut world, 40, at % 3 > 0);
        runs += world.made.len();
    }
    proof::counted("servers", "histories of two or three servers with one database's name in one folder", many, 0);
    proof::counted("servers", "backups that were made in them", runs, 0);
}
