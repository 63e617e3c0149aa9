//! The SQL of one rule for one column, and whether the rule fits the column.

pub(crate) mod invented;

use crate::format::anonymise::rule::Rule;
use crate::postgres::anonymise::address_pattern::{
    address, document_without_addresses, unique_address, unique_document_without_addresses, unique_without_addresses,
    without_addresses,
};
use crate::postgres::anonymise::columns::SourceColumn;
use crate::postgres::anonymise::expression_context::ExpressionContext;
use crate::postgres::anonymise::keyed_hash::{hash, letters, number};
use crate::postgres::anonymise::scrambled_text::scrambled;
use crate::postgres::anonymise::shape::ColumnShape;
use crate::postgres::session::quote::literal;
use invented::{moved_date, name, network_address, noisy_number, phone, postal_address};

/// Fewest letters that are different for all values of a column: 60 bits.
const UNIQUE_LETTERS: usize = 12;
/// Letters of a hash where there is room.
const LETTERS: usize = 26;

/// Returns the expression for a column that this rule names; `None` if it stays as it is. An error says why the rule does not fit.
pub(crate) fn of_rule(rule: &Rule, context: &ExpressionContext) -> Result<Option<String>, String> {
    let demand = context.demand;
    if demand.is_unique && !may_be_unique(rule) {
        return Err("equal values would not be unique any more: keep, email, hash and sql can be".to_owned());
    }
    let made = match rule {
        Rule::Keep => return Ok(None),
        Rule::Null => null(context.column)?,
        Rule::Constant(value) => constant(value, context.column)?,
        // Of a sub-select it gives one value for each row, or fails.
        Rule::Sql(expression) => format!("SELECT\n{expression}\n"),
        Rule::Hash => hashed(context)?,
        Rule::Email => email(context)?,
        Rule::Text if demand.shape == ColumnShape::Text => scrambled_without_addresses(context),
        Rule::Name if demand.shape == ColumnShape::Text => name(&context.input(), demand.max_chars),
        Rule::Address if demand.shape == ColumnShape::Text => postal_address(&context.input(), demand.max_chars),
        Rule::Phone if demand.shape == ColumnShape::Text => phone(&context.input(), demand.max_chars),
        Rule::Ip => network_address(context)?,
        Rule::Date { days } => moved_date(context, *days).ok_or_else(|| unfit(context))?,
        Rule::Number { percent } => noisy_number(context, *percent).ok_or_else(|| unfit(context))?,
        Rule::Text | Rule::Name | Rule::Address | Rule::Phone => return Err(unfit(context)),
    };
    Ok(Some(cast(&made, context.column)))
}

/// Returns the expression for a column that no rule names; `None` if it cannot hold an e-mail address, or decides which partition a
/// row is in.
pub(crate) fn of_default(context: &ExpressionContext, decides_partition: bool) -> Option<String> {
    let text = format!("({} COLLATE pg_catalog.\"C\")", context.text());
    let demand = context.demand;
    let made = match context.column.shape {
        _ if decides_partition => return None,
        ColumnShape::Text if demand.is_unique => unique_without_addresses(&text, &context.input(), demand.max_chars),
        ColumnShape::Text => without_addresses(&text, demand.max_chars),
        ColumnShape::Document if demand.is_unique => unique_document_without_addresses(&text, &context.input()),
        ColumnShape::Document => document_without_addresses(&text),
        _ => return None,
    };
    Some(cast(&made, context.column))
}

/// Returns the expression for other letters, which must not make an address of anybody out of another one.
fn scrambled_without_addresses(context: &ExpressionContext) -> String {
    let (made, most) = (scrambled(&context.text()), context.demand.max_chars);
    let text = "(scrambled.text COLLATE pg_catalog.\"C\")";
    format!("(SELECT {} FROM (SELECT {made} AS text OFFSET 0) scrambled)", without_addresses(text, most))
}

fn cast(made: &str, column: &SourceColumn) -> String {
    format!("({made})::{}", column.type_name)
}

/// Returns whether the rule gives different values for different ones, or is the user's own affair.
fn may_be_unique(rule: &Rule) -> bool {
    matches!(rule, Rule::Keep | Rule::Null | Rule::Email | Rule::Hash | Rule::Ip | Rule::Sql(_))
}

fn unfit(context: &ExpressionContext) -> String {
    format!("it does not fit the type {}", context.column.type_name)
}

fn null(column: &SourceColumn) -> Result<String, String> {
    match column {
        SourceColumn { is_not_null: true, .. } => Err("the column is NOT NULL".to_owned()),
        SourceColumn { is_null_unique: true, .. } => Err("the column takes only one NULL".to_owned()),
        _ => Ok("NULL".to_owned()),
    }
}

fn constant(value: &str, column: &SourceColumn) -> Result<String, String> {
    match column.max_chars() {
        Some(most) if value.chars().count() > most => Err(format!("the value has more than {most} characters")),
        _ => Ok(literal(value)),
    }
}

fn email(context: &ExpressionContext) -> Result<String, String> {
    let demand = context.demand;
    let made = match (demand.shape, demand.is_unique) {
        (ColumnShape::Text, true) => unique_address(&context.input(), demand.max_chars),
        (ColumnShape::Text, false) => address(&context.input(), demand.max_chars, 1),
        _ => return Err(unfit(context)),
    };
    made.ok_or_else(|| match demand.is_unique {
        true => "addresses that stay unique have 24 characters, more than the type takes".to_owned(),
        false => "an address has 13 characters at least, more than the type takes".to_owned(),
    })
}

fn hashed(context: &ExpressionContext) -> Result<String, String> {
    let demand = context.demand;
    let bytes = hash("hash", &context.input());
    let narrow = || "so short a hash would not stay unique".to_owned();
    match demand.shape {
        ColumnShape::Text => match demand.max_chars.map_or(LETTERS, |most| most.min(LETTERS)) {
            count if demand.is_unique && count < UNIQUE_LETTERS => Err(narrow()),
            count => Ok(letters(&bytes, count)),
        },
        ColumnShape::Integer(64) => Ok(number(&bytes)),
        ColumnShape::Integer(_) if demand.is_unique => Err(narrow()),
        ColumnShape::Integer(bits) => Ok(format!("{} % {}", number(&bytes), (1_u64 << (bits - 1)) - 1)),
        ColumnShape::Uuid => Ok(format!("pg_catalog.left(pg_catalog.encode({bytes}, 'hex'), 32)")),
        ColumnShape::Bytes => Ok(bytes),
        _ => Err(unfit(context)),
    }
}
