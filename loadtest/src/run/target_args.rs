use std::path::{Path, PathBuf};

use anyhow::Context;
use shared::config::Secret;

use crate::target::{HeaderTemplate, RequestHead, Target, TargetUrl, TlsTarget};

/// The secrets of the gateway's signature, as the services have them.
const SECRETS_VARIABLE: &str = "SPILLWAY_GATEWAY_SECRETS";

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "A system that is already running")]
pub struct TargetArgs {
    /// Send to a system that is already running: http[s]://host[:port][/prefix]
    #[arg(
        long,
        value_name = "URL",
        group = "reached",
        conflicts_with_all = ["real", "through_fc", "kill_worker", "kill_broker"]
    )]
    target: Option<TargetUrl>,

    #[command(flatten)]
    pub(super) access: AccessArgs,
}

/// Flags of every request to a running system, orders and look-ups alike. The group `reached` has the flag that names
/// the system.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "A system that is already running")]
pub(super) struct AccessArgs {
    /// With https: trust the certificates of this PEM file instead of the public authorities
    #[arg(long, value_name = "FILE", requires = "reached")]
    ca: Option<PathBuf>,

    /// Add a header to every request; may be repeated. The value may contain {number} (of the request), {user} (the
    /// buyer's id), {key} (the idempotency key) and {uuid}; {{ is a brace
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "reached")]
    headers: Vec<HeaderTemplate>,

    /// Send `Authorization: Bearer TOKEN`: one token a line; with several, buyer n has token n, modulo their number
    #[arg(long, value_name = "FILE", requires = "reached")]
    bearer_file: Option<PathBuf>,

    /// Sign every request as API Gateway does, with the first secret of SPILLWAY_GATEWAY_SECRETS; --header headers are
    /// signed too
    #[arg(long, requires = "reached")]
    sign: bool,
}

impl TargetArgs {
    /// Looks at the target; `None` without `--target`.
    ///
    /// # Errors
    /// If it cannot be reached, or a file or secret is missing.
    pub(super) fn target(&self) -> anyhow::Result<Option<Target>> {
        self.target.as_ref().map(|url| self.access.reach("--target", url)).transpose()
    }
}

impl AccessArgs {
    /// The look-up at `url`.
    pub(super) fn look_up(&self, url: Option<&TargetUrl>) -> anyhow::Result<Option<Target>> {
        url.map(|url| self.reach("--lookup-url", url)).transpose()
    }

    /// Looks at the system at `url`, which `flag` has named.
    ///
    /// # Errors
    /// If it cannot be reached, or a file or secret is missing.
    pub(super) fn reach(&self, flag: &str, url: &TargetUrl) -> anyhow::Result<Target> {
        let mut head = RequestHead::new(&url.authority);
        head.prefix.clone_from(&url.prefix);
        head.headers.clone_from(&self.headers);
        if let Some(path) = &self.bearer_file {
            head.bearers = bearers(path).with_context(|| path.display().to_string())?;
        }
        if self.sign {
            let secrets =
                std::env::var(SECRETS_VARIABLE).with_context(|| format!("--sign: {SECRETS_VARIABLE}"))?;
            head.signer = Some(secrets.parse().with_context(|| SECRETS_VARIABLE.to_owned())?);
        }
        let tls = if url.is_tls { Some(TlsTarget::new(&url.host, self.ca.as_deref())?) } else { None };
        let target = Target::look(url.addresses()?, tls.as_ref(), head);
        target.with_context(|| format!("{flag} {url}"))
    }
}

/// An error never quotes a token.
fn bearers(path: &Path) -> anyhow::Result<Vec<Secret<String>>> {
    let text = std::fs::read_to_string(path)?;
    let tokens: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    anyhow::ensure!(!tokens.is_empty(), "no token");
    let are_visible = tokens.iter().all(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    anyhow::ensure!(are_visible, "a token must be visible ASCII");
    Ok(tokens.into_iter().map(|token| Secret::new(token.to_owned())).collect())
}
