//! A backup is restored without pgbk: what docs/format.md promises, done with stock tools alone.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::database::{assert_same, comparable, create, dump, features, script, sql, stdout_of, tool};
use support::pgbk::{ENC_PASSWORD, IV, KEY, Pgbk, connected};
use support::proof;
use tempfile::TempDir;

const MODES: [&str; 5] = ["raw", "fixed", "password", "none", "signed"];
const COMPRESSIONS: [&str; 4] = ["none", "xz", "zstd", "gzip"];

/// A folder with a store and, in a file, the password; and pgbk with the key of this mode.
fn place(mode: &str) -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), ENC_PASSWORD).unwrap();
    let pgbk = connected().directory(&folder.path().join("store"));
    let keyed = match mode {
        "raw" => pgbk.key(),
        "fixed" => pgbk.key().set("DB_BACKUP_ENCRYPT_IV", IV),
        "password" => pgbk.set("ENC_PASSWORD_FILE", folder.path().join("password").display()),
        "signed" => pgbk.key().set("NO_ENCRYPT", "1"),
        _ => pgbk,
    };
    (folder, keyed)
}

/// A stored backup as its files.
struct Stored {
    meta: PathBuf,
    document: Value,
    payload: PathBuf,
    password: PathBuf,
}

impl Stored {
    fn find(folder: &Path, id: &str) -> Stored {
        let store = folder.join("store");
        let meta = store.join(id.rsplit_once('-').unwrap().0).join(format!("{id}.meta"));
        let document: Value = serde_json::from_slice(&fs::read(&meta).unwrap()).unwrap();
        let payload = store.join(document["object"].as_str().unwrap());
        Stored { meta, document, payload, password: folder.join("password") }
    }

    fn text<const N: usize>(&self, path: [&str; N]) -> String {
        let value = path.iter().fold(&self.document, |value, name| &value[name]);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// The plain dump, by the two commands of the recipe.
    fn decode(&self) -> Vec<u8> {
        let decrypt = match (self.document["encryption"].is_null(), self.text(["key", "mode"]).as_str()) {
            (true, _) => "cat".to_owned(),
            (false, "raw") => format!("openssl enc -d -aes-256-cbc -K {KEY} -iv {}", self.text(["encryption", "iv"])),
            (false, _) => {
                assert_eq!(self.text(["key", "iterations"]), "600000");
                format!(
                    "openssl enc -d -aes-256-cbc -pbkdf2 -iter 600000 -md sha256 -pass file:{}",
                    self.password.display()
                )
            }
        };
        let decompress = match self.text(["compression", "method"]).as_str() {
            "null" => "cat",
            "xz" => "xz -dc",
            "zstd" => "zstd -dc",
            _ => "gzip -dc",
        };
        shell(&format!("set -o pipefail; {decrypt} < '{}' | {decompress}", self.payload.display()), b"")
    }

    /// What the key in the `.meta` is called by openssl: the digits of the cipher key.
    fn cipher_key(&self) -> String {
        if self.text(["key", "mode"]) == "raw" {
            return KEY.to_owned();
        }
        let command = format!(
            "openssl enc -aes-256-cbc -pbkdf2 -iter 600000 -md sha256 -S {} -pass file:{} -P | sed -n 's/^key=//p'",
            self.text(["key", "salt"]),
            self.password.display()
        );
        line(&shell(&command, b""))
    }

    /// The key of one purpose: of its label and the document's nonce, under the cipher key.
    fn key_of(&self, label: &str) -> String {
        let nonce = shell("xxd -r -p", self.text(["key", "nonce"]).as_bytes());
        mac(256, &self.cipher_key(), &[label.as_bytes(), &nonce].concat())
    }

    /// What the `.meta` must state of these bytes: keyed where there is a key.
    fn digest(&self, label: &str, bits: u32, data: &[u8]) -> String {
        if self.document["key"].is_null() { b2sum(bits, data) } else { mac(bits, &self.key_of(label), data) }
    }
}

/// What a command of the shell prints.
#[track_caller]
fn shell(command: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("bash")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_ascii_lowercase()
}

/// BLAKE2b under a key, as openssl computes it.
fn mac(bits: u32, key: &str, data: &[u8]) -> String {
    let size = bits / 8;
    line(&shell(&format!("openssl mac -macopt hexkey:{key} -macopt size:{size} -in /dev/stdin BLAKE2BMAC"), data))
}

fn b2sum(bits: u32, data: &[u8]) -> String {
    line(&shell(&format!("b2sum -l {bits} | cut -d ' ' -f 1"), data))
}

/// `scripts/decode.sh`, with nothing but what it needs.
fn decode_script(stored: &Stored) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh"));
    command.arg(&stored.meta).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    match stored.text(["key", "mode"]).as_str() {
        "raw" => command.env("DB_BACKUP_ENCRYPT_KEY", KEY),
        "password" => command.env("ENC_PASSWORD_FILE", &stored.password),
        _ => &mut command,
    };
    command
}

/// The recipes that people copy.
const PAGE: &str = include_str!("../docs/format.md");

/// The IV, found by the line of the recipe.
fn iv_by_the_recipe(stored: &Stored) -> String {
    let recipe = PAGE.lines().find(|line| line.starts_with("iv=$(sed")).expect("the page's recipe");
    let meta = stored.meta.to_str().unwrap();
    let recipe = recipe.replace("shop-20260822T031500Z.meta", &format!("'{meta}'"));
    line(&shell(&format!("{recipe}; printf %s \"$iv\""), b""))
}

/// Every way of compressing, decoded by hand and by the script, in one mode of encryption.
fn stock_tools_decode_everything(mode: &str) {
    let database = format!("interop_{mode}");
    features(&database);
    let original = dump(&database);
    let (folder, pgbk) = place(mode);
    for compress in proof::sample(COMPRESSIONS, 2, mode.len()) {
        eprintln!("--- {mode} {compress}");
        let stored = Stored::find(folder.path(), &pgbk.backup(&database, &["--compress", compress]));
        assert_eq!(stored.text(["encryption", "iv"]) == IV, mode == "fixed");
        if matches!(mode, "raw" | "fixed") {
            assert_eq!(iv_by_the_recipe(&stored), stored.text(["encryption", "iv"]));
        }
        let plain = stored.decode();
        assert_same(&original, &comparable(&plain));
        assert_eq!(b2sum(512, &fs::read(&stored.payload).unwrap()), stored.text(["stored", "blake2b"]));
        assert_eq!(stored.digest("pgbk plain 2", 512, &plain), stored.text(["plain", "blake2b"]));
        assert_eq!(plain.len().to_string(), stored.text(["plain", "bytes"]));
        assert_same(&plain, &stdout_of(&mut decode_script(&stored)));
    }
}

#[test]
fn a_raw_key_is_openssls() {
    stock_tools_decode_everything("raw");
}

#[test]
fn a_raw_key_with_a_fixed_iv_is_openssls() {
    stock_tools_decode_everything("fixed");
}

#[test]
fn a_password_is_openssls() {
    stock_tools_decode_everything("password");
}

#[test]
fn without_a_key_nothing_but_the_compressor_is_needed() {
    stock_tools_decode_everything("none");
}

#[test]
fn what_is_only_sealed_needs_no_key_to_be_read() {
    stock_tools_decode_everything("signed");
}

#[test]
fn psql_restores_what_stock_tools_decoded() {
    let (folder, pgbk) = place("raw");
    features("by_hand");
    // psql takes this name for the beginning of a body and never finds its end; pgbk restores it.
    sql("by_hand", "DROP PROCEDURE begin(integer)");
    let stored = Stored::find(folder.path(), &pgbk.backup("by_hand", &["--compress", "xz"]));
    create("by_hand_copy", "");
    let file = folder.path().join("by_hand.sql");
    fs::write(&file, stored.decode()).unwrap();
    stdout_of(tool("psql", "by_hand_copy").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-f"]).arg(&file));
    assert_same(&dump("by_hand"), &dump("by_hand_copy"));
}

#[test]
fn the_recipes_of_the_format_page_restore_a_backup() {
    let blocks: Vec<&str> = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let (folder, pgbk) = place("raw");
    features("recipe");
    // As above.
    sql("recipe", "DROP PROCEDURE begin(integer)");
    let id = pgbk.backup("recipe", &["--compress", "xz"]);
    let stored = Stored::find(folder.path(), &id);
    let here = stored.meta.parent().unwrap();
    let run = |block: &str| {
        let block = block.replace("shop-20260822T031500Z", &id);
        let block = block.replace("scripts/", &format!("{}/scripts/", env!("CARGO_MANIFEST_DIR")));
        // The server's own database of this name belongs to others.
        let block = block.replace("createdb shop ", "createdb recipe_copy ").replace("-d shop ", "-d recipe_copy ");
        let psql = tool("psql", "postgres");
        let mut bash = Command::new("bash");
        bash.envs(psql.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("DB_BACKUP_ENCRYPT_KEY", KEY);
        let programs = Path::new(psql.get_program()).parent().unwrap().display();
        bash.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
        stdout_of(bash.args(["-euo", "pipefail", "-c", &block]).current_dir(here));
        let decoded = here.join("shop.sql");
        assert_same(&stored.decode(), &fs::read(&decoded).unwrap());
        fs::remove_file(decoded).unwrap();
    };
    // The third reads a part alone: tests/tables.rs.
    let [script, by_hand, _] = blocks[..] else { panic!("{} recipes", blocks.len()) };
    run(script);
    run(by_hand);
    assert_same(&dump("recipe"), &dump("recipe_copy"));
}

#[test]
fn pg_restore_restores_an_archive_that_stock_tools_decoded() {
    let (folder, pgbk) = place("password");
    features("archive");
    let id = pgbk.backup("archive", &["--format", "custom", "--compress", "zstd"]);
    let stored = Stored::find(folder.path(), &id);
    create("archive_copy", "");
    let file = folder.path().join("archive.dump");
    fs::write(&file, stdout_of(&mut decode_script(&stored))).unwrap();
    let mut pg_restore = tool("pg_restore", "archive_copy");
    stdout_of(pg_restore.args(["--exit-on-error", "--single-transaction", "--dbname=archive_copy"]).arg(&file));
    assert_same(&dump("archive"), &dump("archive_copy"));
}

#[test]
fn the_seal_and_the_tags_are_openssls_macs() {
    for mode in MODES {
        let database = format!("sealed_{mode}");
        features(&database);
        let (folder, pgbk) = place(mode);
        let stored = Stored::find(folder.path(), &pgbk.backup(&database, &[]));
        let text = fs::read_to_string(&stored.meta).unwrap();
        let name = if mode == "none" { "checksum" } else { "mac" };
        let (covered, seal) = text.rsplit_once(&format!(",\n  \"{name}\": \"")).unwrap();
        assert_eq!(format!("{}\"\n}}\n", stored.digest("pgbk seal 2", 256, covered.as_bytes())), seal);
        if mode != "none" {
            assert_eq!(mac(256, &stored.cipher_key(), b"pgbk check 2")[..16], stored.text(["key", "check"]));
        }

        let payload = fs::read(&stored.payload).unwrap();
        let size: usize = stored.text(["chunks", "size"]).parse().unwrap();
        let tags = stored.document["chunks"]["tags"].as_array().unwrap();
        assert_eq!(tags.len(), payload.len().div_ceil(size));
        for (index, (chunk, tag)) in payload.chunks(size).zip(tags).enumerate() {
            let last = u8::from(index + 1 == tags.len());
            let tagged = [chunk, &(index as u64).to_be_bytes(), &[last]].concat();
            assert_eq!(stored.digest("pgbk chunk 2", 256, &tagged), tag.as_str().unwrap(), "{mode}: chunk {index}");
        }
    }
}

#[test]
fn every_tables_hash_is_that_of_its_rows() {
    let (folder, pgbk) = place("raw");
    create("tables", "");
    sql("tables", "CREATE TABLE a (v text); INSERT INTO a VALUES ('\\.'), (NULL), (E'a\\nb'), ('COPY x FROM stdin;')");
    sql("tables", "CREATE TABLE \"B; b\" (v integer); INSERT INTO \"B; b\" SELECT generate_series(1, 1000)");
    sql("tables", "CREATE TABLE empty (v integer)");
    let stored = Stored::find(folder.path(), &pgbk.backup("tables", &["--compress", "gzip"]));
    let plain = String::from_utf8(stored.decode()).unwrap();
    let mut seen = 0;
    for table in stored.document["tables"].as_array().unwrap() {
        let start = format!("\nCOPY {} (v) FROM stdin;\n", table["name"].as_str().unwrap());
        let (_, after) = plain.split_once(&start).unwrap();
        let rows = if after.starts_with("\\.\n") { "" } else { &after[..=after.find("\n\\.\n").unwrap()] };
        let name = table["name"].as_str().unwrap();
        let key = stored.digest("pgbk row 3", 256, name.as_bytes());
        assert_eq!(table["blake2b"], sum_of_rows(&key, rows));
        assert_eq!((&table["rows"], &table["bytes"]), (&rows.lines().count().into(), &rows.len().into()));
        seen += rows.lines().count();
    }
    assert_eq!(seen, 1004);
}

/// The digest of a table by another implementation.
fn sum_of_rows(key: &str, rows: &str) -> String {
    let sum = "import sys, hashlib
key = bytes.fromhex(sys.argv[1])
rows = [hashlib.blake2b(row, digest_size=32, salt=key[:16], person=key[16:]).digest() for row in sys.stdin.buffer.read().split(b'\\n')[:-1]]
total = sum(int.from_bytes(row, 'little') for row in rows) % 2 ** 256
print(total.to_bytes(32, 'little').hex(), end='')";
    String::from_utf8(shell(&format!("python3 -c \"{sum}\" {key}"), rows.as_bytes())).unwrap()
}

#[test]
fn a_large_xz_is_many_streams_that_stock_xz_reads_as_one() {
    let (folder, pgbk) = place("none");
    let rows: String = (0..400_000).map(|row| format!("{row} {:032x}\n", row * 7_777_777_777_u64)).collect();
    let input = script(&format!("COPY t (v) FROM stdin;\n{rows}\\.\n"));
    assert!(input.len() > 12 << 20);
    let upload = pgbk.args(["upload", "-", "--database", "large", "--compress", "xz"]).input(input.as_bytes());
    let stored = Stored::find(folder.path(), upload.json()["id"].as_str().unwrap());
    let listed = shell(&format!("xz --robot --list '{}' | grep ^file", stored.payload.display()), b"");
    let listed = String::from_utf8(listed).unwrap();
    let columns: Vec<&str> = listed.trim().split('\t').collect();
    assert!(columns[1].parse::<u32>().unwrap() > 1, "{listed}");
    assert_same(input.as_bytes(), &stored.decode());
    assert_same(input.as_bytes(), &stdout_of(&mut decode_script(&stored)));
}

#[test]
fn the_script_refuses_damage_and_a_missing_key() {
    let (folder, pgbk) = place("raw");
    create("refused", "");
    let stored = Stored::find(folder.path(), &pgbk.backup("refused", &["--compress", "xz"]));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh");
    let keyless = Command::new(&script).arg(&stored.meta).env_remove("DB_BACKUP_ENCRYPT_KEY").output().unwrap();
    assert!(!keyless.status.success() && keyless.stdout.is_empty());

    let mut payload = fs::read(&stored.payload).unwrap();
    payload[40] ^= 1;
    fs::write(&stored.payload, &payload).unwrap();
    let decoded = decode_script(&stored).output().unwrap();
    let said = String::from_utf8_lossy(&decoded.stderr);
    assert!(!decoded.status.success() && decoded.stdout.is_empty() && said.contains("is damaged"), "{said}");

    fs::remove_file(&stored.payload).unwrap();
    assert!(!decode_script(&stored).status().unwrap().success());
}
