//! The tables for the terminal.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::contender::Contender;
use super::figures::Figures;
use super::window::Measured;
use crate::bench::figures::median;

/// Medians with the range of all rounds in brackets, and each by the better INSERT.
pub(super) fn text(figures: &Figures) -> String {
    let Figures { date, version, machine, server, rounds, connections, batch_orders, skus, .. } = figures;
    let build = if figures.optimised { "" } else { " (built without optimisation: no figures to quote)" };
    let mut text = format!(
        "{date}, Spillway {version}{build}, {server}, {} × {}, {}, client and server on the same processors; \
         medians of {rounds} rounds, {connections} connections, batches of {batch_orders}, {skus} SKUs\n\n",
        machine.cpus, machine.cpu_model, machine.kernel
    );
    let _to_memory =
        writeln!(text, "{:<32}{:>26}{:>10}{:>12}{:>12}", "", "orders/s", "× (a)", "p50 ms", "p99 ms");
    for contender in Contender::ALL {
        let Some(rate) = figures.of(contender, |window| window.orders_per_s) else { continue };
        let ms = |figure: fn(&Measured) -> u64| {
            figures.of(contender, |window| figure(window) as f64 / 1e3).map_or(0.0, |spread| spread.median)
        };
        let _to_memory = writeln!(
            text,
            "{contender:<32}{:>26}{:>10.2}{:>12.1}{:>12.1}",
            format!("{:.0} ({:.0}–{:.0})", rate.median, rate.least, rate.most),
            figures.of_raw(contender).unwrap_or_default(),
            ms(|window| window.p50_us),
            ms(|window| window.p99_us),
        );
    }
    if let Some(lone) = figures.lone {
        let _to_memory = writeln!(
            text,
            "\nOne order at a time, {} of them: p50 {:.1} ms, p99 {:.1} ms",
            lone.orders, lone.p50_ms, lone.p99_ms
        );
    }
    text
}

/// Batch size downwards, connections across; in each cell orders/s and the commit's p50 and p99.
pub(super) fn sweep(windows: &[Measured]) -> String {
    let connections: BTreeSet<_> = windows.iter().map(|window| window.connections).collect();
    let batches: BTreeSet<_> = windows.iter().map(|window| window.batch_orders).collect();
    let mut text = String::from("Many SKUs: orders/s, p50 / p99 of a batch in ms\n\n| Batch |");
    for count in &connections {
        let _to_memory = write!(text, " {count} connection{} |", if *count == 1 { "" } else { "s" });
    }
    let _to_memory = write!(text, "\n|---|{}\n", "---|".repeat(connections.len()));
    for batch in &batches {
        let _to_memory = write!(text, "| {batch} |");
        for count in &connections {
            let cell = |figure: fn(&Measured) -> f64| {
                let of = windows
                    .iter()
                    .filter(|window| window.connections == *count && window.batch_orders == *batch);
                median(of.map(figure))
            };
            match (
                cell(|window| window.orders_per_s),
                cell(|window| window.p50_us as f64 / 1e3),
                cell(|window| window.p99_us as f64 / 1e3),
            ) {
                (Some(rate), Some(p50), Some(p99)) => {
                    let _to_memory = write!(text, " {rate:.0}, {p50:.1} / {p99:.1} |");
                }
                _ => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    text
}
