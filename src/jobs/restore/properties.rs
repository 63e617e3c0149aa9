//! Restores the properties of the database itself: read from the backup, shown before a restore, and reported if the server lacks them.

use crate::base::error::{Fault, Result};
use crate::format::manifest::Manifest;
use crate::format::manifest::properties::Name;
use crate::jobs::restore::missing_requirements::without;
use crate::jobs::restore::plan::RestoreOutlook;
use crate::jobs::restore::plan::RestorePlan;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties::changes::PropertyRules;
use crate::postgres::properties::of_new;
use crate::postgres::properties::own_properties::{OwnProperties, PropertiesReport};
use crate::postgres::restore::target::{self, APPLICATION, RestoreTarget, TargetState};
use crate::postgres::shape::{Shape, ShapeGaps};
use crate::repository::reader::BackupReader;
use std::collections::BTreeMap;

/// Returns the properties that the database is to have; `None` if the backup holds none. `rules` as in [`OwnProperties`].
pub fn own(opened: &BackupReader, database: &str, rules: Option<PropertyRules>) -> Result<Option<OwnProperties>> {
    let wanted = opened.properties()?;
    Ok(wanted.map(|wanted| OwnProperties { database: database.to_owned(), wanted, rules }))
}

/// Describes what the restore will do to the database itself, and what it will do without.
pub fn outlook(manifest: &Manifest, plan: &RestorePlan, target: &RestoreTarget) -> Result<RestoreOutlook> {
    let Some(own) = &plan.own else {
        let none = "the backup does not hold what belongs to the database itself: owner, privileges, settings, comment and locale stay the server's";
        return Ok(RestoreOutlook {
            unknown: Some(none),
            warnings: without(&target.unavailable, plan),
            ..RestoreOutlook::default()
        });
    };
    let fresh = || Name::try_from(target.role.clone()).ok().map(|role| of_new(role, &own.wanted));
    let found = target.properties.clone().or_else(fresh);
    let given = found.as_ref().map(|found| own.outlook(found)).unwrap_or_default();
    let mut warnings = without(&target.unavailable, plan);
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
    Ok(RestoreOutlook { given, warnings, unknown: None })
}

/// Returns as much of the source's shape as the server has, and what it lacks. A missing locale is an error unless any will do: order
/// decides which rows are unique, and which partition they belong to.
pub(crate) fn shape(manifest: &Manifest, plan: &RestorePlan, target: &RestoreTarget) -> Result<(Shape, ShapeGaps)> {
    let wanted = plan.own.as_ref().map(|own| &own.wanted);
    let mut shape = Shape::of(manifest.server.as_ref(), wanted);
    if plan.own.as_ref().is_some_and(|own| own.rules.is_none()) {
        shape.tablespace = None;
    }
    if target.state != TargetState::Missing {
        return Ok((shape, ShapeGaps::default()));
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

/// Checks that the role may do its part, as far as the server says so without being changed. So the
/// user is not asked to confirm what would fail.
pub(crate) fn permitted(plan: &RestorePlan, target: &RestoreTarget) -> Result<()> {
    if plan.loader.is_some() {
        return Ok(());
    }
    let own = plan.own.as_ref().filter(|own| own.rules.is_some());
    match target.state {
        TargetState::Missing => target.may_be_made(&plan.settings, own),
        TargetState::Empty | TargetState::Holds(_) => {
            let settings = plan.settings.for_database(&plan.database);
            own.map_or(Ok(()), |own| attempt(own, &settings).map(drop))
        }
    }
}

/// Describes what takes the place of what the server lacks.
fn instead(lacking: &ShapeGaps) -> Vec<String> {
    let locale = lacking.locale.as_ref().map(|locale| {
        format!("the server lacks the locale {locale}: text may be ordered in another way, and what depends on that may fail")
    });
    let tablespace = lacking.tablespace.as_ref().map(|name| {
        format!("the server has no tablespace {name:?} for this role: the database lies in the default one")
    });
    locale.into_iter().chain(tablespace).collect()
}

/// Tries what [`give`] will do and rolls it back. Returns the application's own settings for sessions that load the dump.
pub(crate) fn attempt(own: &OwnProperties, settings: &ConnectionSettings) -> Result<BTreeMap<String, String>> {
    let mut client = settings.connect(APPLICATION)?;
    own.check(&mut client)?;
    let mut transaction = client.transaction()?;
    let session = own.begin(&mut transaction)?;
    transaction.rollback()?;
    Ok(session)
}

/// Gives the database its properties in a transaction of its own, if the dump was not restored in one.
pub(crate) fn give(own: &OwnProperties, settings: &ConnectionSettings) -> Result<PropertiesReport> {
    let mut client = settings.connect(APPLICATION)?;
    let mut transaction = client.transaction()?;
    let done = own.finish(&mut transaction)?;
    transaction.commit()?;
    Ok(done)
}
