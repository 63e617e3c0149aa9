use crate::base::error::{hints, sqlstate};
use crate::jobs::restore_test::*;
use crate::repository::made_backups::{put, repository};
use crate::store::memory::Memory;

/// A backup of version 18.
fn manifest() -> Manifest {
    put(&repository(&Memory::default()), "shop", 0, Some("7001"), &[])
}

#[test]
fn a_server_that_is_older_than_the_source_is_no_place_for_a_proof() {
    for major in [18, 19] {
        not_older(&manifest(), major).unwrap();
    }
    let error = not_older(&manifest(), 17).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("from a server of version 18") && said.contains("on one of version 17"), "{said}");
    assert_eq!(kind(&error), Kind::Usage);
    assert_eq!(hints(&error), ["prove it on a server that is not older: VERIFY_DB_HOST, VERIFY_SCRATCH"]);
}

/// A refusal speaks against a backup only where nothing else can be its cause.
#[test]
fn what_a_server_refuses_is_damage_under_the_locale_and_version_of_the_source_and_else_untried() {
    let refused = || Fault::refused("line 7, CREATE TABLE t: no such type").with_sqlstate("42704").into();
    for (major, locale, expected, said, hint) in [
        (18, None, Kind::Damaged, "cannot be restored: line 7", None),
        (
            19,
            None,
            Kind::Failed,
            "is from PostgreSQL 18 and could not be tried on 19: line 7",
            Some("same major version"),
        ),
        (
            18,
            Some("xx_XX"),
            Kind::Failed,
            "under its own locale, xx_XX, which the server lacks: line 7",
            Some("install the locale"),
        ),
        (19, Some("xx_XX"), Kind::Failed, "under its own locale, xx_XX", Some("install the locale")),
    ] {
        let error = not_taken(&manifest(), major, locale, refused());
        assert!(error.to_string().contains(said), "{error:#}");
        assert_eq!((kind(&error), sqlstate(&error)), (expected, Some("42704")));
        match hint {
            Some(hint) => assert!(hints(&error)[0].contains(hint), "{error:#}"),
            None => assert!(hints(&error).is_empty()),
        }
        // Any other trouble is not the backup's.
        let away = not_taken(&manifest(), major, locale, Fault::failed("the server is gone").into());
        assert_eq!((kind(&away), away.to_string().as_str()), (Kind::Failed, "the server is gone"));
    }
}
