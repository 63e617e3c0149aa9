//! What belongs to the database itself: known from the backup, shown before a restore, and lacking where the server does not have it.

use super::Plan;
use crate::error::{Fault, Result};
use crate::manifest::Manifest;
use crate::manifest::properties::Name;
use crate::postgres::properties::{Done, Own, Rules, of_new};
use crate::postgres::settings::Settings;
use crate::postgres::shape::{Lacking, Shape};
use crate::postgres::target::{self, APPLICATION, State, Target};
use crate::vault::Opened;
use std::collections::BTreeMap;

/// Returns what the database is to have; None where the backup holds nothing of it. `rules` as in [`Own`].
pub fn own(opened: &Opened, database: &str, rules: Option<Rules>) -> Result<Option<Own>> {
    let wanted = opened.properties()?;
    Ok(wanted.map(|wanted| Own { database: database.to_owned(), wanted, rules }))
}

/// What a restore will do beside the dump, for people to read before it does.
#[derive(Debug, Default)]
pub struct Outlook {
    /// What the database will be given.
    pub given: Vec<String>,
    /// What will not be as it was.
    pub warnings: Vec<String>,
    /// That the backup knows nothing of it, as uploads and older ones do.
    pub unknown: Option<&'static str>,
}

pub fn outlook(manifest: &Manifest, plan: &Plan, target: &Target) -> Result<Outlook> {
    let Some(own) = &plan.own else {
        let none = "the backup does not hold what belongs to the database itself: owner, privileges, settings, comment and locale stay the server's";
        return Ok(Outlook { unknown: Some(none), ..Outlook::default() });
    };
    let fresh = || Name::try_from(target.role.clone()).ok().map(|role| of_new(role, &own.wanted));
    let found = target.properties.clone().or_else(fresh);
    let given = found.as_ref().map(|found| own.outlook(found)).unwrap_or_default();
    let mut warnings = Vec::new();
    let wanted = &own.wanted.locale;
    match &target.properties {
        Some(found) if !found.locale.is_same(wanted) => warnings.push(format!(
            "database \"{}\" has the locale {}, its source has {}: text may be ordered in another way, and what depends on that may fail",
            target.database,
            found.locale.describe(),
            wanted.describe()
        )),
        Some(_) => {}
        None => warnings.extend(instead(&shape(manifest, plan, target)?.1)),
    }
    Ok(Outlook { given, warnings, unknown: None })
}

/// What the server has of the source's shape. A locale that it lacks is refused unless any will do: order decides which rows are unique, and
/// which partition they belong to.
pub(super) fn shape(manifest: &Manifest, plan: &Plan, target: &Target) -> Result<(Shape, Lacking)> {
    let wanted = plan.own.as_ref().map(|own| &own.wanted);
    let mut shape = Shape::of(manifest.server.as_ref(), wanted);
    if plan.own.as_ref().is_some_and(|own| own.rules.is_none()) {
        shape.tablespace = None;
    }
    if target.state != State::Missing {
        return Ok((shape, Lacking::default()));
    }
    let (shape, lacking) = target::fitted(&plan.settings, shape)?;
    match &lacking.locale {
        Some(locale) if !plan.any_locale => Err(Fault::failed(format!(
            "the server lacks the locale of the database: {locale}"
        ))
        .hint(
            "install it for the server; or say --any-locale, and text may be ordered in another way than at the source",
        )
        .into()),
        _ => Ok((shape, lacking)),
    }
}

/// Refuses what the role may not do, as far as the server says so without being changed. Whoever is asked next must not say yes to what
/// cannot be.
pub(super) fn permitted(plan: &Plan, target: &Target) -> Result<()> {
    if plan.loader.is_some() {
        return Ok(());
    }
    let own = plan.own.as_ref().filter(|own| own.rules.is_some());
    match target.state {
        State::Missing => target.may_be_made(&plan.settings, own),
        State::Empty | State::Holds(_) => {
            let settings = plan.settings.for_database(&plan.database);
            own.map_or(Ok(()), |own| attempt(own, &settings).map(drop))
        }
    }
}

/// What takes the place of what is lacking.
fn instead(lacking: &Lacking) -> Vec<String> {
    let locale = lacking.locale.as_ref().map(|locale| {
        format!("the server lacks the locale {locale}: text may be ordered in another way, and what depends on that may fail")
    });
    let tablespace = lacking.tablespace.as_ref().map(|name| {
        format!("the server has no tablespace {name:?} for this role: the database lies in the default one")
    });
    locale.into_iter().chain(tablespace).collect()
}

/// Tries what [`give`] will do, and returns the application's own settings for sessions that load the dump.
pub(super) fn attempt(own: &Own, settings: &Settings) -> Result<BTreeMap<String, String>> {
    let mut client = settings.connect(APPLICATION)?;
    own.check(&mut client)?;
    let mut transaction = client.transaction()?;
    let session = own.begin(&mut transaction)?;
    transaction.rollback()?;
    Ok(session)
}

/// Gives the database its properties in a transaction of its own, where the dump was not restored in one.
pub(super) fn give(own: &Own, settings: &Settings) -> Result<Done> {
    let mut client = settings.connect(APPLICATION)?;
    let mut transaction = client.transaction()?;
    let done = own.finish(&mut transaction)?;
    transaction.commit()?;
    Ok(done)
}
