//! A connection URL is taken where libpq takes it, and its password is seen nowhere.

use std::fs;
use std::path::Path;
use support::cluster::{PASSWORD, cluster};
use support::pgbk::{Pgbk, pgbk};
use support::proof::{self, counted};

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Where the test's server is, in each form.
fn forms(database: &str) -> [String; 3] {
    let env = |name: &str| cluster().env().into_iter().find(|(known, _)| known == name).unwrap().1;
    let (user, port) = (env("DB_USER"), env("DB_PORT"));
    let place = format!("{}:{}@127.0.0.1:{port}/{}", encoded(&user), encoded(PASSWORD), encoded(database));
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    [
        format!("postgresql://{place}"),
        format!("POSTGRES://{place}?sslmode=prefer&connect_timeout=10"),
        format!(
            "host=127.0.0.1 port={port} user={} password = {} dbname={}",
            quoted(&user),
            quoted(PASSWORD),
            quoted(database)
        ),
    ]
}

/// Every file below a folder, as text.
fn texts(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            texts(&entry.path(), found);
        } else {
            found.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
        }
    }
}

fn place(folder: &Path) -> Pgbk {
    pgbk([]).directory(&folder.join("store")).set("STATE_DIR", folder.join("state").display()).set("NO_ENCRYPT", "1")
}

#[test]
fn a_connection_url_leads_to_its_database_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let database = cluster().database("by url, and");
    let plain = place(folder.path());
    let mut ways = 0;
    for url in forms(&database) {
        let runs = [
            plain.args(["backup"]).set("DATABASE_URL", &url),
            plain.args(["backup"]).set("DB_NAME", &url),
            plain
                .args(["backup"])
                .set("DB_NAME", &url)
                .set("DB_HOST", "nowhere")
                .set("DB_PORT", "1")
                .set("DB_USER", "nobody"),
            plain.args(["backup"]).set("DB_HOST", &url),
            plain.args(["backup", &url]),
            plain.args(["backup", "--host", &url]),
            plain.args(["verify", "latest", "--database", &url]),
            plain.args(["verify", "latest", "--level", "restore"]).set("DATABASE_URL", &url),
            plain
                .args(["restore", "latest", "--yes", "--clean", "--over-source", &format!("--to={url}")])
                .set("DB_NAME", format!("\"{database}\"")),
        ];
        for run in runs {
            let outcome = run.expect(0);
            assert!(!(outcome.text() + &outcome.err).contains(PASSWORD), "{outcome:#?}");
            ways += 1;
        }
    }
    let mut left = String::new();
    texts(folder.path(), &mut left);
    assert!(left.contains("by url") && !left.contains(PASSWORD) && !left.contains(&encoded(PASSWORD)));
    counted("values", "connection URLs and strings that lead to their database", ways, 0);
}

#[test]
fn anywhere_else_a_connection_url_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let plain = place(folder.path()).set("DB_HOST", "127.0.0.1").set("DB_PORT", "1").set("DB_USER", "u");
    let mut refused = 0;
    let forms = [
        "postgresql://u:hunter2@127.0.0.1:1/d",
        "PostgreSQL://u:hunter2@h/d",
        "x postgres://u:hunter2@h/d",
        "host=h password=hunter2",
        "target_session_attrs=any password=hunter2 dbname=d",
        "postgresql+psycopg2://u:hunter2@h/d",
        "pgsql://u:hunter2@h/d",
    ];
    let mut names: Vec<String> = pgbk::cli::setting::all().into_iter().map(|setting| setting.name).collect();
    names.extend(["PGHOST", "PGUSER", "PGDATABASE", "PGSERVICE", "PGPORT"].map(str::to_owned));
    for (at, name) in names.into_iter().enumerate() {
        for url in proof::sample(forms, forms.len(), at) {
            let takes = ["DATABASE_URL", "DB_NAME", "DB_HOST"].contains(&name.as_str());
            if takes && !url.starts_with("x ") && !url.contains("sql+") {
                continue;
            }
            let outcome = plain.args(["backup"]).unset("DB_HOST").set(&name, url).end();
            assert!(!format!("{outcome:?}").contains("hunter2"), "{name}: {outcome:#?}");
            assert_eq!(outcome.code, Some(2), "{name} {url}: {outcome:#?}");
            refused += 1;
        }
    }
    for url in forms {
        for arguments in [
            vec!["restore", url, "--yes"],
            vec!["list", url],
            vec!["lits", url],
            vec!["verify", url],
            vec!["history", url],
            vec!["backup", "--s3-bucket", url],
            vec!["backup", "--user", url],
            vec!["backup", "--store-dir", url],
            vec![url],
            vec!["backup", "--pg-dump-args", url],
            vec!["upload", url, "--database", "d"],
        ] {
            let outcome = plain.args(arguments.iter().copied()).end();
            assert!(!format!("{outcome:?}").contains("hunter2"), "{arguments:?}: {outcome:#?}");
            assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:#?}");
            refused += 1;
        }
    }
    // What cannot be reached is named without it, in what is kept too.
    for run in [
        plain.args(["backup", forms[0]]),
        plain.args(["doctor", forms[0]]),
        plain.args(["backup"]).set("DB_NAME", forms[0]),
    ] {
        assert!(!format!("{:?}", run.end()).contains("hunter2"));
    }
    let mut left = String::new();
    texts(folder.path(), &mut left);
    assert!(left.contains("127.0.0.1:1") && !left.contains("hunter2"), "{left}");
    counted("values", "connection URLs where none is meant", 0, refused);
}

#[test]
fn names_reach_the_terminal_without_what_it_obeys_and_forge_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    let unseen = [
        "\u{1b}]0;OWNED\u{7}",
        "\u{1b}[2J",
        "\r\nerror: disk is dying",
        "\u{9b}31m",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{7f}",
    ];
    let database = cluster().database("hostile names");
    let mut walked = 0;
    for (at, text) in unseen.iter().enumerate() {
        // A pipe is left out with a warning, which names it.
        let made = std::process::Command::new("mkfifo")
            .arg(files.join(format!("pipe{at}{}", text.replace('/', "_"))))
            .status()
            .unwrap();
        assert!(made.success());
        cluster().psql(&database, &format!("CREATE TABLE \"t{at}{text}\" AS SELECT 1 AS a"));
    }
    let run = support::pgbk::connected().directory(&folder.path().join("store")).set("BACKUP_FILES", files.display());
    let quoted = |text: &str| format!("\"{text}\"");
    for json in [false, true] {
        for arguments in [
            vec!["backup", "@files"],
            vec!["backup", database.as_str()],
            vec!["verify", "latest", "--level", "restore"],
            vec!["history"],
            vec!["restore", "x\u{1b}[2J\nerror: forged"],
            vec!["backup", "no\u{1b}[2J\nerror: forged"],
            vec!["doctor", "no\u{1b}[2J\nerror: forged"],
        ] {
            let mut call = run.args(arguments.iter().copied()).set("DB_NAME", quoted(&database));
            if json {
                call = call.args(arguments.iter().copied().chain(["--json"])).set("LOG_FORMAT", "json");
            }
            let outcome = call.end();
            let said = outcome.text() + &outcome.err;
            let raw = |sign: char| sign != '\n' && (sign.is_control() || "\u{202e}\u{2066}\u{200b}".contains(sign));
            assert!(!said.contains(raw), "{arguments:?}: {said:?}");
            assert!(
                !said.lines().any(|line| line.starts_with("error: disk") || line.starts_with("error: forged")),
                "{arguments:?}: {said}"
            );
            walked += 1;
        }
    }
    counted("values", "hostile names on terminal, log and in JSON", walked, 0);
}

/// The user's own database is what libpq takes, and is empty on most servers: a backup of it every night looks like one.
#[test]
fn nothing_is_backed_up_where_no_database_is_named_and_those_that_there_are_are_told() {
    let name = cluster().database("named_nowhere");
    let folder = tempfile::tempdir().unwrap();
    let plain = pgbk(["backup"]).server(cluster()).directory(folder.path()).set("CRON_SCHEDULE", "0 3 * * *");
    for command in [["backup"], ["schedule"]] {
        let outcome = plain.args(command).expect(2).says("no database is named").says("or to * for all: ");
        assert!(outcome.err.contains(&name), "{outcome:#?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // Whatever names one does.
    let services = folder.path().join("services");
    fs::write(&services, format!("[shop]\ndbname={name}\n")).unwrap();
    for named in [
        plain.set("DB_NAME", &name),
        plain.set("PGDATABASE", &name),
        plain.args(["backup", &name]),
        plain.set("PGSERVICE", "shop").set("PGSERVICEFILE", services.display()),
    ] {
        named.expect(0).says(&format!("\"{name}\" holds no tables"));
    }
}
