//! The way of a newcomer: the commands of docs/getting-started.md, on the shop that its samples are of.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use support::cluster::{Cluster, PASSWORD, USER};
use support::pgbk::pgbk;
use support::process::binary;

/// The commands of the page that are not marked as not run, by block.
fn commands() -> Vec<&'static str> {
    let text = include_str!("../docs/getting-started.md");
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// What the image of postgres does when it starts for the first time: each script of the folder, in the order of their names.
fn fill(server: &Cluster, folder: &Path, database: &str) {
    server.psql("postgres", &format!("CREATE DATABASE {database}"));
    let mut scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for script in scripts {
        let mut psql = Command::new(server.clients.join("psql"));
        psql.args(["-v", "ON_ERROR_STOP=1", "--no-psqlrc", "--quiet", "-h", "127.0.0.1", "-U", USER, "-d", database]);
        psql.args(["-p", &server.port.to_string(), "-f"]).arg(script).env("PGPASSWORD", PASSWORD).stdout(Stdio::null());
        assert!(psql.status().unwrap().success());
    }
}

#[test]
fn a_lost_table_comes_back_and_a_copy_fills_a_new_server() {
    let (server, developers) = (Cluster::start(), Cluster::start());
    server.psql("postgres", "CREATE DATABASE shop");
    server.psql("shop", include_str!("../scripts/shop.sql"));
    let place = tempfile::tempdir().unwrap();
    let run = pgbk(["backup"]).server(&server).key().directory(&place.path().join("backups"));
    let run = run.set("DB_NAME", "shop").set("DB_BACKUP_COMPRESS", "zstd");
    run.expect(0);
    run.args(["restore", "latest", "--to", "shop_copy", "--yes"]).expect(0);
    let about = |database: &str| {
        let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'order_lines'::regclass";
        let keys = "SELECT string_agg(pg_get_constraintdef(oid), ', ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'order_lines'::regclass";
        let rows = "SELECT count(*), sum(hashtext(l::text)) FROM order_lines l";
        [indexes, keys, rows].map(|sql| server.psql(database, sql))
    };

    let blocks = commands();
    let own = run.command();
    let mut bash = Command::new("bash");
    bash.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = format!(
        "{}:{}:{}",
        binary().parent().unwrap().display(),
        server.clients.display(),
        std::env::var("PATH").unwrap()
    );
    bash.env("PATH", path).env("PGHOST", "127.0.0.1").env("PGPORT", server.port.to_string()).env("PGUSER", USER);
    bash.env("ANONYMISE_SECRET", "of developers alone, and long enough");
    bash.env("PGPASSWORD", PASSWORD).args(["-euo", "pipefail", "-c", &blocks.concat()]).current_dir(place.path());
    let output = bash.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("12500"), "{said}");
    assert_eq!(about("shop_copy"), about("shop"));

    fill(&developers, &place.path().join("initdb"), "shop");
    let rows = "SELECT count(*) FROM customers JOIN orders ON customer = customers.id JOIN order_lines ON order_id = orders.id";
    assert_eq!(developers.psql("shop", rows), server.psql("shop", rows));
    let names = |server: &Cluster| server.psql("shop", "SELECT DISTINCT name FROM customers ORDER BY 1");
    let of_production = names(&server);
    assert!(names(&developers).lines().all(|name| of_production.lines().all(|real| real != name)));
}
