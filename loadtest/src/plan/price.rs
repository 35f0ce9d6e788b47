//! The plan's price section.

use fc_model::Fact;

use super::cost::BilledUsage;
use super::formula::{ReportBuilder, Term, number};
use super::sections::Sections;

impl Sections<'_> {
    /// Adds Function Compute's part of the bill; other prices are not known here.
    pub(super) fn price(&mut self) {
        let (target, facts, chosen) = (self.target, self.facts, self.chosen);
        let (prices, currency) = (&facts.prices, target.currency);
        let cu = &prices.cu;
        let tiers = prices.of(currency).basis.clone();
        self.builder.section("Price (Function Compute)");
        let money = |builder: &mut ReportBuilder, name, label: &str, used: &Term, note: &str| {
            let price = prices.money(used.value, currency);
            let bases = used.bases().iter().cloned().chain([tiers.clone()]).collect();
            let term = Term::computed(price, note.to_owned(), bases);
            builder.term(name, label, format!("{} {}", currency.code(), number(price)), &term);
        };
        let usage = |busy_s: f64, idle_s: f64| {
            prices.cu(&BilledUsage::of_instances(chosen.vcpu, chosen.memory_mb, busy_s, idle_s))
        };
        let calls = Term::fact(&target.orders) / Term::constant(10_000.0) * Term::fact(&cu.invocations_10000);
        self.builder.amount("cu_invocations", "calls", "CU", &calls);
        money(&mut self.builder, "price_invocations", "calls alone", &calls, "");
        let provisioned_s = prices.provisioned_s(target.lead_s.value + target.sale_s.value);
        let provisioned = |idle_is_active: &Fact| {
            let idle_s = provisioned_s - target.sale_s.value;
            let active = idle_is_active.value;
            let cu_each = usage(target.sale_s.value + idle_s * active, idle_s * (1.0 - active));
            let text = format!(
                "{} CU each for {} s (lead and sale, in steps of {} s)",
                number(cu_each),
                number(provisioned_s),
                number(cu.provisioned_step_s.value)
            );
            let bases = [
                idle_is_active,
                &cu.vcpu_active_s,
                &cu.memory_gb_s,
                &cu.provisioned_step_s,
                &target.lead_s,
                &target.sale_s,
            ];
            self.planned_instances() * Term::computed(cu_each, text, bases.map(Fact::basis).to_vec())
        };
        let always = provisioned(&cu.provisioned_idle_is_active);
        let without_cpu = calls.clone() + provisioned(&cu.provisioned_idle_without_cpu);
        self.builder.amount("cu_provisioned", "provisioned instances", "CU", &always);
        let total = calls.clone() + always;
        let sum =
            Term::computed(total.value, "calls and provisioned instances".to_owned(), total.bases().to_vec());
        self.builder.amount("cu", "together", "CU", &sum);
        money(&mut self.builder, "price", "the sale", &sum, "from the first tier on; list price");
        let note = "always_allocate_cpu = false: the lead costs memory only; instances freeze until the sale";
        money(&mut self.builder, "price_without_idle_cpu", "the same, no CPU while idle", &without_cpu, note);
        let bases = [&cu.linger_s, &cu.vcpu_active_s, &cu.memory_gb_s].map(Fact::basis);
        let cu_each = usage(target.sale_s.value, cu.linger_s.value);
        let on_demand =
            calls + self.planned_instances() * Term::computed(cu_each, number(cu_each), bases.to_vec());
        let note = "the sale and an idle minute; the difference is the price of the pre-warm";
        money(&mut self.builder, "price_on_demand", "the same, without a pre-warm", &on_demand, note);
        let bases = [&cu.vcpu_active_s, &cu.memory_gb_s].map(Fact::basis);
        let bases = self.planned_instances().bases().iter().cloned().chain(bases).collect();
        let per_million = Term::computed(chosen.cu_per_million, String::new(), bases);
        let note = format!("{} CU: busy instances and calls", number(chosen.cu_per_million));
        money(&mut self.builder, "price_per_million", "per million orders at the peak", &per_million, &note);
        let hours = (provisioned_s / 3600.0).ceil();
        let minimum = Term::computed(hours, format!("{} h", number(hours)), Vec::new())
            * Term::fact(&cu.minimum_cny_per_function_hour);
        self.builder.amount("minimum_cny", "minimum charge for the function", "CNY", &minimum);
        self.builder.note(format!("Price table of {}, without discounts.", prices.as_of));
        for unknown in prices.not_known.values() {
            self.builder.note(format!("{unknown}."));
        }
    }
}
