//! The plan as text and Markdown.

use std::fmt::Write;

use super::args::PlanFormat;
use super::cost::{PriceCurrency, Prices};
use super::formula::{PlanFigure, number};
use super::plot::{Plot, PlotMark};
use super::report::SalePlan;
use super::sizing::{BindingLimit, SizingPoint};

/// Maximum columns of a line.
const COLUMNS: usize = 110;

/// Columns of a figure's label and number together.
const FIGURE: usize = 52;

pub fn render(plan: &SalePlan, prices: &Prices, currency: PriceCurrency, format: PlanFormat) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = match format {
        PlanFormat::Text => as_text(&mut text, plan, prices, currency),
        PlanFormat::Markdown => as_markdown(&mut text, plan, prices, currency),
    };
    text
}

fn as_text(out: &mut String, plan: &SalePlan, prices: &Prices, currency: PriceCurrency) -> std::fmt::Result {
    for section in &plan.sections {
        writeln!(out, "{}", section.title)?;
        for figure in &section.figures {
            let width = FIGURE.saturating_sub(figure.label.chars().count() + 2).max(figure.shown.len() + 2);
            let head = format!("  {}{:>width$}  ", figure.label, figure.shown);
            wrapped(out, &head, &format!("{} [{}]", figure.formula, figure.sources.join(" ")))?;
        }
        for note in &section.notes {
            wrapped(out, "  ", note)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "The size of an instance")?;
    writeln!(out, "{}", curve(plan, prices, currency))?;
    table(out, plan, prices, currency, "  ", "")?;
    writeln!(out, "\nSources")?;
    for source in &plan.sources {
        wrapped(
            out,
            &format!("  {:<4}{:<9} ", source.id, source.basis.certainty.word()),
            &source.basis.source,
        )?;
    }
    wrapped(out, "  measured: ", &plan.measured)?;
    writeln!(out, "  A figure's certainty is that of its least certain source.")?;
    writeln!(out, "\nSimulate it\n  {}", plan.simulate_command)
}

fn as_markdown(
    out: &mut String,
    plan: &SalePlan,
    prices: &Prices,
    currency: PriceCurrency,
) -> std::fmt::Result {
    for section in &plan.sections {
        writeln!(
            out,
            "## {}\n\n| | | Formula | Certainty | Sources |\n|---|--:|---|---|---|",
            section.title
        )?;
        for PlanFigure { label, shown, formula, certainty, sources, .. } in &section.figures {
            let formula = formula.replace('|', "\\|");
            writeln!(
                out,
                "| {label} | {shown} | {formula} | {} | {} |",
                certainty.word(),
                sources.join(" ")
            )?;
        }
        writeln!(out)?;
        for note in &section.notes {
            writeln!(out, "- {note}")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "## The size of an instance\n\n```text\n{}```\n", curve(plan, prices, currency))?;
    table(out, plan, prices, currency, "| ", " |")?;
    writeln!(out, "\n## Sources\n\n| | Certainty | Source |\n|---|---|---|")?;
    for source in &plan.sources {
        writeln!(out, "| {} | {} | {} |", source.id, source.basis.certainty.word(), source.basis.source)?;
    }
    writeln!(out, "\nMeasured: {}\n\nSimulate it: `{}`", plan.measured, plan.simulate_command)
}

/// Writes `text` after `head`, with its further lines indented below the first one.
fn wrapped(out: &mut String, head: &str, text: &str) -> std::fmt::Result {
    let margin = head.chars().count();
    let mut column = margin;
    out.push_str(head);
    for (index, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            write!(out, "\n{:margin$}", "")?;
            column = margin;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    writeln!(out)
}

fn curve(plan: &SalePlan, prices: &Prices, currency: PriceCurrency) -> String {
    let mark = |point: &SizingPoint, letter: char| PlotMark {
        x: point.vcpu,
        y: prices.money(point.cu_per_million, currency),
        letter,
    };
    let mut marks: Vec<_> =
        plan.curve.iter().map(|point| mark(point, if point.keeps_p99 { '*' } else { '.' })).collect();
    marks.extend(plan.sweet_spot.iter().map(|point| mark(point, '#')));
    let plot = Plot { columns: 64, rows: 13, log_x: true, log_y: true };
    let label = format!(
        "{} per million orders at the peak (* meets the p99 goal, . does not, # the sweet spot)",
        currency.code()
    );
    plot.draw(&marks, "vCPU", &label)
}

fn table(
    out: &mut String,
    plan: &SalePlan,
    prices: &Prices,
    currency: PriceCurrency,
    begin: &str,
    end: &str,
) -> std::fmt::Result {
    let shown = [0.05, 0.1, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 16.0];
    let between = if end.is_empty() { "  " } else { " | " };
    let heads = [
        "vCPU",
        "MB",
        "at once",
        "instances",
        "binds",
        "CPU %",
        "mean ms",
        "p99 ms",
        "a message",
        currency.code(),
    ];
    let row = |cells: [String; 10]| {
        let cells: Vec<_> = cells
            .iter()
            .zip(heads)
            .map(|(cell, head)| format!("{cell:>width$}", width = head.len().max(7)))
            .collect();
        format!("{begin}{}{end}", cells.join(between))
    };
    writeln!(out, "{}", row(heads.map(str::to_owned)))?;
    if !end.is_empty() {
        writeln!(out, "|{}", "--:|".repeat(heads.len()))?;
    }
    let sweet = plan.sweet_spot.map(|point| point.vcpu);
    for point in &plan.curve {
        let here = |vcpu: f64| (vcpu - point.vcpu).abs() < 1e-9;
        if !shown.into_iter().chain(sweet).chain([plan.chosen.vcpu]).any(here) {
            continue;
        }
        let binds = match point.bound {
            BindingLimit::Cpu => "CPU",
            BindingLimit::Concurrency => "at once",
        };
        let mark = if sweet.is_some_and(here) { "  # sweet spot" } else { "" };
        let cells = [
            number(point.vcpu),
            number(point.memory_mb),
            number(point.concurrency),
            number(point.instances),
            binds.to_owned(),
            number((point.utilisation * 100.0).round()),
            number(point.latency_mean_ms),
            number(point.latency_p99_ms),
            number(point.orders_per_message),
            number(prices.money(point.cu_per_million, currency)),
        ];
        writeln!(out, "{}{mark}", row(cells))?;
    }
    Ok(())
}
