//! Each member of a document, with each value that could do harm.

use super::*;
use pgbk::base::error::{Kind, kind};
use pgbk::format::manifest::Manifest;
use pgbk::format::manifest::seal::SealedManifest;
use pgbk::postgres::tools::dump;
use serde_json::json;
use std::net::TcpListener;
use support::database::sql;

/// What is put in a member's place.
fn hostile() -> Vec<Value> {
    let texts = [
        "",
        "\0",
        "a\0b",
        "\u{1b}]0;x\u{7}",
        "a\nb",
        "a\tb",
        "UTC\t-c\tsession_preload_libraries=/tmp/evil.so",
        "'; DROP TABLE client; --",
        "\"; DROP TABLE client; --",
        "\\",
        "--file=/tmp/pgbk-evil",
        "--dbname=host=127.0.0.1",
        "../../../tmp/pgbk-evil",
        "/etc/passwd",
        "latest",
        "plain/plain-20260101T000000Z.sql",
        "\u{202e}txt",
        "$(id)",
        "%00",
    ];
    let mut all: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    all.push(json!("a".repeat(1 << 20)));
    all.extend([json!(null), json!(true), json!(-1), json!(0), json!(u64::MAX), json!(1e300), json!([]), json!({})]);
    all.extend(texts.iter().map(|text| json!([text])));
    all.extend(texts.iter().map(|text| json!({*text: *text})));
    all.push(json!([["a"], {"a": []}]));
    all
}

/// The way to every member, and to every element of a list.
fn paths(value: &Value, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(elements) => elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in below {
        path.push(name);
        all.push(path.clone());
        paths(value, path, all);
        path.pop();
    }
}

fn put_at(document: &mut Value, path: &[String], value: Value) {
    let pointer: String = path.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
    *document.pointer_mut(&pointer).unwrap() = value;
}

/// Whatever of it could reach a program, a server or a path is of the kind that pgbk itself writes there.
fn is_harmless(manifest: &Manifest, id: &BackupId) {
    let plain = |text: &str| text.len() <= 1024 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    assert_eq!((&manifest.id, &manifest.subject), (id, id.subject()));
    assert!(manifest.object.starts_with(&id.object_key("")), "{}", manifest.object);
    assert!(manifest.version_id.as_deref().is_none_or(plain));
    assert!(manifest.previous.as_ref().is_none_or(|previous| previous.subject() == id.subject()));
    for argument in dump::second_dump::again(&manifest.dump.arguments).unwrap_or_default() {
        let name = argument.split('=').next().unwrap();
        assert!(!["--file", "--dbname", "--host", "--port", "--username", "--filter"].contains(&name), "{argument}");
    }
    if let Some(server) = &manifest.server {
        assert!(plain(&server.version) && server.encoding.as_str().len() < 16);
        assert!(server.session.iter().all(|(_, value)| plain(value) && !value.contains(['\\', '\'', '"', '='])));
    }
    assert!(plain(&manifest.tools.pgbk) && manifest.tools.pg_dump.as_deref().is_none_or(plain));
    let required = &manifest.requires;
    let names = [&required.roles, &required.owners, &required.extensions, &required.tablespaces];
    assert!(names.into_iter().flatten().all(|name| !name.contains('\0')));
}

/// As it is, and with something in every list and map.
fn documents() -> [Value; 2] {
    let (document, _) = plain();
    let mut filled = document.clone();
    filled["dump"]["arguments"] = json!(["-n", "public", "--no-owner"]);
    filled["version_id"] = json!("null");
    filled["previous"] = json!("plain-20250101T000000Z");
    filled["requires"] =
        json!({"roles": ["a"], "bound_roles": ["b"], "owners": ["a"], "extensions": ["c"], "tablespaces": ["d"]});
    filled["pgbk"] = json!(2);
    [document, filled]
}

#[test]
fn every_member_with_every_hostile_value_is_refused_or_harmless() {
    let (mut refused, mut harmless) = (0, 0);
    for document in documents() {
        let id = id_of(&document);
        let mut all = Vec::new();
        paths(&document, &mut Vec::new(), &mut all);
        for path in all {
            for value in hostile() {
                let mut forged = document.clone();
                put_at(&mut forged, &path, value.clone());
                let read = SealedManifest::parse("x", sealed(text(&forged)))
                    .and_then(|sealed| sealed.of(&id).unauthenticated());
                match read {
                    Ok(manifest) => {
                        is_harmless(&manifest, &id);
                        harmless += 1;
                    }
                    Err(error) => {
                        let later = path == ["pgbk"] && kind(&error) == Kind::Failed;
                        assert!(later || kind(&error) == Kind::Damaged, "{path:?} = {value}: {error:#}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > harmless, "{refused} refused, {harmless} harmless");
    proof::counted("documents", "a member with a hostile value", harmless, refused);
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let (document, _) = plain();
    let (id, text) = (id_of(&document), String::from_utf8(text(&document)).unwrap());
    let mut refused = 0;
    for (name, value) in document.as_object().unwrap() {
        let twice = format!("{text},\n  \"{name}\": {value}");
        let read =
            SealedManifest::parse("x", sealed(twice.into_bytes())).and_then(|sealed| sealed.of(&id).unauthenticated());
        assert_eq!(kind(&read.unwrap_err()), Kind::Damaged, "{name}");
        refused += 1;
    }
    proof::counted("documents", "a member that stands twice", 0, refused);
}

/// What a document states is tried on the real thing: a proof runs pgbk's programs by it.
#[test]
fn a_proof_by_a_forged_document_writes_nothing_and_goes_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let canary = folder.path().join("evil");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (document, payload) = plain();
    let id = id_of(&document);
    put(folder.path(), &id.object_key("sql"), &payload);
    let file = canary.display();
    let mut forgeries: Vec<(&str, Value)> = [
        format!("--file={file}"),
        format!("--fil={file}"),
        format!("-f{file}"),
        format!("-Of{file}"),
        format!("--dbname=host=127.0.0.1 port={port}"),
        format!("-dhost=127.0.0.1 port={port}"),
        format!("--host=127.0.0.1 --port={port}"),
        format!("-p{port}"),
        format!("postgresql://127.0.0.1:{port}/x"),
        "--filter=/etc/passwd".to_owned(),
        "--format=directory".to_owned(),
    ]
    .into_iter()
    .map(|argument| ("/dump/arguments", json!([argument])))
    .collect();
    forgeries.push(("/dump/arguments", json!(["-f", canary.display().to_string()])));
    forgeries.push(("/server/session", json!({"TimeZone": "UTC\t-c\tsession_preload_libraries=/tmp/evil.so"})));
    forgeries.push(("/server/session", json!({"session_preload_libraries": "/tmp/evil.so"})));
    forgeries.push(("/server/encoding", json!("UTF8' TEMPLATE plain --")));
    for (pointer, value) in &forgeries {
        let mut forged = document.clone();
        *forged.pointer_mut(pointer).unwrap() = value.clone();
        put(folder.path(), &id.meta_key(), &sealed(text(&forged)));
        let run = connected().directory(folder.path()).args(["verify", &id.to_string(), "--level", "restore"]);
        let outcome = run.end();
        assert!(matches!(outcome.code, Some(2 | 3)), "{value}: {outcome:#?}");
        assert!(!canary.exists(), "{value} wrote a file");
        assert!(listener.accept().is_err(), "{value} went to another server");
        assert!(!outcome.err.contains("evil.so\": No such file") && !outcome.err.contains("root:"), "{outcome:#?}");
    }
    assert_eq!(sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'pgbk_scratch%'"), "0");
    proof::counted("documents", "proofs by a forged document", 0, forgeries.len());
}

#[test]
fn a_pruner_without_the_key_of_sealed_backups_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    support::database::small("keyless", &["a"]);
    let owner = connected().directory(folder.path());
    let real: Vec<String> = (0..3).map(|_| owner.key().backup("keyless", &[])).collect();
    // Whoever may only add objects puts newer ones there.
    let (document, payload) = plain();
    for ahead in 0..4u64 {
        let last: BackupId = real[2].parse().unwrap();
        let id = BackupId::new("keyless", last.taken_at() - std::time::Duration::from_secs(3600 * ahead + 60));
        let text = String::from_utf8(text(&document)).unwrap();
        let forged = text
            .replace(&id_of(&document).to_string(), &id.to_string())
            .replace("\"plain\"", "\"keyless\"")
            .replace("\"format\": \"keyless\"", "\"format\": \"plain\"")
            .replace("\"keyless\": {", "\"plain\": {")
            .replace("plain/keyless-", "keyless/keyless-")
            .replace("\"key\": null", "\"key\": {\"mode\": \"raw\", \"check\": \"8558b5b0bd6ac0a9\"}");
        put(folder.path(), &id.meta_key(), &under_a_key(forged.into_bytes()));
        put(folder.path(), &id.object_key("sql"), &payload);
    }
    let before = fs::read_dir(folder.path().join("keyless")).unwrap().count();
    let refused = owner.args(["prune", "keyless", "--keep-last", "4", "--force"]).expect(2);
    assert!(
        refused.err.contains("DB_BACKUP_ENCRYPT_KEY") && refused.err.contains("--allow-unauthenticated"),
        "{refused:#?}"
    );
    assert_eq!(fs::read_dir(folder.path().join("keyless")).unwrap().count(), before);
    // With the key none of the forged ones counts, and none of the real ones goes for them.
    owner.key().args(["prune", "keyless", "--keep-last", "3", "--force"]).expect(0);
    for id in real {
        owner.key().args(["verify", &id, "--level", "content"]).expect(0);
    }
    assert_eq!(KEY.len(), 64);
}
