//! A table of text, whose columns are as wide as their widest cell.

use crate::base::shown::{Lines, word};

pub struct TextTable<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    pub fn new(heads: &[&str; N]) -> TextTable<N> {
        TextTable { rows: vec![heads.map(str::to_owned)] }
    }

    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| word(&cell).into_owned()));
    }

    /// Returns the table; `nothing` if it has no row.
    pub fn text(&self, nothing: &str) -> Lines {
        if self.rows.len() == 1 {
            return if nothing.is_empty() { Lines::new() } else { Lines::of(nothing) };
        }
        let width = |at: usize| self.rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..N).map(width).collect();
        let mut text = Lines::new();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push(cells.join("  ").trim_end());
        }
        text
    }
}
