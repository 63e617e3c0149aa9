//! The policies of docs/security.md, given to real roles on a host that enforces them.

use crate::prune::past;
use past::{daily, repository};
use pgbk::base::error::{Kind, kind};
use pgbk::base::secret::Secret;
use pgbk::store::capabilities::Tags;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{PutOptions, Store, read_small, write_small};
use std::io::Write;
use std::process::Command;
use support::database::{create, sql};
use support::pgbk::{Pgbk, connected};
use support::process::tool;
use support::s3::{Server, seaweedfs};

/// The policy that docs/security.md shows under this name, for this bucket.
fn policy(name: &str, bucket: &str) -> String {
    let page = include_str!("../docs/security.md");
    let from = page.find(&format!("**{name}**")).unwrap_or_else(|| panic!("no {name} in docs/security.md"));
    let text = page[from..].split("```json\n").nth(1).expect("a policy").split("```").next().expect("its end");
    assert!(text.contains("arn:aws:s3:::my-backups/prod/*"), "{text}");
    text.replace("my-backups", bucket)
}

const MAKE_USER: &str = "
import boto3, sys
endpoint, access, secret, user, policy = sys.argv[1:4] + [sys.argv[4], sys.stdin.read()]
iam = boto3.client('iam', endpoint_url=endpoint, region_name='us-east-1', aws_access_key_id=access, aws_secret_access_key=secret)
iam.create_user(UserName=user)
key = iam.create_access_key(UserName=user)['AccessKey']
iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=policy)
print(key['AccessKeyId'], key['SecretAccessKey'])
";

struct Role {
    access: String,
    secret: String,
}

fn role(server: &Server, name: &str, bucket: &str, policy: &str) -> Role {
    let mut child = Command::new(tool("python3"))
        .args(["-c", MAKE_USER, &server.endpoint, &server.access_key, &server.secret_key, &format!("{name}-{bucket}")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python");
    child.stdin.take().expect("stdin").write_all(policy.as_bytes()).expect("write");
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success(), "{name}: no role");
    let text = String::from_utf8(output.stdout).expect("text");
    let (access, secret) = text.trim().split_once(' ').expect("two words");
    Role { access: access.to_owned(), secret: secret.to_owned() }
}

/// A bucket with one role for each policy.
struct Place {
    server: &'static Server,
    bucket: String,
}

impl Place {
    fn new(name: &str) -> Place {
        let server = seaweedfs();
        Place { server, bucket: server.bucket(name) }
    }

    fn role(&self, name: &str) -> Role {
        role(self.server, &name.replace(' ', "-"), &self.bucket, &policy(name, &self.bucket))
    }

    fn run(&self, role: &Role) -> Pgbk {
        connected()
            .s3(self.server, &self.bucket)
            .set("S3_FOLDER", "prod")
            .set("S3_ACCESS_KEY_ID", &role.access)
            .set("S3_SECRET_ACCESS_KEY", &role.secret)
    }

    fn store(&self, role: &Role, folder: &str) -> S3 {
        S3::open(S3Settings {
            access_key: Some(role.access.clone()),
            secret_key: Some(Secret::new(role.secret.clone())),
            folder: folder.to_owned(),
            part_size: Some(5 << 20),
            ..self.server.settings(&self.bucket)
        })
        .expect("open")
    }

    fn admin(&self) -> S3 {
        let settings = S3Settings { folder: "prod".to_owned(), ..self.server.settings(&self.bucket) };
        S3::open(settings).expect("open")
    }
}

fn rows(database: &str) {
    create(database, "");
    sql(database, "CREATE TABLE t AS SELECT n, sha512(n::text::bytea) FROM generate_series(1, 60000) n");
}

fn denied<T>(result: pgbk::base::error::Result<T>) {
    let error = result.map(|_| ()).expect_err("allowed");
    assert_eq!(kind(&error), Kind::Denied, "{error:#}");
}

#[test]
fn a_writer_backs_up_and_says_what_it_had_to_skip_and_a_reader_restores() {
    rows("policy_writer");
    let place = Place::new("writer");
    let (writer, reader) = (place.run(&place.role("Writer")), place.run(&place.role("Reader")));
    let ran = writer.args(["backup", "policy_writer"]).set("S3_PART_SIZE", "5M").expect(0);
    let ran = ran.says("does not allow reading: what was stored is not read back");
    let ran = ran.says("does not allow listing: the previous backup is not recorded");
    assert!(ran.text().contains("NOT checked"), "{ran:?}");
    for command in [&["list"][..], &["verify", "--all"], &["restore", "latest", "--yes", "--to", "policy_stolen"]] {
        writer.args(command.iter().copied()).expect(1).says("403");
    }

    let found = reader.args(["list"]).json();
    assert_eq!(found.as_array().expect("a list").len(), 1, "{found}");
    reader.args(["verify", "--all"]).expect(0);
    reader.args(["restore", "latest", "--yes", "--to", "policy_restored"]).expect(0);
    assert_eq!(sql("policy_restored", "SELECT count(*) FROM t"), "60000");
    reader.args(["backup", "policy_writer"]).expect(1).says("403");
    assert_eq!(place.admin().list("").expect("list").len(), 2);
}

#[test]
fn a_writer_that_may_list_records_the_previous_backup() {
    rows("policy_lister");
    let place = Place::new("lister");
    let writer = place.run(&place.role("Writer that lists"));
    let first = writer.args(["backup", "policy_lister"]).json();
    assert_eq!(first["verified"], "no");
    let ran = writer.args(["backup", "policy_lister", "--json"]).expect(0);
    assert_eq!(ran.json()["previous"], first["id"]);
    assert!(!ran.err.contains("listing"), "{}", ran.err);
    // Of what it may not read, the name tells whether it is encrypted.
    writer.key().args(["backup", "policy_lister"]).expect(0);
    writer.args(["backup", "policy_lister"]).expect(2).says("no key is set: nothing is stored");
    writer.args(["backup", "policy_lister"]).set("NO_ENCRYPT", "1").expect(0);
}

#[test]
fn a_writer_neither_reads_deletes_nor_leaves_its_folder_and_clears_up_after_itself() {
    let place = Place::new("bounds");
    let role = place.role("Writer");
    let store = place.store(&role, "prod");
    write_small(&store, "shop/x", b"text").expect("put");
    denied(read_small(&store, "shop/x", 9));
    denied(store.list(""));
    denied(store.remove("shop/x", None));
    denied(write_small(&place.store(&role, "other"), "shop/x", b"text"));

    let mut upload = store.create("shop/large", &PutOptions::default()).expect("create");
    upload.write_all(&vec![1; 11 << 20]).expect("write");
    assert_eq!(place.admin().unfinished("").expect("unfinished").len(), 1);
    drop(upload);
    assert!(place.admin().unfinished("").expect("unfinished").is_empty());
}

#[test]
fn a_writer_with_the_rights_that_tags_need_tags_and_without_them_says_so() {
    rows("policy_tagger");
    let place = Place::new("tagger");
    let page = include_str!("../docs/retention.md");
    let named = page.split("A role that tags needs ").nth(1).expect("the rights").split(", in a bucket").next();
    let rights: Vec<&str> = named.expect("a list").split('`').filter(|word| word.starts_with("s3:")).collect();
    assert_eq!(rights.len(), 4, "{rights:?}");
    let plain = policy("Writer that lists", &place.bucket);
    let objects = rights.iter().filter(|right| **right != "s3:ListBucket").map(|right| format!("{right:?}, "));
    let more = plain.replacen("\"s3:PutObject\"", &format!("{}\"s3:PutObject\"", objects.collect::<String>()), 1);
    assert_ne!(plain, more);
    for (name, policy, tagged) in [("tagger", more, true), ("other", plain, false)] {
        let writer = place.run(&role(place.server, name, &place.bucket, &policy)).set("AUTO_LIFECYCLE_POLICY_TAGS", 1);
        let ran = writer.args(["backup", "policy_tagger"]).expect(0);
        assert_eq!(!ran.err.contains("lifecycle tags"), tagged, "{ran:?}");
        let newest = place.admin().list("").expect("list").pop().expect("an object");
        assert_eq!(place.admin().tags(&newest.key, None).expect("tags").is_empty(), !tagged, "{}", newest.key);
    }
}

#[test]
fn a_pruner_reads_and_deletes_and_writes_no_backup() {
    let place = Place::new("pruner");
    write_small(&place.admin(), "shop/x", b"text").expect("put");
    let role = place.role("Pruner");
    let pruner = place.store(&role, "prod");
    assert_eq!(pruner.list("").expect("list").len(), 1);
    assert_eq!(read_small(&pruner, "shop/x", 9).expect("read"), b"text");
    denied(write_small(&pruner, "shop/y", b"text"));
    pruner.remove("shop/x", None).expect("remove");
    assert!(place.admin().list("").expect("list").is_empty());

    let ids = daily(&repository(place.admin()), "shop", "2024-03", 2);
    let run = place.run(&role).args(["prune", "shop", "--keep-last", "1"]);
    assert!(run.expect(0).text().contains("1 of 2 backups of \"shop\" removed"));
    let left = place.admin().list("").expect("list");
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|object| object.key.starts_with(&format!("shop/{}", ids[1]))), "{left:?}");
}
