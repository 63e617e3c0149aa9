//! The variables of the AWS chain, which the SDK reads by itself.

use support::faulty::Faulty;
use support::pgbk::{Pgbk, pgbk};

fn list(faulty: &Faulty) -> Pgbk {
    let run =
        pgbk(["list"]).set("S3_HOST_BASE", &faulty.endpoint).set("S3_BUCKET", "bucket").set("HOME", "/nonexistent");
    run.set("AWS_EC2_METADATA_DISABLED", "true")
        .set("AWS_ACCESS_KEY_ID", "access")
        .set("AWS_SECRET_ACCESS_KEY", "secret")
}

/// Whose credentials the requests were signed with.
fn signers(faulty: &Faulty) -> Vec<String> {
    let header = |name: &str| {
        let seen = faulty.seen().into_iter();
        seen.filter_map(|request| request.headers.get(name).cloned()).collect::<Vec<_>>()
    };
    let signed = header("authorization").into_iter();
    let signers = signed.map(|text| text.split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned());
    signers.chain(header("x-amz-security-token")).collect()
}

#[test]
fn a_line_end_behind_the_variables_of_the_aws_chain_is_not_a_part_of_them() {
    for end in ["", "\n", "\r\n"] {
        let faulty = Faulty::start(|_, _| None);
        let run = list(&faulty).set("AWS_ACCESS_KEY_ID", format!("its-access{end}"));
        run.set("AWS_SESSION_TOKEN", format!("its-token{end}")).set("AWS_REGION", format!("eu-north-1{end}")).expect(0);
        let signers = signers(&faulty);
        assert!(
            !signers.is_empty() && signers.iter().all(|name| name == "its-access" || name == "its-token"),
            "{signers:?}"
        );
        assert!(signers.contains(&"its-token".to_owned()), "{signers:?}");
    }
}

#[test]
fn a_line_end_that_the_aws_chain_would_take_for_a_part_of_a_value_is_a_mistake() {
    let faulty = Faulty::start(|_, _| None);
    list(&faulty).set("AWS_ROLE_ARN", "arn:aws:iam::1:role/x\n").expect(2).says("AWS_ROLE_ARN ends with a line break");
    // The chain is not asked.
    let run = list(&faulty).set("AWS_ROLE_ARN", "arn:aws:iam::1:role/x\n");
    run.at(&faulty.endpoint, "bucket", "access", "secret").expect(0);
    assert!(faulty.count("list") > 0);
}
