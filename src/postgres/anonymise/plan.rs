//! The plan of an anonymised read: for each table a SELECT that gives its rows as the rules say.

pub(crate) mod chosen_rules;

use crate::base::error::{Result, together};
use crate::format::anonymise::RuleSet;
use crate::format::anonymise::rule::Rule;
use crate::postgres::anonymise::columns::{SourceColumn, SourceTable};
use crate::postgres::anonymise::expression::{of_default, of_rule};
use crate::postgres::anonymise::expression_context::{ExpressionContext, ROW, ValueDemand, column_value};
use crate::postgres::anonymise::rule_origin::RuleOrigin;
use crate::postgres::session::quote::identifier;
use chosen_rules::{ChosenRule, ChosenRules};

/// Says what becomes of each column of each table that has rows of its own.
#[derive(Debug)]
pub struct AnonymisePlan {
    /// Whether a column that no rule names is a failure.
    pub strict: bool,
    pub tables: Vec<TablePlan>,
}

/// Says what becomes of the columns of one table, in the order of the table. Those that are computed are left out, as in a dump.
#[derive(Debug)]
pub struct TablePlan {
    pub schema: String,
    pub name: String,
    pub columns: Vec<ColumnPlan>,
}

/// Says what becomes of one column.
#[derive(Debug)]
pub struct ColumnPlan {
    pub name: String,
    pub type_name: String,
    /// Whether a value may hold any text.
    pub may_hold_text: bool,
    pub origin: RuleOrigin,
    /// The rule; `None` if none names the column.
    pub rule: Option<Rule>,
    /// The new value in SQL; `None` if the column stays as it is.
    expression: Option<String>,
}

impl AnonymisePlan {
    /// Plans what the rules say for these tables. It is an error if a rule names what is not there, or does not fit; all such
    /// rules are told at once.
    pub fn of(rules: &RuleSet, tables: &[SourceTable]) -> Result<AnonymisePlan> {
        let chosen = ChosenRules::choose(rules, tables)?;
        let (mut planned, mut outcomes) = (Vec::new(), Vec::new());
        for (at, table) in tables.iter().enumerate() {
            let mut columns = Vec::new();
            let own = table.columns.iter().enumerate().filter(|(_, column)| !column.is_generated);
            for (number, column) in own {
                match column_plan(table, column, &chosen.demand(tables, (at, number)), chosen.get((at, number))) {
                    Ok(column) => columns.push(column),
                    Err(error) => outcomes.push(Err(error)),
                }
            }
            if !table.is_partitioned {
                planned.push(TablePlan { schema: table.schema.clone(), name: table.name.clone(), columns });
            }
        }
        together(outcomes)?;
        Ok(AnonymisePlan { strict: rules.strict, tables: planned })
    }

    /// Returns the columns that no rule names, each with its table.
    pub fn unnamed(&self) -> impl Iterator<Item = (&TablePlan, &ColumnPlan)> {
        let all = self.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
        all.filter(|(_, column)| matches!(column.origin, RuleOrigin::Default | RuleOrigin::Unnamed))
    }
}

fn column_plan(
    table: &SourceTable,
    column: &SourceColumn,
    demand: &ValueDemand,
    chosen: Option<&ChosenRule>,
) -> Result<ColumnPlan> {
    let name = format!("{}.{}", table.schema, table.name);
    let context = ExpressionContext { column, demand, table: name, row_key: &table.row_key };
    let decides_partition = table.partition_key.contains(&column.name);
    let (origin, expression) = match chosen {
        Some(chosen) if decides_partition && chosen.rule != Rule::Keep => {
            return Err(chosen.fault(
                table,
                column,
                "it decides which partition a row is in, and rows would not fit theirs any more",
            ));
        }
        Some(chosen) => {
            let made = of_rule(&chosen.rule, &context).map_err(|why| chosen.fault(table, column, &why))?;
            (chosen.origin, made)
        }
        None => match of_default(&context, decides_partition) {
            Some(made) => (RuleOrigin::Default, Some(made)),
            None => (RuleOrigin::Unnamed, None),
        },
    };
    Ok(ColumnPlan {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        may_hold_text: column.shape.may_hold_text(),
        origin,
        rule: chosen.map(|chosen| chosen.rule.clone()),
        expression,
    })
}

impl TablePlan {
    /// Returns whether any of its columns is changed.
    pub fn is_changed(&self) -> bool {
        self.columns.iter().any(|column| column.expression.is_some())
    }

    /// Returns the query for the table's own rows as the rules say, for `COPY (…) TO STDOUT`. Its columns have the names, the order
    /// and the types of the table's, and a WHERE may stand behind it. It needs the setting of [`super::session_secret`] in its session.
    pub fn select(&self) -> String {
        self.select_only(&self.columns)
    }

    /// Returns the same query for some of its columns.
    pub(crate) fn select_only(&self, columns: &[ColumnPlan]) -> String {
        let columns: Vec<String> = columns.iter().map(ColumnPlan::selected).collect();
        format!(
            "SELECT {} FROM ONLY {}.{} AS {ROW}",
            columns.join(", "),
            identifier(&self.schema),
            identifier(&self.name)
        )
    }
}

impl ColumnPlan {
    /// Returns whether the rules say what its values are, addresses or not: kept, the same for all, or the user's own expression.
    pub fn may_hold_addresses(&self) -> bool {
        matches!(self.rule, Some(Rule::Keep | Rule::Constant(_) | Rule::Sql(_)))
    }

    fn selected(&self) -> String {
        let value = column_value(&self.name);
        format!("{} AS {}", self.expression.as_deref().unwrap_or(&value), identifier(&self.name))
    }
}

#[cfg(test)]
mod tests;
