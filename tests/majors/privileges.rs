//! Privileges that a server of another version does not know, or on what it has in another way.

use super::*;

#[test]
fn a_privilege_that_a_server_does_not_know_costs_neither_the_others_nor_the_rest() {
    let source = newest();
    let (folder, pgbk) = keeping(source);
    source.cluster.psql("postgres", "CREATE ROLE pr_clerk");
    source.cluster.psql("postgres", "CREATE DATABASE privileged");
    source.cluster.psql(
        "privileged",
        "CREATE TABLE t (v text); INSERT INTO t VALUES ('x'); CREATE TABLE u (); GRANT SELECT, MAINTAIN ON t TO pr_clerk; GRANT MAINTAIN ON u TO pr_clerk;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT, MAINTAIN ON TABLES TO pr_clerk",
    );
    let id = pgbk.backup("privileged", &[]);
    let mut skipped = 0;
    for target in servers().iter().filter(|server| server.version != source.version) {
        eprintln!("--- {}", target.version);
        target.cluster.psql("postgres", "CREATE ROLE pr_clerk");
        let to = target.pgbk().directory(folder.path()).key();
        let outcome = to.args(["restore", &id, "--yes", "--any-locale", "--to", "privileged_copy"]).expect(0);
        assert_eq!(outcome.err.contains("skipped: privilege MAINTAIN"), target.major < 17, "{}", outcome.err);
        assert!(
            outcome.err.contains(&format!("and this server is {}", target.major)) == (target.major != source.major)
        );
        let may = "SELECT has_table_privilege('pr_clerk', 't', 'SELECT'), has_table_privilege('pr_clerk', 'u', 'SELECT'), (SELECT v FROM t),
            (SELECT count(*) FROM pg_default_acl)";
        assert_eq!(target.cluster.psql("privileged_copy", may), "t|f|x|1");
        skipped += 1;
    }
    proof::counted("majors", "servers of other versions that take what they know of privileges", skipped, 0);
}

#[test]
fn a_statement_that_an_older_server_does_not_know_is_told_with_both_versions() {
    let (from, to) = (newest(), oldest());
    let (folder, pgbk) = keeping(from);
    from.cluster.psql("postgres", "CREATE DATABASE atomic");
    from.cluster.psql("atomic", "CREATE TABLE t (i int, g int GENERATED ALWAYS AS (i + 1) VIRTUAL)");
    let id = pgbk.backup("atomic", &[]);
    let run = to.pgbk().directory(folder.path()).key();
    let refused = run.args(["restore", &id, "--yes", "--any-locale", "--to", "atomic_copy"]).expect(1);
    refused
        .says(&format!("the backup is from PostgreSQL {}, this server is {}", from.major, to.major))
        .says("--skip-failed");
}

#[test]
fn privileges_on_a_function_that_an_extension_of_another_version_has_not_are_left_out_and_said() {
    let (folder, pgbk) = keeping(oldest());
    let (from, to) = (oldest(), newest());
    for server in [from, to] {
        server.cluster.psql("postgres", "CREATE ROLE pr_reader");
    }
    from.cluster.psql("postgres", "CREATE DATABASE signed");
    from.cluster.psql("signed", "CREATE EXTENSION hstore; CREATE TABLE t (v text); INSERT INTO t VALUES ('x')");
    // As where an extension brings the function in its version there, and dump says nothing more of it.
    from.cluster.psql("signed", "CREATE FUNCTION gone(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; ALTER EXTENSION hstore ADD FUNCTION gone(int); GRANT EXECUTE ON FUNCTION gone(int) TO pr_reader");
    let id = pgbk.backup("signed", &[]);
    let run =
        to.pgbk().directory(folder.path()).key().args(["restore", &id, "--yes", "--any-locale", "--to", "signed_copy"]);
    run.expect(0).says("skipped: GRANT ALL ON FUNCTION public.gone");
    assert_eq!(to.cluster.psql("signed_copy", "SELECT v FROM t"), "x");
}
