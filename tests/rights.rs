//! What a role may not do is said before a restore asks, and before anything is made.

mod provided;
mod refused;

use support::cluster::{Cluster, PASSWORD, USER, cluster};
use support::database::{exists, small};
use support::pgbk::{Pgbk, connected, pgbk};
use support::proof;

fn role(name: &str, more: &str) {
    cluster().psql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {more}"));
}

/// Refused before the restore begins; where it asks, it does so before that, with the target that was looked at.
fn refused(run: &Pgbk, says: &[&str]) {
    let mut outcome = run.expect(1).says("hint: ");
    for text in says {
        outcome = outcome.says(text);
    }
    assert!(!outcome.err.contains(" into owned"), "it had begun: {}", outcome.err);
}

#[test]
fn what_a_role_may_not_do_in_a_restore_is_said_before_it_asks() {
    role("boss", "");
    role("clerk", "");
    role("mere", "");
    role("maker", "CREATEDB");
    role("heir", "CREATEDB IN ROLE boss");
    small("owned", &["a"]);
    let folder = tempfile::tempdir().unwrap();
    let run = connected().key().directory(folder.path());
    let takes = ["--yes", "--database", "owned", "--no-privileges"];
    let restore = |role: &str, more: &[&str]| {
        let arguments = ["restore", "latest"].iter().chain(&takes).chain(more).copied();
        run.set("DB_USER", role).args(arguments)
    };
    let mut refusals = 0;
    let mut refuses = |role: &str, more: &[&str], says: &[&str]| {
        refused(&restore(role, more), says);
        assert!(!exists("owned_new"), "{role}");
        refusals += 1;
    };
    cluster().psql("postgres", "ALTER DATABASE owned OWNER TO boss");
    cluster().psql("owned", "ALTER TABLE t OWNER TO maker");
    run.backup("owned", &[]);
    let new = ["--to", "owned_new"];
    refuses("maker", &new, &["cannot be given what the source has: owner \"boss\""]);
    cluster().psql("owned", "ALTER TABLE t OWNER TO boss");
    run.backup("owned", &[]);
    refuses("mere", &[&new[..], &["--no-owner"]].concat(), &["role \"mere\" may not create it"]);
    let stranger = [
        "role \"maker\" may not hand what it restores to its owners boss",
        "GRANT \"boss\" TO \"maker\"",
        "--no-owner",
        // All at once, and not one after the other.
        "cannot be given what the source has: owner \"boss\"",
        "--no-properties",
    ];
    refuses("maker", &new, &stranger);
    cluster().psql("owned", "CREATE EXTENSION pageinspect; CREATE EXTENSION hstore");
    run.backup("owned", &[]);
    let barred = [
        "role \"heir\" may not make the extensions pageinspect\n",
        "CREATE EXTENSION \"pageinspect\"; or leave them out: --exclude-extension pageinspect",
    ];
    refuses("heir", &new, &barred);
    cluster().psql("postgres", "CREATE DATABASE owned_old OWNER heir TEMPLATE template0");
    refuses("heir", &["--to", "owned_old"], &barred);
    // Made by an administrator, it is used.
    cluster().psql("owned_old", "CREATE EXTENSION pageinspect");
    restore("heir", &["--to", "owned_old", "--no-owner"]).expect(0);
    cluster().psql("postgres", "DROP DATABASE owned_old");
    cluster().psql("owned", "DROP EXTENSION pageinspect; DROP EXTENSION hstore");

    for (statement, says) in [
        ("ALTER DATABASE owned SET log_statement = 'all'", "setting log_statement: permission denied"),
        ("ALTER ROLE clerk IN DATABASE owned SET work_mem = '8MB'", "setting work_mem of role \"clerk\": "),
    ] {
        cluster().psql("postgres", &format!("ALTER DATABASE owned RESET ALL; {statement}"));
        run.backup("owned", &[]);
        refuses("heir", &new, &[says]);
        // The same in a database that is there, where the server is asked to do it and to undo it.
        cluster().psql("postgres", "CREATE DATABASE owned_old OWNER heir TEMPLATE template0");
        refuses("heir", &["--to", "owned_old"], &[says]);
        restore("heir", &["--to", "owned_without", "--no-properties", "--no-owner"]).expect(0);
        cluster().psql("postgres", "DROP DATABASE owned_old");
        cluster().psql("postgres", "DROP DATABASE owned_without");
    }
    // A superuser may all of it.
    restore("postgres", &new).expect(0);
    proof::counted("rights", "restores that the role may not make, refused before they ask", 0, refusals);
}

#[test]
fn who_holds_what_a_restore_would_empty_is_named() {
    let (server, folder) = (Cluster::start(), tempfile::tempdir().unwrap());
    server.psql("postgres", "CREATE DATABASE held");
    server.psql("held", "CREATE TABLE t AS SELECT 1 AS i");
    let run = pgbk([]).server(&server).directory(folder.path()).set("DB_NAME", "held");
    run.args(["backup"]).expect(0);
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(server.port).dbname("held").user(USER).password(PASSWORD);
    let mut holder = config.application_name("shop's").connect(postgres::NoTls).unwrap();
    let mut transaction = holder.transaction().unwrap();
    transaction.batch_execute("SELECT * FROM t").unwrap();
    let restore = run.args(["restore", "latest", "--yes", "--clean", "--over-source"]);
    let refused = restore.expect(1).says("held by pid ").says("pg_terminate_backend");
    refused.says("of role postgres, application 'shop''s', idle in transaction since ");
    transaction.rollback().unwrap();
    restore.expect(0);
}
