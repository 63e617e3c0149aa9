//! Captures of databases in other encodings than UTF-8.

use super::*;
use support::capture::{capture_work, rows};

/// Encoding, a table's name as SQL has it, and values of which no two are bytes of the other encoding.
const ENCODINGS: [(&str, &str, &str); 3] = [
    ("LATIN1", r#"U&"caf\00e9""#, r"E'\xe4\xff', E'\xa4\xa2'"),
    ("EUC_JP", r#"U&"\3042""#, r"E'\xa4\xa2\x8f\xb0\xa1', E'\x8e\xb1'"),
    ("SQL_ASCII", "plain", r"E'\xff\x80 \xc3', E'\xe4'"),
];

#[test]
fn a_database_in_another_encoding_comes_back_with_equal_bytes() {
    for (encoding, table, values) in ENCODINGS {
        let scene = Scene::new(&encoding.to_lowercase(), "SELECT 1");
        let name = format!("{}_encoded", scene.name);
        let shape = format!("TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
        scene.cluster.psql("postgres", &format!("CREATE DATABASE {name} {shape}"));
        scene.cluster.psql(&name, &format!("CREATE TABLE {table} (id int PRIMARY KEY, a text, b text)"));
        let run = scene.pgbk(&[]).key();
        run.args(["capture", &name, "--setup"]).expect(0);
        run.backup(&name, &[]);
        let work = format!(
            "INSERT INTO {table} VALUES (1, {values}); INSERT INTO {table} SELECT g, {values} FROM generate_series(2, 9) g;
             UPDATE {table} SET a = b WHERE id = 3"
        );
        capture_work(&run, (scene.cluster, &name), &work, &format!("DELETE FROM {table} WHERE id = 4"));
        let copy = format!("{name}_copy");
        run.args(["restore", "--at", "latest", "--database", &name, "--to", &copy, "--yes"]).expect(0);
        assert_eq!(scene.cluster.psql(&copy, "SHOW server_encoding"), encoding);
        assert_eq!(rows(scene.cluster, &copy), rows(scene.cluster, &name));
        assert!(rows(scene.cluster, &copy)[0].contains(" 8|"), "{:?}", rows(scene.cluster, &copy));
    }
}
