//! What the documents say, from `data/platform.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Compute, Delivery, Rules};

const PLATFORM: &str = include_str!("../../data/platform.toml");

/// How well a figure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Read in official documentation, an SDK or the Terraform provider.
    Certain,
    /// A partial text, an inference or a third party.
    Likely,
    /// Not documented: an assumption.
    Unknown,
}

/// A figure and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// In the unit that its name ends with.
    pub value: u32,
    /// How well it is known.
    pub certainty: Certainty,
    /// Where it is said.
    pub source: String,
}

/// A range of times to start an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdStart {
    /// Shortest, milliseconds.
    pub min_ms: u32,
    /// Longest, milliseconds.
    pub max_ms: u32,
    /// How well it is known.
    pub certainty: Certainty,
    /// Where it is said.
    pub source: String,
}

impl ColdStart {
    /// The time at `share` of the range, 0 its beginning and 1 its end.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        let (min, max) = (f64::from(self.min_ms), f64::from(self.max_ms));
        Duration::from_secs_f64((max - min).mul_add(share.clamp(0.0, 1.0), min) / 1_000.0)
    }
}

/// What is known of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When the sources were last looked at.
    pub checked_on: String,
    /// Bounds.
    pub limits: LimitFacts,
    /// What becomes of instances without requests.
    pub idle: IdleFacts,
    /// How long a start takes.
    pub cold_start: ColdStartFacts,
    /// Quotas by name.
    #[serde(rename = "quota")]
    pub quotas: Vec<QuotaFacts>,
}

/// Bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitFacts {
    /// Most requests of one instance at once.
    pub concurrency_max: Fact,
    /// Longest until an instance accepts connections.
    pub start_s_max: Fact,
    /// Longest `POST /initialize`.
    pub initialize_s_max: Fact,
    /// Longest `GET /pre-stop`.
    pub pre_stop_s_max: Fact,
    /// Longest request, unless configured.
    pub timeout_s_default: Fact,
    /// All headers of a request.
    pub request_header_bytes_max: Fact,
    /// Path and query.
    pub request_target_bytes_max: Fact,
    /// Body of a synchronous request.
    pub request_body_bytes_max: Fact,
}

/// What becomes of instances without requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleFacts {
    /// Until an on-demand instance is stopped.
    pub linger_ms: Fact,
    /// Until an instance is frozen.
    pub freeze_after_ms: Fact,
}

/// How long a start takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdStartFacts {
    /// A custom container.
    pub container: ColdStart,
    /// An interpreted runtime.
    pub interpreted: ColdStart,
    /// What a VPC adds.
    pub vpc: ColdStart,
}

/// Quotas of a kind of region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaFacts {
    /// Its name on the command line.
    pub name: String,
    /// Where it is so.
    pub about: String,
    /// Most instances.
    pub instances_max: Fact,
    /// Instances delivered at once.
    pub burst: Fact,
    /// Then in each minute.
    pub per_min: Fact,
    /// Most vCPU.
    pub vcpu_max: Option<Fact>,
    /// Most memory, MB.
    pub memory_mb_max: Option<Fact>,
    /// vCPU delivered at once.
    pub vcpu_burst: Option<Fact>,
    /// Then in each minute.
    pub vcpu_per_min: Option<Fact>,
}

impl QuotaFacts {
    /// The quota on processors and memory for instances of this size; `None` where there is none.
    #[must_use]
    pub fn compute(&self, instance_millivcpu: u32, instance_mb: u32) -> Option<Compute> {
        let value = |fact: &Option<Fact>| fact.as_ref().map(|fact| fact.value);
        Some(Compute {
            instance_millivcpu,
            instance_mb,
            vcpu_max: value(&self.vcpu_max)?,
            mb_max: value(&self.memory_mb_max)?,
            delivery: Delivery { burst: value(&self.vcpu_burst)?, per_min: value(&self.vcpu_per_min)? },
        })
    }
}

impl Facts {
    /// What ships with this program.
    ///
    /// # Errors
    /// None in a program that passed its tests.
    pub fn shipped() -> Result<Self, toml::de::Error> {
        toml::from_str(PLATFORM)
    }

    /// The quotas of this name.
    #[must_use]
    pub fn quota(&self, name: &str) -> Option<&QuotaFacts> {
        self.quotas.iter().find(|quota| quota.name == name)
    }

    /// The documented rules under these quotas: nothing provisioned, no quota on processors and memory.
    #[must_use]
    pub fn rules(&self, quota: &QuotaFacts, concurrency: u16) -> Rules {
        let ms = |fact: &Fact| Duration::from_millis(fact.value.into());
        Rules {
            concurrency,
            instances_max: quota.instances_max.value,
            delivery: Delivery { burst: quota.burst.value, per_min: quota.per_min.value },
            compute: None,
            idle_linger: ms(&self.idle.linger_ms),
            freeze_after_idle: Some(ms(&self.idle.freeze_after_ms)),
            provisioned: Vec::new(),
            provisioned_always_cpu: true,
        }
    }
}
