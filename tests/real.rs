//! Databases of what others have made: every extension that the server's packages offer, with a column of each of its types, and sample
//! databases.

use std::fs;
use std::path::PathBuf;
use support::cluster::{PASSWORD, cluster};
use support::database::{assert_same, comparable, create, exists, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use support::process::root;
use support::proof;

/// A table with a column of each type that the extension brings, and none of the kinds that no column can have.
const TABLE: &str = "
SELECT pg_catalog.format('CREATE TABLE public.of_its_types (id int%s)', pg_catalog.string_agg(pg_catalog.format(', c%s %s', t.oid, t.oid::pg_catalog.regtype), '' ORDER BY t.typname))
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
WHERE t.typtype IN ('b', 'd', 'e', 'r') AND t.typelem = 0 AND t.typisdefined AND d.refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = ";

/// What both dumps say but for what the role may not have: owners, privileges and comments of extensions.
fn dump(database: &str) -> Vec<u8> {
    let options = ["--no-owner", "--no-privileges", "--no-comments"];
    comparable(&stdout_of(tool("pg_dump", database).args(options)))
}

struct World {
    run: Pgbk,
    database: String,
    _folder: tempfile::TempDir,
}

impl World {
    /// A backup of a database with this extension; the server's reason where it makes none.
    fn with(extension: &str) -> Result<World, String> {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("real_{extension}");
        create(&database, "");
        let made = cluster().try_psql(&database, &format!("CREATE EXTENSION \"{extension}\" CASCADE"));
        if !made.status.success() {
            let reason = String::from_utf8_lossy(&made.stderr).lines().next().unwrap_or_default().to_owned();
            return Err(reason.replace("ERROR:  ", ""));
        }
        let table = sql(&database, format!("{TABLE}'{extension}')"));
        let table = if table.is_empty() { "CREATE TABLE public.of_its_types (id int)".to_owned() } else { table };
        sql(&database, format!("{table}; INSERT INTO public.of_its_types (id) VALUES (1)"));
        let run = connected().directory(folder.path()).key().set("DB_NAME", format!("\"{database}\""));
        let run = run.set("STATE_DIR", folder.path().join("state").display());
        run.args(["backup"]).expect(0);
        Ok(World { run, database, _folder: folder })
    }

    fn restore(&self, to: &str, more: &[&str]) -> Pgbk {
        self.run.args(["restore", "latest", "--yes", "--to", to].iter().chain(more).copied())
    }

    fn drop(&self, name: &str) {
        if exists(name) {
            sql("postgres", format!("DROP DATABASE \"{name}\""));
        }
    }
}

fn offered() -> Vec<String> {
    let all = sql("postgres", "SELECT name FROM pg_available_extensions WHERE name <> 'plpgsql' ORDER BY name");
    let all: Vec<String> = all.lines().map(str::to_owned).collect();
    let step = all.len() / proof::size(4, all.len()).min(all.len());
    all.into_iter().step_by(step.max(1)).collect()
}

#[test]
fn every_extension_that_the_packages_make_comes_back_or_is_named_with_the_reason() {
    sql("postgres", format!("CREATE ROLE real_tenant LOGIN CREATEDB PASSWORD '{PASSWORD}'"));
    for extension in offered() {
        let world = match World::with(&extension) {
            Ok(world) => world,
            Err(reason) => {
                proof::counted("real", &format!("{extension}: {reason}"), 0, 1);
                continue;
            }
        };
        let copy = format!("{}_copy", world.database);
        world.restore(&copy, &[]).expect(0);
        assert_same(&dump(&copy), &dump(&world.database));
        let proven = world.run.args(["verify", "--level", "restore"]).expect(0).text();
        assert!(proven.contains("1 of 1 table is the same") || proven.contains("tables are the same"), "{proven}");
        proof::counted("real", &format!("{extension}: the same"), 1, 0);
        as_tenant(&world, &extension);
        [&copy, &world.database].into_iter().for_each(|name| world.drop(name));
    }
}

/// The project's own scripts, and those of a folder beside the project or where `PGBK_DATA` says: data that others have published.
fn samples() -> Vec<PathBuf> {
    let published = std::env::var_os("PGBK_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let published = fs::read_dir(published).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut samples: Vec<PathBuf> =
        published.filter(|path| path.extension().is_some_and(|ending| ending == "sql")).collect();
    samples.extend(["scripts/shop.sql", "tests/support/features.sql"].map(|own| root().join(own)));
    samples.sort();
    samples
}

#[test]
fn sample_databases_come_back_as_they_were_and_are_proven() {
    for path in samples() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (database, folder) = (format!("sample_{name}"), tempfile::tempdir().unwrap());
        create(&database, "");
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        // One makes a database of its own, and goes there.
        let elsewhere = ["DROP DATABASE", "CREATE DATABASE", "\\c "];
        let script: Vec<&str> =
            text.lines().filter(|line| !elsewhere.iter().any(|begin| line.starts_with(begin))).collect();
        let made = folder.path().join("sample.sql");
        fs::write(&made, script.join("\n")).unwrap();
        let psql =
            tool("psql", &database).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&made).output().unwrap();
        if !psql.status.success() {
            // What others have published may be for a newer server than this one.
            assert!(!path.starts_with(root().join("scripts")) && !path.starts_with(root().join("tests")), "{psql:?}");
            let said = String::from_utf8_lossy(&psql.stderr).into_owned();
            let reason = said.lines().next().unwrap_or_default().rsplit("ERROR:").next().unwrap_or_default().trim();
            proof::counted("real", &format!("sample database {name}: {reason}"), 0, 1);
            continue;
        }
        assert_ne!(sql(&database, "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384"), "0", "{name}");

        let run = connected().directory(folder.path()).key().set("DB_NAME", format!("\"{database}\""));
        let run = run.set("STATE_DIR", folder.path().join("state").display());
        let copy = format!("{database}_copy");
        for format in ["plain", "custom"] {
            run.set("DUMP_FORMAT", format).args(["backup"]).expect(0);
            run.args(["verify", "--level", "restore"]).expect(0);
            run.args(["restore", "latest", "--yes", "--to", &copy]).expect(0);
            assert_same(
                &comparable(&stdout_of(&mut tool("pg_dump", &copy))),
                &comparable(&stdout_of(&mut tool("pg_dump", &database))),
            );
            sql("postgres", format!("DROP DATABASE \"{copy}\""));
        }
        proof::counted("real", &format!("sample database {name}, as a script and as an archive: the same"), 2, 0);
    }
}

/// A role without SUPERUSER restores it too, or is told before anything starts who must do what.
fn as_tenant(world: &World, extension: &str) {
    let copy = format!("{}_tenant", world.database);
    let restored = world.restore(&copy, &["--no-owner", "--no-privileges"]).set("DB_USER", "real_tenant").end();
    match restored.code {
        Some(0) => {
            assert_same(&dump(&copy), &dump(&world.database));
            proof::counted("tenants", &format!("{extension}: the same"), 1, 0);
        }
        code => {
            assert_eq!((code, exists(&copy)), (Some(1), false), "{restored:#?}");
            let restored =
                restored.says("may not make the extensions").says("let an administrator run CREATE DATABASE");
            // As the hint says.
            create(&copy, "OWNER real_tenant");
            restored.says(&format!("CREATE EXTENSION \"{extension}\";"));
            sql(&copy, format!("CREATE EXTENSION \"{extension}\" CASCADE"));
            let again = world.restore(&copy, &["--no-owner", "--no-privileges"]).set("DB_USER", "real_tenant").end();
            assert_eq!(again.code, Some(0), "{again:#?}");
            assert_same(&dump(&copy), &dump(&world.database));
            proof::counted("tenants", &format!("{extension}: the same, once an administrator has made it"), 1, 0);
        }
    }
    world.drop(&copy);
}
