//! A column with everything that its expression is made of.

use crate::postgres::anonymise::columns::SourceColumn;
use crate::postgres::anonymise::shape::ColumnShape;
use crate::postgres::session::quote::{identifier, literal};

/// The name of the row in every expression.
pub(crate) const ROW: &str = "source_row";

/// Says what the new values of a column must hold to: its own type, and those of the columns that refer to it or that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct ValueDemand {
    pub shape: ColumnShape,
    pub is_unique: bool,
    pub max_chars: Option<usize>,
    pub folds_case: bool,
}

impl ValueDemand {
    pub(crate) fn of(column: &SourceColumn) -> ValueDemand {
        ValueDemand {
            shape: column.shape,
            is_unique: column.is_unique,
            max_chars: column.max_chars(),
            folds_case: column.folds_case,
        }
    }

    /// Returns what holds for both. Integers of different sizes have the smaller one's values.
    pub(crate) fn and(self, other: &ValueDemand) -> ValueDemand {
        ValueDemand {
            shape: match (self.shape, other.shape) {
                (ColumnShape::Integer(one), ColumnShape::Integer(two)) => ColumnShape::Integer(one.min(two)),
                (one, two) if one == two => one,
                _ => ColumnShape::Other,
            },
            is_unique: self.is_unique || other.is_unique,
            max_chars: self.max_chars.into_iter().chain(other.max_chars).min(),
            folds_case: self.folds_case || other.folds_case,
        }
    }
}

/// A column, with everything that its expression is made of.
pub(crate) struct ExpressionContext<'a> {
    pub column: &'a SourceColumn,
    pub demand: &'a ValueDemand,
    /// The name of its table and its primary key, for what is the same within a row.
    pub table: String,
    pub row_key: &'a [String],
}

impl ExpressionContext<'_> {
    /// Returns the column as it is.
    pub(crate) fn value(&self) -> String {
        column_value(&self.column.name)
    }

    pub(crate) fn text(&self) -> String {
        format!("{}::pg_catalog.text", self.value())
    }

    /// Returns the text that equal values have in common.
    pub(crate) fn input(&self) -> String {
        if self.demand.folds_case { format!("pg_catalog.lower({})", self.text()) } else { self.text() }
    }

    /// Returns a text that is different for each row; that of the value if the table has no primary key.
    pub(crate) fn row_text(&self) -> String {
        match self.row_key {
            [] => self.text(),
            key => {
                let values: Vec<String> =
                    key.iter().map(|name| format!("{}::pg_catalog.text", column_value(name))).collect();
                format!("{} || {}", literal(&format!("{}:", self.table)), values.join(" || ':' || "))
            }
        }
    }
}

pub(crate) fn column_value(name: &str) -> String {
    format!("{ROW}.{}", identifier(name))
}
