//! Outcomes as text.

use std::fmt::{self, Write};

use super::outcome::{SimulationOutcome, TimelineSample};
use super::sweep::{Sweep, SweepParameter, SweepRow};
use crate::plan::cost::PriceCurrency;
use crate::plan::formula::number;
use crate::plan::plot::{Plot, PlotMark};
use crate::report::Quantiles;

const PLOT: Plot = Plot { columns: 64, rows: 9, log_x: false, log_y: false };

pub fn outcome(outcome: &SimulationOutcome, currency: PriceCurrency) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _infallible = write_outcome(&mut text, outcome, currency);
    text
}

pub fn sweep(sweep: &Sweep, currency: PriceCurrency) -> String {
    let mut text = String::new();
    let _infallible = write_sweep(&mut text, sweep, currency);
    text
}

fn money(currency: PriceCurrency, usd: f64, cny: f64) -> String {
    let value = match currency {
        PriceCurrency::Usd => usd,
        PriceCurrency::Cny => cny,
    };
    format!("{} {}", currency.code(), number(value))
}

fn ms(us: u64) -> String {
    number(us as f64 / 1_000.0)
}

fn write_outcome(out: &mut String, outcome: &SimulationOutcome, currency: PriceCurrency) -> fmt::Result {
    let (echo, counts, cost) = (&outcome.setup, &outcome.counts, &outcome.cost);
    let whole = |value: u64| number(value as f64);
    let mut line = |name: &str, value: String, note: String| writeln!(out, "  {name:<38}{value:>14}  {note}");
    line("requests", whole(outcome.planned), echo.phases.join(" "))?;
    line("  answered", whole(outcome.answered), String::new())?;
    line("  throttled (429): instances", whole(counts.throttled_instances), String::new())?;
    line("  throttled (429): delivery", whole(counts.throttled_delivery), String::new())?;
    line("  throttled (429): compute", whole(counts.throttled_compute), String::new())?;
    line("  to a ready instance", whole(counts.assigned), String::new())?;
    line("  to a frozen instance", whole(counts.thawed), String::new())?;
    line("  to a starting instance", whole(counts.waited), String::new())?;
    line("instances started by requests", whole(counts.started), "cold starts".to_owned())?;
    line("instances started for provisioning", whole(counts.started_provisioned), String::new())?;
    line(
        "maximum instances",
        whole(outcome.instances_max.into()),
        format!("{} with a request", whole(outcome.active_max.into())),
    )?;
    line(
        "CPU utilisation of active instances",
        format!("{} %", number((outcome.cpu.utilisation * 100.0).round())),
        format!("{} of {} vCPU-seconds", number(outcome.cpu.used_s), number(outcome.cpu.given_s)),
    )?;
    line(
        "cost",
        money(currency, cost.usd, cost.cny),
        format!(
            "{} CU: calls {}, provisioned {}, on demand {}",
            number(cost.cu),
            number(cost.invocations_cu),
            number(cost.provisioned_cu),
            number(cost.on_demand_cu)
        ),
    )?;
    writeln!(
        out,
        "\n  {:<24}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "latency, ms", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for (name, of) in [("all", &outcome.latency), ("first seconds of the jump", &outcome.latency_of_jump)] {
        let Quantiles { count, p50_us, p90_us, p99_us, p999_us, max_us, .. } = of;
        write!(out, "  {name:<26}{:>10}", whole(*count))?;
        for us in [p50_us, p90_us, p99_us, p999_us, max_us] {
            write!(out, "{:>10}", ms(*us))?;
        }
        writeln!(out)?;
    }
    writeln!(out)?;
    // A column without an interval of its own would be a gap.
    let plot = Plot { columns: PLOT.columns.min(outcome.timeline.len()), ..PLOT };
    let at = |moment: &TimelineSample| moment.at_ms as f64 / 1_000.0;
    let marks = |letter: char, of: fn(&TimelineSample) -> u32| {
        outcome.timeline.iter().map(move |moment| PlotMark { x: at(moment), y: of(moment).into(), letter })
    };
    let instances: Vec<_> =
        marks('.', |moment| moment.instances).chain(marks('*', |moment| moment.active)).collect();
    out.push_str(&plot.draw(&instances, "s", "instances (* with a request, . all)"));
    let answered = || outcome.timeline.iter().filter(|moment| moment.answered > 0);
    let latency: Vec<_> = answered()
        .map(|moment| PlotMark { x: at(moment), y: (moment.p99_us.max(1)) as f64 / 1_000.0, letter: '*' })
        .collect();
    writeln!(out)?;
    out.push_str(&Plot { log_y: true, ..plot }.draw(&latency, "s", "p99 of requests by arrival, ms"));
    Ok(())
}

fn write_sweep(out: &mut String, sweep: &Sweep, currency: PriceCurrency) -> fmt::Result {
    let heads = [
        "prewarm", "lead s", "at once", "vCPU", "MB", "p99 ms", "jump p99", "429", "cold", "most", "CPU %",
        "cost",
    ];
    let widths = [8, 7, 8, 6, 7, 9, 9, 10, 7, 7, 6, 12];
    let print = |out: &mut String, cells: &[String]| {
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "{cell:>width$}")?;
        }
        Ok(())
    };
    print(out, &heads.map(str::to_owned))?;
    writeln!(out)?;
    for (place, row) in sweep.rows.iter().enumerate() {
        print(
            out,
            &[
                number(row.prewarm.into()),
                number(row.lead_s),
                number(row.concurrency.into()),
                number(row.vcpu),
                number(row.memory_mb),
                ms(row.p99_us),
                ms(row.p99_of_jump_us),
                number(row.throttled as f64),
                number(row.cold_starts as f64),
                number(row.instances_max.into()),
                number((row.utilisation * 100.0).round()),
                money(currency, row.usd, row.cny),
            ],
        )?;
        let mark = match (sweep.best == Some(place), row.keeps_goal, row.refined) {
            (true, _, _) => "  <- cheapest",
            (_, true, true) => "  ok, narrowed down",
            (_, true, false) => "  ok",
            (_, false, true) => "  narrowed down",
            (_, false, false) => "",
        };
        writeln!(out, "{mark}")?;
    }
    let goal = format!(
        "p99 of at most {} ms, in the jump and in all, with at most {} % throttled, under each of {} seeds",
        number(sweep.goal.p99_ms),
        number(sweep.goal.throttled_max * 100.0),
        sweep.goal.seeds
    );
    match sweep.best.and_then(|place| sweep.rows.get(place)) {
        Some(SweepRow { prewarm, lead_s, concurrency, vcpu, memory_mb, usd, cny, .. }) => writeln!(
            out,
            "\nCheapest setting with a {goal}:\n{} instances pre-warmed {} s before the jump, {} requests at once, {} vCPU, {} MB: {}",
            number((*prewarm).into()),
            number(*lead_s),
            concurrency,
            number(*vcpu),
            number(*memory_mb),
            money(currency, *usd, *cny)
        ),
        None => writeln!(out, "\nNo setting meets a {goal}."),
    }?;
    if sweep.dials.contains(&SweepParameter::Lead) {
        writeln!(
            out,
            "The platform's delay before it starts provisioned instances is not documented; the simulation assumes none. \
             Use a lead of 5 to 10 minutes [likely]."
        )?;
    }
    Ok(())
}
