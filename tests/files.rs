//! Files and folders: backed up beside databases, and put back without anything getting lost on the way.

mod hostile;
mod swapped;

use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::cluster::cluster;
use support::database::small;
use support::pgbk::{KEY, Pgbk, connected};
use support::s3::seaweedfs;
use tempfile::TempDir;

/// A folder to back up, and one for whatever else a test needs.
struct Sample {
    whole: TempDir,
}

impl Sample {
    /// With what names, modes and times can be.
    fn new() -> Sample {
        let sample = Sample { whole: tempfile::tempdir().unwrap() };
        let conf = sample.conf();
        fs::create_dir_all(conf.join("empty")).unwrap();
        let deep = conf.join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let mut big = vec![7; 3 << 20];
        big.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
        let files: [(PathBuf, &[u8], u32); 6] = [
            (conf.join("postgresql.conf"), b"port = 5432\n", 0o644),
            (conf.join("secret"), b"x", 0o600),
            (conf.join("run me"), b"#!/bin/sh\n", 0o4755),
            (conf.join(std::ffi::OsStr::from_bytes(b"not \xff utf-8\n")), b"", 0o640),
            (deep.join("big"), &big, 0o444),
            (conf.join("..dots"), b"dots", 0o644),
        ];
        for (path, bytes, mode) in files {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        symlink("postgresql.conf", conf.join("link")).unwrap();
        symlink("/nowhere/".to_owned() + &"x".repeat(200), conf.join("dangling")).unwrap();
        symlink("..", conf.join("up")).unwrap();
        fs::set_permissions(conf.join("empty"), Permissions::from_mode(0o711)).unwrap();
        for (path, time) in
            [("postgresql.conf", "2001-02-03 04:05:06"), ("empty", "1999-01-01"), ("link", "2010-10-10")]
        {
            let touched = Command::new("touch").args(["-h", "-d", time]).arg(conf.join(path)).status();
            assert!(touched.unwrap().success());
        }
        sample
    }

    fn conf(&self) -> PathBuf {
        self.whole.path().join("conf")
    }

    fn store(&self) -> PathBuf {
        self.whole.path().join("store")
    }

    fn pgbk(&self) -> Pgbk {
        let files = self.conf().display().to_string();
        let state = self.whole.path().join("state");
        let run = connected().key().directory(&self.store()).set("STATE_DIR", state.display());
        run.set("BACKUP_FILES", files).set("TERM", "xterm")
    }

    fn backup(&self) -> String {
        self.pgbk().args(["backup", "@files"]).json()["id"].as_str().expect("an id").to_owned()
    }
}

/// Everything that can be said of what is below a folder, but when it was read.
fn facts(folder: &Path) -> String {
    // A folder's size is its disk's business, and its time is that of the last change in it.
    let list = "find . -mindepth 1 \\( -type d -printf '%p %y %m %U %G\\n' -o -printf '%p %y %m %U %G %s %l %T@\\n' \\) | \
                sed 's/[.][0-9]*$//' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum; stat -c '%n %a' .";
    let output = Command::new("sh").args(["-c", list]).current_dir(folder).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap())
}

#[test]
fn what_was_packed_comes_back_as_it_was_from_a_folder_and_from_s3() {
    let sample = Sample::new();
    let expected = facts(&sample.conf());
    let bucket = seaweedfs().bucket("files");
    let s3 = sample.pgbk().unset("STORE_DIR").s3(seaweedfs(), &bucket);
    for (pgbk, compress, end) in
        [(sample.pgbk(), "0", "tar.enc"), (sample.pgbk(), "xz", "tar.xz.enc"), (s3, "zstd", "tar.zst.enc")]
    {
        let pgbk = pgbk.set("DB_BACKUP_COMPRESS", compress);
        let made = pgbk.args(["backup", "@files"]).json();
        let id = made["id"].as_str().unwrap();
        assert_eq!(made["object"], format!("@files/{id}.{end}"));
        assert_eq!((&made["dump"]["format"], &made["rows"]), (&"tar".into(), &serde_json::Value::Null));
        for level in ["meta", "stored", "content"] {
            pgbk.args(["verify", id, "--level", level]).expect(0);
        }
        let into = sample.whole.path().join(format!("into {compress}"));
        let arguments = ["restore", "--files", "latest", "--yes", "--into", into.to_str().unwrap()];
        let report = pgbk.args(arguments).json();
        assert_eq!((&report["files"], &report["links"], &report["replaced"]), (&6.into(), &3.into(), &0.into()));
        assert_eq!(facts(&below(&into, &sample.conf())), expected);
        let time = |folder: &Path| fs::metadata(folder.join("empty")).unwrap().modified().unwrap();
        assert_eq!(time(&below(&into, &sample.conf())), time(&sample.conf()));
        // Over what is there now: the same again.
        assert_eq!(pgbk.args(arguments).json()["replaced"], 9);
        assert_eq!(facts(&below(&into, &sample.conf())), expected);
        // The recipe of docs/format.md.
        let plain = sample.whole.path().join(format!("plain {compress}"));
        fs::create_dir(&plain).unwrap();
        let archive = sample.whole.path().join(format!("{compress}.tar"));
        pgbk.args(["download", id, "-o", archive.to_str().unwrap()]).expect(0);
        let unpacked = Command::new("tar").args(["-xpf"]).arg(&archive).arg("-C").arg(&plain).status().unwrap();
        assert!(unpacked.success());
        assert_eq!(facts(&below(&plain, &sample.conf())), expected);
    }
}

#[test]
fn the_recipe_without_pgbk_unpacks_files_too() {
    let sample = Sample::new();
    let pgbk = sample.pgbk().set("DB_BACKUP_COMPRESS", "zstd");
    let id = pgbk.args(["backup", "@files"]).json()["id"].as_str().unwrap().to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/decode.sh");
    let line = format!("'{}' '@files/{id}.meta' | tar -xp -C ..", script.display());
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &line]).current_dir(sample.store()).env("DB_BACKUP_ENCRYPT_KEY", KEY);
    let status = shell.status().unwrap();
    assert!(status.success());
    assert_eq!(facts(&below(sample.whole.path(), &sample.conf())), facts(&sample.conf()));
}

#[test]
fn files_go_back_to_where_they_came_from_and_what_else_is_there_stays() {
    let sample = Sample::new();
    let id = sample.backup();
    let conf = sample.conf();
    let before = facts(&conf);
    fs::write(conf.join("postgresql.conf"), "port = 1\n").unwrap();
    fs::remove_file(conf.join("secret")).unwrap();
    fs::remove_file(conf.join("link")).unwrap();
    // What a link has become to lead to is not written through.
    let outside = sample.whole.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    symlink(&outside, conf.join("link")).unwrap();
    fs::remove_dir(conf.join("empty")).unwrap();
    fs::write(conf.join("new"), "stays").unwrap();
    let report = sample.pgbk().args(["restore", "--files", &id, "--yes"]).json();
    assert_eq!((&report["into"], &report["replaced"]), (&"/".into(), &8.into()));
    assert_eq!(fs::read_to_string(conf.join("new")).unwrap(), "stays");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
    fs::remove_file(conf.join("new")).unwrap();
    assert_eq!(facts(&conf), before);
}

#[test]
fn a_person_sees_what_is_replaced_before_it_is() {
    let sample = Sample::new();
    let id = sample.backup();
    let conf = sample.conf();
    let good = facts(&conf);
    fs::write(conf.join("postgresql.conf"), "port = 1\n").unwrap();
    fs::remove_file(conf.join("secret")).unwrap();
    let changed = facts(&conf);
    let at_a_terminal = |arguments: &[&str]| {
        let command = sample.pgbk().args(arguments.iter().copied()).command();
        spawn_with_options(command, Options::new().timeout_ms(Some(60_000))).unwrap()
    };
    // Whoever leaves the list has chosen nothing.
    let mut session = at_a_terminal(&["restore", "--files"]);
    session.exp_string("Which backup:").unwrap();
    session.exp_string(&id).unwrap();
    session.send("q").unwrap();
    session.flush().unwrap();
    let text = session.exp_eof().unwrap();
    assert!(matches!(session.process().wait(), Ok(WaitStatus::Exited(_, 1))), "{text}");
    assert!(text.contains("not confirmed: nothing was restored") && facts(&conf) == changed, "{text}");
    for (typed, code_due, expected) in [("no", 1, &changed), ("yes", 0, &good)] {
        let mut session = at_a_terminal(&["restore", "--files", &id]);
        let shown = session.exp_string("Type yes to write them").unwrap();
        let named = shown.contains(&format!("{}/postgresql.conf", conf.display()));
        assert!(named && shown.contains("REPLACES  8 that are there") && !shown.contains("/secret"), "{shown}");
        assert_eq!(facts(&conf), changed);
        session.send(&format!("{typed}\r")).unwrap();
        session.flush().unwrap();
        let text = session.exp_eof().unwrap();
        assert!(matches!(session.process().wait(), Ok(WaitStatus::Exited(_, code)) if code == code_due), "{text}");
        assert_eq!(&facts(&conf), expected);
    }
    sample.pgbk().args(["restore", "--files", &id]).expect(2).says("--yes");
    sample.pgbk().args(["restore", &id, "--yes"]).expect(2).says("say --files");
}

#[test]
fn pipes_and_sockets_are_left_out_and_told() {
    let sample = Sample::new();
    let conf = sample.conf();
    let _socket = std::os::unix::net::UnixListener::bind(conf.join("socket")).unwrap();
    assert!(Command::new("mkfifo").arg(conf.join("pipe")).status().unwrap().success());
    let ran = sample.pgbk().args(["backup", "@files", "--json"]).expect(0);
    for name in ["pipe", "socket"] {
        assert!(ran.err.contains(&format!("{name}\" is left out")), "{}", ran.err);
    }
    let history = sample.pgbk().args(["history", "--limit", "1"]).json();
    assert_eq!(history[0]["warnings"].as_array().unwrap().len(), 2, "{history}");
    // Where one is all that is named, there is nothing to back up.
    let pipe = conf.join("pipe").display().to_string();
    sample.pgbk().set("BACKUP_FILES", pipe).args(["backup", "@files"]).expect(1).says("is neither a file");
}

#[test]
fn a_file_that_holds_more_than_it_said_does_not_break_the_archive() {
    let sample = Sample::new();
    // The kernel's files have no size until they are read.
    let both = format!("{}:/proc/version", sample.conf().display());
    let pgbk = sample.pgbk().set("BACKUP_FILES", both);
    let ran = pgbk.args(["backup", "@files", "--json"]).expect(0).says("\"/proc/version\" grew while it was read");
    let id = ran.json()["id"].as_str().unwrap().to_owned();
    pgbk.args(["verify", &id]).expect(0);
    let into = sample.whole.path().join("into");
    pgbk.args(["restore", "--files", &id, "--yes", "--into", into.to_str().unwrap()]).expect(0);
    assert_eq!(facts(&below(&into, &sample.conf())), facts(&sample.conf()));
    assert_eq!(fs::read(into.join("proc/version")).unwrap(), b"");
}

#[test]
fn a_path_that_is_not_there_fails_the_files_and_nothing_else() {
    let sample = Sample::new();
    small("beside", &["x"]);
    let missing = format!("{}:{}/missing", sample.conf().display(), sample.whole.path().display());
    let pgbk = sample.pgbk().set("BACKUP_FILES", missing);
    let ran = pgbk.args(["backup", "beside"]).expect(1).says("missing\": No such file or directory");
    assert!(ran.text().contains("beside-"), "{}", ran.text());
    let stored = pgbk.args(["list"]).json();
    assert_eq!(stored.as_array().unwrap().len(), 1);
    assert!(
        !sample.store().join("@files").exists() || fs::read_dir(sample.store().join("@files")).unwrap().count() == 0
    );
    // The server is not needed for files.
    let alone = sample.pgbk().set("DB_PORT", "1");
    alone.args(["backup", "@files"]).expect(0);
    let ran = alone.args(["backup", "*"]).expect(1);
    assert!(ran.text().contains("@files-"), "{ran:?}");
}

/// What the doctor says about the files.
fn diagnosis(pgbk: &Pgbk, paths: &str, code: i32) -> (String, String) {
    of_the_files(&pgbk.set("BACKUP_FILES", paths).args(["doctor", "postgres", "--json"]).expect(code).json())
}

fn of_the_files(found: &serde_json::Value) -> (String, String) {
    let all = found["findings"].as_array().unwrap();
    let one = all.iter().find(|finding| finding["what"] == "@files").expect("no word of the files");
    (one["status"].as_str().unwrap().to_owned(), one["detail"].as_str().unwrap().to_owned())
}

#[test]
fn the_doctor_says_whether_they_can_be_backed_up_and_what_is_left_out() {
    let sample = Sample::new();
    let (pgbk, conf) = (sample.pgbk(), sample.conf());
    let path = conf.display().to_string();
    let (status, detail) = diagnosis(&pgbk, &path, 0);
    assert!(status == "ok" && detail.contains(" files, ") && detail.contains("3 links"), "{detail}");
    let _socket = std::os::unix::net::UnixListener::bind(conf.join("socket")).unwrap();
    let (status, detail) = diagnosis(&pgbk, &path, 0);
    assert!(status == "note" && detail.contains("socket\" is left out"), "{detail}");
    let empty = conf.join("empty").display().to_string();
    let (status, detail) = diagnosis(&pgbk, &empty, 0);
    assert!(status == "note" && detail.contains("nothing in it"), "{detail}");
    for (paths, told) in [(format!("{path}/missing"), "No such file"), ("etc".to_owned(), "does not begin at /")] {
        let (status, detail) = diagnosis(&pgbk, &paths, 1);
        assert!(status == "fail" && detail.contains(told), "{detail}");
    }
    // Nobody keeps root from reading.
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(secret.path(), Permissions::from_mode(0o000)).unwrap();
    let run = pgbk.set("BACKUP_FILES", secret.path().display()).args(["doctor", "postgres", "--json"]);
    let output = match rustix::process::geteuid().is_root() {
        true => run.wrapped("setpriv", &["--reuid", "65534", "--clear-groups"]),
        false => run.wrapped("env", &[]),
    };
    let (status, detail) = of_the_files(&serde_json::from_slice(&output.stdout).unwrap());
    assert!(status == "fail" && detail.contains("Permission denied"), "{detail}");
}

#[test]
fn mistakes_in_the_setting_are_told_before_anything_is_done() {
    let sample = Sample::new();
    let whole = sample.whole.path().display().to_string();
    for (paths, told) in
        [("etc", "does not begin at /"), ("/etc/../root", "does not begin at /"), (&whole, "holds STORE_DIR")]
    {
        sample.pgbk().set("BACKUP_FILES", paths).args(["backup", "@files"]).expect(2).says(told);
    }
    sample.pgbk().unset("BACKUP_FILES").args(["backup", "@files"]).expect(2).says("no files are named");
    for wrong in [&["--into", "/x"][..], &["--files", "--to", "x"], &["--files", "--clean"]] {
        sample.pgbk().args([&["restore"], wrong].concat()).expect(2);
    }
}

#[test]
fn under_a_fixed_name_files_and_globals_are_versions_like_others() {
    let sample = Sample::new();
    small("fixed_beside", &["x"]);
    let bucket = seaweedfs().versioned_bucket("beside");
    let pgbk = sample.pgbk().unset("STORE_DIR").s3(seaweedfs(), &bucket).set("S3_OBJECT_NAME", "backup");
    let pgbk = pgbk.set("BACKUP_GLOBALS", "1").set("DB_BACKUP_COMPRESS", "zstd");
    let made = pgbk.args(["backup", "fixed_beside"]).json();
    assert_eq!(made.as_array().unwrap().len(), 3, "{made}");
    pgbk.args(["verify", "--all"]).expect(0);
    let into = sample.whole.path().join("into");
    pgbk.args(["restore", "--files", "--yes", "--into", into.to_str().unwrap()]).expect(0);
    assert_eq!(facts(&below(&into, &sample.conf())), facts(&sample.conf()));
    let script = pgbk.args(["download", "latest", "--database", "@globals", "-o", "-"]).expect(0).text();
    assert!(script.contains("CREATE ROLE postgres"), "{script}");
    assert!(cluster().bin.join("pg_dumpall").exists());
}
