//! The cost of an order on the real stack: CPU by part, and messages, receives and transactions by the worker's counters.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Context;
use shared::telemetry::metric_samples;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::sampler::ProcessSampler;
use crate::environment::SystemUnderTest;
use crate::report::{ProcessUse, TestedStack};
use crate::target::{Target, TargetConnection};

/// Time over which the idle parts are measured.
const IDLE: Duration = Duration::from_secs(5);

const SCRAPE_MAX: Duration = Duration::from_secs(5);

/// The worker's counters and their names. Each message is acked once, in calls of up to 64.
const COUNTERS: [(&str, &str); 3] = [
    ("messages, and acks", "drain_messages_received_total"),
    ("receives with messages", "drain_receives_total"),
    ("transactions", "drain_commit_duration_seconds_count"),
];

/// The state before the load.
#[derive(Debug)]
pub(super) struct IdleSystem {
    /// CPU by process, in cores.
    cpus: BTreeMap<String, f64>,
    counters: [f64; 3],
}

/// Prints the costs of an order.
#[derive(Debug)]
pub(super) struct OrderCost {
    orders: f64,
    /// Process, its CPU an order and that without what it uses idle, µs.
    cpu_us: Vec<(String, f64, f64)>,
    counts: Vec<(&'static str, f64)>,
}

impl IdleSystem {
    /// Measures a real stack that was launched for this run; `None` for any other.
    pub(super) async fn measure(system: &SystemUnderTest) -> anyhow::Result<Option<Self>> {
        if system.launched.is_none() || !matches!(system.stack, TestedStack::Real | TestedStack::RealProxy) {
            return Ok(None);
        }
        let processes = system.processes().await;
        let mut sampler = ProcessSampler::default();
        sampler.look(0, &processes);
        sleep(IDLE).await;
        sampler.look(IDLE.as_millis() as u64, &processes);
        let cpus =
            sampler.finish().into_iter().map(|used| (used.name, used.cpu_s / IDLE.as_secs_f64())).collect();
        Ok(Some(Self { cpus, counters: counters(system).await? }))
    }

    /// The cost of `orders` since the measurement, by the processes' use.
    pub(super) async fn cost(
        self,
        system: &SystemUnderTest,
        processes: &[ProcessUse],
        orders: u64,
    ) -> anyhow::Result<OrderCost> {
        let orders = orders.max(1) as f64;
        let now = counters(system).await?;
        let cpu_us = |used: &ProcessUse| {
            let seconds = used.samples.last().map_or(0, |sample| sample.at_ms) as f64 / 1_000.0;
            let idle_s = self.cpus.get(&used.name).copied().unwrap_or(0.0) * seconds;
            (used.name.clone(), used.cpu_s * 1e6 / orders, (used.cpu_s - idle_s) * 1e6 / orders)
        };
        let counts = COUNTERS.iter().zip(now.iter().zip(&self.counters));
        Ok(OrderCost {
            orders,
            cpu_us: processes.iter().map(cpu_us).collect(),
            counts: counts.map(|((name, _), (now, before))| (*name, (now - before) / orders)).collect(),
        })
    }
}

async fn counters(system: &SystemUnderTest) -> anyhow::Result<[f64; 3]> {
    let (_, services) = system.launched.as_ref().context("a launched system")?;
    let target = Target::plain(services.admin, "spillway");
    let scrape = spawn_blocking(move || {
        let connection = TargetConnection::open(&target, SCRAPE_MAX)?;
        connection.exchange(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
    });
    let (status, body, _) = scrape.await.context("the scrape")??;
    anyhow::ensure!(status == 200, "the worker's metrics: {status}");
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(COUNTERS.map(|(_, name)| value(&text, name)))
}

/// The sum of a metric's series; 0 while there is none.
fn value(text: &str, name: &str) -> f64 {
    metric_samples(text, &[name]).map(|sample| sample.value).sum()
}

impl fmt::Display for OrderCost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "An order's cost, over {} orders", self.orders)?;
        for (name, all, without_idle) in &self.cpu_us {
            writeln!(
                formatter,
                "  {name:<24}{all:>8.0} µs of CPU, {without_idle:.0} µs without its idle CPU"
            )?;
        }
        for (name, count) in &self.counts {
            writeln!(formatter, "  {name:<24}{count:>8.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_metric_are_added() {
        let text =
            "# TYPE a_total counter\na_total 3\na_total_more 9\nb_count{x=\"1\"} 2\nb_count{x=\"2\"} 0.5\n";
        for (name, sum) in [("a_total", 3.0), ("b_count", 2.5), ("absent", 0.0)] {
            assert!((value(text, name) - sum).abs() < 1e-9, "{name}");
        }
    }
}
