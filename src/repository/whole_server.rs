//! Finds the newest backup of each database of one server, and none that is another's.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::manifest::lineage::{Claims, Lineages, Owner};
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::newest::{LatestBackup, NewestQuery, ServerIdentity, server_of};

impl Repository {
    /// Returns the newest backup of each of these databases that the asking server made. If it has made none here, it gets those of the
    /// only other server; several other servers are an error.
    pub fn whole(&self, catalog: &Catalog, subjects: &[Subject], asker: &NewestQuery) -> Result<Vec<LatestBackup>> {
        let own = self.whole_of(catalog, subjects, asker)?;
        if self.claimed(catalog, &own)?.iter().flatten().any(|claims| asker.server.made(&claims.owner)) {
            return Ok(own);
        }
        let newest = subjects.iter().map(|subject| self.latest(&catalog.of_subject(subject), subject, asker));
        let mut newest: Vec<LatestBackup> = newest.collect::<Result<_>>()?;
        let claimed = self.claimed(catalog, &newest)?;
        let lineages = Lineages::of(claimed.iter().flatten());
        if lineages.are_several() {
            let servers: Vec<String> =
                lineages.all().iter().map(|lineage| joined(lineage.iter().map(String::as_str))).collect();
            return Err(Fault::usage(format!(
                "{} has backups of several servers, and none of this one's: {}",
                self.store.location(),
                servers.join("; ")
            ))
            .hint("say with --from whose databases are meant")
            .into());
        }
        // Said once, and not of each database; what else there is to say of one stays.
        if let [lineage] = lineages.all() {
            let mut remark = Some(format!(
                "this server has made no backup in {}; what is restored is of {}",
                self.store.location(),
                joined(lineage.iter().map(String::as_str))
            ));
            for (latest, claims) in newest.iter_mut().zip(&claimed) {
                if matches!(claims, Some(Claims { owner: Owner::Server(server), .. }) if lineage.contains(server)) {
                    latest.remark = remark.take();
                }
            }
        }
        Ok(newest)
    }

    /// Returns the newest backup of each of these databases that this server made. Databases that it did not back up are left out.
    pub fn whole_of(&self, catalog: &Catalog, subjects: &[Subject], asker: &NewestQuery) -> Result<Vec<LatestBackup>> {
        let own = subjects.iter().map(|subject| Ok(self.own(&catalog.of_subject(subject), subject, asker)?.1));
        Ok(own.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Returns the claims of these backups, in the same order; `None` if they cannot be read.
    fn claimed(&self, catalog: &Catalog, newest: &[LatestBackup]) -> Result<Vec<Option<Claims>>> {
        let listed = |latest: &LatestBackup| catalog.get(&latest.id).ok_or_else(|| self.missing(&latest.id).into());
        let entries: Vec<&CatalogEntry> = newest.iter().map(listed).collect::<Result<_>>()?;
        Ok(self.claims(&entries)?.into_iter().map(Result::ok).collect())
    }
}

impl ServerIdentity {
    /// Returns the name of the server for messages.
    pub fn describe(&self) -> String {
        match self {
            ServerIdentity::Named(identifier) => server_of(Some(identifier)),
            ServerIdentity::Unnamed | ServerIdentity::Unasked => "this server".to_owned(),
        }
    }
}

fn joined<'a>(servers: impl Iterator<Item = &'a str>) -> String {
    servers.map(|server| server_of(Some(server))).collect::<Vec<_>>().join(" with ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};
    use crate::format::manifest::origin::Origins;
    use crate::repository::made_backups::{at, put, repository};
    use crate::store::memory::Memory;

    #[test]
    fn of_several_other_servers_none_is_taken_for_the_one_that_is_meant() {
        let subjects = ["app", "crm"].map(Subject::from);
        let asker =
            NewestQuery { server: ServerIdentity::Named("7009".to_owned()), origins: Origins::Backup, now: at(100) };
        // Each database has but one series.
        let whole = |of_crm: &str| {
            let repository = repository(&Memory::default());
            put(&repository, "app", 1, Some("7001"), &[]);
            put(&repository, "crm", 2, Some(of_crm), &[]);
            repository.whole(&repository.catalog(None).unwrap(), &subjects, &asker)
        };
        assert_eq!(whole("7001").unwrap().len(), 2);
        let error = whole("7002").unwrap_err();
        assert_eq!(kind(&error), Kind::Usage);
        let said = format!("{error:#}");
        assert!(said.starts_with("memory has backups of several servers, and none of this one's: "), "{said}");
        assert!(said.contains("7001") && said.contains("7002"), "{said}");
        assert_eq!(hints(&error), ["say with --from whose databases are meant"]);
    }
}
