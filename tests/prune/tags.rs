//! Lifecycle tags on real hosts, and what comes of hosts without them.

use crate::prune::past::{made, repository};
use jiff::tz::TimeZone;
use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::jobs::lifecycle_tags::tag;
use pgbk::repository::Repository;
use pgbk::repository::fixed_name::FixedName;
use pgbk::store::Store;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::database::small;
use support::faulty::{Fault, Faulty};
use support::pgbk::{Pgbk, connected};
use support::process::tool;
use support::proof;
use support::s3::{Server, moto, radosgw, seaweedfs};

/// A month's end within a week, a week's end, two within an hour, the turn of a year within week 1, and what each of them is in
/// the end.
const HISTORY: [(&str, &str); 8] = [
    ("2024-02-29T03:00:00Z", "monthly"),
    ("2024-03-01T03:00:00Z", "hourly"),
    ("2024-03-03T23:59:59Z", "weekly"),
    ("2024-03-04T00:00:00Z", "hourly"),
    ("2024-03-04T00:30:00Z", "monthly"),
    ("2024-12-30T12:00:00Z", "hourly"),
    ("2024-12-31T23:59:59Z", "monthly"),
    ("2025-01-01T00:00:00Z", "monthly"),
];

fn settings(server: &Server, bucket: &str) -> S3Settings {
    S3Settings { folder: "prod".to_owned(), ..server.settings(bucket) }
}

fn lifecycle(store: &dyn Store, key: &str) -> Option<String> {
    let tags = store.capabilities().tags.expect("tags").tags(key, None).expect("tags");
    tags.into_iter().find(|(name, _)| name == "lifecycle").map(|(_, value)| value)
}

/// Backs up and tags, time after time, and looks at all tags each time.
fn grows_old(name: &str, repository: &Repository) {
    let mut ids: Vec<BackupId> = Vec::new();
    for (time, _) in HISTORY {
        let newest = made(repository, "shop", time);
        let manifest = repository.manifest(&newest).expect("a manifest").0;
        // Of another database, and so without a say in the matter.
        made(repository, "shop_staging", time);
        tag(
            repository,
            repository.catalog(Some(&manifest.subject)).ok().as_ref(),
            &manifest,
            &TimeZone::UTC,
            &NullMonitor,
        )
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        ids.push(newest);
        // A tag that is older than that has been looked at, and at the end all of them are once more.
        let unseen =
            if ids.len() == HISTORY.len() { 0 } else { ids.len().saturating_sub(proof::size(2, HISTORY.len())) };
        for (at, id) in ids.iter().enumerate().skip(unseen) {
            let expected = if at + 1 == ids.len() { "monthly" } else { HISTORY[at].1 };
            for key in [id.object_key("sql"), id.meta_key()] {
                let found = lifecycle(repository.store.as_ref(), &key);
                assert_eq!(found.as_deref(), Some(expected), "{name}: {key} after {time}");
            }
        }
    }
    let others = repository.catalog(Some(&"shop_staging".into())).expect("the other database's").ids();
    assert!(others.iter().all(|id| lifecycle(repository.store.as_ref(), &id.meta_key()).is_none()), "{name}");
}

#[test]
fn every_backup_is_what_it_is_to_the_next_one_on_every_host() {
    for server in [seaweedfs(), radosgw(), moto()] {
        let plain = server.bucket("tags");
        grows_old(server.name, &repository(S3::open(settings(server, &plain)).expect("open")));
        let versioned = server.versioned_bucket("tags");
        grows_old(server.name, &repository(S3::open(settings(server, &versioned)).expect("open")));
    }
}

#[test]
fn each_version_of_one_name_has_its_own_tag() {
    for server in [seaweedfs(), radosgw()] {
        let bucket = server.versioned_bucket("tags");
        let s3 = Arc::new(S3::open(settings(server, &bucket)).expect("open"));
        grows_old(server.name, &repository(FixedName::new(s3, "backup").expect("a name")));
    }
}

fn run(server: &Server, bucket: &str) -> Pgbk {
    connected().s3(server, bucket).set("S3_FOLDER", "prod").set("AUTO_LIFECYCLE_POLICY_TAGS", 1)
}

#[test]
fn a_run_tags_the_three_newest_and_nothing_older_and_leaves_other_tags() {
    small("tags_run", &["x"]);
    let server = seaweedfs();
    let bucket = server.bucket("run");
    let repository = repository(S3::open(settings(server, &bucket)).expect("open"));
    let made = ["2024-06-01T03:00:00Z", "2024-06-30T22:30:00Z", "2024-07-01T00:30:00Z"]
        .map(|time| made(&repository, "tags_run", time));
    let team = ("team".to_owned(), "db".to_owned());
    let store = repository.store.as_ref();
    store.capabilities().tags.expect("tags").tag(&made[2].meta_key(), None, std::slice::from_ref(&team)).expect("tag");
    // In Berlin both are of the first of July.
    for (zone, expected) in
        [("UTC", [None, Some("monthly"), Some("monthly")]), ("Europe/Berlin", [None, Some("hourly"), Some("monthly")])]
    {
        let id: BackupId = run(server, &bucket).set("TZ", zone).backup("tags_run", &[]).parse().expect("an id");
        for (id, expected) in made.iter().zip(expected).chain([(&id, Some("monthly"))]) {
            for key in [id.object_key("sql"), id.meta_key()] {
                assert_eq!(lifecycle(store, &key).as_deref(), expected, "{key} in {zone}");
            }
        }
        let tags = store.capabilities().tags.expect("tags").tags(&made[2].meta_key(), None).expect("tags");
        assert!(tags.len() == 2 && tags.contains(&team), "{tags:?}");
        for key in [id.meta_key(), id.object_key("sql")] {
            store.remove(&key, None).expect("remove");
        }
    }
    // Nobody asked for it.
    let id: BackupId =
        run(server, &bucket).unset("AUTO_LIFECYCLE_POLICY_TAGS").backup("tags_run", &[]).parse().expect("an id");
    assert_eq!(lifecycle(store, &id.meta_key()), None);
}

#[test]
fn a_broken_backup_before_it_keeps_no_other_from_its_tag() {
    small("tags_broken", &["x"]);
    let server = seaweedfs();
    let bucket = server.bucket("broken");
    let repository = repository(S3::open(settings(server, &bucket)).expect("open"));
    let made = ["2024-06-01T03:00:00Z", "2024-06-02T03:00:00Z"].map(|time| made(&repository, "tags_broken", time));
    repository.store.remove(&made[1].object_key("sql"), None).expect("remove");
    let ran = run(server, &bucket).args(["backup", "tags_broken"]).expect(0);
    ran.says(&format!("warning: {} is not tagged: the payload", made[1]));
    assert_eq!(lifecycle(repository.store.as_ref(), &made[0].meta_key()).as_deref(), Some("hourly"));
}

/// A host that neither lists nor does with tags what it should.
fn spoiling(call: &'static str, fault: Fault) -> Faulty {
    Faulty::start(move |request, _| match request.call() {
        this if this == call => Some(fault.clone()),
        _ if request.query.contains("list-type") => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    })
}

#[test]
fn a_host_that_drops_refuses_or_does_not_know_tags_is_a_warning_and_the_backup_stands() {
    small("tags_none", &["x"]);
    for (call, fault, warning) in [
        ("tag", Fault::Ignored, "the host dropped the tag lifecycle=monthly of \"tags_none/tags_none-"),
        ("tag", Fault::Answer(403, "AccessDenied"), "answered 403 AccessDenied"),
        ("get-tags", Fault::Answer(501, "NotImplemented"), "answered 501 NotImplemented"),
    ] {
        let host = spoiling(call, fault);
        let run = connected().at(&host.endpoint, "bucket", "key", "secret").set("AUTO_LIFECYCLE_POLICY_TAGS", 1);
        let ran = run.args(["backup", "tags_none"]).expect(0).says("warning: lifecycle tags: tag tags_none-");
        let ran = ran.says(warning);
        let id = ran.text().lines().next().expect("an id").to_owned();
        run.args(["verify", &id]).expect(0);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = connected().directory(folder.path()).set("AUTO_LIFECYCLE_POLICY_TAGS", 1);
    run.args(["backup", "tags_none"]).expect(0).says("warning: lifecycle tags: ");
}

#[test]
fn who_may_not_list_tags_the_new_backup_alone() {
    small("tags_alone", &["x"]);
    let host = spoiling("other", Fault::Answer(500, "InternalError"));
    let run = connected().at(&host.endpoint, "bucket", "key", "secret").set("AUTO_LIFECYCLE_POLICY_TAGS", 1);
    run.args(["backup", "tags_alone"]).expect(0).says("only the new backup is tagged");
    let tags = host.tags();
    assert!(tags.len() == 2 && tags.iter().all(|tags| tags.contains("<Value>monthly</Value>")), "{tags:?}");
}

/// The rules that docs/retention.md shows, for this folder.
fn rules() -> &'static str {
    let page = include_str!("../../docs/retention.md");
    let section = page.split("## Lifecycle tags\n").nth(1).expect("a section on lifecycle tags");
    section.split("```json\n").nth(1).and_then(|text| text.split("```").next()).expect("the rules")
}

const SET_RULES: &str = "
import boto3, json, sys
endpoint, access, secret, bucket = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=endpoint, region_name='us-east-1', aws_access_key_id=access, aws_secret_access_key=secret)
wanted = json.load(sys.stdin)
s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=wanted)
found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)['Rules']
key = lambda rule: rule['ID']
assert [r['ID'] for r in sorted(found, key=key)] == [r['ID'] for r in sorted(wanted['Rules'], key=key)], found
";

fn set_rules(server: &Server, bucket: &str) {
    let mut child = Command::new(tool("python3"))
        .args(["-c", SET_RULES, &server.endpoint, &server.access_key, &server.secret_key, bucket])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python");
    child.stdin.take().expect("stdin").write_all(rules().as_bytes()).expect("write");
    assert!(child.wait().expect("wait").success(), "{} does not take the rules", server.name);
}

#[test]
fn the_rules_of_the_docs_are_taken_and_each_backup_expires_by_its_tag() {
    for server in [radosgw(), moto()] {
        set_rules(server, &server.bucket("rules"));
    }
    // This host says which rule an object expires by.
    let server = radosgw();
    let bucket = server.bucket("expiry");
    set_rules(server, &bucket);
    let repository = repository(S3::open(settings(server, &bucket)).expect("open"));
    let ids: Vec<BackupId> = HISTORY
        .iter()
        .map(|(time, _)| {
            let id = made(&repository, "shop", time);
            let manifest = repository.manifest(&id).expect("a manifest").0;
            tag(
                &repository,
                repository.catalog(Some(&manifest.subject)).ok().as_ref(),
                &manifest,
                &TimeZone::UTC,
                &NullMonitor,
            )
            .expect("tag");
            id
        })
        .collect();
    let untagged = made(&repository, "crm", "2024-03-01T03:00:00Z");
    let (client, runtime) = server.client();
    let rule = |key: String| {
        let head =
            runtime.block_on(client.head_object().bucket(&bucket).key(format!("prod/{key}")).send()).expect("head");
        head.expiration().and_then(|text| Some(text.split("rule-id=\"").nth(1)?.split('"').next()?.to_owned()))
    };
    for (id, (_, lifecycle)) in ids.iter().zip(HISTORY) {
        for key in [id.object_key("sql"), id.meta_key()] {
            assert_eq!(rule(key.clone()).as_deref(), Some(lifecycle), "{key}");
        }
    }
    assert_eq!(rule(untagged.meta_key()), None);
}
