//! The bases of a database, by which its changes are worth anything.

use crate::base::error::{Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::lsn::Lsn;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::seal::SealedManifest;
use crate::jobs::restore::replay::base_choice::is_base;
use crate::repository::Repository;

/// A base whose `.meta` is authentic.
#[derive(Debug, Clone)]
pub(crate) struct StoredBase {
    pub id: BackupId,
    pub alignment: BaseAlignment,
}

/// Returns the bases of a database, the oldest first. One whose document cannot be read is passed over with a warning: `verify` of backups
/// says what is wrong with it.
pub(crate) fn stored_bases(
    repository: &Repository,
    subject: &Subject,
    monitor: &dyn Monitor,
) -> Result<Vec<StoredBase>> {
    let catalog = repository.catalog(Some(subject))?;
    let entries: Vec<_> = catalog.entries().iter().collect();
    let read =
        repository.each(&entries, |id, sealed| (id.clone(), sealed.and_then(|sealed| aligned(repository, sealed))))?;
    let mut bases = Vec::new();
    for (id, aligned) in read {
        match aligned {
            Ok(alignment) => bases.extend(alignment.map(|alignment| StoredBase { id, alignment })),
            // Somebody may prune meanwhile.
            Err(error) if kind(&error) == Kind::NotFound => {}
            Err(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey) => {
                monitor.warn(&format!("{id} is not counted as a base: {error:#}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bases)
}

/// Returns how a backup is aligned, by its authentic document. `None`: it does not claim to be a base, and no more is asked of it.
fn aligned(repository: &Repository, sealed: SealedManifest) -> Result<Option<BaseAlignment>> {
    if !is_base(&sealed.claims()?) {
        return Ok(None);
    }
    let (manifest, _) = sealed.authenticate(repository.key.as_ref(), repository.allow_unauthenticated)?;
    Ok(manifest.changes)
}

/// Returns the newest of these bases of one generation that the stored changes reach, and the one before it. `Err` says why there are none.
pub(crate) fn pair(bases: &[StoredBase], end: Lsn) -> std::result::Result<(&StoredBase, &StoredBase), String> {
    match bases {
        [] => return Err("it has no base".to_owned()),
        [only] => {
            return Err(format!(
                "the proof compares a base and its changes with a later base, and there is only {}: it needs a second one",
                only.id
            ));
        }
        _ => {}
    }
    let reached = bases.windows(2).rev().find(|two| two[1].alignment.after_lsn() <= end);
    reached.map(|two| (&two[0], &two[1])).ok_or_else(|| {
        let second = &bases[1];
        format!(
            "the stored changes end at {end}, before {} at {}: changes are stored some time after they were made",
            second.id,
            second.alignment.after_lsn()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::transaction_snapshot::TransactionSnapshot;

    fn base(id: &str, after: u64) -> StoredBase {
        let snapshot = TransactionSnapshot::of_text("7:9:7").unwrap();
        let generation = "20260822T031500Z-5f0c21ab".parse().unwrap();
        let alignment = BaseAlignment::new(generation, snapshot, (Lsn(after), Lsn(after))).unwrap();
        StoredBase { id: format!("shop-202608{id}T031500Z").parse().unwrap(), alignment }
    }

    #[test]
    fn the_newest_base_that_the_changes_reach_is_compared_with_the_one_before_it() {
        let bases = [base("22", 100), base("23", 200), base("24", 300)];
        let of = |end| pair(&bases, Lsn(end)).map(|(from, to)| [from, to].map(|base| base.alignment.after_lsn().0));
        assert_eq!((of(300), of(299), of(200)), (Ok([200, 300]), Ok([100, 200]), Ok([100, 200])));
        assert!(of(199).unwrap_err().contains("before shop-20260823T031500Z at 0/C8"), "{:?}", of(199));
        assert!(pair(&bases[..1], Lsn(300)).unwrap_err().contains("needs a second one"));
        assert!(pair(&[], Lsn(300)).is_err());
    }
}
