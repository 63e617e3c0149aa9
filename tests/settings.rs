//! Every setting that a role or a database can have, on every major version, at values that nobody expects: what is backed up comes
//! back all the same.

use crate::majors::servers;
use servers::{Server, servers};
use std::collections::BTreeSet;
use std::sync::Mutex;
use support::cluster::PASSWORD;
use support::pgbk::Pgbk;
use support::proof;
use tempfile::TempDir;

/// Texts, of which a server does not say what they may be. Each is taken by the servers that have what it names.
const TEXTS: [(&str, &[&str]); 19] = [
    ("search_path", &["nowhere", "other, pg_catalog", ""]),
    ("DateStyle", &["German, DMY", "SQL, MDY", "Postgres, YMD"]),
    ("TimeZone", &["America/St_Johns", "Pacific/Apia"]),
    ("client_encoding", &["LATIN1", "SJIS", "SQL_ASCII", "EUC_JP"]),
    ("lc_monetary", &["de_DE.UTF-8", "es_AR.UTF-8", "POSIX"]),
    ("lc_numeric", &["de_DE.UTF-8", "POSIX"]),
    ("lc_time", &["de_DE.UTF-8", "POSIX"]),
    ("lc_messages", &["de_DE.UTF-8", "POSIX"]),
    ("timezone_abbreviations", &["Australia", "India"]),
    ("default_text_search_config", &["pg_catalog.german"]),
    ("default_tablespace", &["pg_default"]),
    ("temp_tablespaces", &["pg_default"]),
    ("dynamic_library_path", &["/nonexistent:$libdir"]),
    ("restrict_nonsystem_relation_kind", &["view", "view, foreign-table"]),
    ("createrole_self_grant", &["set, inherit"]),
    ("wal_consistency_checking", &["all"]),
    ("backtrace_functions", &["ExecInitNode"]),
    ("application_name", &["somebody else"]),
    ("session_preload_libraries", &["$libdir/plpgsql"]),
];

/// Left out, with the reason.
const NOT_TRIED: [&str; 3] = [
    // Each connection would sleep for so long.
    "post_auth_delay",
    // More than there is memory for, at once. With work_mem at its most, no hash join works in any session.
    "temp_buffers",
    "hash_mem_multiplier",
];

/// Times after which the server ends what it is at: the shortest that there is is the one that hurts.
fn is_limit(name: &str) -> bool {
    name.ends_with("_timeout") && !name.starts_with("tcp_") || name == "client_connection_check_interval"
}

const ROWS: &str = r#"
SET check_function_bodies = off;
CREATE SCHEMA other;
CREATE TABLE other.secondary (id int PRIMARY KEY, note text COLLATE "C");
CREATE TABLE everything (id serial PRIMARY KEY, m money, f double precision, r real, i interval, t timestamptz, d date, b bytea, a text[], j jsonb, w text,
    other_id int REFERENCES other.secondary, CHECK (w = NULL OR w IS NOT NULL OR id = 3), n text[] DEFAULT '{x,NULL}');
INSERT INTO other.secondary SELECT g, 'note ' || g FROM generate_series(1, 300) g;
INSERT INTO everything (m, f, r, i, t, d, b, a, j, w, other_id) VALUES
    (12.34::numeric::money, 1.0::float8 / 3, 1.0::float4 / 3, '-1 day -02:03:04', '2026-03-04 05:06:07.891+01', '2026-02-01', '\x00ff5c27', '{x,NULL,"NULL",""}', '{"a": [1, null]}',
        'back\slash ''quote''', 1),
    (999.99::numeric::money, 1e-300, 1e-30, '1 year -2 mons +3 days', '1900-01-01 00:00:00+00', '0044-03-15 BC', '', '{}', '"\\u00fc"', E'日本語ソ表 ü\ttab', 2),
    ((-1234567.89)::numeric::money, 'NaN', 'Infinity', '0', 'infinity', '-infinity', NULL, NULL, NULL, NULL, NULL);
INSERT INTO everything (w, other_id) SELECT repeat('long ', g), g FROM generate_series(1, 300) g;
CREATE INDEX ON everything (lower(w), t);
CREATE VIEW other.both AS SELECT e.id, e.t, s.note FROM everything e LEFT JOIN other.secondary s ON s.id = e.other_id;
CREATE MATERIALIZED VIEW summed AS SELECT count(*) AS c, max(note) AS note FROM other.both;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.w := 'stamped'; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON everything FOR EACH ROW EXECUTE FUNCTION stamp();
SELECT lo_from_bytea(4242, '\x00010203');
ANALYZE;
"#;

/// A setting with the values that it is tried at.
struct Setting {
    name: String,
    values: Vec<String>,
}

fn settings(server: &Server) -> Vec<Setting> {
    let query = "SELECT name, vartype, reset_val, min_val, max_val, array_to_string(enumvals, ';') FROM pg_settings
        WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') ORDER BY name";
    let rows = server.cluster.psql("postgres", query);
    let found = rows.lines().map(|row| {
        let [name, kind, now, least, most, words] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let values: Vec<&str> = match kind {
            "bool" => vec![if now == "on" { "off" } else { "on" }],
            "enum" => words.split(';').filter(|word| *word != now).collect(),
            "integer" | "real" if is_limit(name) => vec!["1"],
            "integer" | "real" => [least, most].into_iter().filter(|value| *value != now).collect(),
            _ => TEXTS.iter().find(|(known, _)| *known == name).map(|(_, values)| values.to_vec()).unwrap_or_default(),
        };
        Setting { name: name.to_owned(), values: values.into_iter().map(str::to_owned).collect() }
    });
    found.filter(|setting| !NOT_TRIED.contains(&setting.name.as_str())).collect()
}

type Set = (String, String);

/// As many sets as one setting has values: each holds every setting that has so many.
fn batches(settings: &[Setting]) -> Vec<Vec<Set>> {
    let most = settings.iter().map(|setting| setting.values.len()).max().unwrap_or_default();
    let of = |turn: usize| {
        settings.iter().filter_map(move |setting| Some((setting.name.clone(), setting.values.get(turn)?.clone())))
    };
    // Few settings have more values than four, and few more than three: levels of what is logged.
    (0..most.min(proof::size(3, most))).map(|turn| of(turn).collect()).collect()
}

/// One server's database that is tried, and what its dump says.
struct Walk<'a> {
    server: &'a Server,
    pgbk: Pgbk,
    expected: Vec<u8>,
    _folder: TempDir,
}

impl Walk<'_> {
    fn of(server: &Server) -> Walk<'_> {
        let cluster = server.cluster;
        cluster.psql("postgres", &format!("CREATE ROLE odd SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
        cluster.psql("postgres", "CREATE DATABASE walked");
        cluster.psql("walked", ROWS);
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state").display().to_string();
        let pgbk = server.pgbk().directory(folder.path()).key().set("DB_USER", "odd").set("STATE_DIR", state);
        Walk { server, pgbk, expected: server.dump("walked", server.clients(), &[]), _folder: folder }
    }

    fn plain(&self) {
        for of in ["ROLE odd", "DATABASE walked"] {
            self.server.cluster.psql("postgres", &format!("ALTER {of} RESET ALL"));
        }
    }

    /// Gives them to role and database, as far as the server takes them, and says how many it took.
    fn give(&self, sets: &[Set]) -> usize {
        self.plain();
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let rows: Vec<String> =
            sets.iter().map(|(name, value)| format!("({}, {})", quoted(name), quoted(value))).collect();
        // Lists are lists: quoted as one, it would be one name.
        self.server.cluster.psql(
            "postgres",
            &format!(
                "DO $$ DECLARE s record; place text; BEGIN
                     FOR s IN SELECT * FROM (VALUES {}) v (name, value) LOOP
                         FOREACH place IN ARRAY '{{ROLE odd,DATABASE walked}}'::text[] LOOP
                             BEGIN
                                 EXECUTE format('ALTER %s SET %I = %s', place, s.name,
                                     (SELECT string_agg(quote_literal(trim(part)), ', ') FROM unnest(string_to_array(CASE s.value WHEN '' THEN ' ' ELSE s.value END, ',')) part));
                             EXCEPTION WHEN OTHERS THEN NULL;
                             END;
                         END LOOP;
                     END LOOP;
                 END $$",
                rows.join(", ")
            ),
        );
        let taken = "SELECT sum(cardinality(setconfig)) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase
            LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = 'walked' OR rolname = 'odd'";
        self.server.cluster.psql("postgres", taken).parse().unwrap_or_default()
    }

    /// Backs up, proves and restores under these; says what went wrong.
    fn trip(&self, sets: &[Set]) -> (usize, Result<(), String>) {
        let taken = self.give(sets);
        let ended = self.transferred();
        self.plain();
        let compared = ended.and_then(|()| {
            self.server.cluster.psql("postgres", "ALTER DATABASE copied RESET ALL");
            let same = self.server.dump("copied", self.server.clients(), &[]) == self.expected;
            if same { Ok(()) } else { Err("the copy differs".to_owned()) }
        });
        self.server.cluster.psql("postgres", "DROP DATABASE IF EXISTS copied");
        (taken, compared)
    }

    fn transferred(&self) -> Result<(), String> {
        let restore = ["restore", "latest", "--database", "walked", "--yes", "--to", "copied"];
        let prove = ["verify", "latest", "--database", "walked", "--level", "restore"];
        for arguments in [&["backup", "walked"][..], &prove, &restore] {
            let ended = self.pgbk.args(arguments.iter().copied()).end();
            if ended.code != Some(0) {
                return Err(format!("{}: {:?}: {}{}", arguments[0], ended.code, ended.text(), ended.err));
            }
        }
        Ok(())
    }

    /// The fewest of these that still go wrong by themselves, with what is said.
    fn culprits(&self, sets: &[Set], why: String, found: &mut Vec<String>) {
        if sets.len() == 1 {
            found.push(format!("{}, {} = {:?}: {why}", self.server.version, sets[0].0, sets[0].1));
            return;
        }
        let (left, right) = sets.split_at(sets.len() / 2);
        let before = found.len();
        for half in [left, right] {
            if let (_, Err(why)) = self.trip(half) {
                self.culprits(half, why, found);
            }
        }
        if found.len() == before {
            found.push(format!("{}, {} settings together: {why}", self.server.version, sets.len()));
        }
    }
}

/// The oldest tries everything, the others what the ones before them do not have; in a proof, all of them everything.
fn tried(at: usize, server: &Server, known: &BTreeSet<String>) -> Vec<Setting> {
    let mut settings = settings(server);
    let all = proof::whole() || at == 0;
    settings.retain(|setting| all || !known.contains(&setting.name));
    settings
}

#[test]
fn no_setting_of_a_role_or_a_database_changes_what_comes_back() {
    let mut known = BTreeSet::new();
    let mut plans = Vec::new();
    for (at, server) in servers().iter().enumerate() {
        let settings = tried(at, server, &known);
        known.extend(settings.iter().map(|setting| setting.name.clone()));
        plans.push((server, settings));
    }
    let failed = Mutex::new(Vec::new());
    let taken: usize = std::thread::scope(|scope| {
        let walks: Vec<_> = plans
            .iter()
            .map(|(server, settings)| {
                let failed = &failed;
                scope.spawn(move || {
                    let (walk, mut sum) = (Walk::of(server), 0);
                    for sets in batches(settings) {
                        let (taken, ended) = walk.trip(&sets);
                        sum += taken;
                        if let Err(why) = ended {
                            let mut found = Vec::new();
                            walk.culprits(&sets, why, &mut found);
                            failed.lock().unwrap().extend(found);
                        }
                    }
                    sum
                })
            })
            .collect();
        walks.into_iter().map(|walk| walk.join().unwrap()).sum()
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    let names: BTreeSet<&str> =
        plans.iter().flat_map(|(_, settings)| settings).map(|setting| setting.name.as_str()).collect();
    assert!(names.len() > 200, "{} settings", names.len());
    proof::counted("settings", "settings by name", names.len(), 0);
    proof::counted("settings", "settings × values × role and database, each with a trip", taken, 0);
}
