//! Retention of captured changes: a segment goes when no base that stays needs it, the oldest first and never from the middle.
//!
//! Where a chain is cut, a document of the cut is written first. From then on the chain begins there, so that whatever ends the removal leaves
//! a chain that can be restored. A generation goes as a whole when no base of it stays and a newer one is there; its own document goes last.

use crate::base::cancel;
use crate::base::error::{Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::lsn::Lsn;
use crate::format::manifest::lineage::{Owner, short};
use crate::jobs::prune::chain_outcome::ChainOutcome;
use crate::jobs::prune::kept_bases::BaseNeed;
use crate::jobs::prune::scope::{self, BackupOwner, PruneScope};
use crate::repository::Repository;
use crate::repository::chain::generation_listing::GenerationListing;
use crate::store::{Store, remove_for_good, remove_surely};

/// The changes that the backups need that stay.
#[derive(Debug, Default)]
pub(crate) struct ChainNeeds {
    pub bases: Vec<BaseNeed>,
    /// A backup of which nothing can be read: it may be a base of any generation.
    pub unknown: Option<BackupId>,
}

/// The generations of a database, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct ChainSurvey {
    generations: Vec<SurveyedGeneration>,
}

#[derive(Debug)]
struct SurveyedGeneration {
    listing: GenerationListing,
    /// Why nothing of it may be removed. `None`: it is this server's.
    held: Option<String>,
    /// Whether a newer one of the same server is there.
    is_past: bool,
}

/// The fate of a generation.
enum ChainDecision {
    /// Everything stays, for this reason.
    Stays(String),
    /// Segments that end at this place or before go. The reason is why the others stay.
    UpTo(Lsn, String),
    Whole,
}

impl ChainSurvey {
    /// Lists the generations and reads their documents. `owners`: those of all backups of the database.
    pub fn of(
        repository: &Repository,
        subject: &Subject,
        owners: &[&BackupOwner],
        scope: &PruneScope,
    ) -> Result<ChainSurvey> {
        let (mut generations, mut newer) = (Vec::new(), Vec::new());
        for listing in repository.generations(subject)?.into_iter().rev() {
            let (held, is_past) = match repository.generation(&listing) {
                Ok(generation) => {
                    let server = generation.system_identifier.0;
                    let owner = Owner::Server(server.to_string());
                    let is_past = newer.contains(&server);
                    newer.push(server);
                    let is_judged = scope::judges(owners, scope, &owner)?;
                    let held = (!is_judged).then(|| format!("of another server (…{})", short(&server.to_string())));
                    (held, is_past)
                }
                Err(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey | Kind::Usage) => {
                    (Some(format!("no good, left for you to see: {error:#}")), false)
                }
                Err(error) => return Err(error),
            };
            generations.push(SurveyedGeneration { listing, held, is_past });
        }
        generations.reverse();
        Ok(ChainSurvey { generations })
    }

    pub fn count(&self) -> usize {
        self.generations.len()
    }

    /// Returns how many generations would go as a whole.
    pub fn whole(&self, needs: &ChainNeeds) -> usize {
        let is_whole = |one: &&SurveyedGeneration| matches!(one.decide(needs), ChainDecision::Whole);
        self.generations.iter().filter(is_whole).count()
    }

    /// Removes what no backup needs; in a dry run only says so.
    pub fn carry_out(
        &self,
        repository: &Repository,
        needs: &ChainNeeds,
        is_dry: bool,
        monitor: &dyn Monitor,
    ) -> Result<Vec<ChainOutcome>> {
        self.generations.iter().map(|one| one.carry_out(repository, needs, is_dry, monitor)).collect()
    }
}

impl SurveyedGeneration {
    fn decide(&self, needs: &ChainNeeds) -> ChainDecision {
        if let Some(why) = &self.held {
            return ChainDecision::Stays(why.clone());
        }
        if let Some(id) = &needs.unknown {
            return ChainDecision::Stays(format!("{id} may need them, whose .meta cannot be read"));
        }
        let bases = needs.bases.iter().filter(|base| base.generation == self.listing.folder.generation);
        match bases.min_by_key(|base| base.from) {
            Some(base) => ChainDecision::UpTo(base.from, format!("base {} needs them", base.id)),
            None if self.is_past => ChainDecision::Whole,
            None => ChainDecision::Stays("the newest generation, and no base of it is there".to_owned()),
        }
    }

    fn carry_out(
        &self,
        repository: &Repository,
        needs: &ChainNeeds,
        is_dry: bool,
        monitor: &dyn Monitor,
    ) -> Result<ChainOutcome> {
        let (limit, why) = match self.decide(needs) {
            ChainDecision::Stays(why) => return Ok(self.outcome(0, why)),
            ChainDecision::UpTo(limit, why) => (Some(limit), why),
            ChainDecision::Whole => (None, String::new()),
        };
        let going = repository.removable(&self.listing, limit)?;
        let mut outcome = self.outcome(going.count(&self.listing), why);
        outcome.why = going.fault.as_ref().map_or(outcome.why, |fault| format!("{fault:#}"));
        outcome.whole = limit.is_none() && going.fault.is_none();
        let begin = going.begin.unwrap_or_default();
        outcome.bytes = self.payloads(|start| outcome.whole || start < begin).map(|(_, bytes)| bytes).sum();
        if is_dry || going.begin.is_none() && !outcome.whole {
            return Ok(outcome);
        }
        if let Some(cut) = &going.cut {
            repository.write_cut(cut)?;
        }
        self.remove(repository.store.as_ref(), begin, &mut outcome, monitor)?;
        Ok(outcome)
    }

    fn outcome(&self, gone: usize, why: String) -> ChainOutcome {
        let (generation, segments) = (self.listing.folder.generation, self.listing.segments.len());
        ChainOutcome { generation, segments, gone, left: 0, bytes: 0, whole: false, why }
    }

    /// Returns the payloads of the segments that start at such places, with their sizes.
    fn payloads(&self, is_wanted: impl Fn(Lsn) -> bool) -> impl Iterator<Item = (&str, u64)> {
        self.listing.payloads.values().filter_map(move |listed| {
            let (_, object) = GenerationFolder::of_key(&listed.key)?;
            let is_wanted = matches!(object, GenerationObject::Payload { start, .. } if is_wanted(start));
            is_wanted.then_some((listed.key.as_str(), listed.bytes))
        })
    }

    /// Removes the segments before a place, or all: each document before its payload. It ends at the first one that the store refuses.
    fn remove(&self, store: &dyn Store, begin: Lsn, outcome: &mut ChainOutcome, monitor: &dyn Monitor) -> Result<()> {
        let whole = outcome.whole;
        let going: Vec<_> = self.listing.segments.iter().filter(|(start, _)| whole || **start < begin).collect();
        outcome.gone = 0;
        for (at, (start, document)) in going.iter().enumerate() {
            cancel::check()?;
            if let Some(why) = refusal(remove_surely(store, &document.key))? {
                (outcome.left, outcome.whole, outcome.why) = (going.len() - at, false, why);
                self.tell(outcome, monitor);
                return Ok(());
            }
            outcome.gone += 1;
            for (payload, _) in self.payloads(|of| of == **start) {
                if let Some(why) = refusal(remove_for_good(store, payload, None).map(|()| true))? {
                    monitor.warn(&format!("\"{payload}\" is left, whose .meta is gone: {why}"));
                }
            }
        }
        // The one that was written for this removal is not listed yet.
        let cut = self.listing.folder.key(&GenerationObject::Cut(begin));
        let old_cuts = self.listing.cuts.iter().filter(|(place, _)| whole || **place < begin);
        let mut last: Vec<&str> = old_cuts.map(|(_, listed)| listed.key.as_str()).collect();
        if whole {
            last.push(&cut);
            last.extend(self.payloads(|_| true).map(|(key, _)| key));
            last.extend(self.listing.others.iter().map(|listed| listed.key.as_str()));
            last.extend(self.listing.document.iter().map(|listed| listed.key.as_str()));
        }
        for key in last {
            if let Some(why) = refusal(remove_for_good(store, key, None).map(|()| true))? {
                (outcome.whole, outcome.why) = (false, why);
                break;
            }
        }
        self.tell(outcome, monitor);
        Ok(())
    }

    fn tell(&self, outcome: &ChainOutcome, monitor: &dyn Monitor) {
        if outcome.gone > 0 {
            let (count, folder) = (many(outcome.gone, "segment"), self.listing.folder.prefix());
            monitor.note(&format!("removed {count} of \"{folder}\": no base needs them"));
        }
    }
}

/// Returns why the store does not remove an object; `None`: it did.
fn refusal(removed: Result<bool>) -> Result<Option<String>> {
    match removed {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some("the store was told to remove a .meta and still has it".to_owned())),
        Err(error) if kind(&error) == Kind::Denied => Ok(Some(format!("{error:#}"))),
        Err(error) => Err(error),
    }
}
