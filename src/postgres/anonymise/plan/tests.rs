use super::*;
use crate::base::error::{Kind, kind};
use crate::postgres::anonymise::columns::ColumnReference;
use crate::postgres::anonymise::shape::ColumnShape;

fn column(name: &str, type_name: &str) -> SourceColumn {
    let (shape, modifier) = match type_name {
        "text" => (ColumnShape::Text, -1),
        "citext" => (ColumnShape::Text, -1),
        "character varying(12)" => (ColumnShape::Text, 16),
        "character varying(11)" => (ColumnShape::Text, 15),
        "character varying(30)" => (ColumnShape::Text, 34),
        "jsonb" | "text[]" => (ColumnShape::Document, -1),
        "integer" => (ColumnShape::Integer(32), -1),
        "bigint" => (ColumnShape::Integer(64), -1),
        "numeric(8,2)" => (ColumnShape::Numeric, (8 << 16) + 2 + 4),
        "date" => (ColumnShape::Date, -1),
        "inet" => (ColumnShape::Inet, -1),
        _ => (ColumnShape::Other, -1),
    };
    SourceColumn {
        name: name.into(),
        type_name: type_name.into(),
        shape,
        folds_case: type_name == "citext",
        modifier,
        is_not_null: false,
        is_unique: false,
        is_null_unique: false,
        is_generated: false,
        refers_to: Vec::new(),
    }
}

fn unique(name: &str, type_name: &str) -> SourceColumn {
    SourceColumn { is_unique: true, ..column(name, type_name) }
}

fn referring(name: &str, type_name: &str, table: &str, other: &str) -> SourceColumn {
    let reference =
        ColumnReference { schema: "public".into(), table: table.into(), column: other.into(), all_or_none: false };
    SourceColumn { refers_to: vec![reference], ..column(name, type_name) }
}

fn table(name: &str, columns: Vec<SourceColumn>) -> SourceTable {
    SourceTable {
        schema: "public".into(),
        name: name.into(),
        is_partitioned: false,
        ancestors: Vec::new(),
        row_key: Vec::new(),
        partition_key: Vec::new(),
        columns,
    }
}

fn plan(rules: &str, tables: &[SourceTable]) -> Result<AnonymisePlan> {
    AnonymisePlan::of(&RuleSet::read(rules).unwrap(), tables)
}

/// The plan of a column.
fn planned<'a>(plan: &'a AnonymisePlan, table: &str, column: &str) -> &'a ColumnPlan {
    let table = plan.tables.iter().find(|planned| planned.name == table).unwrap();
    table.columns.iter().find(|planned| planned.name == column).unwrap()
}

#[track_caller]
fn refused(rules: &str, tables: &[SourceTable], words: &str) {
    let error = plan(rules, tables).unwrap_err();
    assert!(kind(&error) == Kind::Usage && error.to_string().contains(words), "{rules}: {error}");
}

#[test]
fn every_name_is_quoted_and_what_has_no_rule_stays_in_its_place() {
    let computed = SourceColumn { is_generated: true, ..column("sum", "text") };
    let odd = table("o\"dd", vec![column("a\"b", "integer"), computed, column("c", "date")]);
    let plan = plan("[tables.public.'o\"dd']\n'a\"b' = { constant = \"it's\" }", &[odd]).unwrap();
    assert_eq!(
        plan.tables[0].select(),
        r#"SELECT ('it''s')::integer AS "a""b", source_row."c" AS "c" FROM ONLY "public"."o""dd" AS source_row"#
    );
}

#[test]
fn a_rule_must_fit_its_column_and_each_that_does_not_is_told_with_its_place() {
    let not_null = SourceColumn { is_not_null: true, ..column("must", "text") };
    let one_null = SourceColumn { is_unique: true, is_null_unique: true, ..column("one", "text") };
    let mut fitting = table(
        "t",
        vec![
            column("n", "integer"),
            column("v", "character varying(12)"),
            column("j", "jsonb"),
            column("d", "date"),
            unique("u", "text"),
            unique("u11", "character varying(11)"),
            unique("u12", "character varying(12)"),
            unique("id", "integer"),
            unique("big", "bigint"),
            unique("ip", "inet"),
            column("m", "mood"),
            not_null,
            one_null,
            SourceColumn { is_generated: true, ..column("g", "text") },
            unique("part", "text"),
        ],
    );
    fitting.partition_key = vec!["part".into()];
    let tables = [fitting];
    for (rule, words) in [
        ("n = 'email'", "does not fit the type integer"),
        ("n = 'text'", "does not fit the type integer"),
        ("n = 'date'", "does not fit the type integer"),
        ("d = 'number'", "does not fit the type date"),
        ("j = 'hash'", "does not fit the type jsonb"),
        ("m = 'hash'", "does not fit the type mood"),
        ("m = 'ip'", "does not fit the type mood"),
        ("v = 'email'", "13 characters at least"),
        ("v = 'ip'", "up to 14 characters"),
        ("v = { constant = 'thirteen chars' }", "more than 12 characters"),
        ("u = 'name'", "would not be unique"),
        ("u = 'text'", "would not be unique"),
        ("u = { constant = 'x' }", "would not be unique"),
        ("u11 = 'hash'", "so short a hash would not stay unique"),
        ("u12 = 'email'", "24 characters"),
        ("id = 'hash'", "so short a hash would not stay unique"),
        ("must = 'null'", "NOT NULL"),
        ("one = 'null'", "only one NULL"),
        ("g = 'keep'", "computed from other columns"),
        ("part = 'hash'", "which partition"),
        ("nothing = 'keep'", "line 2, column 1: there is no column \"nothing\" in \"public\".\"t\""),
    ] {
        refused(&format!("[tables.public.t]\n{rule}"), &tables, words);
    }
    refused("[tables.public.none]\na = 'keep'", &tables, "line 1, column 16: there is no table \"public\".\"none\"");
    refused("[tables.public.t]\nn = 'text'\nj = 'hash'", &tables, "line 3, column 1: the rule \"hash\"");
    for rule in [
        "v = 'hash'",
        "u = 'hash'",
        "u12 = 'hash'",
        "big = 'hash'",
        "ip = 'ip'",
        "u = 'null'",
        "u = 'email'",
        "part = 'keep'",
        "m = { sql = 'x' }",
    ] {
        plan(&format!("[tables.public.t]\n{rule}"), &tables).unwrap_or_else(|error| panic!("{rule}: {error}"));
    }
}

#[test]
fn columns_that_refer_to_each_other_get_one_rule_or_none() {
    let customers = table("customers", vec![unique("id", "bigint"), unique("email", "character varying(30)")]);
    let mut orders = table(
        "orders",
        vec![referring("customer", "bigint", "customers", "id"), referring("mail", "text", "customers", "email")],
    );
    let tables = [customers.clone(), orders.clone()];
    for (from, other) in [("customers", "orders"), ("orders", "customers")] {
        let named = |table: &str| if table == "customers" { "email" } else { "mail" };
        let plan = plan(&format!("[tables.public.{from}]\n{} = 'email'", named(from)), &tables).unwrap();
        let (one, two) = (planned(&plan, from, named(from)), planned(&plan, other, named(other)));
        assert_eq!((one.origin, two.origin), (RuleOrigin::Named, RuleOrigin::ForeignKey));
        // The same but for the name and the type: the shorter column has its place in both.
        let made = |column: &ColumnPlan| {
            let expression = column.expression.clone().unwrap().replace(&format!("\"{}\"", column.name), "");
            expression.strip_suffix(&column.type_name).unwrap().to_owned()
        };
        assert_eq!(made(one), made(two));
        assert!(made(one).contains(", 18) || '@example.com'"), "{}", made(one));
    }
    // Without a rule, an address stays as unique as the column that is referred to.
    let plan_without = plan("", &tables).unwrap();
    let default = planned(&plan_without, "orders", "mail");
    assert!(default.origin == RuleOrigin::Default && default.expression.as_ref().unwrap().contains(":email:"));
    refused(
        "[tables.public.customers]\nid = 'hash'\n[tables.public.orders]\ncustomer = 'keep'",
        &tables,
        "line 4, column 1: \"public\".\"orders\".\"customer\" has the rule \"keep\", and \"public\".\"customers\".\"id\" the rule \"hash\"",
    );
    refused("[tables.public.customers]\nid = { sql = '-id' }", &tables, "\"public\".\"orders\".\"customer\" has none");
    refused("[tables.public.orders]\nmail = 'name'", &tables, "would not be unique");
    refused("[tables.public.customers]\nemail = 'null'", &tables, "a foreign key refers to it");
    plan(
        "[tables.public.customers]\nid = { sql = '-id' }\n[tables.public.orders]\ncustomer = { sql = '-customer' }",
        &tables,
    )
    .unwrap();
    // NULL needs no row elsewhere, unless the key is whole or not at all.
    let plan_null = plan("[tables.public.orders]\ncustomer = 'null'", &tables).unwrap();
    assert_eq!(planned(&plan_null, "customers", "id").origin, RuleOrigin::Unnamed);
    orders.columns[0].refers_to[0].all_or_none = true;
    refused("[tables.public.orders]\ncustomer = 'null'", &[customers, orders], "MATCH FULL");
}

#[test]
fn partitions_have_the_rules_of_their_table_unless_they_have_their_own() {
    let mut parent = table("parent", vec![column("a", "text"), column("b", "text")]);
    parent.is_partitioned = true;
    let part = |name: &str| SourceTable {
        ancestors: vec![("public".into(), "parent".into())],
        ..table(name, parent.columns.clone())
    };
    let tables = [parent.clone(), part("one"), part("two")];
    let plan =
        plan("[tables.public.parent]\na = 'null'\n'*' = 'keep'\n[tables.public.two]\na = 'text'", &tables).unwrap();
    assert!(plan.tables.iter().map(|table| table.name.as_str()).eq(["one", "two"]));
    let found = |table, column| (planned(&plan, table, column).rule.clone(), planned(&plan, table, column).origin);
    assert_eq!(found("one", "a"), (Some(Rule::Null), RuleOrigin::Parent));
    assert_eq!(found("one", "b"), (Some(Rule::Keep), RuleOrigin::Parent));
    assert_eq!(found("two", "a"), (Some(Rule::Text), RuleOrigin::Named));
}

#[test]
fn what_no_rule_names_is_told_and_only_what_may_hold_text_is_changed() {
    let mut other = table(
        "t",
        vec![column("n", "integer"), column("j", "jsonb"), column("v", "character varying(12)"), unique("k", "text")],
    );
    other.partition_key = vec!["k".into()];
    let tables = [other];
    let plan_of = |rules: &str| plan(rules, &tables).unwrap();
    let without = plan_of("strict = true");
    assert!(without.strict && without.unnamed().count() == 4);
    let origins: Vec<_> = without.unnamed().map(|(_, column)| (column.origin, column.expression.is_some())).collect();
    assert_eq!(
        origins,
        [
            (RuleOrigin::Unnamed, false),
            (RuleOrigin::Default, true),
            (RuleOrigin::Default, true),
            (RuleOrigin::Unnamed, false)
        ]
    );
    assert_eq!(plan_of("[tables.public.t]\n'*' = 'keep'").unnamed().count(), 0);
    let kept = plan_of("[tables.public.t]\nj = 'keep'");
    assert_eq!((planned(&kept, "t", "j").expression.as_ref(), kept.unnamed().count()), (None, 3));
}

#[test]
fn numbers_stay_within_what_their_types_take() {
    let tables = [table("t", vec![column("n", "integer"), column("d", "numeric(8,2)")])];
    let plan = plan("[tables.public.t]\nn = 'number'\nd = 'number'", &tables).unwrap();
    let sql = plan.tables[0].select();
    assert!(
        sql.contains("-2147483647), 2147483647)") && sql.contains("-99999999e-2::numeric), 99999999e-2::numeric)"),
        "{sql}"
    );
}

#[test]
fn the_secret_is_in_no_statement_and_every_function_is_the_server_s_own() {
    let tables = [table(
        "t",
        vec![column("a", "citext"), column("b", "text"), column("c", "date"), column("d", "text"), column("e", "inet")],
    )];
    let rules = "[tables.public.t]\na = 'hash'\nb = 'text'\nc = 'date'\nd = 'address'\ne = 'ip'";
    let sql = plan(rules, &tables).unwrap().tables[0].select();
    assert!(
        sql.contains("pg_catalog.current_setting('pgbk.anonymise_secret')")
            && sql.contains("pg_catalog.lower(source_row.\"a\"")
    );
    // What is called stands behind its schema.
    let calls = regex::Regex::new(r"([A-Za-z0-9_.]*)\(").unwrap();
    let own = ["", "COALESCE", "LATERAL", "bit", "split", "ARRAY"];
    for call in calls.captures_iter(&sql).map(|found| found[1].to_owned()) {
        assert!(call.starts_with("pg_catalog.") || own.contains(&call.as_str()), "{call} in {sql}");
    }
}
