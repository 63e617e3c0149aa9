//! What an encrypted backup's document tells of its rows: nothing.

use super::*;
use std::collections::BTreeSet;
use support::database::{create, sql};
use support::pgbk::{ENC_PASSWORD, IV};

/// Every digest, tag and seal of a document, with the way to it.
fn digests(value: &Value, at: &str, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| digests(value, &format!("{at}/{name}"), all)),
        Value::Array(elements) => elements.iter().for_each(|value| digests(value, at, all)),
        Value::String(text) if text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            all.push((at.to_owned(), text.clone()));
        }
        _ => {}
    }
}

fn document(store: &Path, id: &str) -> Value {
    let id: BackupId = id.parse().unwrap();
    serde_json::from_slice(&fs::read(store.join(id.meta_key())).unwrap()).unwrap()
}

#[test]
fn two_backups_of_equal_rows_share_no_digest_and_no_guess_can_be_tried_at_them() {
    create("told", "");
    sql("told", "CREATE TABLE admin_pin (pin int); INSERT INTO admin_pin VALUES (421)");
    sql("told", "CREATE TABLE same (x int); INSERT INTO same VALUES (1)");
    sql("told", "CREATE TABLE twin (x int); INSERT INTO twin VALUES (1)");
    let mut tried = 0;
    // The nonce of the document, not the IV, makes its keys: with a fixed IV they differ as well.
    for (mode, name, value) in [
        ("raw", "DB_BACKUP_ENCRYPT_IV", ""),
        ("fixed", "DB_BACKUP_ENCRYPT_IV", IV),
        ("password", "ENC_PASSWORD", ENC_PASSWORD),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = connected().directory(folder.path());
        let run = if mode == "password" { run } else { run.key() };
        let run = if value.is_empty() { run } else { run.set(name, value) };
        let ids = [run.backup("told", &["--compress", "zstd"]), run.backup("told", &["--compress", "zstd"])];
        let documents = ids.each_ref().map(|id| document(folder.path(), id));
        let mut all = Vec::new();
        documents.iter().for_each(|document| digests(document, "", &mut all));
        // What says which key it is, and what is the same because it was set so.
        all.retain(|(at, _)| {
            at != "/key/check" && (mode != "fixed" || at != "/encryption/iv") && at != "/server/system_identifier"
        });
        let different: BTreeSet<&String> = all.iter().map(|(_, text)| text).collect();
        assert_eq!(different.len(), all.len(), "{mode}: {all:#?}");
        // Every guess, by the digest that anybody can compute.
        let guesses = (0..1000).map(|pin| hex::encode(Blake2b256::digest(format!("{pin}\n"))));
        for guess in guesses {
            assert!(!different.contains(&guess), "{mode}: a guess is confirmed");
            tried += 1;
        }
        for id in &ids {
            let dump = run.args(["download", id, "-o", "-"]).expect(0).out;
            let whole = hex::encode(blake2::Blake2b512::digest(&dump));
            assert!(!different.contains(&whole), "{mode}: the dump is confirmed");
            run.args(["verify", id, "--level", "content"]).expect(0);
            run.args(["verify", id, "--level", "restore"]).expect(0);
        }
    }
    proof::counted("documents", "guesses at rows against an encrypted backup's document", 0, tried);
}
