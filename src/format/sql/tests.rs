use crate::base::error::Result;
use crate::format::sql::requirements::Requirements;
use crate::format::sql::splitter::{Cut, Ending, ScriptEvent, Splitter, StatementLimit};
use crate::format::sql::tokens::Tokens;
use proptest::prelude::*;

/// Returns the events as texts, with pieces of rows joined.
fn told(pieces: &[&[u8]], keep: StatementLimit) -> Result<(Vec<String>, Ending)> {
    let mut events: Vec<String> = Vec::new();
    let mut sink = |event: ScriptEvent<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match event {
            ScriptEvent::Statement { line, text: sql, whole } => events.push(format!("{line} {whole} {}", text(sql))),
            ScriptEvent::CopyStart { line, table, .. } => events.push(format!("{line} copy {table}:")),
            ScriptEvent::CopyData(data) => match events.last_mut() {
                Some(last) => last.extend(data.iter().map(|byte| char::from(*byte))),
                None => unreachable!("rows without a header"),
            },
            ScriptEvent::CopyEnd { line, rows } => events.push(format!("{line} end {rows}")),
            ScriptEvent::Meta { line, text: meta } => events.push(format!("{line} meta {}", text(meta))),
        }
        Ok(())
    };
    let mut splitter = Splitter::new(keep);
    for piece in pieces {
        let mut taken = 0;
        while taken < piece.len() {
            taken += splitter.feed(&piece[taken..], &mut sink)?;
        }
    }
    let ending = splitter.finish(&mut sink)?;
    Ok((events, ending))
}

const WHOLE: StatementLimit = StatementLimit::Whole { limit: 1 << 30 };

fn events(script: &str) -> Vec<String> {
    let whole = told(&[script.as_bytes()], WHOLE).unwrap();
    let bytes: Vec<&[u8]> = script.as_bytes().chunks(1).collect();
    assert_eq!(whole, told(&bytes, WHOLE).unwrap(), "byte by byte");
    whole.0
}

fn ending(script: &str) -> Ending {
    told(&[script.as_bytes()], WHOLE).unwrap().1
}

/// Checks that the text is one statement, and that the one after it is found.
fn is_one(statement: &str) {
    let lines = statement.matches('\n').count();
    let after = format!("{} true SELECT 2;", lines + 2);
    assert_eq!(events(&format!("{statement}\nSELECT 2;\n")), [format!("1 true {statement}"), after]);
}

#[test]
fn a_semicolon_inside_quotes_ends_nothing() {
    is_one("SELECT 'a;''b;', 'c\\';");
    is_one("SELECT E'a;\\';b''c;\\\\';");
    is_one("SELECT e'\\'' , 'x\\';");
    is_one("SELECT E'a'\n'b\\';' ;");
    is_one("SELECT U&'d\\0061;t', B'10;', X'1;', N';';");
    is_one("SELECT \"a;\"\"b;\\\", U&\"d\\;\";");
    is_one("SELECT fooE'a\\';");
}

#[test]
fn dollar_quotes_have_tags_and_names_have_dollars() {
    is_one("SELECT $$a;\nb$$;");
    is_one("DO $a_1$ ;$$; $a$ ; $a_1 $ $$a_1$;");
    is_one("SELECT $tag$;$$tag$;");
    is_one("SELECT $é$;$é$;");
    assert_eq!(events("SELECT a$b$;SELECT 1$b$;"), ["1 true SELECT a$b$;"]);
    assert_eq!(events("SELECT $1; SELECT $x ;"), ["1 true SELECT $1;", "1 true SELECT $x ;"]);
}

#[test]
fn comments_hide_everything() {
    is_one("SELECT 1 -- ;' \\! $$\n;");
    is_one("SELECT 1 /* ; /* ' */ \\! ; */ + 2;");
    is_one("SELECT 1 /**/ + 2 /* **/ - 1 / 3;");
    assert_eq!(events("-- ; \\!\n/* ;\n*/ SELECT 1;"), ["3 true SELECT 1;"]);
    assert_eq!(events("- 1; / 2;"), ["1 true - 1;", "1 true / 2;"]);
}

#[test]
fn parentheses_keep_the_commands_of_a_rule_together() {
    is_one("CREATE RULE r AS ON INSERT TO t DO ALSO ( DELETE FROM a; DELETE FROM b; );");
    assert_eq!(events("SELECT 1); SELECT (2);"), ["1 true SELECT 1);", "1 true SELECT (2);"]);
}

#[test]
fn a_body_of_standard_sql_belongs_to_its_function() {
    is_one(
        "CREATE OR REPLACE FUNCTION public.f() RETURNS int\nBEGIN ATOMIC\n SELECT CASE WHEN (true) THEN 1 ELSE 2 END;\n \
         SELECT 2;\nEND;",
    );
    is_one("create procedure p() begin atomic select 1; end;");
    is_one("CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS $$ begin atomic ; $$;");
    assert_eq!(events("BEGIN; END;"), ["1 true BEGIN;", "1 true END;"]);
    assert_eq!(events("CREATE TABLE begin (atomic int); COMMIT;").len(), 2);
}

#[test]
fn rows_are_told_with_their_table() {
    let script = "COPY public.\"My (\"\" FROM\nTable\" (a, \"b;\") FROM stdin;\n\\N\tx\n;'\n\n\\.x\n\\.\nSELECT 1;\n";
    let expected = ["1 copy public.\"My (\"\" FROM\nTable\":\\N\tx\n;'\n\n\\.x\n", "7 end 4", "8 true SELECT 1;"];
    assert_eq!(events(script), expected);
    assert_eq!(events("COPY a.b (c) FROM stdin;\n\\.\n"), ["1 copy a.b:", "2 end 0"]);
    assert_eq!(events("copy t from STDIN with (format text);\n\\.\r\n"), ["1 copy t:", "2 end 0"]);
    assert_eq!(events("COPY t FROM stdin;\nx\n\\."), ["1 copy t:x\n", "3 end 1"]);
}

#[test]
fn a_copy_that_is_text_is_none() {
    is_one("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $_$\nCOPY x FROM stdin;\n1\n\\.\n\\! id\n$_$;");
    is_one("COPY t TO STDOUT;");
    is_one("COPY t FROM 'stdin';");
    is_one("COPY (SELECT a FROM stdin) TO STDOUT;");
}

#[test]
fn a_backslash_outside_quotes_is_a_meta_command() {
    assert_eq!(events("\\restrict abc\n"), ["1 meta \\restrict abc"]);
    assert_eq!(
        events("SELECT 1; \\! touch x\nSELECT 2;"),
        ["1 true SELECT 1;", "1 meta \\! touch x", "2 true SELECT 2;"]
    );
    assert_eq!(events("SELECT\n1 \\gset a\n;"), ["2 meta \\gset a", "1 true SELECT\n1 \n;"]);
    assert_eq!(events("SELECT 'a'\\g x"), ["1 meta \\g x"]);
    assert_eq!(events("-\\! x\n;"), ["1 meta \\! x", "1 true -\n;"]);
}

#[test]
fn old_scripts_may_escape_in_every_literal() {
    let script = "SET standard_conforming_strings = off;\nSELECT 'a\\';b';\nSET standard_conforming_strings = 'on';\nSELECT '\\';";
    assert_eq!(events(script).len(), 4);
}

#[test]
fn the_trailer_counts_only_at_the_end_and_at_top_level() {
    let trailer = "SELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n\n";
    assert!(ending(trailer).complete);
    assert!(ending(&format!("{trailer}\\unrestrict abc\n\n")).complete);
    assert!(ending("-- PostgreSQL database dump complete").complete);
    assert!(ending(&trailer.replace("database", "database cluster")).complete);
    assert!(!ending(&format!("{trailer}\\! x\n")).complete);
    assert!(!ending(&format!("{trailer}SELECT 1;")).complete);
    assert!(!ending("SELECT (\n-- PostgreSQL database dump complete\n").complete);
    assert!(!ending("SELECT '\n-- PostgreSQL database dump complete\n';").complete);
    assert!(!ending("-- PostgreSQL database dump completed\n").complete);
}

#[test]
fn a_cut_script_says_where() {
    assert_eq!(ending("SELECT 1;\nSELECT (1;").cut, Some(Cut::Statement { line: 2 }));
    assert_eq!(ending("\nCOPY t FROM stdin;\n1\n\\").cut, Some(Cut::Rows { line: 2 }));
    assert_eq!(ending("SELECT 1; /* x").cut, Some(Cut::Comment { line: 1 }));
    assert_eq!(ending("SELECT 1; -- x").cut, None);
}

#[test]
fn a_statement_beyond_the_limit_is_an_error_or_a_head() {
    let script = b"SELECT 1;\nSELECT 'aaaaaaaaaaaaaaaa';";
    let error = told(&[script], StatementLimit::Whole { limit: 10 }).unwrap_err();
    assert_eq!(error.to_string(), "the statement at line 2 is longer than 10 bytes");
    let (events, _) = told(&[script], StatementLimit::Head { limit: 10 }).unwrap();
    assert_eq!(events, ["1 true SELECT 1;", "2 false SELECT 'aa"]);
}

#[test]
fn text_behind_a_copy_header_is_an_error() {
    let error = told(&[b"COPY t FROM stdin; \\! x\n\\.\n"], WHOLE).unwrap_err();
    assert_eq!(error.to_string(), "there is text behind the COPY statement on line 1");
}

#[test]
fn an_owner_is_what_stands_last_and_no_name_of_a_column() {
    use crate::format::sql::requirements::owner;
    for (statement, role) in [
        ("ALTER TABLE a OWNER TO b;", Some("b")),
        ("ALTER TABLE public.rename OWNER TO b", Some("b")),
        ("ALTER TABLE a.rename.attribute OWNER TO b", Some("b")),
        ("ALTER FUNCTION f(owner text) OWNER TO \"B\";", Some("B")),
        ("ALTER TABLE a RENAME COLUMN owner TO holder;", None),
        ("ALTER TABLE a RENAME owner TO holder;", None),
        ("ALTER TABLE a /* owner to x */ rename -- x\n column owner to holder", None),
        ("ALTER TYPE a RENAME ATTRIBUTE owner TO holder CASCADE;", None),
        ("ALTER TYPE a RENAME ATTRIBUTE owner TO holder;", None),
        ("ALTER TABLE a RENAME CONSTRAINT owner TO holder;", None),
        ("ALTER TABLE owner RENAME TO holder;", None),
        ("ALTER TABLE a OWNER TO b, ADD c int;", None),
        ("ALTER TABLE a ADD c int, OWNER TO b;", None),
    ] {
        let mut tokens = Tokens::new(statement.as_bytes());
        tokens.next();
        assert_eq!(owner(tokens).and_then(|role| role.name()).as_deref(), role, "{statement}");
    }
}

#[test]
fn a_mark_of_the_byte_order_is_passed_over_at_the_start_alone() {
    let (events, _) = told(&[b"\xef\xbb\xbfSELECT 1;\nSELECT '\xef\xbb\xbf';"], WHOLE).unwrap();
    assert_eq!(events, ["1 true SELECT 1;", "2 true SELECT '\u{feff}';"]);
}

#[test]
fn requirements_are_collected() {
    let mut found = Requirements::default();
    for statement in [
        "ALTER TABLE public.\"OWNER TO x\" OWNER TO \"My \"\"Role\"\"\";",
        "GRANT SELECT(to_x),UPDATE ON TABLE public.t TO Alice WITH GRANT OPTION;",
        "GRANT ALL ON SCHEMA public TO PUBLIC;",
        "REVOKE ALL ON FUNCTION f(a int) FROM bob;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE carol IN SCHEMA s GRANT SELECT ON TABLES TO dave;",
        "CREATE POLICY p ON public.t AS RESTRICTIVE FOR SELECT TO erin, \"Frank\" USING ((x = 'to'::text));",
        "CREATE POLICY q ON public.t USING (true);",
        "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;",
        "SET SESSION AUTHORIZATION 'grace';",
        "CREATE SCHEMA s AUTHORIZATION heidi;",
        "CREATE USER MAPPING FOR ivan SERVER far OPTIONS (\"user\" 'FOR mallory');",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ ALTER TABLE x OWNER TO nobody; $$;",
        "SET default_tablespace = '';",
        "SET default_tablespace = fast;",
        "SET default_tablespace = \"My disk\";",
        "SET default_table_access_method = heap;",
        "ALTER SCHEMA s OWNER TO CURRENT_USER;",
    ] {
        found.scan(statement.as_bytes());
    }
    let roles = ["Frank", "My \"Role\"", "alice", "bob", "carol", "dave", "erin", "grace", "heidi", "ivan"];
    assert_eq!(found.roles.iter().collect::<Vec<_>>(), roles);
    assert_eq!(found.bound_roles.iter().collect::<Vec<_>>(), ["Frank", "erin", "heidi", "ivan"]);
    assert_eq!(found.extensions.iter().collect::<Vec<_>>(), ["uuid-ossp"]);
    assert_eq!(found.owners.iter().collect::<Vec<_>>(), ["My \"Role\""]);
    assert_eq!(found.tablespaces.iter().collect::<Vec<_>>(), ["My disk", "fast"]);
}

/// Fragments that matter to the lexer, so that random scripts meet its corners often.
fn script() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "'",
        "''",
        "\"",
        "$$",
        "$a$",
        "$",
        "E'",
        "\\",
        "\\.",
        "\n\\.\n",
        "\n",
        "--",
        "-",
        "/*",
        "*/",
        "/",
        "*",
        ";",
        "(",
        ")",
        " ",
        "x",
        "1",
        "é",
        "COPY t (a) FROM stdin;\n",
        "CREATE FUNCTION f() ",
        "BEGIN ATOMIC ",
        "CASE ",
        "END",
        "\r",
        "-- PostgreSQL database dump complete\n",
        "SET standard_conforming_strings = off;",
        "\\N\t",
    ]);
    prop::collection::vec(fragment, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_pieces_do_not_matter(script in script(), sizes in prop::collection::vec(1usize..9, 1..20), limit in 1usize..40) {
        let mut pieces = Vec::new();
        let mut rest = script.as_bytes();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        for keep in [WHOLE, StatementLimit::Head { limit }] {
            let whole = told(&[script.as_bytes()], keep).map_err(|error| error.to_string());
            let sliced = told(&pieces, keep).map_err(|error| error.to_string());
            prop_assert_eq!(whole, sliced);
        }
    }
}
