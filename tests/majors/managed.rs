//! Roles on a server whose administrator is no superuser, as those that somebody else runs are.

use super::itself::is_tried;
use super::*;
use support::cluster::{Cluster, PASSWORD};
use support::pgbk::pgbk;

const ADMIN: &str = "managed_admin";

/// An administrator of a server that somebody else runs, with this right beside that of making roles.
fn admin(server: &Server) -> Pgbk {
    let there = "SELECT count(*) FROM pg_roles WHERE rolname = 'managed_admin'";
    if server.cluster.psql("postgres", there) == "0" {
        server.cluster.psql("postgres", &format!("CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{PASSWORD}'"));
    }
    server.pgbk().set("DB_USER", ADMIN)
}

/// What is known of these roles but their passwords.
fn facts(cluster: &Cluster) -> String {
    let queries = [
        "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
             rolvaliduntil AT TIME ZONE 'UTC', shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname ~ '^mg' ORDER BY 1",
        "SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members WHERE member::regrole::text ~ '^mg' ORDER BY 1, 2",
        "SELECT setrole::regrole, setconfig FROM pg_db_role_setting WHERE setrole::regrole::text ~ '^mg' ORDER BY 1",
    ];
    queries.map(|query| cluster.psql("postgres", query)).join("\n")
}

#[test]
fn an_administrator_who_is_no_superuser_restores_ordinary_roles_and_is_told_which_are_not() {
    let source = Cluster::start();
    source.psql(
        "postgres",
        &format!(
            "CREATE ROLE {ADMIN} LOGIN CREATEROLE PASSWORD '{PASSWORD}'; CREATE ROLE mg_team NOINHERIT;
             CREATE ROLE mg_clerk LOGIN CONNECTION LIMIT 3 VALID UNTIL '2040-01-01 UTC'; GRANT mg_team TO mg_clerk WITH ADMIN OPTION;
             ALTER ROLE mg_clerk SET work_mem = '5MB'; COMMENT ON ROLE mg_team IS 'of clerks'"
        ),
    );
    let folder = tempfile::tempdir().unwrap();
    // The source's administrator may not read passwords either.
    let from = pgbk([]).server(&source).directory(folder.path()).key().set("DB_USER", ADMIN);
    let backup = || from.args(["backup", "@globals"]).json()["id"].as_str().unwrap().to_owned();
    let ordinary = backup();
    let expected = facts(&source);
    source.psql("postgres", "CREATE ROLE mg_aaa; CREATE ROLE mg_wal REPLICATION");
    let wal = backup();
    for server in servers().iter().filter(|server| is_tried(server)) {
        eprintln!("--- {}", server.version);
        let to = admin(server).directory(folder.path()).key();
        let ran = to.args(["restore", &wal, "--yes"]).expect(1);
        let ran = ran.says("role \"mg_wal\": REPLICATION cannot be set").says("hint: connect as a role that may");
        let ran = ran.says("nothing was changed");
        assert!(!server.cluster.psql("postgres", "SELECT rolname FROM pg_roles").contains("mg_"), "{}", ran.err);
        to.args(["restore", &ordinary, "--yes"]).expect(0).says("skipped: who granted memberships");
        assert_eq!(facts(server.cluster), expected);
        // Once more is no different.
        to.args(["restore", &ordinary, "--yes"]).expect(0);
        assert_eq!(facts(server.cluster), expected);
    }
}

#[test]
fn a_newer_server_takes_memberships_whose_grantor_it_does_not_let_grant_them() {
    let source = Cluster::start();
    // By a role without the right to, as CREATEROLE was enough before version 16; and, in the order of their names, before it has it.
    source.psql(
        "postgres",
        "CREATE ROLE ng_maker CREATEROLE; CREATE ROLE ng_team; CREATE ROLE ng_clerk; CREATE ROLE ng_a; CREATE ROLE ng_b;
         SET ROLE ng_maker; GRANT ng_team TO ng_clerk; RESET ROLE;
         GRANT ng_team TO ng_b WITH ADMIN OPTION; SET ROLE ng_b; GRANT ng_team TO ng_a",
    );
    let members = "SELECT member::regrole, admin_option FROM pg_auth_members WHERE roleid::regrole::text = 'ng_team'
        AND member::regrole::text ~ '^ng_' ORDER BY member::regrole::text";
    let folder = tempfile::tempdir().unwrap();
    let from = pgbk([]).server(&source).directory(folder.path()).key();
    let id = from.args(["backup", "@globals"]).json()["id"].as_str().unwrap().to_owned();
    for server in servers() {
        eprintln!("--- {}", server.version);
        let ran = server.pgbk().directory(folder.path()).key().args(["restore", &id, "--yes"]).expect(0);
        assert_eq!(ran.err.contains("skipped: who granted memberships"), server.major >= 16, "{}", ran.err);
        assert_eq!(server.cluster.psql("postgres", members), "ng_a|f\nng_b|t\nng_clerk|f");
    }
}
