//! The table: for the terminal and for the README.

use std::fmt::Write;

use super::contender::Contender;
use super::figures::{Figures, mib};
use super::window::{Kind, Measured};
use crate::bench::figures::Spread;

/// A column: its head, and a contender's cell.
type Column<'a> = (String, Box<dyn Fn(Contender) -> String + 'a>);

/// For the README: medians, the range of all rounds in brackets.
pub(super) fn markdown(figures: &Figures) -> String {
    let columns = columns(figures);
    let mut text = format!("{}\n\n| |", conditions(figures));
    for (head, _) in &columns {
        let _written = write!(text, " {head} |");
    }
    let _written = write!(text, "\n|---|{}\n", "---|".repeat(columns.len()));
    for contender in figures.contenders() {
        let _written = write!(text, "| {contender} |");
        for (_, cell) in &columns {
            let _written = write!(text, " {} |", cell(contender));
        }
        text.push('\n');
    }
    text
}

/// The same for the terminal.
pub(super) fn text(figures: &Figures) -> String {
    let mut text = format!("{}\n", conditions(figures));
    for contender in figures.contenders() {
        let _written = writeln!(text, "{contender}");
        for (head, cell) in &columns(figures) {
            let _written = writeln!(text, "    {head:<38}{}", cell(contender));
        }
    }
    text
}

fn conditions(figures: &Figures) -> String {
    let Figures { date, version, machine, rounds, seconds, connections, .. } = figures;
    let build = if figures.optimised { "" } else { " (built without optimisation: no figures to quote)" };
    format!(
        "{date}, Spillway {version}{build}, {} × {}, {}, server, broker and generator on the same processors; \
         medians of {rounds} rounds of {seconds} s windows, {connections} connections",
        machine.cpus, machine.cpu_model, machine.kernel
    )
}

fn columns(figures: &Figures) -> Vec<Column<'_>> {
    let equal = format!("at {}/s", figures.rps);
    let share = format!("at {} % of the peak", figures.share_percent);
    let cell =
        |kind, digits, figure: fn(&Measured) -> Option<f64>| -> Box<dyn Fn(Contender) -> String + '_> {
            Box::new(move |contender| spread(figures.of(contender, kind, figure), digits))
        };
    let mut columns: Vec<Column<'_>> = vec![
        (
            format!("Server CPU, µs a request {equal}"),
            cell(Kind::Equal, 1, |window| Some(window.server_cpu_us)),
        ),
        ("× (a)".to_owned(), ratio(figures, Kind::Equal)),
        (format!("Broker CPU, µs an order {equal}"), cell(Kind::Equal, 1, |window| window.broker_cpu_us)),
        ("Peak, accepted/s".to_owned(), cell(Kind::Saturated, 0, |window| Some(window.accepted_per_s))),
        (
            "Server CPU, µs at the peak".to_owned(),
            cell(Kind::Saturated, 1, |window| Some(window.server_cpu_us)),
        ),
        ("× (a) at the peak".to_owned(), ratio(figures, Kind::Saturated)),
        (format!("p50 {share}, ms"), cell(Kind::Share, 2, |window| Some(window.p50_us as f64 / 1e3))),
        (format!("p99 {share}, ms"), cell(Kind::Share, 2, |window| Some(window.p99_us as f64 / 1e3))),
        (
            "Memory at most, MiB".to_owned(),
            Box::new(|contender| {
                figures
                    .rss_most_bytes(contender)
                    .map_or_else(String::new, |bytes| format!("{:.1}", mib(bytes)))
            }),
        ),
        (
            "Generator CPU, µs a request".to_owned(),
            cell(Kind::Equal, 1, |window| Some(window.generator_cpu_us)),
        ),
    ];
    if !figures.wrk.is_empty() {
        columns.push((
            "Peak by wrk, accepted/s".to_owned(),
            Box::new(|contender| {
                figures.wrk_rps(contender).map_or_else(String::new, |rps| format!("{rps:.0}"))
            }),
        ));
    }
    let not_accepted = |window: &Measured| window.shed + window.refused + window.unknown;
    if figures.windows.iter().any(|window| not_accepted(window) > 0) {
        columns.push((
            "Not accepted (429 and 503 / other / no answer)".to_owned(),
            Box::new(move |contender| {
                let of = |count: fn(&Measured) -> u64| -> u64 {
                    let windows = figures.windows.iter();
                    windows.filter(|window| window.contender == contender).map(count).sum()
                };
                format!("{} / {} / {}", of(|w| w.shed), of(|w| w.refused), of(|w| w.unknown))
            }),
        ));
    }
    columns
}

/// Server CPU by the bare handler's.
fn ratio(figures: &Figures, kind: Kind) -> Box<dyn Fn(Contender) -> String + '_> {
    Box::new(move |contender| {
        match (figures.cpu_us(contender, kind), figures.cpu_us(Contender::Bare, kind)) {
            (Some(cpu_us), Some(bare_us)) => format!("{:.2}", cpu_us / bare_us),
            _ => String::new(),
        }
    })
}

/// The median, and in brackets the least and the most.
fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        None => String::new(),
        Some(Spread { median, least, most }) if least == most => format!("{median:.digits$}"),
        Some(Spread { median, least, most }) => {
            format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::sample;
    use super::*;

    #[test]
    fn the_table_tells_medians_with_their_range_and_the_ratio_to_the_bare_handler() {
        let mut figures = sample();
        for cpu_us in [11.0, 10.0, 12.0] {
            figures.add(Contender::Bare, Kind::Equal, |window| window.server_cpu_us = cpu_us);
        }
        figures.add(Contender::Real, Kind::Equal, |window| {
            (window.server_cpu_us, window.broker_cpu_us) = (16.5, Some(7.0));
        });
        figures.rss_high_bytes = vec![(Contender::Real, 3 << 20), (Contender::Real, 5 << 20)];
        let markdown = markdown(&figures);
        let rows: Vec<Vec<&str>> = markdown
            .lines()
            .filter(|line| line.starts_with("| ("))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.len(), 2, "{markdown}");
        assert_eq!(rows[0][1..4], [Contender::Bare.name(), "11.0 (10.0–12.0)", "1.00"]);
        assert_eq!(rows[1][1..5], [Contender::Real.name(), "16.5", "1.50", "7.0"]);
        assert_eq!(rows[1][10], "5.0", "the most of all rounds");
        let heads = markdown.lines().filter(|line| line.starts_with("| |") || line.starts_with("|---"));
        let columns: Vec<_> = heads.map(|line| line.matches('|').count()).collect();
        assert_eq!(columns, [rows[0].len() - 1; 2], "{markdown}");
    }

    #[test]
    fn what_was_not_accepted_is_told_apart_if_there_was_any() {
        let mut figures = sample();
        figures.add(Contender::Embedded, Kind::Share, |window| window.p50_us = 1);
        assert!(!text(&figures).contains("Not accepted"));
        for count in [3, 4] {
            figures.add(Contender::Embedded, Kind::Saturated, |window| {
                (window.shed, window.refused, window.unknown) = (count, 0, 1);
            });
        }
        assert!(text(&figures).contains("7 / 0 / 2"), "{}", text(&figures));
    }
}
