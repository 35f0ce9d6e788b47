//! The cost of a simulated sale.

use super::outcome::SimulatedCost;
use super::setup::SimulationSetup;
use crate::plan::cost::{BilledUsage, PriceCurrency, Prices};
use fc_model::PerPhase;

/// Computes the bill. A start counts as active time and throttled calls are free; neither is documented.
pub(super) fn bill(
    setup: &SimulationSetup,
    prices: &Prices,
    usage: &fc_model::InstanceUsage,
    answered: u64,
) -> SimulatedCost {
    let seconds = |nanos: u128| nanos as f64 / 1e9;
    let of = |busy_s: f64, idle_s: f64| {
        prices.cu(&BilledUsage::of_instances(setup.vcpu, setup.memory_mb, busy_s, idle_s))
    };
    let PerPhase { starting, active, idle, frozen } = usage.provisioned;
    let always = if setup.rules.provisioned_always_cpu {
        prices.cu.provisioned_idle_is_active.value
    } else {
        prices.cu.provisioned_idle_without_cpu.value
    };
    let (busy_s, idle_s) = (seconds(starting + active), seconds(idle + frozen));
    let provisioned_cu = of(busy_s + idle_s * always, idle_s * (1.0 - always));
    // Provisioned instances are billed in whole steps: the rest of the last one is billed as idle.
    let rest_s: f64 = setup
        .rules_with_prewarm()
        .provisioned
        .iter()
        .map(|window| {
            let length_s = (window.until - window.from).as_secs_f64();
            f64::from(window.target) * (prices.provisioned_s(length_s) - length_s)
        })
        .sum();
    let provisioned_cu = provisioned_cu + of(rest_s * always, rest_s * (1.0 - always));
    let PerPhase { starting, active, idle, frozen } = usage.on_demand;
    let on_demand_cu = of(seconds(starting + active), seconds(idle + frozen));
    let invocations_cu = prices.cu(&BilledUsage::of_calls(answered as f64));
    let cu = invocations_cu + provisioned_cu + on_demand_cu;
    SimulatedCost {
        invocations_cu,
        provisioned_cu,
        on_demand_cu,
        cu,
        usd: prices.money(cu, PriceCurrency::Usd),
        cny: prices.money(cu, PriceCurrency::Cny),
    }
}
