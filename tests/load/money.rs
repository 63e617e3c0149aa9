//! Amounts that were written by a locale which the server does not have.

use super::{assert_same, database, dump, message, restore_with};
use pgbk::base::error::{Kind, hints, kind};
use pgbk::postgres::restore::load::options::LoadOptions;
use support::database::sql;

fn by(locale: &str) -> LoadOptions {
    LoadOptions { monetary: Some(locale.to_owned()), ..LoadOptions::default() }
}

#[test]
fn wherever_a_dump_holds_amounts_it_is_refused_and_leaves_the_target_as_it_was() {
    let target = database();
    sql(&target, "CREATE TABLE before AS SELECT 1 AS a");
    let before = dump(&target, &[]);
    for holder in [
        "CREATE TABLE t (a money);\nCOPY t (a) FROM stdin;\n1,00 \u{20ac}\n\\.\n",
        "CREATE TABLE t (a money);",
        "CREATE TABLE t (a money[]);",
        "CREATE DOMAIN price AS money; CREATE TABLE t (a price);",
        "CREATE DOMAIN prices AS money[];",
        "CREATE TYPE pair AS (one int, amount money);",
        "CREATE VIEW v AS SELECT '1'::money AS amount;",
    ] {
        let error = restore_with(&target, holder.as_bytes(), &by("xx_XX.UTF-8")).unwrap_err();
        let said =
            "the dump holds amounts of money written by the locale \"xx_XX.UTF-8\", which the server does not have";
        assert_eq!((error.to_string().as_str(), kind(&error)), (said, Kind::Failed), "{holder}");
        assert!(hints(&error)[0].contains("localedef") && hints(&error)[0].contains("xx_XX.UTF-8"), "{holder}");
        // One that cannot even be read by another locale is quoted.
        assert_eq!(
            message(&error).contains("invalid input syntax for type money"),
            holder.contains("COPY"),
            "{error:#}"
        );
        assert_same(&before, &dump(&target, &[]));
    }
}

#[test]
fn what_is_wrong_besides_is_told_as_it_is() {
    let error = restore_with(&database(), b"SELECT 'x'::int;\n", &by("xx_XX.UTF-8")).unwrap_err();
    assert_eq!((message(&error).contains("locale"), kind(&error)), (false, Kind::Refused), "{error:#}");
}

#[test]
fn without_amounts_or_with_such_as_c_writes_them_it_is_restored() {
    let amounts = "CREATE TABLE t (a money);\nCOPY t (a) FROM stdin;\n$1,234.50\n-$0.07\n\\.\n";
    for locale in ["POSIX", "en_US.of-nowhere", "C"] {
        let target = database();
        restore_with(&target, amounts.as_bytes(), &by(locale)).unwrap();
        assert_eq!(
            sql(&target, "SELECT string_agg(a::numeric::text, ' ' ORDER BY a DESC) FROM t"),
            "1234.50 -0.07",
            "{locale}"
        );
    }
    let target = database();
    restore_with(&target, b"CREATE TABLE t AS SELECT 1.5 AS a;\n", &by("xx_XX.UTF-8")).unwrap();
    assert_eq!(sql(&target, "SELECT a FROM t"), "1.5");
}
