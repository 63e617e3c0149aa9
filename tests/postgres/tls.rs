//! TLS as libpq does it: modes, authorities, names, and certificates of the client's own.

use super::{ask, refusal, role, server, uses_tls};
use pgbk::base::error::{Kind, hints, kind};
use support::cluster::cluster;

#[test]
fn every_tls_mode_does_what_it_does_in_libpq() {
    role("only_tls");
    role("only_plain");
    let (ca, other) = (cluster().tls("ca.crt"), cluster().tls("other.crt"));
    let with = |mode, root: &str| server(&[("PGSSLMODE", mode), ("PGSSLROOTCERT", root)]);
    // An empty root is none.
    for (mode, root, tls) in [
        ("disable", "", false),
        ("allow", "", false),
        ("prefer", "", true),
        ("require", "", true),
        ("require", &ca, true),
        ("verify-ca", &ca, true),
        ("verify-full", &ca, true),
        ("disable", &other, false),
        ("prefer", &other, false),
    ] {
        assert_eq!(uses_tls(&with(mode, root)), tls, "{mode} {root}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refusal(&with(mode, &other));
        assert!(error.to_string().starts_with("no TLS with 127.0.0.1"), "{mode}: {error:#}");
        assert!(hints(&error)[0].contains("PGSSLROOTCERT"));
    }
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(kind(&refusal(&with(mode, "/nonexistent.crt"))), Kind::Usage);
    }
    assert!(uses_tls(&server(&[("PGSSLMODE", "allow"), ("PGUSER", "only_tls")])));
    assert!(!uses_tls(&server(&[("PGSSLMODE", "prefer"), ("PGUSER", "only_plain")])));
    assert!(hints(&refusal(&server(&[("PGSSLMODE", "require"), ("PGUSER", "only_plain")])))[0].contains("PGSSLMODE"));
    assert_eq!(kind(&refusal(&server(&[("PGSSLMODE", "on")]))), Kind::Usage);
    assert_eq!(kind(&refusal(&with("require", "system"))), Kind::Usage);
    assert_eq!(ask(&server(&[("PGCHANNELBINDING", "require"), ("PGSSLMODE", "require")]), "SELECT 1"), "1");
    assert!(settings_refused("PGCHANNELBINDING", "require", "disable"));
}

fn settings_refused(name: &str, value: &str, mode: &str) -> bool {
    server(&[(name, value), ("PGSSLMODE", mode)]).connect("test").is_err()
}

#[test]
fn a_certificate_for_another_host_is_refused_only_by_verify_full() {
    let ca = cluster().tls("ca.crt");
    let with = |mode| {
        server(&[("PGHOST", "db.invalid"), ("PGHOSTADDR", "127.0.0.1"), ("PGSSLMODE", mode), ("PGSSLROOTCERT", &ca)])
    };
    assert!(uses_tls(&with("verify-ca")));
    let error = refusal(&with("verify-full"));
    assert!(error.to_string().contains("hostname mismatch"), "{error:#}");
}

#[test]
fn a_client_certificate_opens_the_door_and_its_key_must_be_private() {
    role("only_certificate");
    let (certificate, key) = (cluster().tls("client.crt"), cluster().tls("client.key"));
    let with = |key: &str| {
        let files = [("PGSSLCERT", certificate.as_str()), ("PGSSLKEY", key)];
        server(&[files[0], files[1], ("PGUSER", "only_certificate"), ("PGSSLMODE", "require")])
    };
    assert_eq!(ask(&with(&key), "SELECT current_user"), "only_certificate");
    let error = refusal(&with(&cluster().tls("open.key")));
    assert!(error.to_string().ends_with("others may read it"), "{error:#}");
    assert!(refusal(&with(&cluster().tls("server.key"))).to_string().ends_with("its key is another one's"));
}
