//! What it costs.

use super::super::cost::Usage;
use super::super::facts::{Basis, Fact, Facts};
use super::super::figures::{Book, amount, number};
use super::super::sizing::Point;
use super::super::target::Target;

/// Function Compute's part of the bill; for the rest no price is known here.
pub(in super::super) fn price(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point) {
    let (prices, currency) = (&facts.prices, target.currency);
    let cu = &prices.cu;
    let tiers = prices.of(currency).basis();
    let size =
        [&target.peak_rps, &target.publish_ms, &target.us_per_order, &target.headroom].map(Fact::basis);
    let money = |cu: f64| {
        (
            Some(prices.money(cu, currency)),
            format!("{} {}", currency.code(), number(prices.money(cu, currency))),
        )
    };
    book.section("Price (Function Compute)");

    let calls = prices.cu(&Usage::of_calls(target.orders.value));
    let [calls_b, orders_b] = [&cu.invocations_10000, &target.orders].map(Fact::basis);
    book.figure(
        ("cu_invocations", "calls"),
        amount(calls, "CU"),
        format!("{} / 10,000 × {}", number(target.orders.value), number(cu.invocations_10000.value)),
        &[&calls_b, &orders_b],
    );
    book.figure(
        ("price_invocations", "calls alone"),
        money(calls),
        String::new(),
        &[&calls_b, &orders_b, &tiers],
    );

    let held_s = prices.provisioned_s(target.lead_s.value + target.sale_s.value);
    let held = |active: f64| {
        let of = Usage::of_instances;
        let sale_s = target.sale_s.value;
        let idle_s = held_s - sale_s;
        let usage = of(chosen.vcpu, chosen.memory_mb, sale_s + idle_s * active, idle_s * (1.0 - active));
        prices.cu(&usage) * chosen.instances
    };
    let always = held(cu.provisioned_idle_is_active.value);
    let held_bases = |rule: &Fact| -> Vec<Basis> {
        let facts = [
            rule,
            &cu.vcpu_active_s,
            &cu.memory_gb_s,
            &cu.provisioned_step_s,
            &target.lead_s,
            &target.sale_s,
        ];
        facts.into_iter().map(Fact::basis).chain(size.iter().cloned()).collect()
    };
    let per_second = prices.cu(&Usage::of_instances(chosen.vcpu, chosen.memory_mb, 1.0, 0.0));
    let always_bases = held_bases(&cu.provisioned_idle_is_active);
    book.figure(
        ("cu_provisioned", "warmed instances"),
        amount(always, "CU"),
        format!(
            "{} × {} s (lead and sale, in steps of {} s) × {} CU/s",
            number(chosen.instances),
            number(held_s),
            number(cu.provisioned_step_s.value),
            number(per_second)
        ),
        &always_bases.iter().collect::<Vec<_>>(),
    );
    let total = calls + always;
    let total_bases: Vec<_> = [calls_b, orders_b, tiers.clone()].into_iter().chain(always_bases).collect();
    book.figure(
        ("cu", "together"),
        amount(total, "CU"),
        String::new(),
        &total_bases.iter().collect::<Vec<_>>(),
    );
    book.figure(
        ("price", "the sale"),
        money(total),
        "from the first tier on; list price".to_owned(),
        &total_bases.iter().collect::<Vec<_>>(),
    );
    let cheap = calls + held(cu.provisioned_idle_without_cpu.value);
    let cheap_bases: Vec<_> =
        held_bases(&cu.provisioned_idle_without_cpu).into_iter().chain([tiers.clone()]).collect();
    book.figure(
        ("price_without_idle_cpu", "the same, no CPU while idle"),
        money(cheap),
        "always_allocate_cpu = false: lead time at memory alone; instances freeze until the sale".to_owned(),
        &cheap_bases.iter().collect::<Vec<_>>(),
    );
    let on_demand =
        Usage::of_instances(chosen.vcpu, chosen.memory_mb, target.sale_s.value, cu.linger_s.value);
    let on_demand = calls + prices.cu(&on_demand) * chosen.instances;
    let on_demand_bases: Vec<_> = [&cu.linger_s, &cu.vcpu_active_s, &cu.memory_gb_s]
        .into_iter()
        .map(Fact::basis)
        .chain(size.iter().cloned())
        .chain([tiers.clone()])
        .collect();
    book.figure(
        ("price_on_demand", "the same, none warmed"),
        money(on_demand),
        "sale and a minute idle: what warming adds is the difference; see what it avoids above".to_owned(),
        &on_demand_bases.iter().collect::<Vec<_>>(),
    );
    let point_bases: Vec<_> = [cu.vcpu_active_s.basis(), cu.memory_gb_s.basis(), tiers]
        .into_iter()
        .chain(size.iter().cloned())
        .collect();
    book.figure(
        ("price_per_million", "a million orders at the peak"),
        money(chosen.cu_per_million),
        format!("{} CU: busy instances and calls", number(chosen.cu_per_million)),
        &point_bases.iter().collect::<Vec<_>>(),
    );
    let hours = (held_s / 3600.0).ceil();
    book.figure(
        ("minimum_cny", "least charge for the function"),
        amount(hours * cu.minimum_cny_per_function_hour.value, "CNY"),
        format!("{} h × {}", number(hours), number(cu.minimum_cny_per_function_hour.value)),
        &[&cu.minimum_cny_per_function_hour.basis()],
    );
    book.remark(format!("Price table of {}; discounts left out.", prices.as_of));
    for unknown in prices.not_known.values() {
        book.remark(format!("{unknown}."));
    }
}
