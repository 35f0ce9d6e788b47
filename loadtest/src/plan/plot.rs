//! Curves as text.

use super::formula::number;

#[derive(Clone, Copy, Debug)]
pub struct Plot {
    pub columns: usize,
    pub rows: usize,
    /// True for a logarithmic horizontal axis, whose values must be above 0.
    pub log_x: bool,
    pub log_y: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlotMark {
    pub x: f64,
    pub y: f64,
    /// Where several marks share a cell, the last one is visible.
    pub letter: char,
}

impl Plot {
    /// Draws `marks` under `y_label`, over `x_label`. Returns nothing without marks.
    pub fn draw(&self, marks: &[PlotMark], x_label: &str, y_label: &str) -> String {
        let range = |value: fn(&PlotMark) -> f64| {
            let values = || marks.iter().map(value);
            Some((values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?))
        };
        let (Some(xs), Some(ys)) = (range(|mark| mark.x), range(|mark| mark.y)) else { return String::new() };
        let mut field = vec![vec![' '; self.columns]; self.rows];
        for mark in marks {
            let column = place(mark.x, xs, self.log_x, self.columns);
            let row = self.rows - 1 - place(mark.y, ys, self.log_y, self.rows);
            field[row][column] = mark.letter;
        }
        let label = |row: usize| {
            let share = (self.rows - 1 - row) as f64 / (self.rows - 1).max(1) as f64;
            if row.is_multiple_of(4) || row == self.rows - 1 {
                number(at(share, ys, self.log_y))
            } else {
                String::new()
            }
        };
        let labels: Vec<_> = (0..self.rows).map(label).collect();
        let margin = labels.iter().map(String::len).max().unwrap_or(0);
        let mut text = format!("  {y_label}\n");
        for (row, label) in field.iter().zip(&labels) {
            let row: String = row.iter().collect();
            text.push_str(format!("  {label:>margin$} │{row}").trim_end());
            text.push('\n');
        }
        let (first, last) = (number(xs.0), number(xs.1));
        let middle = number(at(0.5, xs, self.log_x));
        let gap = self.columns.saturating_sub(first.len() + middle.len() + last.len());
        let (left, right) = (gap / 2, gap - gap / 2);
        text.push_str(&format!("  {:margin$} └{}\n", "", "─".repeat(self.columns)));
        text.push_str(&format!(
            "  {:margin$}  {first}{}{middle}{}{last} {x_label}\n",
            "",
            " ".repeat(left),
            " ".repeat(right)
        ));
        text
    }
}

/// The cell of a value, of `cells`.
fn place(value: f64, (low, high): (f64, f64), log: bool, cells: usize) -> usize {
    let of = |value: f64| if log { value.ln() } else { value };
    let width = of(high) - of(low);
    if width <= 0.0 || !width.is_finite() {
        return 0;
    }
    let share = (of(value) - of(low)) / width;
    (share * (cells - 1) as f64).round() as usize
}

/// The value at `share` of a range.
fn at(share: f64, (low, high): (f64, f64), log: bool) -> f64 {
    if log { low * (high / low).powf(share) } else { low + (high - low) * share }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Plot = Plot { columns: 21, rows: 5, log_x: false, log_y: false };

    fn line(y: impl Fn(f64) -> f64) -> Vec<PlotMark> {
        (1..=21).map(|x| PlotMark { x: f64::from(x), y: y(f64::from(x)), letter: '*' }).collect()
    }

    #[test]
    fn a_rising_line_rises_from_left_to_right() {
        let text = PLOT.draw(&line(|x| 2.0 * x), "s", "orders");
        let rows: Vec<_> = text.lines().skip(1).take(5).filter_map(|row| row.split('│').nth(1)).collect();
        let columns: Vec<_> = rows.iter().map(|row| row.find('*')).collect();
        assert!(columns.windows(2).all(|pair| pair[0] > pair[1]), "{text}");
        assert!(text.contains("42 │") && text.contains("2 │"), "{text}");
        assert!(text.starts_with("  orders\n") && text.trim_end().ends_with(" s"), "{text}");
    }

    #[test]
    fn a_logarithmic_axis_makes_a_power_straight() {
        let plot = Plot { log_x: true, log_y: true, ..PLOT };
        let marks: Vec<_> = (0..5)
            .map(|power| PlotMark { x: 10_f64.powi(power), y: 10_f64.powi(2 * power), letter: '*' })
            .collect();
        let text = plot.draw(&marks, "", "");
        let columns: Vec<_> =
            text.lines().skip(1).take(5).filter_map(|row| row.split('│').nth(1)?.find('*')).collect();
        assert_eq!(columns, [20, 15, 10, 5, 0], "{text}");
    }

    #[test]
    fn one_value_or_none_can_be_drawn() {
        assert!(PLOT.draw(&line(|_| 7.0)[..1], "s", "").contains('*'));
        assert_eq!(PLOT.draw(&[], "s", ""), "");
    }
}
