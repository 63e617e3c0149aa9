//! A database comes back with the locale that it was made with, or a server that lacks it is refused: order decides which rows are unique,
//! and which partition they belong to.

use super::itself::{facts, gone, restore};
use super::keeping;
use super::servers::{Server, servers};
use std::sync::Mutex;
use support::proof;

/// How a database is made, and since which major version. Not every build of a server has ICU.
const SHAPES: [(u32, &str); 12] = [
    (0, "LC_COLLATE 'C' LC_CTYPE 'C'"),
    (0, "LC_COLLATE 'POSIX' LC_CTYPE 'C.UTF-8'"),
    (0, "LC_COLLATE 'en_US.utf8' LC_CTYPE 'de_DE.UTF-8'"),
    (0, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"),
    (0, "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"),
    (15, "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"),
    (15, "LOCALE_PROVIDER icu ICU_LOCALE 'en-US-u-kn-kf-upper'"),
    (16, "LOCALE_PROVIDER icu ICU_LOCALE 'und' ICU_RULES '&Z < a'"),
    (16, "LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"),
    (17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C'"),
    (17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"),
    (18, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'"),
];

/// A partition for each word, from it to the one that comes next in the database's own order, and a unique index over their small letters.
const ORDERED: &str = "
CREATE TABLE words (v text) PARTITION BY RANGE (v);
DO $$
DECLARE word text; before text; n int := 0;
BEGIN
    FOR word IN SELECT w FROM unnest(ARRAY['A', 'a', 'B', 'b', 'Z', 'z', '_', '9', '10', '2', '~']) w ORDER BY w COLLATE \"default\" LOOP
        IF before IS NOT NULL THEN
            EXECUTE format('CREATE TABLE p%s PARTITION OF words FOR VALUES FROM (%L) TO (%L)', n, before, word);
            EXECUTE format('INSERT INTO words VALUES (%L)', before);
        END IF;
        before := word; n := n + 1;
    END LOOP;
END $$;
CREATE TABLE mails (v text);
CREATE UNIQUE INDEX ON mails (lower(v));
INSERT INTO mails VALUES ('one@x'), ('TWO@x')";

/// Makes the database; none where the server does not have such a locale.
fn made(server: &Server, name: &str, shape: &str) -> bool {
    let made = server.takes(&format!("CREATE DATABASE {name} TEMPLATE template0 {shape}"));
    if made {
        server.cluster.psql(name, ORDERED);
    }
    made
}

fn order(server: &Server, database: &str) -> String {
    server.cluster.psql(database, "SELECT string_agg(v, ' ' ORDER BY v) FROM words")
}

/// The first server that knows locales of ICU, and one of them.
fn is_first_of_icu(server: &Server, shape: usize) -> bool {
    (server.major, shape) == (15, 5)
}

/// Outside of a proof, each shape is tried on some servers, and the first on all; so is the first of each provider.
fn is_sampled(server: &Server, shape: usize) -> bool {
    let is_first = shape == 0 || is_first_of_icu(server, shape) || (server.major, shape) == (17, 10);
    proof::whole() || is_first || (shape + server.major as usize).is_multiple_of(5)
}

#[test]
fn every_locale_that_a_server_makes_databases_with_comes_back() {
    let restored = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for server in servers() {
            let restored = &restored;
            scope.spawn(move || {
                for (at, (_, shape)) in SHAPES.iter().enumerate().filter(|(_, (since, _))| *since <= server.major) {
                    let (name, copy) = (format!("locale_{at}"), format!("locale_{at}_copy"));
                    if !is_sampled(server, at) || !made(server, &name, shape) {
                        continue;
                    }
                    let (_folder, pgbk) = keeping(server);
                    let id = pgbk.backup(&name, &[]);
                    restore(&pgbk, &id, &copy, &[]).expect(0);
                    assert_eq!(facts(server, &copy), facts(server, &name), "{}: {shape}", server.version);
                    assert_eq!(order(server, &copy), order(server, &name), "{}: {shape}", server.version);
                    gone(server, &copy);
                    if proof::whole() || is_first_of_icu(server, at) {
                        let proven = pgbk.args(["verify", &id, "--level", "restore"]).json();
                        assert_eq!(proven["backups"][0]["proof"]["properties"], serde_json::json!([]), "{shape}");
                    }
                    restored.lock().unwrap().push((server.major, at));
                    gone(server, &name);
                }
            });
        }
    });
    let restored = restored.into_inner().unwrap();
    // The first needs nothing, and so every server has it.
    assert_eq!(restored.iter().filter(|(_, at)| *at == 0).count(), servers().len());
    assert!(restored.contains(&(15, 5)) && restored.contains(&(17, 10)), "{restored:?}");
    proof::counted("properties", "locales of a database, on each major", restored.len(), 0);
}

#[test]
fn a_server_that_lacks_the_locale_is_refused_before_anything_is_made_unless_any_will_do() {
    let server = |major: u32| servers().iter().find(|server| server.major == major).unwrap();
    let sources = [
        (15, SHAPES[5].1, &[12, 13, 14][..], "de-DE (ICU), which is known since PostgreSQL 15"),
        (17, SHAPES[10].1, &[14, 15], "known since PostgreSQL 17"),
    ];
    let mut refused = 0;
    for (from, shape, to, why) in sources {
        let name = format!("lacks_{from}");
        assert!(made(server(from), &name, shape));
        let (folder, pgbk) = keeping(server(from));
        let id = pgbk.backup(&name, &[]);
        for to in to.iter().map(|to| server(*to)) {
            let into = keeping(to).1.directory(folder.path());
            restore(&into, &id, "lacks", &[]).expect(1).says(why).says("--any-locale");
            assert!(!to.has("lacks"));
            // Words in another order do not fit their partitions: only what does not depend on it comes back.
            let ran = restore(&into, &id, "lacks", &["--any-locale"]).end();
            assert!(
                ran.err.contains("the server lacks the locale") && ran.code == Some(i32::from(!to.has("lacks"))),
                "{ran:#?}"
            );
            gone(to, "lacks");
            refused += 1;
        }
        gone(server(from), &name);
    }
    proof::counted("properties", "servers that lack the locale", 0, refused);
}

#[test]
fn a_database_that_is_there_keeps_its_locale_and_a_warning_says_so() {
    let server = servers().iter().find(|server| server.major == 15).unwrap();
    server.cluster.psql("postgres", "CREATE DATABASE keeps TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    let (_folder, pgbk) = keeping(server);
    let id = pgbk.backup("keeps", &[]);
    server.cluster.psql("postgres", "CREATE DATABASE keeps_copy");
    restore(&pgbk, &id, "keeps_copy", &[]).expect(0).says("has the locale C.UTF-8, its source has C:");
    gone(server, "keeps_copy");
}

#[test]
fn a_server_that_pgbk_starts_for_a_proof_has_the_locale_of_the_source() {
    let server = servers().iter().find(|server| server.major == 15).unwrap();
    assert!(made(server, "own_locale", SHAPES[5].1));
    let (_folder, pgbk) = keeping(server);
    let id = pgbk.backup("own_locale", &[]);
    let proven = pgbk.set("VERIFY_SCRATCH", "cluster").args(["verify", &id, "--level", "restore"]).json();
    assert_eq!(proven["backups"][0]["ok"], true, "{proven:#}");
    gone(server, "own_locale");
}
