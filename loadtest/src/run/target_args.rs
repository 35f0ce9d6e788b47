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
    #[arg(long, value_name = "URL", conflicts_with_all = ["real", "through_fc", "kill_worker", "kill_broker"])]
    target: Option<TargetUrl>,

    /// With https: trust the certificates of this PEM file instead of the public authorities
    #[arg(long, value_name = "FILE", requires = "target")]
    ca: Option<PathBuf>,

    /// Add a header to every request; may be repeated. The value may contain {number} (of the request), {user} (the
    /// buyer's id), {key} (the idempotency key) and {uuid}; {{ is a brace
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "target")]
    headers: Vec<HeaderTemplate>,

    /// Send `Authorization: Bearer TOKEN`: one token a line; with several, buyer n has token n, modulo their number
    #[arg(long, value_name = "FILE", requires = "target")]
    bearer_file: Option<PathBuf>,

    /// Sign every request as API Gateway does, with the first secret of SPILLWAY_GATEWAY_SECRETS; --header headers are
    /// signed too
    #[arg(long, requires = "target")]
    sign: bool,
}

impl TargetArgs {
    /// Looks at the target; `None` without `--target`.
    ///
    /// # Errors
    /// If it cannot be reached, or a file or secret is missing.
    pub(super) fn target(&self) -> anyhow::Result<Option<Target>> {
        let Some(url) = &self.target else { return Ok(None) };
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
        let tls = match (url.is_tls, &self.ca) {
            (true, ca) => Some(TlsTarget::new(&url.host, ca.as_deref())?),
            (false, Some(_)) => anyhow::bail!("--ca: the target has no TLS"),
            (false, None) => None,
        };
        let target = Target::look(url.addresses()?, tls, head);
        target.with_context(|| format!("--target {url}")).map(Some)
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
