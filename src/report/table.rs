//! Tables of GitHub's Markdown that are aligned in the source too.

/// A table with a line end after each row: the first `words` columns, of words, at the left, the others, of numbers, at the
/// right. Each row has as many cells as there are headings.
pub fn table<H, R>(words: usize, heads: H, rows: impl IntoIterator<Item = R>) -> String
where
    H: IntoIterator<Item: Into<String>>,
    R: IntoIterator<Item = String>,
{
    let one_line = |cell: String| cell.replace('|', r"\|").replace(['\r', '\n'], " ");
    let mut lines: Vec<Vec<String>> = vec![heads.into_iter().map(|head| one_line(head.into())).collect()];
    lines.extend(rows.into_iter().map(|row| row.into_iter().map(one_line).collect()));
    // Three dashes at least make a column.
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).fold(3, usize::max);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let rule = widths.iter().enumerate().map(|(column, &width)| match column < words {
        true => "-".repeat(width),
        false => "-".repeat(width - 1) + ":",
    });
    lines.insert(1, rule.collect());

    let mut out = String::new();
    for line in &lines {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let (left, right) = if column < words { ("", &*padding) } else { (&*padding, "") };
            out += &format!("| {left}{cell}{right} ");
        }
        out += "|\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_cannot_break_out() {
        assert_eq!(
            table(1, ["name", "x"], [["a|b\nc".to_owned(), "−1.25".to_owned()]]),
            "| name   |     x |\n\
             | ------ | ----: |\n\
             | a\\|b c | −1.25 |\n"
        );
    }
}
