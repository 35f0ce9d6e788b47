use serde::Serialize;

use super::facts::PlanFacts;
use super::formula::{FigureSource, PlanFigure, PlanSection, ReportBuilder};
use super::sections::Sections;
use super::sizing::{self, SizingPoint};
use super::target::PlanTarget;

pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SalePlan {
    /// [`FORMAT`].
    pub format: u32,
    /// Year and month of the price table.
    pub prices_as_of: String,
    pub measured: String,
    pub sections: Vec<PlanSection>,
    pub sources: Vec<FigureSource>,
    /// The planned instance size.
    pub chosen: SizingPoint,
    pub curve: Vec<SizingPoint>,
    /// The recommended size, if one meets the latency goal.
    pub sweet_spot: Option<SizingPoint>,
    /// The command that simulates the plan.
    pub simulate_command: String,
}

impl SalePlan {
    pub fn new(target: &PlanTarget, facts: &PlanFacts) -> Self {
        let load = target.load();
        let limits = &facts.specs.instance;
        let coalescing = &facts.measured.coalescing;
        let needed_mb = facts.measured.ingest.rss_mb.value;
        let curve = sizing::curve(&load, limits, coalescing, &facts.prices, needed_mb);
        let sweet_spot = sizing::sweet_spot(&curve).copied();
        let chosen = match &target.vcpu {
            Some(vcpu) => {
                let asked = target.memory_mb.as_ref().map(|fact| fact.value);
                // The target was validated: the size exists.
                let memory_mb = sizing::size(limits, vcpu.value, asked, needed_mb).unwrap_or_default();
                load.at(vcpu.value, memory_mb, coalescing, &facts.prices)
            }
            // If no size meets the goal, the closest one.
            None => sweet_spot.unwrap_or_else(|| {
                let nearest =
                    curve.iter().min_by(|one, other| one.latency_p99_ms.total_cmp(&other.latency_p99_ms));
                *nearest.unwrap_or(&curve[0])
            }),
        };
        let ReportBuilder { sections, sources } = Sections::build(target, facts, &chosen);
        let measured = &facts.measured;
        Self {
            format: FORMAT,
            prices_as_of: facts.prices.as_of.clone(),
            measured: format!("{}: {} ({})", measured.date, measured.command, measured.machine),
            sections,
            sources,
            chosen,
            curve,
            sweet_spot,
            simulate_command: simulate_command(target, &chosen),
        }
    }

    pub fn figure(&self, name: &str) -> Option<&PlanFigure> {
        self.sections.iter().flat_map(|section| &section.figures).find(|figure| figure.name == name)
    }
}

fn simulate_command(target: &PlanTarget, chosen: &SizingPoint) -> String {
    let sale_s = target.sale_s.value.min(60.0);
    format!(
        "loadtest simulate --phase constant:100:2s --phase constant:{}:{sale_s}s --poisson --vcpu {} --memory-mb {} \
         --concurrency {} --us-per-order {} --publish-ms {} --quota {} --prewarm {}",
        target.peak_rps.value,
        chosen.vcpu,
        chosen.memory_mb,
        chosen.concurrency,
        target.us_per_order.value,
        target.publish_ms.value,
        target.quota.name,
        chosen.instances
    )
}
