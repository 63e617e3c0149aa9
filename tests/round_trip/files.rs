//! Backups as files: download, edit, upload, and from one store to another.

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use support::database::{assert_same, comparable, dump, script, small, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use support::proof;
use support::s3::{Server, radosgw, seaweedfs};
use tempfile::TempDir;

fn directory() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(&folder.path().join("store"));
    (folder, pgbk)
}

#[test]
fn a_download_is_the_dump_itself_and_private() {
    let (folder, pgbk) = directory();
    let pgbk = pgbk.key();
    super::features("downloaded");
    for (format, compress) in [("plain", "xz"), ("plain", "0"), ("custom", "zstd")] {
        let id = pgbk.backup("downloaded", &["--format", format, "--compress", compress]);
        let file = folder.path().join(&id);
        pgbk.args(["download", &id, "-o", file.to_str().unwrap()]).expect(0);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        let text = match format {
            "custom" => stdout_of(tool("pg_restore", "").args(["-f", "-"]).arg(&file)),
            _ => fs::read(&file).unwrap(),
        };
        let expected = match format {
            // The comments say which format they come from.
            "custom" => without_comments(&stdout_of(&mut tool("pg_dump", "downloaded"))),
            _ => dump("downloaded"),
        };
        let found = if format == "custom" { without_comments(&text) } else { comparable(&text) };
        assert_same(&expected, &found);
        let ran = pgbk.args(["download", &id, "-o", "-"]).expect(0);
        assert_same(&fs::read(&file).unwrap(), &ran.out);
    }
}

/// Without the lines that name versions and dump formats.
fn without_comments(dump: &[u8]) -> Vec<u8> {
    let dump = comparable(dump);
    dump.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"--")).flatten().copied().collect()
}

#[test]
fn a_file_that_is_there_is_replaced_only_by_force() {
    let (folder, pgbk) = directory();
    small("forced", &["x"]);
    let id = pgbk.backup("forced", &[]);
    let file = folder.path().join("mine.sql");
    fs::write(&file, "mine").unwrap();
    let path = file.to_str().unwrap();
    pgbk.args(["download", &id, "-o", path]).expect(1).says("--force");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    pgbk.args(["download", &id, "-o", path, "--force"]).expect(0);
    assert_same(&dump("forced"), &comparable(&fs::read(&file).unwrap()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(files(folder.path()), ["mine.sql", "store"]);
}

#[test]
fn a_download_without_a_name_is_called_like_the_backup() {
    let (folder, pgbk) = directory();
    small("named", &["x"]);
    let id = pgbk.backup("named", &["--compress", "gzip"]);
    stdout_of(pgbk.args(["download"]).command().current_dir(folder.path()));
    assert_eq!(files(folder.path()), [format!("{id}.sql"), "store".into()]);
}

#[test]
fn an_edited_dump_becomes_a_backup_of_its_own() {
    let (folder, pgbk) = directory();
    let pgbk = pgbk.key().set("DB_BACKUP_COMPRESS", "zstd").set("DB_NAME", "edited");
    small("edited", &["before"]);
    let original = pgbk.backup("edited", &[]);
    let file = folder.path().join("edited.sql");
    let path = file.to_str().unwrap();
    pgbk.args(["download", "-o", path]).expect(0);
    stdout_of(Command::new("sed").args(["-i", "s/^before$/after/", path]));
    let uploaded = pgbk.args(["upload", path]).json();
    // It is counted apart from the backups, and is not the newest of them.
    assert_eq!((&uploaded["origin"], &uploaded["previous"]), (&"upload".into(), &serde_json::Value::Null));
    assert_ne!(uploaded["id"], original.as_str());
    assert_eq!(uploaded["tables"][0]["rows"], 1);

    pgbk.args(["verify", "--all"]).expect(0);
    let uploaded = uploaded["id"].as_str().unwrap();
    pgbk.args(["restore", uploaded, "--yes", "--to", "edited_copy"]).expect(0);
    assert_eq!(sql("edited_copy", "SELECT v FROM t"), "after");
    let latest = pgbk.args(["restore", "latest", "--yes", "--to", "edited_original"]).json();
    assert_eq!(latest["id"], original.as_str());
    assert_eq!(sql("edited_original", "SELECT v FROM t"), "before");
}

#[test]
fn a_backup_from_a_bucket_with_versions_restores_from_a_copy_elsewhere() {
    let server = seaweedfs();
    let bucket = server.bucket("versions");
    let (client, runtime) = server.client();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let request = client.put_bucket_versioning().bucket(&bucket).versioning_configuration(enabled);
    runtime.block_on(request.send()).unwrap();
    small("versions", &["kept"]);
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = connected().directory(&folder.path().join("store"));
    let here = connected().s3(server, &bucket);
    let id = here.backup("versions", &[]);
    here.args(["download", &id, "--raw", "-o", folder.path().to_str().unwrap()]).expect(0);
    let meta = folder.path().join(format!("{id}.meta"));
    assert!(!std::fs::read_to_string(&meta).unwrap().contains("\"version_id\": null"));
    elsewhere.args(["upload", "--raw", meta.to_str().unwrap()]).expect(0);
    elsewhere.args(["restore", &id, "--yes", "--to", "versions_copy"]).expect(0);
    assert_same(&dump("versions"), &dump("versions_copy"));
}

#[test]
fn raw_files_carry_a_backup_from_one_store_to_another() {
    let (from, to) = (seaweedfs(), radosgw());
    let (from_bucket, to_bucket) = (from.bucket("raw"), to.bucket("raw"));
    let keyless_here = connected().s3(from, &from_bucket).set("S3_FOLDER", "one");
    let here = keyless_here.key();
    let keyless_there = connected().s3(to, &to_bucket).set("S3_FOLDER", "an/other");
    let there = keyless_there.key();
    super::features("carried");
    let backup = here.args(["backup", "carried", "--compress", "xz"]).json();
    let (id, object) = (backup["id"].as_str().unwrap(), backup["object"].as_str().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder_name = folder.path().to_str().unwrap();

    // Neither way needs the key.
    keyless_here.args(["download", id, "--raw", "-o", folder_name]).expect(0);
    let payload = object.rsplit('/').next().unwrap().to_owned();
    assert_eq!(files(folder.path()), [format!("{id}.meta"), payload.clone()]);
    keyless_there.args(["upload", "--raw", folder.path().join(format!("{id}.meta")).to_str().unwrap()]).expect(0);
    let meta = format!("carried/{id}.meta");
    for key in [object, &meta] {
        let original = object_in(from, &from_bucket, &format!("one/{key}"));
        assert!(original == object_in(to, &to_bucket, &format!("an/other/{key}")), "{key} differs");
        assert!(original == fs::read(folder.path().join(key.rsplit('/').next().unwrap())).unwrap());
    }
    there.args(["restore", id, "--yes", "--to", "carried_copy"]).expect(0);
    assert_same(&dump("carried"), &dump("carried_copy"));

    // A name that is taken is never written to again.
    there.args(["upload", "--raw", folder.path().join(&payload).to_str().unwrap()]).expect(1);
    there.args(["verify", id]).expect(0);
}

#[test]
fn a_payload_that_was_lost_is_put_back_beside_its_document_and_another_document_stays() {
    let (folder, pgbk) = directory();
    small("lost", &["kept"]);
    let id = pgbk.backup("lost", &[]);
    let raw = tempfile::tempdir().unwrap();
    pgbk.args(["download", &id, "--raw", "-o", raw.path().to_str().unwrap()]).expect(0);
    let stored = |name: &str| folder.path().join("store").join("lost").join(name);
    let meta = format!("{id}.meta");
    let payload = files(raw.path()).into_iter().find(|name| *name != meta).unwrap();
    let upload = || pgbk.args(["upload", "--raw", raw.path().join(&meta).to_str().unwrap()]);
    let document = fs::read(stored(&meta)).unwrap();

    fs::remove_file(stored(&payload)).unwrap();
    upload().expect(0);
    pgbk.args(["verify", &id, "--level", "content"]).expect(0);
    assert_eq!(fs::read(stored(&meta)).unwrap(), document);

    fs::remove_file(stored(&payload)).unwrap();
    fs::write(stored(&meta), "another").unwrap();
    upload().expect(1).says("is another document");
    assert_eq!((fs::read(stored(&meta)).unwrap(), stored(&payload).exists()), (b"another".to_vec(), false));
}

fn object_in(server: &Server, bucket: &str, key: &str) -> Vec<u8> {
    let (client, runtime) = server.client();
    runtime.block_on(async {
        let object = client.get_object().bucket(bucket).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().into_bytes().to_vec()
    })
}

#[test]
fn a_dump_from_a_pipe_becomes_a_backup() {
    let (_folder, pgbk) = directory();
    small("piped", &["x"]);
    for format in ["plain", "custom"] {
        let made = stdout_of(tool("pg_dump", "piped").arg(format!("--format={format}")));
        let uploaded = pgbk.args(["upload", "-", "--database", "piped"]).input(&made).json();
        let id = uploaded["id"].as_str().unwrap();
        let copy = format!("piped_{format}");
        pgbk.args(["restore", id, "--yes", "--to", &copy]).expect(0);
        assert_same(&dump("piped"), &dump(&copy));
        assert_same(&made, &pgbk.args(["download", id, "-o", "-"]).expect(0).out);
    }
}

#[test]
fn an_archive_that_is_cut_short_is_accepted_only_when_that_is_said() {
    let (folder, pgbk) = directory();
    super::features("cut_archive");
    let made = stdout_of(tool("pg_dump", "cut_archive").arg("--format=custom"));
    let upload = |more: &[&str]| {
        let arguments = ["upload", "-", "--database", "cut_archive"].iter().chain(more).copied();
        pgbk.args(arguments).input(&made[..made.len() - 1])
    };
    upload(&[]).expect(1).says("cut short").says("--allow-incomplete");
    assert_eq!(files(&folder.path().join("store/cut_archive")), [""; 0]);
    upload(&["--allow-incomplete"]).expect(0);
}

#[test]
fn a_script_that_is_cut_short_is_accepted_only_when_that_is_said() {
    let (folder, pgbk) = directory();
    let cut = "CREATE TABLE t (v text);\n";
    let upload = |more: &[&str]| {
        pgbk.args(["upload", "-", "--database", "cut"].iter().chain(more).copied()).input(cut.as_bytes())
    };
    upload(&[]).expect(1).says("--allow-incomplete");
    assert_eq!(files(&folder.path().join("store/cut")), [""; 0]);
    let uploaded = upload(&["--allow-incomplete"]).json();
    pgbk.args(["verify", "--all"]).expect(0);
    pgbk.args(["restore", uploaded["id"].as_str().unwrap(), "--yes", "--to", "cut_copy"]).expect(0);
    assert_eq!(sql("cut_copy", "SELECT count(*) FROM t"), "0");
}

/// psql takes such a piece for whole, and ends with 0.
#[test]
fn a_script_that_is_cut_behind_any_of_its_statements_is_no_backup() {
    let (folder, pgbk) = directory();
    super::features("cut_statements");
    let made = stdout_of(&mut tool("pg_dump", "cut_statements"));
    let ends: Vec<usize> = made.windows(2).enumerate().filter(|(_, end)| end == b";\n").map(|(at, _)| at + 2).collect();
    let count = proof::size(10, 150).min(ends.len());
    for index in 0..count {
        let cut = &made[..ends[index * ends.len() / count]];
        pgbk.args(["upload", "-", "--database", "cut_statements"]).input(cut).expect(1).says("--allow-incomplete");
    }
    assert_eq!(files(&folder.path().join("store/cut_statements")), [""; 0]);
    proof::counted("forgeries", "scripts cut behind a statement", 0, count);
}

#[test]
fn what_is_packed_already_is_refused_with_the_way_to_unpack_it() {
    let (folder, pgbk) = directory();
    for (packer, extension, unpacker) in [("gzip", "gz", "gunzip"), ("xz", "xz", "xz -d"), ("zstd", "zst", "zstd -d")] {
        let file = folder.path().join("packed.sql");
        fs::write(&file, script("CREATE TABLE t (v text);")).unwrap();
        stdout_of(Command::new(packer).args(["-q", "-f"]).arg(&file));
        let packed = format!("{}.{extension}", file.display());
        pgbk.args(["upload", &packed, "--database", "packed"]).expect(2).says(unpacker);
    }
    pgbk.args(["upload", "-", "--database", "packed"]).expect(2).says("empty");
    pgbk.args(["upload", "/nonexistent/x.sql", "--database", "packed"]).expect(4);
    assert!(!folder.path().join("store/packed").exists());
}

/// Names in a folder, sorted; none where the folder is missing.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
