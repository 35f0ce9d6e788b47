//! The plan, section by section.

use fc_model::{Basis, Certainty, Fact};

use super::broker::{BrokerMessageType, Tps};
use super::facts::PlanFacts;
use super::formula::{ReportBuilder, Term, number};
use super::queueing::Cores;
use super::sizing::{BindingLimit, SWEET_SPOT_WITHIN, SizingPoint};
use super::target::PlanTarget;

/// Input and output of all sections.
pub(super) struct Sections<'a> {
    pub(super) builder: ReportBuilder,
    pub(super) target: &'a PlanTarget,
    pub(super) facts: &'a PlanFacts,
    pub(super) chosen: &'a SizingPoint,
}

impl<'a> Sections<'a> {
    pub(super) fn build(
        target: &'a PlanTarget,
        facts: &'a PlanFacts,
        chosen: &'a SizingPoint,
    ) -> ReportBuilder {
        let mut sections = Self { builder: ReportBuilder::default(), target, facts, chosen };
        sections.instance();
        sections.instances();
        sections.warming();
        sections.broker();
        sections.gateway();
        sections.queue();
        sections.database();
        sections.price();
        sections.builder
    }

    /// CPU cost and speed, on which every number of instances rests.
    fn cpu_bases(&self) -> [Basis; 2] {
        [self.target.us_per_order.basis(), self.facts.specs.instance.vcpu_speed.basis()]
    }

    fn peak(&self) -> Term {
        Term::scaled(&self.target.peak_rps, "/s", 1.0)
    }

    fn vcpu(&self) -> Term {
        Term::computed(
            self.chosen.vcpu,
            format!("{} vCPU", number(self.chosen.vcpu)),
            self.cpu_bases().into(),
        )
    }

    /// Mean time of a request in an instance, seconds.
    fn latency(&self) -> Term {
        let ms = self.chosen.latency_mean_ms;
        let bases = std::iter::once(self.target.publish_ms.basis()).chain(self.cpu_bases());
        Term::computed(ms / 1000.0, format!("{} ms", number(ms)), bases.collect())
    }

    /// The planned number of instances, the result of the search in `sizing`.
    pub(super) fn planned_instances(&self) -> Term {
        let target = self.target;
        let bases = [&target.peak_rps, &target.publish_ms, &target.concurrency, &target.headroom];
        let bases = bases.map(Fact::basis).into_iter().chain(self.cpu_bases());
        Term::computed(self.chosen.instances, number(self.chosen.instances), bases.collect())
    }

    fn instance(&mut self) {
        let (target, facts, chosen) = (self.target, self.facts, self.chosen);
        let limits = &facts.specs.instance;
        self.builder.section("An instance");
        let vcpu = match &target.vcpu {
            Some(fact) => Term::computed(chosen.vcpu, "as set".to_owned(), vec![fact.basis()]),
            None => {
                let within = number(SWEET_SPOT_WITHIN * 100.0);
                let text = format!(
                    "the fewest instances within {within} % of the least cost that meet the p99 goal: see the curve"
                );
                let bases = [target.p99_ms.basis(), facts.prices.cu.vcpu_active_s.basis()];
                Term::computed(chosen.vcpu, text, self.cpu_bases().into()).resting_on(bases)
            }
        };
        self.builder.amount("vcpu", "vCPU", "vCPU", &vcpu);
        let memory = target.memory_mb.as_ref().unwrap_or(&limits.memory_gb_per_vcpu_min);
        let rss = &facts.measured.ingest.rss_mb;
        let text =
            format!("at least 128 MB, 1 GB a vCPU, and {} MB resident; in steps of 64", number(rss.value));
        let memory = Term::computed(chosen.memory_mb, text, vec![memory.basis(), rss.basis()]);
        self.builder.amount("memory_mb", "memory", "MB", &memory);
        let publish = Term::scaled(&target.publish_ms, " ms", 1e-3);
        let cpu = Term::scaled(&target.us_per_order, " µs", 1e-6);
        let busy = self.vcpu() * (publish + cpu.clone()) / cpu;
        let concurrency = busy.ceil().note(&format!(
            " keep the CPU busy; at most {}; slots for 4 standard deviations above the mean",
            number(target.concurrency.value)
        ));
        let concurrency = concurrency.valued(chosen.concurrency);
        let concurrency = concurrency.resting_on([target.concurrency.basis()]);
        self.builder.amount("concurrency", "concurrency to configure", "", &concurrency);
        let cores = Cores::new(chosen.vcpu);
        let service_ms = cores.service_us(target.us_per_order.value) / 1000.0;
        let wait_ms = chosen.latency_mean_ms - target.publish_ms.value - service_ms;
        let ms = |ms: f64, what: &str| Term::computed(ms, format!("{} {what}", number(ms)), Vec::new());
        let wait = format!(
            "wait for CPU: M/D/{} at {} %",
            cores.servers,
            number((chosen.utilisation * 100.0).round())
        );
        let mean = ms(target.publish_ms.value, "publish") + ms(service_ms, "CPU") + ms(wait_ms, &wait);
        let mean = mean.resting_on(self.latency().bases().iter().cloned());
        self.builder.amount("latency_mean_ms", "time of a request in the instance", "ms", &mean);
        let text = format!(
            "exponential tail of M/D/{} for the wait, constant publish time; goal {} ms",
            cores.servers,
            number(target.p99_ms.value)
        );
        let p99 = Term::computed(chosen.latency_p99_ms, text, self.latency().bases().to_vec());
        let p99 = p99.resting_on([target.p99_ms.basis()]);
        self.builder.amount("latency_p99_ms", "the same, p99", "ms", &p99);
        if !chosen.keeps_p99 {
            self.builder.note(
                "No size meets the latency goal, or the size set by flags does not: publishing alone may take longer.",
            );
        }
    }

    fn instances(&mut self) {
        let (target, chosen) = (self.target, self.chosen);
        self.builder.section("Instances at the peak");
        let under_way = self.peak() * self.latency();
        self.builder.amount(
            "requests_under_way",
            "requests in flight",
            "",
            &under_way.clone().note(" (Little)"),
        );
        let by_slots = (under_way / Term::fact(&target.concurrency)).ceil().at_least(1.0);
        let by_slots = by_slots.resting_on([self.facts.specs.instance.by_concurrency.basis()]);
        self.builder.amount("instances_by_concurrency", "by concurrency", "", &by_slots);
        let cpu = Term::scaled(&target.us_per_order, " µs", 1e-6);
        let by_cpu = (self.peak() * cpu / self.vcpu()).ceil().at_least(1.0);
        self.builder.amount("instances_by_cpu", "by CPU", "", &by_cpu);
        let limit = match chosen.bound {
            BindingLimit::Cpu => "CPU is the limit",
            BindingLimit::Concurrency => "concurrency is the limit",
        };
        let text = format!("{limit}; {} % free", number(target.headroom.value * 100.0));
        let rule = self.facts.specs.instance.by_concurrency.basis();
        let mut bases = vec![rule];
        bases.extend_from_slice(self.planned_instances().bases());
        let planned = Term::computed(chosen.instances, text, bases);
        self.builder.amount("instances", "instances, with headroom", "", &planned);
        let total = self.planned_instances() * self.vcpu();
        self.builder.amount("vcpu_total", "vCPU in total", "vCPU", &total);
    }

    fn warming(&mut self) {
        let (target, facts, chosen) = (self.target, self.facts, self.chosen);
        let quota = &target.quota;
        let provisioned_max = &facts.specs.instance.provisioned_max;
        self.builder.section("Warming and quotas");
        let text = "all that the peak needs: later starts would be too late".to_owned();
        let prewarm = chosen.instances.min(provisioned_max.value);
        let prewarm = Term::computed(prewarm, text, self.planned_instances().bases().to_vec());
        let prewarm = prewarm.resting_on([provisioned_max.basis()]);
        self.builder.amount("prewarm", "provisioned instances", "", &prewarm);
        self.builder.duration("lead_s", "lead time of the pre-warm", &Term::fact(&target.lead_s));
        let check = |fits: bool| {
            let verdict = if fits { "fits" } else { "DOES NOT FIT: request a higher quota" };
            format!("{}: {verdict}", quota.name)
        };
        let instances_max = Fact::from(&quota.instances_max);
        let fits = check(chosen.instances <= instances_max.value);
        let instances = Term::computed(instances_max.value, fits, vec![instances_max.basis()]);
        self.builder.amount("quota_instances", "instances of the account", "", &instances);
        if let Some(vcpu_max) = quota.vcpu_max.as_ref().map(Fact::from) {
            let fits = check(chosen.instances * chosen.vcpu <= vcpu_max.value);
            let vcpu = Term::computed(vcpu_max.value, fits, vec![vcpu_max.basis()]);
            self.builder.amount("quota_vcpu", "vCPU of the account", "vCPU", &vcpu);
        }
        let container = &facts.platform.cold_start.container;
        let burst = Fact::from(&quota.burst);
        let cold = |start_ms: u32| {
            let ms = f64::from(start_ms);
            let start = Term::computed(ms / 1000.0, format!("{} ms", number(ms)), vec![container.basis()]);
            (self.peak() * start / Term::constant(chosen.concurrency)).ceil()
        };
        let (fewest, most) = (cold(container.min_ms), cold(container.max_ms));
        let shown = format!("{} to {}", number(fewest.value), number(most.value));
        let verdict = if most.value > burst.value {
            "the rest gets 429"
        } else {
            "they start together, and every request waits"
        };
        let most = most
            .note(&format!(" during the longest start; {} start at once: {verdict}", number(burst.value)))
            .resting_on([burst.basis()]);
        self.builder.term("instances_cold_max", "instances without a pre-warm", shown, &most);
    }

    fn broker(&mut self) {
        let (target, facts, chosen) = (self.target, self.facts, self.chosen);
        let (rules, coalescing) = (&facts.specs.rocketmq, &facts.measured.coalescing);
        self.builder.section("RocketMQ");
        let gathered = match &target.orders_per_message {
            Some(fact) => Term::computed(0.0, "as set".to_owned(), vec![fact.basis()]),
            None => {
                let rate = target.peak_rps.value / chosen.instances;
                let rate = Term::computed(rate, format!("{}/s of an instance", number(rate)), Vec::new());
                let linger_ms = coalescing.linger_ms.value;
                let text = format!("{} ms", number(linger_ms));
                let linger = Term::computed(linger_ms / 1000.0, text, vec![coalescing.linger_ms.basis()]);
                Term::constant(1.0) + rate * linger
            }
        };
        let limits = format!(
            "; at most {} and {} bytes of {}",
            number(coalescing.batch_orders_max.value),
            number(coalescing.batch_bytes_max.value),
            number(target.order_bytes.value)
        );
        let orders = gathered.note(&limits).valued(chosen.orders_per_message);
        let bases = [&target.peak_rps, &coalescing.batch_bytes_max, &target.order_bytes].map(Fact::basis);
        self.builder.amount("orders_per_message", "orders in a message", "", &orders.resting_on(bases));
        let names = [
            (
                chosen.orders_per_message,
                "coalesced",
                ["tps_send", "tps_receive", "tps_needed", "rocketmq_spec"],
            ),
            (
                1.0,
                "one order per message",
                ["tps_send_single", "tps_receive_single", "tps_needed_single", "rocketmq_spec_single"],
            ),
        ];
        for (orders_per_message, kind, names) in names {
            self.specification(orders_per_message, kind, names);
        }
        self.smaller_specification();
        if target.message_type == BrokerMessageType::Normal {
            let factor = &rules.special_type_factor;
            self.builder.note(format!(
                "Ordered, delayed or transactional messages would count {} times [{}]: see --message-type.",
                number(factor.value),
                factor.certainty.word()
            ));
        }
        self.builder.note(
            "Assumes that drain workers receive at the drain's cap. Other specifications exist; only these are known here.",
        );
    }

    fn specification(&mut self, orders_per_message: f64, kind: &str, names: [&'static str; 4]) {
        let (target, rules) = (self.target, &self.facts.specs.rocketmq);
        let tps = Tps::compute(
            rules,
            target.message_type,
            target.peak_rps.value,
            target.drain_rate.value,
            target.order_bytes.value,
            orders_per_message,
        );
        let mut unit_bases = vec![rules.unit_bytes.basis(), target.order_bytes.basis()];
        if target.message_type != BrokerMessageType::Normal {
            unit_bases.push(rules.special_type_factor.basis());
        }
        let counted = |rate: &Fact| {
            let units = Term::computed(tps.units, number(tps.units), unit_bases.clone());
            Term::fact(rate) / Term::constant(orders_per_message) * units
        };
        let (send, receive) = (counted(&target.peak_rps), counted(&target.drain_rate));
        self.builder.amount(names[0], &format!("sends, {kind}"), "TPS", &send);
        self.builder.amount(names[1], &format!("receives, {kind}"), "TPS", &receive);
        let result = |term: &Term| Term::computed(term.value, number(term.value), term.bases().to_vec());
        let needed =
            (result(&send) + result(&receive)).max(result(&send) / Term::fact(&rules.send_share_max));
        self.builder.amount(names[2], &format!("specification needed, {kind}"), "TPS", &needed);
        let label = format!("smallest known, {kind}");
        match tps.spec(rules) {
            Some(spec) => {
                let connections = spec.connections.map_or_else(
                    || "connection limit unknown".to_owned(),
                    |most| format!("{} connections", number(most)),
                );
                let formula = format!(
                    "{} TPS, {} more for a while; {connections}",
                    number(spec.tps),
                    number(spec.burst_tps)
                );
                let shown = (Some(spec.tps), spec.name.clone());
                self.builder.figure(names[3], &label, shown, formula, std::slice::from_ref(&spec.basis));
            }
            None => {
                let formula =
                    "larger than any known specification: coalesce, or use several instances".to_owned();
                let bases: Vec<_> = rules.specs.last().map(|spec| spec.basis.clone()).into_iter().collect();
                self.builder.figure(names[3], &label, (None, "none".to_owned()), formula, &bases);
            }
        }
    }

    /// Adds the orders per message with which the next smaller specification would suffice.
    fn smaller_specification(&mut self) {
        let (target, rules) = (self.target, &self.facts.specs.rocketmq);
        let needed = |orders_per_message: f64| {
            let (peak, drain) = (target.peak_rps.value, target.drain_rate.value);
            let bytes = target.order_bytes.value;
            Tps::compute(rules, target.message_type, peak, drain, bytes, orders_per_message).needed
        };
        let now = needed(self.chosen.orders_per_message);
        let Some(spec) = rules.specs.iter().rev().find(|spec| spec.tps < now) else { return };
        let coalescing = &self.facts.measured.coalescing;
        // Whole orders that fit into one message.
        let fitting = (coalescing.batch_bytes_max.value / target.order_bytes.value).floor();
        let fitting = fitting.min(coalescing.batch_orders_max.value) as u32;
        let Some(enough) = (1..=fitting).map(f64::from).find(|orders| needed(*orders) <= spec.tps) else {
            return;
        };
        let burst =
            if spec.tps + spec.burst_tps >= now { "; its burst carries this peak for a while" } else { "" };
        let spec_tps = Term::computed(spec.tps, number(spec.tps), vec![spec.basis.clone()]);
        let term = self.peak() / (spec_tps * Term::fact(&rules.send_share_max));
        let term = term
            .valued(enough)
            .note(&format!(": fewer, larger instances, or a longer --linger-ms{burst}"))
            .resting_on([target.order_bytes.basis()]);
        let label = format!("orders in a message for {}", spec.name);
        self.builder.amount("orders_per_message_smaller_spec", &label, "", &term);
    }

    fn gateway(&mut self) {
        let classes = &self.facts.specs.gateway;
        let peak = self.target.peak_rps.value;
        self.builder.section("Gateway (traditional, dedicated instance)");
        let outbound = self.peak() * self.latency();
        self.builder.amount(
            "gateway_outbound_connections",
            "connections to the function",
            "",
            &outbound.clone().note(", one request at a time on each"),
        );
        let class =
            classes.iter().find(|class| class.rps >= peak && class.outbound_connections >= outbound.value);
        let (name, label) = ("gateway_class", "smallest known");
        match class {
            Some(class) => {
                let formula = format!(
                    "{} requests/s, {} outbound connections, {} new ones a second",
                    number(class.rps),
                    number(class.outbound_connections),
                    number(class.new_connections_per_s)
                );
                let shown = (Some(class.rps), class.name.clone());
                self.builder.figure(name, label, shown, formula, std::slice::from_ref(&class.basis));
            }
            None => {
                let formula = "larger than any known class: use several".to_owned();
                let bases: Vec<_> = classes.last().map(|class| class.basis.clone()).into_iter().collect();
                self.builder.figure(name, label, (None, "none".to_owned()), formula, &bases);
            }
        }
        if let Some(class) = class.filter(|class| class.rps < peak * 1.1) {
            self.builder.note(format!("{} has less than 10 % reserve above the peak.", class.name));
        }
        self.builder.note(
            "A class may not be changeable in place [likely]: choose before the sale. Classes between the known ones exist. \
             A full pool queues for up to 500 ms, then responds D504CO [certain].",
        );
    }

    /// Adds the queue, if all orders arrive at the peak rate from the start. Nothing fills a queue faster, so depth and
    /// age are upper bounds. First in, first out.
    fn queue(&mut self) {
        let target = self.target;
        let [orders, peak, sale, rate] =
            [&target.orders, &target.peak_rps, &target.sale_s, &target.drain_rate].map(Term::fact);
        let gathers = rate.value < peak.value;
        self.builder.section("The sale and its queue");
        self.builder.amount("orders", "orders", "", &orders);
        self.builder.duration("sale_s", "length of the sale", &sale);
        let arrived = orders.clone() / peak.clone();
        // Below the cap no order waits, and the drain ends with the arrivals.
        let drained = if gathers { orders.clone() / rate.clone() } else { arrived.clone() };
        let depth = (orders.clone() - rate.clone() * arrived.clone()).at_least(0.0);
        self.builder.amount("queue_depth_max", "queue, deepest", "orders", &depth);
        let at_end = orders - rate.clone() * sale.clone();
        let at_end = at_end.at_least(0.0);
        let left = gathers && at_end.value > 0.0;
        self.builder.amount("queue_depth_at_end", "queue at the end of the sale", "orders", &at_end);
        let head_arrived = rate.clone() * sale.clone() / peak;
        let oldest =
            (sale.clone() - head_arrived).at_least(0.0).note(": the arrival of the first order left");
        let oldest = if left { oldest } else { oldest.valued(0.0) };
        self.builder.duration("oldest_at_end_s", "oldest order at the end of the sale", &oldest);
        let wait = (drained.clone() - arrived).at_least(0.0).note(": the last order's wait");
        self.builder.duration(
            "oldest_max_s",
            "longest wait of an order",
            &wait.resting_on(rate.bases().to_vec()),
        );
        self.builder.duration(
            "drained_s",
            "drained, from the start",
            &drained.clone().resting_on(rate.bases().to_vec()),
        );
        let after_end = (drained - sale).at_least(0.0).resting_on(rate.bases().to_vec());
        self.builder.duration("drained_after_end_s", "drained, from the end", &after_end);
    }

    fn database(&mut self) {
        let assumed = &self.facts.measured.assumed;
        self.builder.section("PolarDB");
        let connections = Term::scaled(&assumed.workers, " workers", 1.0)
            * (Term::scaled(&assumed.writers, " writing", 1.0)
                + Term::scaled(&assumed.readers, " reading", 1.0));
        self.builder.amount("database_connections", "connections of the drain", "", &connections);
        let class = self.facts.specs.polardb.iter().find(|class| class.connections >= connections.value);
        if let Some(class) = class {
            let formula = format!("{} connections", number(class.connections));
            let shown = (Some(class.connections), class.name.clone());
            let bases = [class.basis.clone()];
            self.builder.figure("database_class_connections", "smallest class known", shown, formula, &bases);
        }
        let unknown = Basis {
            certainty: Certainty::Unknown,
            source: "unknown write rate of a PolarDB class: measure, then set the drain's cap".to_owned(),
        };
        let bases = vec![self.target.drain_rate.basis(), unknown];
        let text = "the drain's cap, independent of the peak".to_owned();
        let rate = Term::computed(self.target.drain_rate.value, text, bases);
        self.builder.amount("database_rate", "orders a second to write", "/s", &rate);
    }
}
