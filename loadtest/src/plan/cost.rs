//! Function Compute's price: usage → compute units (CU) → money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use fc_model::{Basis, Fact};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    pub as_of: String,
    pub cu: CuFactors,
    pub usd: Tiers,
    pub cny: Tiers,
    /// Services without a price in this table, and the text for each.
    pub not_known: BTreeMap<String, String>,
}

/// CU per unit of usage, and the rules of counting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CuFactors {
    pub invocations_10000: Fact,
    /// CU per vCPU-second of an instance with a request in flight.
    pub vcpu_active_s: Fact,
    /// CU per vCPU-second of an idle instance.
    pub vcpu_idle_s: Fact,
    /// CU per GB-second of memory, busy or idle.
    pub memory_gb_s: Fact,
    /// CU per GB-second of disk beyond the free part.
    pub disk_gb_s: Fact,
    pub disk_free_gb: Fact,
    /// Step in which provisioned instances are billed, seconds.
    pub provisioned_step_s: Fact,
    /// Share of an idle provisioned instance's vCPU-seconds billed as active, 0 to 1, while its CPU is always
    /// allocated.
    pub provisioned_idle_is_active: Fact,
    pub provisioned_idle_without_cpu: Fact,
    /// Idle time until an on-demand instance stops, seconds.
    pub linger_s: Fact,
    /// Minimum charge per function and hour of use, CNY.
    pub minimum_cny_per_function_hour: Fact,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Tiers {
    #[serde(flatten)]
    pub basis: Basis,
    /// Ascending.
    pub tiers: Vec<Tier>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Upper end; absent: none.
    pub up_to_cu: Option<f64>,
    pub per_cu: f64,
}

/// A currency of the price table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "UPPERCASE")]
pub enum PriceCurrency {
    /// US dollar, international site
    Usd,
    /// Yuan, Chinese site
    Cny,
}

impl PriceCurrency {
    /// ISO 4217.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Cny => "CNY",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BilledUsage {
    pub invocations: f64,
    /// vCPU-seconds with a request in flight, and of provisioned instances whose CPU is always allocated.
    pub vcpu_active_s: f64,
    pub vcpu_idle_s: f64,
    pub memory_gb_s: f64,
}

impl BilledUsage {
    /// Usage of instances of one size, busy for `busy_s` instance-seconds and idle for `idle_s`.
    pub fn of_instances(vcpu: f64, memory_mb: f64, busy_s: f64, idle_s: f64) -> Self {
        Self {
            invocations: 0.0,
            vcpu_active_s: vcpu * busy_s,
            vcpu_idle_s: vcpu * idle_s,
            memory_gb_s: memory_mb / 1024.0 * (busy_s + idle_s),
        }
    }

    pub fn of_calls(invocations: f64) -> Self {
        Self { invocations, ..Self::default() }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            invocations: self.invocations + other.invocations,
            vcpu_active_s: self.vcpu_active_s + other.vcpu_active_s,
            vcpu_idle_s: self.vcpu_idle_s + other.vcpu_idle_s,
            memory_gb_s: self.memory_gb_s + other.memory_gb_s,
        }
    }
}

impl Prices {
    pub fn cu(&self, usage: &BilledUsage) -> f64 {
        usage.invocations / 10_000.0 * self.cu.invocations_10000.value
            + usage.vcpu_active_s * self.cu.vcpu_active_s.value
            + usage.vcpu_idle_s * self.cu.vcpu_idle_s.value
            + usage.memory_gb_s * self.cu.memory_gb_s.value
    }

    /// Price, from the start of the first tier.
    pub fn money(&self, cu: f64, currency: PriceCurrency) -> f64 {
        let mut begins = 0.0;
        let mut sum = 0.0;
        for tier in &self.of(currency).tiers {
            let ends = tier.up_to_cu.unwrap_or(f64::INFINITY);
            sum += (cu.min(ends) - begins).max(0.0) * tier.per_cu;
            begins = ends;
        }
        sum
    }

    /// Rounds up to the billing step of provisioned instances, seconds.
    pub fn provisioned_s(&self, seconds: f64) -> f64 {
        let step = self.cu.provisioned_step_s.value;
        (seconds / step).ceil() * step
    }

    pub fn of(&self, currency: PriceCurrency) -> &Tiers {
        match currency {
            PriceCurrency::Usd => &self.usd,
            PriceCurrency::Cny => &self.cny,
        }
    }

    /// Tiers must ascend and the last one must be open, or [`Self::money`] would charge too little.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (currency, tiers) in [("usd", &self.usd.tiers), ("cny", &self.cny.tiers)] {
            let ends: Vec<_> = tiers.iter().map(|tier| tier.up_to_cu.unwrap_or(f64::INFINITY)).collect();
            anyhow::ensure!(
                ends.last() == Some(&f64::INFINITY) && ends.windows(2).all(|pair| pair[0] < pair[1]),
                "{currency}: tiers must ascend, and the last one must have no end"
            );
            anyhow::ensure!(tiers.iter().all(|tier| tier.per_cu >= 0.0), "{currency}: a price below 0");
        }
        anyhow::ensure!(self.cu.provisioned_step_s.value > 0.0, "provisioned_step_s must be above 0");
        Ok(())
    }
}
