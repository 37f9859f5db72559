//! Text for people: columns as wide as their widest cell, numbers of things.

use crate::pipeline::Snapshot;
use crate::record::ReasonKind;

/// Rows of the same number of cells; the first is the head.
pub(super) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Columns::of(head.map(str::to_owned).to_vec())
    }

    pub fn of(head: Vec<String>) -> Self {
        Columns { rows: vec![head.into_iter().map(|cell| cell.to_uppercase()).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// A line for each row, without blanks at its end. Columns in which every cell is empty are left out.
    pub fn show(&self) -> String {
        self.show_within(usize::MAX)
    }

    /// The same, cut to so many characters.
    pub fn show_within(&self, characters_max: usize) -> String {
        let width = |column: usize, skip: usize| {
            self.rows.iter().skip(skip).filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| if width(column, 1) == Some(0) { 0 } else { width(column, 0).unwrap_or(0) })
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            out.push_str(cut(line.trim_end(), characters_max).trim_end());
            out.push('\n');
        }
        out
    }
}

/// The first characters of a line; the last of them says that it goes on.
fn cut(line: &str, characters_max: usize) -> String {
    match line.char_indices().nth(characters_max) {
        None => line.to_owned(),
        Some(_) => line.chars().take(characters_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// `1 record`, `2 records`.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// How many there are of each reason.
pub(super) fn dead_letters(snapshot: &Snapshot) -> String {
    let counts = ReasonKind::ALL.iter().zip(snapshot.counts.tally.dead_letters);
    let told: Vec<String> =
        counts.filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{kind} {}", grouped(count))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn cells_are_aligned_and_empty_columns_left_out() {
        let mut columns = Columns::new(["field", "there", "from"]);
        columns.row(vec!["a".into(), String::new(), "the record".into()]);
        columns.row(vec!["größer".into(), String::new(), "x".into()]);
        expect![[r#"
            FIELD   FROM
            a       the record
            größer  x
        "#]]
        .assert_eq(&columns.show());
        expect![[r#"
            FIELD  …
            a      …
            größer …
        "#]]
        .assert_eq(&columns.show_within(8));
    }
}
