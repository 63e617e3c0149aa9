//! Finds which rule of the file holds for which column: its own, its parent's, or that of a column beyond a foreign key.

use crate::base::error::{Fault, Result, together};
use crate::format::anonymise::position::Position;
use crate::format::anonymise::rule::Rule;
use crate::format::anonymise::{RuleSet, TableRules};
use crate::postgres::anonymise::column_groups::{ColumnGroups, ColumnPlace};
use crate::postgres::anonymise::columns::{SourceColumn, SourceTable, shown};
use crate::postgres::anonymise::expression_context::ValueDemand;
use crate::postgres::anonymise::rule_origin::RuleOrigin;
use std::collections::BTreeMap;

/// The rule of a column, and where the file has it.
#[derive(Debug, Clone)]
pub(crate) struct ChosenRule {
    pub rule: Rule,
    pub origin: RuleOrigin,
    at: Position,
}

impl ChosenRule {
    /// Returns the error that the rule cannot hold for this column.
    pub(crate) fn fault(&self, table: &SourceTable, column: &SourceColumn, why: &str) -> anyhow::Error {
        let column = shown(&table.schema, &table.name, &column.name);
        wrong(self.at, &format!("the rule \"{}\" cannot hold for {column}: {why}", self.rule.kind()))
    }
}

/// The rules of all columns that have one, and the groups of columns that must be changed alike.
pub(crate) struct ChosenRules {
    chosen: BTreeMap<ColumnPlace, ChosenRule>,
    groups: ColumnGroups,
}

impl ChosenRules {
    /// Chooses them. It is an error if a rule names what is not there, or if columns that refer to each other have different rules.
    pub(crate) fn choose(rules: &RuleSet, tables: &[SourceTable]) -> Result<ChosenRules> {
        together(rules.tables.iter().flat_map(|named| all_there(named, tables)))?;
        let by_table: BTreeMap<(&str, &str), &TableRules> =
            rules.tables.iter().map(|rules| ((rules.schema.as_str(), rules.table.as_str()), rules)).collect();
        let mut chosen = BTreeMap::new();
        for (at, table) in tables.iter().enumerate() {
            for (number, column) in table.columns.iter().enumerate() {
                if let Some(rule) = named(table, &by_table, |rules| own_rule(rules, &column.name)) {
                    chosen.insert((at, number), rule);
                }
            }
        }
        let is_null = |place| chosen.get(&place).is_some_and(|chosen: &ChosenRule| chosen.rule == Rule::Null);
        let groups = ColumnGroups::find(tables, is_null);
        together(chosen.iter().map(|(place, rule)| null_breaks_nothing(tables, &groups, *place, rule)))?;
        carry(tables, &groups, &mut chosen)?;
        for (at, table) in tables.iter().enumerate() {
            if let Some(rest) = named(table, &by_table, |rules| rules.rest_kept.map(|at| (Rule::Keep, at))) {
                for number in 0..table.columns.len() {
                    chosen.entry((at, number)).or_insert_with(|| rest.clone());
                }
            }
        }
        // What "*" keeps has values that others refer to, as any rule has.
        carry(tables, &groups, &mut chosen)?;
        Ok(ChosenRules { chosen, groups })
    }

    /// Returns the rule of a column; `None` if none names it.
    pub(crate) fn get(&self, place: ColumnPlace) -> Option<&ChosenRule> {
        self.chosen.get(&place)
    }

    /// Returns what the values of a column must hold to, so that all of its group can have them.
    pub(crate) fn demand(&self, tables: &[SourceTable], place: ColumnPlace) -> ValueDemand {
        let own = ValueDemand::of(column(tables, place));
        self.groups.of(place).iter().fold(own, |demand, other| demand.and(&ValueDemand::of(column(tables, *other))))
    }
}

/// Gives the columns of each group that have no rule the rule of the others. It is an error if these do not agree.
fn carry(tables: &[SourceTable], groups: &ColumnGroups, chosen: &mut BTreeMap<ColumnPlace, ChosenRule>) -> Result<()> {
    let mut carried = Vec::new();
    together(groups.all().iter().map(|group| agreed(tables, group, chosen).map(|found| carried.extend(found))))?;
    chosen.extend(carried);
    Ok(())
}

/// Returns an error for each name of a table or column that is not there or has no rule of its own to have.
fn all_there<'a>(rules: &'a TableRules, tables: &'a [SourceTable]) -> Vec<Result<()>> {
    let TableRules { schema, table: name, .. } = rules;
    let Some(table) = tables.iter().find(|table| (&table.schema, &table.name) == (schema, name)) else {
        return vec![Err(wrong(rules.at, &format!("there is no table \"{schema}\".\"{name}\"")))];
    };
    let faults = rules.columns.iter().filter_map(|rule| {
        let found = table.columns.iter().find(|column| column.name == rule.column);
        let told = match found {
            None => format!("there is no column \"{}\" in \"{schema}\".\"{name}\"", rule.column),
            Some(column) if column.is_generated => {
                format!(
                    "{} is computed from other columns, whose rules hold for it",
                    shown(&table.schema, &table.name, &column.name)
                )
            }
            Some(_) => return None,
        };
        Some(Err(wrong(rule.at, &told)))
    });
    faults.collect()
}

/// Returns the rule that the file has for the table, else for the nearest table that it is a partition or a child of.
fn named(
    table: &SourceTable,
    rules: &BTreeMap<(&str, &str), &TableRules>,
    rule_in: impl Fn(&TableRules) -> Option<(Rule, Position)>,
) -> Option<ChosenRule> {
    let found = |schema: &str, name: &str| rules.get(&(schema, name)).and_then(|rules| rule_in(rules));
    let own = found(&table.schema, &table.name).map(|rule| (rule, RuleOrigin::Named));
    let inherited =
        || table.ancestors.iter().find_map(|(schema, name)| found(schema, name)).map(|rule| (rule, RuleOrigin::Parent));
    own.or_else(inherited).map(|((rule, at), origin)| ChosenRule { rule, origin, at })
}

fn own_rule(rules: &TableRules, column: &str) -> Option<(Rule, Position)> {
    rules.columns.iter().find(|rule| rule.column == column).map(|rule| (rule.rule.clone(), rule.at))
}

/// Refuses NULL where a foreign key needs a value.
fn null_breaks_nothing(
    tables: &[SourceTable],
    groups: &ColumnGroups,
    place: ColumnPlace,
    chosen: &ChosenRule,
) -> Result<()> {
    let own = column(tables, place);
    let why = match chosen.rule {
        Rule::Null if groups.is_referred_to(place) => "a foreign key refers to it",
        Rule::Null if own.refers_to.iter().any(|reference| reference.all_or_none) => {
            "its foreign key is MATCH FULL over several columns"
        }
        _ => return Ok(()),
    };
    Err(chosen.fault(&tables[place.0], own, why))
}

/// Returns the rules that the columns of a group without one get from the others. It is an error if these do not agree.
fn agreed(
    tables: &[SourceTable],
    group: &[ColumnPlace],
    chosen: &BTreeMap<ColumnPlace, ChosenRule>,
) -> Result<Vec<(ColumnPlace, ChosenRule)>> {
    let named: Vec<(ColumnPlace, &ChosenRule)> =
        group.iter().filter_map(|place| Some((*place, chosen.get(place)?))).collect();
    let Some((first, rule)) = named.first() else { return Ok(Vec::new()) };
    let is_sql = |rule: &Rule| matches!(rule, Rule::Sql(_));
    let tell = |place: &ColumnPlace| {
        let table = &tables[place.0];
        shown(&table.schema, &table.name, &column(tables, *place).name)
    };
    if let Some((other, odd)) =
        named.iter().find(|(_, other)| other.rule != rule.rule && !(is_sql(&other.rule) && is_sql(&rule.rule)))
    {
        let (one, two) = (tell(first), tell(other));
        let told = format!(
            "{two} has the rule \"{}\", and {one} the rule \"{}\", though a foreign key joins them",
            odd.rule.kind(),
            rule.rule.kind()
        );
        return Err(wrong(odd.at, &told));
    }
    let without: Vec<&ColumnPlace> = group.iter().filter(|place| !chosen.contains_key(place)).collect();
    match without.first() {
        Some(place) if is_sql(&rule.rule) => {
            let told = format!(
                "{} has an expression, and {} has none, though a foreign key joins them",
                tell(first),
                tell(place)
            );
            Err(wrong(rule.at, &told))
        }
        _ => {
            let carried = ChosenRule { origin: RuleOrigin::ForeignKey, ..(*rule).clone() };
            Ok(without.into_iter().map(|place| (*place, carried.clone())).collect())
        }
    }
}

fn column(tables: &[SourceTable], (table, column): ColumnPlace) -> &SourceColumn {
    &tables[table].columns[column]
}

fn wrong(at: Position, told: &str) -> anyhow::Error {
    Fault::usage(format!("{at}: {told}")).into()
}
