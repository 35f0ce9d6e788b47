//! The input of a plan: flags, else measurements and assumptions; all validated together.

use shared::config::ConfigErrors;

use super::args::PlanArgs;
use super::broker::BrokerMessageType;
use super::cost::PriceCurrency;
use super::facts::PlanFacts;
use super::sizing::{self, SaleLoad};
use super::span::Seconds;
use fc_model::QuotaFacts;
use fc_model::{Certainty, Fact};

/// Maximum planned requests a second.
const RPS_MAX: f64 = 10_000_000.0;

#[derive(Clone, Debug)]
pub struct PlanTarget {
    pub peak_rps: Fact,
    pub orders: Fact,
    pub sale_s: Fact,
    pub drain_rate: Fact,
    pub publish_ms: Fact,
    pub us_per_order: Fact,
    /// An order's share of a message, bytes.
    pub order_bytes: Fact,
    pub orders_per_message: Option<Fact>,
    /// Maximum concurrent requests of an instance.
    pub concurrency: Fact,
    pub headroom: Fact,
    pub p99_ms: Fact,
    pub lead_s: Fact,
    pub quota: QuotaFacts,
    pub vcpu: Option<Fact>,
    pub memory_mb: Option<Fact>,
    pub message_type: BrokerMessageType,
    pub currency: PriceCurrency,
}

fn or(flag: &str, value: Option<f64>, default: &Fact) -> Fact {
    value.map_or_else(|| default.clone(), |value| Fact::given(flag, value))
}

impl PlanTarget {
    pub fn new(args: &PlanArgs, facts: &PlanFacts) -> Result<Self, ConfigErrors> {
        let (measured, assumed) = (&facts.measured.ingest, &facts.measured.assumed);
        let (orders, sale_s) = extent(args);
        let mut errors = ConfigErrors::default();
        let quota = args.quota.select(&facts.platform).map_err(|error| errors.push(error)).ok().cloned();
        let target = Self {
            peak_rps: Fact::given("--peak-rps", args.peak_rps),
            orders,
            sale_s,
            drain_rate: or("--drain-rate", args.drain_rate, &assumed.drain_rate),
            publish_ms: or("--latency-ms", args.latency_ms, &assumed.publish_ms),
            us_per_order: or("--ingest-us-per-order", args.ingest_us_per_order, &measured.us_per_order),
            order_bytes: or("--order-bytes", args.order_bytes, &measured.order_bytes),
            orders_per_message: args
                .orders_per_message
                .map(|value| Fact::given("--orders-per-message", value)),
            concurrency: or("--concurrency", args.concurrency, &assumed.concurrency),
            headroom: or("--headroom", args.headroom, &assumed.headroom),
            p99_ms: or("--p99-ms", args.p99_ms, &assumed.p99_ms),
            lead_s: or("--lead", args.lead.map(|Seconds(seconds)| seconds), &facts.specs.instance.lead_s),
            quota: quota.unwrap_or_else(|| facts.platform.quotas[0].clone()),
            vcpu: args.vcpu.map(|value| Fact::given("--vcpu", value)),
            memory_mb: args.memory_mb.map(|value| Fact::given("--memory-mb", value)),
            message_type: args.message_type,
            currency: args.currency,
        };
        target.check(&mut errors, facts);
        errors.into_result().map(|()| target)
    }

    fn check(&self, errors: &mut ConfigErrors, facts: &PlanFacts) {
        let concurrency_max = f64::from(facts.platform.limits.concurrency_max.value);
        let week_s = 7.0 * 86_400.0;
        let mut within = |flag: &str, fact: &Fact, least: f64, most: f64| {
            let value = fact.value;
            errors.require(
                (least..=most).contains(&value),
                format_args!("{flag} is {value}; it must be {least} to {most}"),
            );
        };
        within("--peak-rps", &self.peak_rps, 1.0, RPS_MAX);
        within("--orders", &self.orders, 1.0, 1e12);
        within("--duration, seconds", &self.sale_s, 0.001, week_s);
        within("--drain-rate", &self.drain_rate, 1.0, RPS_MAX);
        within("--latency-ms", &self.publish_ms, 0.0, 60_000.0);
        within("--ingest-us-per-order", &self.us_per_order, 0.1, 1e6);
        within("--order-bytes", &self.order_bytes, 1.0, 4.0 * 1024.0 * 1024.0);
        if let Some(orders) = &self.orders_per_message {
            within("--orders-per-message", orders, 1.0, 10_000.0);
        }
        within("--concurrency", &self.concurrency, 1.0, concurrency_max);
        within("--headroom", &self.headroom, 0.0, 0.9);
        within("--p99-ms", &self.p99_ms, 0.001, 60_000.0);
        within("--lead, seconds", &self.lead_s, 0.0, week_s);
        errors.require(self.concurrency.value.fract() == 0.0, "--concurrency must be a whole number");
        let (peak, sale) = (self.peak_rps.value, self.sale_s.value);
        errors.require(
            self.orders.value <= peak * sale * (1.0 + 1e-9),
            format_args!(
                "--orders {} is too many: {sale} s at {peak} a second are {}",
                self.orders.value,
                super::formula::number(peak * sale)
            ),
        );
        self.check_size(errors, facts);
    }

    fn check_size(&self, errors: &mut ConfigErrors, facts: &PlanFacts) {
        let limits = &facts.specs.instance;
        let Some(vcpu) = self.vcpu.as_ref().map(|fact| fact.value) else {
            errors.require(self.memory_mb.is_none(), "--memory-mb needs --vcpu");
            return;
        };
        let memory_mb = self.memory_mb.as_ref().map(|fact| fact.value);
        errors.require(
            sizing::size(limits, vcpu, memory_mb, facts.measured.ingest.rss_mb.value).is_some(),
            sizing::SIZES,
        );
    }

    pub fn load(&self) -> SaleLoad {
        SaleLoad {
            peak_rps: self.peak_rps.value,
            publish_ms: self.publish_ms.value,
            us_per_order: self.us_per_order.value,
            concurrency_max: self.concurrency.value,
            headroom: self.headroom.value,
            p99_ms: self.p99_ms.value,
            order_bytes: self.order_bytes.value,
            orders_per_message: self.orders_per_message.as_ref().map(|fact| fact.value),
        }
    }
}

/// Orders and length of the sale; the peak supplies what the flags do not.
fn extent(args: &PlanArgs) -> (Fact, Fact) {
    let derived =
        |value: f64, source: &str| Fact { value, certainty: Certainty::Given, source: source.to_owned() };
    let seconds = args.duration.map(|Seconds(seconds)| seconds);
    match (args.orders, seconds) {
        (Some(orders), Some(seconds)) => {
            (Fact::given("--orders", orders), Fact::given("--duration, seconds:", seconds))
        }
        (Some(orders), None) => (
            Fact::given("--orders", orders),
            derived(orders / args.peak_rps, "the orders at the peak rate throughout"),
        ),
        (None, seconds) => {
            let fact = seconds.map_or_else(
                || Fact {
                    value: 60.0,
                    certainty: Certainty::Assumed,
                    source: "a minute at the peak".to_owned(),
                },
                |seconds| Fact::given("--duration, seconds:", seconds),
            );
            (derived(args.peak_rps * fact.value, "the peak rate throughout the sale"), fact)
        }
    }
}
