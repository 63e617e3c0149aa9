//! Payloads that are larger than the store's largest object: several objects, which are one payload for everything.

mod host;
mod versions;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::database::{create, sql, stdout_of};
use support::pgbk::{KEY, Pgbk, connected, pgbk};
use support::proof;
use support::s3::seaweedfs;
use tempfile::TempDir;

const LIMIT: usize = 8 << 20;

/// Some 30 MB that do not compress to less than half, with a small table on each side.
fn noise(database: &str) {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        create("rollover_noise", "");
        sql(
            "rollover_noise",
            "CREATE TABLE a_small AS SELECT g FROM generate_series(1, 100) g;
             CREATE TABLE big AS SELECT g, (SELECT string_agg(md5((100 * g + part)::text), '') FROM generate_series(1, 32) part) AS noise
                 FROM generate_series(1, 28000) g;
             ALTER TABLE big ADD PRIMARY KEY (g);
             CREATE TABLE z_small AS SELECT g, md5(g::text) AS t FROM generate_series(1, 100) g",
        );
    });
    create(database, "TEMPLATE rollover_noise");
}

fn limited(run: &Pgbk) -> Pgbk {
    run.key().set("MAX_OBJECT_SIZE", "8M")
}

fn place() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let run = limited(&connected().directory(folder.path()));
    (folder, run)
}

/// The files of a backup of this database in a folder, by name.
fn files(folder: &Path, series: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join(series)).into_iter().flatten().flatten();
    entries.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// The paths of the objects of the only payload, in order.
fn objects(folder: &Path, series: &str) -> Vec<PathBuf> {
    let names = files(folder, series).into_keys().filter(|name| !name.ends_with(".meta"));
    names.map(|name| folder.join(series).join(name)).collect()
}

/// Restores the backup, and compares it with what it was made of. Several connections give rows in another order.
fn is_the_same(run: &Pgbk, id: &str, database: &str, to: &str) {
    run.args(["restore", id, "--to", to, "--yes"]).expect(0);
    let digest = |table: &str| format!("(SELECT count(*) || ' ' || sum(hashtextextended(r::text, 0)) FROM {table} r)");
    let tables = ["a_small", "big", "z_small"].map(digest).join(", ");
    let all = format!("SELECT {tables}, (SELECT indexdef FROM pg_indexes WHERE schemaname = 'public')");
    assert_eq!(sql(database, &all), sql(to, &all));
}

#[test]
fn a_payload_above_the_limit_is_several_objects_and_comes_back_the_same() {
    noise("rollover_same");
    let ways = [("none", "plain", "1"), ("none", "plain", "3"), ("gzip", "custom", "1"), ("zstd", "plain", "3")];
    for (compress, format, jobs) in proof::sample(ways, 2, 1) {
        let (folder, run) = place();
        let run = run.set("DB_BACKUP_COMPRESS", compress).set("DUMP_FORMAT", format);
        let made = run.args(["backup", "rollover_same", "--jobs", jobs]).json();
        let id = made["id"].as_str().unwrap();
        let stored = made["stored"]["bytes"].as_u64().unwrap() as usize;
        assert!(stored > LIMIT, "{compress}: {stored}");
        let paths = objects(folder.path(), "rollover_same");
        let sizes: Vec<usize> = paths.iter().map(|path| fs::metadata(path).unwrap().len() as usize).collect();
        assert_eq!(sizes.len(), stored.div_ceil(LIMIT), "{compress}: {sizes:?}");
        let (last, full) = sizes.split_last().unwrap();
        assert!(full.iter().all(|size| *size == LIMIT) && *last <= LIMIT && *last > 0, "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), stored);
        let first = folder.path().join(made["object"].as_str().unwrap());
        let expected = (1..=sizes.len()).map(|number| match number {
            1 => first.display().to_string(),
            number => format!("{}.part{number:04}", first.display()),
        });
        assert_eq!(
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
        assert_eq!(made["further_objects"].as_array().unwrap().len(), sizes.len() - 1);

        let listed = run.args(["list"]).json();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["stored_bytes"]), (1, &made["stored"]["bytes"]));
        for level in ["meta", "stored", "content", "restore"] {
            run.args(["verify", id, "--level", level]).expect(0);
        }
        is_the_same(&run, id, "rollover_same", &format!("rollover_{compress}_{format}_{jobs}"));
        let leftovers = run.args(["doctor", "rollover_same"]).json();
        let leftovers =
            leftovers["findings"].as_array().unwrap().iter().find(|one| one["what"] == "leftovers").unwrap();
        assert_eq!(leftovers["detail"], "none", "{leftovers}");
    }
}

#[test]
fn a_table_whose_pieces_cross_the_edges_is_read_and_restored_alone() {
    noise("rollover_table");
    for compress in ["none", "zstd"] {
        let (_folder, run) = place();
        let run = run.set("DB_BACKUP_COMPRESS", compress);
        let id = run.backup("rollover_table", &[]);
        for table in ["a_small", "big", "z_small"] {
            let rows = run.args(["download", &id, "--table", table, "-o", "-"]).expect(0).text();
            let expected = sql("rollover_table", format!("COPY {table} TO STDOUT"));
            assert!(rows.contains(&format!("\n{expected}\n\\.\n")), "{compress} {table}");
        }
        let to = format!("rollover_table_{compress}");
        run.args(["restore", &id, "--table", "big", "--to", &to, "--yes"]).expect(0);
        let sum = "SELECT count(*), sum(hashtext(big::text)) FROM big";
        assert_eq!(sql(&to, sum), sql("rollover_table", sum), "{compress}");
    }
}

#[test]
fn stock_tools_decode_the_objects_put_after_each_other() {
    noise("rollover_stock");
    let (folder, run) = place();
    let id = run.set("DB_BACKUP_COMPRESS", "zstd").backup("rollover_stock", &[]);
    let base = folder.path().join("rollover_stock").join(&id).display().to_string();
    let plain = run.args(["download", &id, "-o", "-"]).expect(0).out;
    let meta: Value = serde_json::from_slice(&fs::read(format!("{base}.meta")).unwrap()).unwrap();
    let iv = meta["encryption"]["iv"].as_str().unwrap();
    let recipe = format!(
        "cat {base}.sql.zst.enc {base}.sql.zst.enc.part* | openssl enc -d -aes-256-cbc -K {KEY} -iv {iv} | zstd -dcq"
    );
    assert!(stdout_of(Command::new("bash").args(["-c", &recipe])) == plain, "the recipe gives another dump");
    let sum =
        stdout_of(Command::new("bash").args(["-c", &format!("cat {base}.sql.zst.enc* | b2sum | cut -d ' ' -f 1")]));
    assert_eq!(String::from_utf8(sum).unwrap().trim(), meta["stored"]["blake2b"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh");
    let decode = || {
        let mut command = Command::new(&script);
        command.arg(format!("{base}.meta")).env("DB_BACKUP_ENCRYPT_KEY", KEY);
        command
    };
    assert!(stdout_of(&mut decode()) == plain, "the script gives another dump");
    // In one file, as "download --raw" writes it.
    let whole = tempfile::tempdir().unwrap();
    run.args(["download", &id, "--raw", "-o", whole.path().to_str().unwrap()]).expect(0);
    let mut command = Command::new(&script);
    command.arg(whole.path().join(format!("{id}.meta"))).env("DB_BACKUP_ENCRYPT_KEY", KEY);
    assert!(stdout_of(&mut command) == plain, "the script gives another dump of the file");
    fs::remove_file(format!("{base}.sql.zst.enc.part0002")).unwrap();
    assert!(!decode().output().unwrap().status.success());
}

/// Each kind of damage with what is to be said of it, at the level that finds it first.
#[test]
fn damage_to_an_object_is_told_by_its_name_at_every_level_and_nothing_is_restored() {
    noise("rollover_damage");
    let (folder, run) = place();
    let id = run.set("DB_BACKUP_COMPRESS", "none").backup("rollover_damage", &[]);
    let paths = objects(folder.path(), "rollover_damage");
    assert!(paths.len() >= 4, "{paths:?}");
    let levels = ["meta", "stored", "content", "restore"];
    let all = files(folder.path(), "rollover_damage");
    let bytes = |at: usize| all[paths[at].file_name().unwrap().to_str().unwrap()].clone();
    let flipped = |at: usize| {
        let mut bytes = bytes(at);
        bytes[1000] ^= 1;
        bytes
    };
    let whole = |at: usize| fs::write(&paths[at], bytes(at)).unwrap();
    for (at, path) in paths.iter().enumerate() {
        let key = format!("rollover_damage/{}", path.file_name().unwrap().to_str().unwrap());
        let finds = |levels: &[&str], text: &str| {
            for level in levels {
                let said = run.args(["verify", &id, "--level", level]).expect(3);
                let all = said.text() + &said.err;
                assert!(all.contains(&key) && all.contains(text), "{key} at {level}: {all}");
            }
            let said = run.args(["restore", &id, "--to", "rollover_damaged", "--yes"]).expect(3);
            assert!(said.err.contains(&key), "{}", said.err);
        };
        fs::remove_file(path).unwrap();
        finds(&levels, "is missing");
        fs::write(path, &bytes(at)[1..]).unwrap();
        finds(&levels, "; its .meta states ");
        fs::write(path, flipped(at)).unwrap();
        finds(&levels[1..3], "does not match its tag");
        whole(at);
    }
    fs::write(&paths[1], bytes(2)).unwrap();
    fs::write(&paths[2], bytes(1)).unwrap();
    run.args(["verify", &id, "--level", "meta"]).expect(0);
    let said = run.args(["verify", &id, "--level", "stored"]).expect(3);
    assert!((said.text() + &said.err).contains(".part0002\"), does not match"), "{said:#?}");
    whole(1);
    whole(2);
    run.args(["verify", &id, "--level", "content"]).expect(0);
}

#[test]
fn retention_removes_all_objects_and_what_a_killed_run_left_of_them_is_cleared() {
    noise("rollover_prune");
    let (folder, run) = place();
    let run = run.set("DB_BACKUP_COMPRESS", "none");
    let ids: Vec<String> = (0..2).map(|_| run.backup("rollover_prune", &[])).collect();
    let of = |id: &str| files(folder.path(), "rollover_prune").into_keys().filter(|name| name.starts_with(id)).count();
    let all = of(&ids[1]);
    assert!(all >= 5 && of(&ids[0]) == all, "{all}");
    let dry = run.args(["prune", "rollover_prune", "--keep-last", "1", "--dry-run"]).expect(0).text();
    assert!(dry.contains("1 of 2 backups"), "{dry}");
    run.args(["prune", "rollover_prune", "--keep-last", "1"]).expect(0);
    assert_eq!((of(&ids[0]), of(&ids[1])), (0, all));

    // One without all of its objects does not count, and says which is missing.
    let part = format!("rollover_prune/{}.sql.enc.part0003", ids[1]);
    fs::rename(folder.path().join(&part), folder.path().join("kept")).unwrap();
    let said = run.args(["prune", "rollover_prune", "--keep-last", "1", "--dry-run"]).end().text();
    assert!(said.contains(&part), "{said}");
    fs::rename(folder.path().join("kept"), folder.path().join(&part)).unwrap();

    let killed = "rollover_prune-20200101T000000Z";
    for path in objects(folder.path(), "rollover_prune") {
        fs::copy(&path, path.display().to_string().replace(&ids[1], killed)).unwrap();
    }
    let begun = format!("rollover_prune/.{killed}.sql.enc.part0009.0123456789ab.partial");
    fs::write(folder.path().join(&begun), "x").unwrap();
    assert_eq!(of(killed), all - 1);
    run.args(["doctor", "rollover_prune", "--clean", "--older-than", "0s"]).expect(0);
    assert_eq!((of(killed), of(&ids[1])), (0, all));
    assert!(!folder.path().join(&begun).exists());
    run.args(["verify", &ids[1], "--level", "stored"]).expect(0);
}

#[test]
fn a_raw_copy_is_one_file_that_is_divided_again_as_its_document_says() {
    noise("rollover_raw");
    let (folder, run) = place();
    let id = run.backup("rollover_raw", &[]);
    let stored = files(folder.path(), "rollover_raw");
    let copy = tempfile::tempdir().unwrap();
    let at = copy.path().to_str().unwrap();
    run.args(["download", &id, "--raw", "-o", at]).expect(0);
    let payload = objects(folder.path(), "rollover_raw")[0].file_name().unwrap().to_str().unwrap().to_owned();
    let joined: Vec<u8> =
        stored.iter().filter(|(name, _)| !name.ends_with(".meta")).flat_map(|(_, bytes)| bytes.clone()).collect();
    assert!(fs::read(copy.path().join(&payload)).unwrap() == joined);
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 2);

    // Whatever the limit of the other store is, if it takes such objects.
    for limit in [None, Some("8M"), Some("9M")] {
        let other = tempfile::tempdir().unwrap();
        let raw = pgbk([]).directory(other.path());
        let raw = limit.map_or(raw.clone(), |limit| raw.set("MAX_OBJECT_SIZE", limit));
        raw.args(["upload", "--raw", copy.path().join(&payload).to_str().unwrap()]).expect(0);
        assert!(files(other.path(), "rollover_raw") == stored, "{limit:?}");
        if limit == Some("9M") {
            is_the_same(&raw.server(support::cluster::cluster()).key(), &id, "rollover_raw", "rollover_raw_copy");
        }
    }
    let large = tempfile::tempdir().unwrap();
    let run = run.directory(large.path()).set("MAX_OBJECT_SIZE", "10M");
    let id = run.backup("rollover_raw", &[]);
    run.args(["download", &id, "--raw", "-o", at, "--force"]).expect(0);
    let other = tempfile::tempdir().unwrap();
    let raw =
        pgbk(["upload", "--raw", &format!("{at}/{id}.meta")]).directory(other.path()).set("MAX_OBJECT_SIZE", "8M");
    raw.expect(2).says("has an object of 10485760 bytes, and the store takes 8388608 at most").says("MAX_OBJECT_SIZE");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);

    // A dump goes through the pipeline, as ever.
    run.args(["download", &id, "-o", &format!("{at}/dump.sql")]).expect(0);
    let upload = limited(&connected().directory(other.path())).set("DB_BACKUP_COMPRESS", "none");
    let made = upload.args(["upload", &format!("{at}/dump.sql"), "--database", "uploaded"]).json();
    assert!(objects(other.path(), "uploaded").len() >= 4);
    upload.args(["verify", made["id"].as_str().unwrap(), "--level", "content"]).expect(0);
}

#[test]
fn every_output_and_files_are_divided_as_well() {
    noise("rollover_outputs");
    let (folder, run) = place();
    let sources = tempfile::tempdir().unwrap();
    let rules = sources.path().join("rules.toml");
    fs::write(&rules, "[tables.public.z_small]\nt = \"null\"\n").unwrap();
    let run = run.set("DB_BACKUP_COMPRESS", "none").set("OUTPUTS", "plain,custom,anonymised");
    let run = run.set("ANONYMISE_RULES", rules.display()).set("ANONYMISE_SECRET", "0123456789abcdef0123456789abcdef");
    let run = run.set("STATE_DIR", sources.path().join("state").display());
    run.args(["backup", "rollover_outputs", "--jobs", "2"]).expect(0);
    for series in ["rollover_outputs", "rollover_outputs@custom", "rollover_outputs@anonymised"] {
        let count = objects(folder.path(), series).len();
        assert!(count >= 2, "{series}: {count}");
        run.args(["verify", "--all", "--level", "content", "--database", series]).end();
    }
    let noise: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::create_dir(sources.path().join("files")).unwrap();
    fs::write(sources.path().join("files/noise"), &noise).unwrap();
    let run = run.unset("OUTPUTS").set("BACKUP_FILES", sources.path().join("files").display());
    let id = run.args(["backup", "@files"]).json()["id"].as_str().unwrap().to_owned();
    assert!(objects(folder.path(), "@files").len() >= 3);
    run.args(["verify", &id, "--level", "content"]).expect(0);
}

#[test]
fn a_limit_that_is_too_small_is_refused() {
    let (_folder, run) = place();
    run.set("MAX_OBJECT_SIZE", "8191K").args(["list"]).expect(2).says("at least 8M").says("MAX_OBJECT_SIZE");
}

#[test]
fn a_bucket_has_them_as_well_and_each_is_tagged() {
    noise("rollover_s3");
    let server = seaweedfs();
    let bucket = server.bucket("rollover");
    let run = limited(&connected().s3(server, &bucket)).set("AUTO_LIFECYCLE_POLICY_TAGS", 1);
    let run = run.set("DB_BACKUP_COMPRESS", "none").set("S3_PART_SIZE", "5M");
    let made = run.args(["backup", "rollover_s3", "--jobs", "2"]).json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["verified"], "md5");
    let (client, runtime) = server.client();
    let listed = runtime.block_on(client.list_objects_v2().bucket(&bucket).send()).expect("list");
    let sizes: Vec<(&str, i64)> =
        listed.contents().iter().map(|one| (one.key().unwrap(), one.size().unwrap())).collect();
    assert!(sizes.len() >= 5 && sizes.iter().all(|(_, size)| *size <= LIMIT as i64), "{sizes:?}");
    for (key, _) in &sizes {
        let tags = runtime.block_on(client.get_object_tagging().bucket(&bucket).key(*key).send()).expect("tags");
        assert_eq!(tags.tag_set().iter().map(|tag| tag.value()).collect::<Vec<_>>(), ["monthly"], "{key}");
    }
    for level in ["meta", "stored", "content", "restore"] {
        run.args(["verify", id, "--level", level]).expect(0);
    }
    is_the_same(&run, id, "rollover_s3", "rollover_s3_back");
    let part = sizes.iter().find(|(key, _)| key.ends_with(".part0003")).unwrap().0;
    runtime.block_on(client.delete_object().bucket(&bucket).key(part).send()).expect("delete");
    let said = run.args(["verify", id, "--level", "meta"]).expect(3);
    assert!((said.text() + &said.err).contains(part), "{said:#?}");
}
