//! The flags that choose Function Compute's quotas, for every command that models it.

use std::path::PathBuf;

use anyhow::Context;
use fc_model::{PlatformFacts, QuotaFacts};

#[derive(Clone, Debug, clap::Args)]
pub struct QuotaArgs {
    /// Quotas of the account: large-region (Hangzhou, Shanghai, Beijing, Zhangjiakou, Shenzhen), medium-region (Hong
    /// Kong, Singapore, Virginia), small-region (the others), article, or one of --platform's file
    #[arg(long, value_name = "NAME", default_value = "large-region")]
    pub quota: String,

    /// Limits and quotas instead of the shipped ones, such as raised quotas; copy loadtest/fc-model/data/platform.toml
    #[arg(long, value_name = "FILE")]
    pub platform: Option<PathBuf>,
}

impl QuotaArgs {
    /// The facts of `--platform`, or the shipped ones.
    pub(crate) fn facts(&self) -> anyhow::Result<PlatformFacts> {
        let Some(path) = &self.platform else { return Ok(PlatformFacts::shipped()?) };
        let toml = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&toml).with_context(|| path.display().to_string())
    }

    /// The quota of that name, or the message for an unknown one.
    pub(crate) fn select<'a>(&self, facts: &'a PlatformFacts) -> Result<&'a QuotaFacts, String> {
        facts.quota(&self.quota).ok_or_else(|| {
            let names: Vec<_> = facts.quotas.iter().map(|quota| quota.name.as_str()).collect();
            format!("--quota {} is unknown; it must be one of {}", self.quota, names.join(", "))
        })
    }
}
