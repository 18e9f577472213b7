//! Tables of GitHub's Markdown that are aligned in the source too.

use std::fmt;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At the left edge: words.
    Left,
    /// At the right edge: numbers.
    Right,
}

/// A table; shows as Markdown, with a line end after each row.
#[derive(Clone, Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<S: Into<String>>(heads: impl IntoIterator<Item = (S, Side)>) -> Self {
        let (heads, sides): (Vec<_>, Vec<_>) =
            heads.into_iter().map(|(head, side)| (head.into(), side)).unzip();
        let mut table = Self { sides, rows: Vec::new() };
        table.row(heads);
        table
    }

    /// Adds a row, of as many cells as there are headings.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let one_line = |cell: String| cell.replace('|', r"\|").replace(['\r', '\n'], " ");
        let row: Vec<_> = cells.into_iter().map(one_line).collect();
        debug_assert_eq!(row.len(), self.sides.len());
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| row[column].chars().count());
            // Three dashes at least make a column.
            widths.max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        for (i, row) in self.rows.iter().enumerate() {
            for ((cell, &width), side) in row.iter().zip(&widths).zip(&self.sides) {
                match side {
                    Side::Left => write!(f, "| {cell:<width$} ")?,
                    Side::Right => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if i == 0 {
                for (&width, side) in widths.iter().zip(&self.sides) {
                    match side {
                        Side::Left => write!(f, "| {:-<width$} ", "")?,
                        Side::Right => write!(f, "| {:->rest$}: ", "", rest = width - 1)?,
                    }
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_cannot_break_out() {
        let mut table = Table::new([("name", Side::Left), ("x", Side::Right)]);
        table.row(["a|b\nc".to_owned(), "−1.25".to_owned()]);
        assert_eq!(
            table.to_string(),
            "| name   |     x |\n\
             | ------ | ----: |\n\
             | a\\|b c | −1.25 |\n"
        );
    }
}
