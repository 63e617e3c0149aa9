//! Recognises a managed server by what its provider put into it, and says how that provider lets changes be streamed.

use crate::base::error::Result;
use crate::postgres::session::query::names;
use postgres::Client;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedProvider {
    /// Amazon RDS, and Aurora.
    Amazon,
    Azure,
    CloudSql,
    Supabase,
    Neon,
}

/// The signs of each: the beginning of its settings' names, and a role.
const SIGNS: [(ManagedProvider, &str, &str); 5] = [
    (ManagedProvider::Neon, "neon.", "neon_superuser"),
    (ManagedProvider::Supabase, "supautils.", "supabase_admin"),
    (ManagedProvider::CloudSql, "cloudsql.", "cloudsqlsuperuser"),
    (ManagedProvider::Azure, "azure.", "azure_pg_admin"),
    (ManagedProvider::Amazon, "rds.", "rds_superuser"),
];

impl ManagedProvider {
    /// Asks the server. `None`: nothing shows that it is one of these.
    pub fn ask(client: &mut Client) -> Result<Option<ManagedProvider>> {
        let prefixes: Vec<String> = SIGNS.iter().map(|(_, prefix, _)| format!("name LIKE '{prefix}%'")).collect();
        let settings = format!("SELECT name FROM pg_catalog.pg_settings WHERE {}", prefixes.join(" OR "));
        let roles: Vec<String> = SIGNS.iter().map(|(_, _, role)| format!("'{role}'")).collect();
        let roles = format!("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({})", roles.join(", "));
        Ok(ManagedProvider::of(&names(client, &settings)?, &names(client, &roles)?))
    }

    fn of(settings: &BTreeSet<String>, roles: &BTreeSet<String>) -> Option<ManagedProvider> {
        let shows = |(_, prefix, role): &&(ManagedProvider, &str, &str)| {
            roles.contains(*role) || settings.iter().any(|name| name.starts_with(prefix))
        };
        SIGNS.iter().find(shows).map(|(provider, ..)| *provider)
    }

    pub fn name(self) -> &'static str {
        match self {
            ManagedProvider::Amazon => "Amazon RDS or Aurora",
            ManagedProvider::Azure => "Azure Database for PostgreSQL",
            ManagedProvider::CloudSql => "Google Cloud SQL",
            ManagedProvider::Supabase => "Supabase",
            ManagedProvider::Neon => "Neon",
        }
    }

    /// Returns how the log is made to hold changes of rows.
    pub fn log_remedy(self) -> &'static str {
        match self {
            ManagedProvider::Amazon => {
                "set rds.logical_replication = 1 in a parameter group of your own (of an Aurora cluster, in that of the cluster), and restart"
            }
            ManagedProvider::Azure => "set the server parameter wal_level to logical, and restart",
            ManagedProvider::CloudSql => "set the flag cloudsql.logical_decoding = on; the instance restarts",
            ManagedProvider::Supabase => "connect to the database of the project itself: its wal_level is logical",
            ManagedProvider::Neon => "enable logical replication in the project's settings; it cannot be taken back",
        }
    }

    /// Returns how a role is allowed to stream.
    pub fn role_remedy(self, role: &str) -> String {
        match self {
            ManagedProvider::Amazon => format!("GRANT rds_replication TO \"{role}\", as the master user"),
            ManagedProvider::Azure => format!("ALTER ROLE \"{role}\" WITH REPLICATION, as the server's admin"),
            ManagedProvider::CloudSql => format!("ALTER USER \"{role}\" WITH REPLICATION, as a cloudsqlsuperuser"),
            ManagedProvider::Supabase => {
                format!("connect as postgres, which may; or ALTER ROLE \"{role}\" WITH REPLICATION as that")
            }
            ManagedProvider::Neon => {
                "connect as a role that was made in the console, by the CLI or the API: those have REPLICATION"
                    .to_owned()
            }
        }
    }

    /// Returns what to know of it although all is well.
    pub fn trap(self) -> &'static str {
        match self {
            ManagedProvider::Amazon => {
                "a slot of a Multi-AZ instance stays through a failover to its standby; a read replica that is promoted has it only where slots are synchronised (from 17 on)"
            }
            ManagedProvider::Azure => {
                "max_slot_wal_keep_size cannot be set: only pgbk ends a slot that keeps too much log, and only while it runs. With high availability four slots are the server's own"
            }
            ManagedProvider::CloudSql => {
                "the flag also raises what the log needs; the log that a slot keeps counts as storage, which grows by itself and does not shrink"
            }
            ManagedProvider::Supabase => {
                "connections through its pooler carry no stream: use the direct one, which has IPv6 alone without the add-on for IPv4"
            }
            ManagedProvider::Neon => {
                "connect without -pooler in the host's name. Slots that nobody reads for some 40 hours are removed while others are read, and by a restore of the branch; a capture keeps the compute awake"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_a_role_or_a_setting_and_an_own_server_is_none() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        for (settings, roles, provider) in [
            (&["rds.logical_replication"][..], &[][..], Some(ManagedProvider::Amazon)),
            (&[], &["rds_superuser"], Some(ManagedProvider::Amazon)),
            (&["azure.extensions"], &["azure_pg_admin"], Some(ManagedProvider::Azure)),
            (&[], &["cloudsqlsuperuser"], Some(ManagedProvider::CloudSql)),
            (&[], &["supabase_admin"], Some(ManagedProvider::Supabase)),
            (&["neon.tenant_id"], &[], Some(ManagedProvider::Neon)),
            (&[], &[], None),
        ] {
            assert_eq!(ManagedProvider::of(&set(settings), &set(roles)), provider);
        }
    }
}
