//! Figures with their source and certainty.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::{ComputeQuota, DeliveryRate, PlatformRules};

const PLATFORM: &str = include_str!("../data/platform.toml");

/// Ordered from certain to unknown: the maximum of several is the certainty of a figure that rests on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Set by a flag.
    Given,
    /// Measured here, by a command that the source names.
    Measured,
    /// Read in official documentation, an SDK or a source file.
    Certain,
    /// Partial text, inference or a third party.
    Likely,
    /// A choice of this project.
    Assumed,
    /// Not documented.
    Unknown,
}

impl Certainty {
    pub fn letter(self) -> char {
        match self {
            Self::Given => 'G',
            Self::Measured => 'M',
            Self::Certain => 'C',
            Self::Likely => 'L',
            Self::Assumed => 'A',
            Self::Unknown => 'U',
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Measured => "measured",
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Assumed => "assumed",
            Self::Unknown => "unknown",
        }
    }
}

/// A number in the unit that the fact's name ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact<T = f64> {
    pub value: T,
    pub certainty: Certainty,
    pub source: String,
}

/// The certainty and source of a figure, without the number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub certainty: Certainty,
    pub source: String,
}

impl<T> Fact<T> {
    pub fn basis(&self) -> Basis {
        Basis { certainty: self.certainty, source: self.source.clone() }
    }
}

impl Fact {
    pub fn given(flag: &str, value: f64) -> Self {
        Self { value, certainty: Certainty::Given, source: format!("{flag} {value}") }
    }
}

impl From<&Fact<u32>> for Fact {
    fn from(fact: &Fact<u32>) -> Self {
        Self { value: fact.value.into(), certainty: fact.certainty, source: fact.source.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRange {
    pub min_ms: u32,
    pub max_ms: u32,
    pub certainty: Certainty,
    pub source: String,
}

impl StartRange {
    /// Interpolates between the shortest start (`share` 0) and the longest (1).
    pub fn at(&self, share: f64) -> Duration {
        let (min, max) = (f64::from(self.min_ms), f64::from(self.max_ms));
        Duration::from_secs_f64((max - min).mul_add(share.clamp(0.0, 1.0), min) / 1_000.0)
    }

    pub fn basis(&self) -> Basis {
        Basis { certainty: self.certainty, source: self.source.clone() }
    }
}

/// The shape of `data/platform.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformFacts {
    /// Date on which the sources were last read.
    pub checked_on: String,
    pub limits: LimitFacts,
    pub idle: IdleFacts,
    pub cold_start: ColdStartFacts,
    #[serde(rename = "quota")]
    pub quotas: Vec<QuotaFacts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitFacts {
    pub concurrency_max: Fact<u32>,
    /// Time until an instance must accept connections.
    pub start_s_max: Fact<u32>,
    pub initialize_s_max: Fact<u32>,
    pub pre_stop_s_max: Fact<u32>,
    pub timeout_s_default: Fact<u32>,
    pub request_header_bytes_max: Fact<u32>,
    /// Path and query.
    pub request_target_bytes_max: Fact<u32>,
    pub request_body_bytes_max: Fact<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleFacts {
    /// Idle time after which an on-demand instance stops.
    pub linger_ms: Fact<u32>,
    pub freeze_after_ms: Fact<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdStartFacts {
    pub container: StartRange,
    pub interpreted: StartRange,
    /// Added to the start by a VPC.
    pub vpc: StartRange,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaFacts {
    /// Value of `--quota`.
    pub name: String,
    pub description: String,
    pub instances_max: Fact<u32>,
    pub burst: Fact<u32>,
    pub per_min: Fact<u32>,
    pub vcpu_max: Option<Fact<u32>>,
    pub memory_mb_max: Option<Fact<u32>>,
    pub vcpu_burst: Option<Fact<u32>>,
    pub vcpu_per_min: Option<Fact<u32>>,
}

impl QuotaFacts {
    /// The quota on vCPU and memory for instances of this size; `None` if the region has none.
    pub fn compute(&self, instance_millivcpu: u32, instance_mb: u32) -> Option<ComputeQuota> {
        let value = |fact: &Option<Fact<u32>>| fact.as_ref().map(|fact| fact.value);
        Some(ComputeQuota {
            instance_millivcpu,
            instance_mb,
            vcpu_max: value(&self.vcpu_max)?,
            mb_max: value(&self.memory_mb_max)?,
            delivery: DeliveryRate { burst: value(&self.vcpu_burst)?, per_min: value(&self.vcpu_per_min)? },
        })
    }
}

impl PlatformFacts {
    /// Reads the facts that ship with the crate.
    ///
    /// # Errors
    /// Only if the shipped file is invalid, which a test rules out.
    pub fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(PLATFORM)
    }

    pub fn quota(&self, name: &str) -> Option<&QuotaFacts> {
        self.quotas.iter().find(|quota| quota.name == name)
    }

    /// The documented rules under `quota`, without provisioned instances and without a quota on vCPU and memory.
    pub fn rules(&self, quota: &QuotaFacts, concurrency: u16) -> PlatformRules {
        let ms = |fact: &Fact<u32>| Duration::from_millis(fact.value.into());
        PlatformRules {
            concurrency,
            instances_max: quota.instances_max.value,
            delivery: DeliveryRate { burst: quota.burst.value, per_min: quota.per_min.value },
            compute: None,
            idle_linger: ms(&self.idle.linger_ms),
            freeze_after_idle: Some(ms(&self.idle.freeze_after_ms)),
            provisioned: Vec::new(),
            provisioned_always_cpu: true,
        }
    }
}
