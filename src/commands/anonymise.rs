//! `pgbk anonymise`

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, agree, many};
use crate::cli::anonymise_args::AnonymiseArgs;
use crate::cli::console::Console;
use crate::cli::table::TextTable;
use crate::commands::lookup;
use crate::config;
use crate::postgres::anonymise::plan::{AnonymisePlan, ColumnPlan, TablePlan};
use crate::postgres::anonymise::rule_origin::RuleOrigin;
use crate::postgres::anonymise::{columns, plan_check, session_secret};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control::Control;
use serde_json::{Value, json};

/// Shows what the rules say for each column of a database. The exit code is 1 where the rules are strict and name not every column.
pub fn run(args: &AnonymiseArgs, console: &Console) -> Result<u8> {
    let rules = config::anonymise::rules(&args.settings)?;
    let secret = config::anonymise::secret()?;
    let settings = match secret.as_ref().map(session_secret::session).transpose()? {
        Some(session) => database(args)?.with_session(&session),
        None => database(args)?,
    };
    let mut control = Control::open(&settings)?;
    control.snapshot()?;
    let tables = control.ask_within(columns::read)?;
    let named = |error| match &args.settings.rules {
        Some(path) => config::anonymise::wrong(path, error),
        None => error,
    };
    let plan = AnonymisePlan::of(&rules, &tables).map_err(named)?;
    let queries = plan_check::queries(&plan);
    control.ask_within(move |client| plan_check::check(client, &queries)).map_err(named)?;
    if secret.is_none() {
        console
            .warn("ANONYMISE_SECRET is not set, and no value can be made without it (openssl rand -hex 32 makes one)");
    }
    let passed = !plan.strict || plan.unnamed().next().is_none();
    let database = settings.database();
    console.result_of(|| text(&plan, passed), || document(&plan, database, secret.is_some(), passed))?;
    Ok(u8::from(!passed))
}

/// Returns the settings that lead to the one database that is meant.
fn database(args: &AnonymiseArgs) -> Result<ConnectionSettings> {
    let server = config::server::server(&args.server)?;
    let named = lookup::named(args.database.as_deref())?
        .and_then(|subject| subject.database().map(|database| database.name().to_owned()));
    match (named, &args.database) {
        (Some(name), _) => Ok(server.for_database(&name)),
        (None, None) if server.named_database().is_some() => Ok(server),
        (None, _) => Err(Fault::usage("no database is named, or more than one")
            .hint("name one: pgbk anonymise --check DB")
            .into()),
    }
}

fn text(plan: &AnonymisePlan, passed: bool) -> Lines {
    let mut table = TextTable::new(&["TABLE", "COLUMN", "TYPE", "RULE", "FROM"]);
    for of in &plan.tables {
        for column in &of.columns {
            let rule = column.rule.as_ref().map_or("-".to_owned(), ToString::to_string);
            let name = format!("{}.{}", of.schema, of.name);
            table.row([name, column.name.clone(), column.type_name.clone(), rule, origin(column).to_owned()]);
        }
    }
    let mut text = table.text("no columns");
    let (unnamed, holding) = unnamed(plan);
    if unnamed > 0 {
        text.push(format!(
            "{} {} no rule; {holding} of {} may hold text, in which e-mail addresses become nobody@example.com and all else stays",
            many(unnamed, "column"),
            agree(&unnamed, "has", "have"),
            agree(&unnamed, "it", "them"),
        ));
    }
    if !passed {
        text.push("the rules are strict, and so this fails: give each column a rule, \"keep\" where it may stay");
    }
    text
}

/// Returns how many columns no rule names, and how many of these may hold any text.
fn unnamed(plan: &AnonymisePlan) -> (usize, usize) {
    plan.unnamed().fold((0, 0), |(all, text), (_, column)| (all + 1, text + usize::from(column.may_hold_text)))
}

/// Says where the rule is from, or what happens without one.
fn origin(column: &ColumnPlan) -> &'static str {
    match column.origin {
        RuleOrigin::Named => "rules",
        RuleOrigin::Parent => "rules of its parent table",
        RuleOrigin::ForeignKey => "foreign key",
        RuleOrigin::Default => "NO RULE: addresses replaced",
        RuleOrigin::Unnamed if column.may_hold_text => "NO RULE: unchanged, as it decides which partition a row is in",
        RuleOrigin::Unnamed => "no rule: unchanged",
    }
}

fn document(plan: &AnonymisePlan, database: &str, has_secret: bool, passed: bool) -> Value {
    let (unnamed, holding) = unnamed(plan);
    json!({
        "database": database,
        "strict": plan.strict,
        "passed": passed,
        "secret_is_set": has_secret,
        "columns_without_rule": unnamed,
        "text_columns_without_rule": holding,
        "tables": plan.tables.iter().map(table_document).collect::<Vec<Value>>(),
    })
}

fn table_document(table: &TablePlan) -> Value {
    let column = |column: &ColumnPlan| {
        json!({
            "name": column.name,
            "type": column.type_name,
            "may_hold_text": column.may_hold_text,
            "rule": column.rule.as_ref().map(ToString::to_string),
            "from": column.origin,
        })
    };
    json!({
        "schema": table.schema,
        "table": table.name,
        "columns": table.columns.iter().map(column).collect::<Vec<Value>>(),
        "select": table.select(),
    })
}
