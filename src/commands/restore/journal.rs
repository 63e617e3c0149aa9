//! `pgbk restore --journal`: restores the state that a journal leads to.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::Console;
use crate::commands::restore::at::carry_out;
use crate::config;
use crate::format::changes::journal::{JOURNAL_LIMIT, Journal, with_next_step};
use crate::format::restore_point::RestorePoint;
use crate::jobs::restore::replay::base_choice::{ChosenBase, choose_base, follow_base, newest_generation};
use crate::jobs::restore::replay::replay_plan::LeftGeneration;
use crate::repository::Repository;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub(crate) fn run(args: &RestoreArgs, file: &Path, to: &str, console: &Console) -> Result<u8> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let text = text(file, &name).map_err(with_next_step)?;
    let journal = Journal::open(&name, &text, config::key()?.as_ref(), args.keys.allow_unauthenticated)?;
    let store = config::journal::store_of(&journal, &args.store)?;
    let repository = config::repository(&store, &args.keys, &args.state)?;
    let written_at = journal.written_at;
    let journal = repository.newest_journal(journal);
    if journal.written_at > written_at {
        console.info(&format!("the store has a newer journal, of {}, which is followed", journal.written_at));
    }
    let point = args.at.unwrap_or(RestorePoint::Latest);
    let mut chosen = choose(&repository, &journal, point, console)?;
    if point == RestorePoint::Latest {
        must_reach(&chosen, &journal)?;
        match later_generation(&repository, &journal, &chosen) {
            Ok(later) => chosen.changes.newer = later.or(chosen.changes.newer),
            Err(error) => console.warn(&format!("whether something was captured since then cannot be told: {error:#}")),
        }
    }
    carry_out(args, (point, to), &repository, chosen, console)
}

/// Returns the base of the journal. Where it is gone, or is later than the moment, the bases in the store are looked at.
fn choose(repository: &Repository, journal: &Journal, point: RestorePoint, console: &Console) -> Result<ChosenBase> {
    let id = &journal.base.id;
    let followed =
        repository.listing_of_journal(journal).and_then(|listing| follow_base(repository, id, listing, point));
    match followed {
        Err(error) if kind(&error) == Kind::NotFound => {
            console
                .warn(&format!("the base of the journal does not lead there ({error:#}), another one is looked for"));
            choose_base(repository, &journal.database, None, point)
        }
        followed => followed,
    }
}

/// Looks for a generation that has begun since, of which the journal cannot tell.
fn later_generation(repository: &Repository, journal: &Journal, chosen: &ChosenBase) -> Result<Option<LeftGeneration>> {
    let newest = newest_generation(&repository.generations(&journal.database)?);
    let why = "the journal is of an earlier one. \"--at latest\" without it restores the latest that has a base";
    let later = newest.filter(|newest| *newest > chosen.changes.generation);
    Ok(later.map(|id| LeftGeneration { id, why }))
}

/// Fails if the store has less than the journal says.
fn must_reach(chosen: &ChosenBase, journal: &Journal) -> Result<()> {
    let (stop, end) = (chosen.changes.stop, journal.end);
    if chosen.changes.generation != journal.generation || stop >= end {
        return Ok(());
    }
    Err(Fault::damaged(format!(
        "the journal says that changes are stored up to {end}, and those in the store end at {stop}"
    ))
    .hint(format!("what is there can be restored: --at {stop}"))
    .into())
}

/// Reads the text of a file, or of stdin. What is no text in it is around a journal.
fn text(file: &Path, name: &str) -> Result<String> {
    let told = |error: io::Error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Usage };
        Fault::new(kind, format!("cannot read \"{name}\": {error}"))
    };
    let from: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(file).map_err(told)?),
    };
    let mut bytes = Vec::new();
    from.take(JOURNAL_LIMIT + 1).read_to_end(&mut bytes).map_err(told)?;
    match bytes.len() as u64 > JOURNAL_LIMIT {
        true => Err(Fault::usage(format!("\"{name}\" is larger than a journal is")).into()),
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
