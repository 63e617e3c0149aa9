//! The rows that the planned queries give: they fit their columns, they join, and nothing of the source is left in them.

use crate::anonymise::{SECRET, check, rows, rules_file, selects};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use support::database::{create, sql, tool};

/// A word that is in every text of the source, and must be in none that a rule or the default replaces.
const PLANTED: &str = "Plantagenet";

/// One table for people, one that refers to them, and one of every kind of column.
const SOURCE: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN short_code AS varchar(12) NOT NULL CHECK (VALUE <> '');
CREATE TABLE a_people (
    id int PRIMARY KEY, mail varchar(40) NOT NULL UNIQUE, login varchar(12) NOT NULL UNIQUE, token uuid UNIQUE, serial bigint UNIQUE,
    name varchar(12), phone varchar(10), address text, born date, seen timestamptz, joined timestamp, host inet, net cidr, pay numeric(8,2),
    share numeric, score double precision, rank smallint, feeling mood NOT NULL, code short_code, secret bytea, note text, story text,
    fixed char(5), upper text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE UNIQUE INDEX ON a_people (lower(login));
CREATE TABLE b_orders (id int PRIMARY KEY, person int NOT NULL REFERENCES a_people, mail text REFERENCES a_people (mail), login varchar(20) REFERENCES a_people (login));
CREATE TABLE c_texts (id int PRIMARY KEY, t text, v varchar(12), s varchar(17), j json, b jsonb, tags text[], notes varchar(30)[], docs jsonb[], x xml, w tsvector,
    u text UNIQUE, d short_code, n int, "Odd ""name" text);
CREATE TABLE d_parts (k text, mail text, PRIMARY KEY (k, mail)) PARTITION BY LIST (k);
CREATE TABLE d_parts_a PARTITION OF d_parts FOR VALUES IN ('a');
CREATE TABLE d_parts_b PARTITION OF d_parts DEFAULT;
CREATE TABLE e_nothing ();
INSERT INTO a_people SELECT g, 'plantagenet' || g || '@example.org', 'pla' || g, md5('u' || g)::uuid, g * 1000003::bigint,
    'Plantagenet', '0170' || g, g || ' Plantagenet Road', date '1950-01-01' + g, now() - g * interval '1 day', now() - g * interval '1 day',
    CASE WHEN g % 2 = 0 THEN ('192.168.' || g % 250 || '.1/24')::inet ELSE 'fd00::7/64' END, '172.16.0.0/16', g * 100 + 0.5, g / 7.0, g * 1.5, g % 100,
    'happy', 'Plantag' || g % 100, convert_to('Plantagenet', 'UTF8'), 'Dr. Plantagenet-Ö' || g || ' ж 日本', 'Plantagenet', 'Plant'
    FROM generate_series(1, 500) g;
INSERT INTO a_people (id, mail, login, feeling, code, pay, share, score, rank, seen, born, note) VALUES
    (501, 'x@y.de', 'x', 'sad', 'c', 999999.99, 'NaN', 'Infinity', 32767, 'infinity', '-infinity', ''), (502, 'no address', 'X2', 'ok', 'd', -999999.99, 0, 1e300, -32768, NULL, NULL, NULL);
INSERT INTO b_orders SELECT g, g, 'plantagenet' || g || '@example.org', 'pla' || g FROM generate_series(1, 500) g;
INSERT INTO b_orders VALUES (501, 501, NULL, NULL);
INSERT INTO c_texts VALUES
 (1, 'write to Anna.Plantagenet+x@mail.example.org, or <b@c.example>', 'a@b.de', 'aa@bb.de or c@d.e', '{"a": "\tanna@plantagenet.org", "l": ["x\u0040y.de\nz"], "e@f.org": 1.50}', '{"a": {"b": ["anna@plantagenet.org", null, 2]}, "e@f.org": "line\nanna@plantagenet.org"}',
  ARRAY['anna@plantagenet.org', 'say "anna@plantagenet.org"', NULL, 'none'], '{{a@b.example,none},{c@d.example,x}}', ARRAY['{"a": "quote \"b@c.de"}']::jsonb[],
  '<p title="a&#64;b.de">mailto:anna%40plantagenet.org <b>anna@plantagenet.org</b></p>', to_tsvector('simple', 'anna@plantagenet.org wrote'), 'anna@plantagenet.org', 'a@b.co', 7, 'odd@plantagenet.org'),
 (2, 'müller@straße.de; "quoted name"@plantagenet.org; left-pad@1.3.10', NULL, NULL, NULL, '"a@b.de"', '{}', NULL, NULL, NULL, NULL, 'eve@plantagenet.org', 'none', NULL, NULL),
 (3, '', '', '', '[]', '{}', '{""}', '[2:3]={a,b}', '{}', '', '', '', 'x', 0, '');
INSERT INTO d_parts VALUES ('a', 'anna@plantagenet.org'), ('a', 'eve@plantagenet.org'), ('b', 'anna@plantagenet.org');
"#;

const RULES: &str = r#"
[tables.public.a_people]
mail = "email"
login = "hash"
token = "hash"
serial = "hash"
name = "name"
phone = "phone"
address = "address"
born = "date"
seen = { date = 10 }
joined = { date = 10 }
host = "ip"
net = "ip"
pay = "number"
share = { number = 20 }
score = "number"
rank = "number"
feeling = { constant = "ok" }
code = "hash"
secret = "hash"
note = "text"
story = "null"
fixed = { sql = "'x' || length(fixed)" }
id = "keep"
"#;

fn source(name: &str) {
    create(name, "");
    sql(name, SOURCE);
}

/// A database with the same tables, filled with what the queries give: the server itself checks types, lengths and keys.
fn filled(from: &str, to: &str, rules: &str) {
    create(to, &format!("TEMPLATE {from}"));
    sql(to, "TRUNCATE a_people, b_orders, c_texts, d_parts, e_nothing");
    let folder = tempfile::tempdir().unwrap();
    for (table, columns, select) in selects(&check(from, &rules_file(&folder, rules)).json()) {
        if columns.is_empty() {
            continue;
        }
        let copy = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
        let mut psql = tool("psql", to);
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", &copy]).stdin(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        child.stdin.take().unwrap().write_all(rows(from, &select, SECRET).as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{table}: {select}");
    }
}

#[test]
fn anonymised_rows_load_into_the_same_tables_and_join_as_they_did() {
    source("anonymise_load");
    filled("anonymise_load", "anonymise_loaded", RULES);
    let both = |query: &str| ["anonymise_load", "anonymise_loaded"].map(|database| sql(database, query));
    for query in [
        "SELECT count(*), count(DISTINCT mail), count(DISTINCT login), count(DISTINCT token), count(DISTINCT serial) FROM a_people",
        "SELECT count(*) FROM a_people p JOIN b_orders o ON o.person = p.id AND o.mail = p.mail AND o.login = p.login",
        "SELECT count(*) FROM a_people WHERE note IS NULL OR seen IS NULL OR born IS NULL",
        "SELECT id, char_length(note), translate(note, translate(note, ' .-', ''), '') FROM a_people ORDER BY id",
        "SELECT id, masklen(host), family(host), masklen(net) FROM a_people ORDER BY id",
        // Both of a row are moved alike.
        "SELECT id, seen - joined FROM a_people WHERE id <= 500 ORDER BY id",
        "SELECT k, count(*) FROM d_parts GROUP BY k ORDER BY k",
        "SELECT array_dims(notes), array_length(tags, 1), n FROM c_texts ORDER BY id",
    ] {
        let [before, after] = both(query);
        assert_eq!(before, after, "{query}");
    }
    let holds =
        |condition: &str| assert_eq!(sql("anonymise_loaded", format!("SELECT {condition}")), "t", "{condition}");
    holds(
        "bool_and(mail ~ '^[a-z0-9]{20}@example\\.com$' AND login ~ '^[a-z0-9]{12}$' AND code ~ '^[a-z0-9]{12}$') FROM a_people",
    );
    holds(
        "bool_and(feeling = 'ok' AND story IS NULL AND fixed = 'x5' AND octet_length(secret) = 32) FROM a_people WHERE id <= 500",
    );
    holds(
        "bool_and(char_length(name) <= 12 AND name ~ '^[A-Z][a-z]+ [A-Z]' AND upper = upper(name)) FROM a_people WHERE id <= 500",
    );
    holds("bool_and(phone ~ '^[0-9]{3}55501[0-9]{2}$') FROM a_people WHERE id <= 500");
    holds("bool_and(address ~ '^[0-9]+ [A-Z][a-z]+ [A-Z][a-z]+, [A-Z][a-z]+$') FROM a_people WHERE id <= 500");
    holds(
        "bool_and(CASE family(host) WHEN 4 THEN host << '10.0.0.0/8' ELSE host << '2001:db8::/32' END) FROM a_people",
    );
    holds("count(*) = 1 AND min(pay) <= -900000 FROM a_people WHERE id = 502 AND score > 1e299");
    let moved =
        "SELECT id || ' ' || born || ' ' || pay || ' ' || rank FROM a_people WHERE id BETWEEN 50 AND 80 ORDER BY id";
    let [before, after] = both(moved);
    assert!(before.lines().zip(after.lines()).all(|(before, after)| before != after), "{before}\n{after}");
}

/// What anybody would take for an e-mail address, save those that pgbk makes.
fn addresses(text: &str) -> Vec<String> {
    let looks =
        regex::Regex::new(r"[A-Za-z0-9._%+\p{L}-]+(@|%40|\\u0040|&#64;)[A-Za-z0-9.\p{L}-]+\.[A-Za-z]{2,}").unwrap();
    let found = looks.find_iter(text).map(|found| found.as_str().to_owned());
    found.filter(|found| !found.ends_with("@example.com")).collect()
}

#[test]
fn nothing_that_looks_like_an_address_and_no_planted_word_is_left() {
    source("anonymise_left");
    let folder = tempfile::tempdir().unwrap();
    let whole = |rules: &str| {
        let found = selects(&check("anonymise_left", &rules_file(&folder, rules)).json());
        found.iter().map(|(_, _, select)| rows("anonymise_left", select, SECRET)).collect::<String>()
    };
    let (ruled, default) = (whole(RULES), whole(""));
    for text in [&ruled, &default] {
        assert_eq!(addresses(text), Vec::<String>::new(), "{text}");
        assert!(text.contains("nobody@example.com") && text.contains("left-pad@1.3.10"), "{text}");
        assert!(!text.to_lowercase().contains("@plantagenet"), "{text}");
    }
    assert!(!ruled.contains(PLANTED) && default.contains(PLANTED), "{ruled}");
    // It would have been seen.
    let source = sql("anonymise_left", "COPY c_texts TO STDOUT");
    assert!(addresses(&source).len() > 15 && source.contains("plantagenet"), "{source}");
    // What is around an address stays, in documents too.
    for kept in [
        "write to nobody@example.com, or <nobody@example.com>",
        "{\"a\": \"nobody@example.com\", \"l\": [\"nobody@example.com\\\\nz\"], \"nobody@example.com\": 1.50}",
        "{nobody@example.com,\"say \\\\\"nobody@example.com\\\\\"\",NULL,none}",
        "{{nobody@example.com,none},{nobody@example.com,x}}",
        "<p title=\"nobody@example.com\">mailto:nobody@example.com <b>nobody@example.com</b></p>",
        "'nobody@example.com':1 'wrote':2",
        "[2:3]={a,b}",
    ] {
        assert!(default.contains(kept), "{kept} is not in {default}");
    }
}

#[test]
fn the_same_secret_gives_the_same_rows_and_another_one_others() {
    source("anonymise_same");
    let folder = tempfile::tempdir().unwrap();
    let found = selects(&check("anonymise_same", &rules_file(&folder, RULES)).json());
    let (_, columns, people) = found.iter().find(|(table, ..)| table.contains("a_people")).unwrap();
    let [one, again, other] = [SECRET, SECRET, "another one"].map(|secret| rows("anonymise_same", people, secret));
    assert_eq!(one, again);
    let cells = |text: &str| text.lines().next().unwrap().split('\t').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (cells(&one), cells(&other));
    let same: BTreeSet<&str> = columns
        .iter()
        .zip(one.iter().zip(&other))
        .filter(|(_, (one, other))| one == other)
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = ["\"id\"", "\"feeling\"", "\"fixed\"", "\"story\""];
    assert!(expected.iter().all(|name| same.contains(name)) && same.len() <= expected.len() + 2, "{same:?}");
    // Without a secret no value is made.
    let refused =
        tool("psql", "anonymise_same").args(["-Xqc", &format!("COPY ({people}) TO STDOUT")]).output().unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
}
