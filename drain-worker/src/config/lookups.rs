//! Settings of the query port.

use serde::Serialize;
use shared::config::{ConfigErrors, Secret};
use shared::gateway::{SigningKeys, parse_identity_header};

use crate::query::LookupAccess;

/// Flags for look-ups.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
#[command(next_help_heading = "Look-ups")]
pub struct LookupArgs {
    /// Secrets of the gateway's backend signature: name=secret[,name=secret…]; without them look-ups are not signed;
    /// prefer the environment variable
    #[arg(long, env = "SPILLWAY_GATEWAY_SECRETS", value_name = "SECRETS", hide_env_values = true)]
    pub gateway_secrets: Option<Secret<String>>,

    /// Header in which the gateway names the buyer, who is told of no orders but their own; believed only if it is signed
    #[arg(long, env = "SPILLWAY_IDENTITY_HEADER", value_name = "NAME")]
    pub identity_header: Option<String>,
}

impl LookupArgs {
    /// What the flags come to.
    pub fn access(&self, errors: &mut ConfigErrors) -> Option<LookupAccess> {
        let before = errors.len();
        let keys = self.gateway_secrets.as_ref().and_then(|secrets| {
            let keys = secrets.expose().parse::<SigningKeys>();
            keys.map_err(|error| errors.push(format_args!("--gateway-secrets: {error}"))).ok()
        });
        let identity_header = self.identity_header.as_deref().and_then(|name| {
            let header = parse_identity_header(name);
            errors.require(header.is_some(), "--identity-header: must be the name of a header of its own");
            header
        });
        errors.require(
            self.gateway_secrets.is_some() || self.identity_header.is_none(),
            "--identity-header: anybody could set it where nothing is signed; it needs --gateway-secrets",
        );
        if errors.len() > before {
            return None;
        }
        Some(keys.map_or(LookupAccess::Open, |keys| LookupAccess::gateway(keys, identity_header)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_believed_only_if_it_is_signed() {
        let args = |secrets: Option<&str>, header: Option<&str>| LookupArgs {
            gateway_secrets: secrets.map(|secrets| secrets.parse().expect("any text")),
            identity_header: header.map(str::to_owned),
        };
        let secrets = Some("2026a=a-long-secret");
        for (args, expected) in [
            (args(None, None), Ok("Open")),
            (args(secrets, None), Ok("Gateway")),
            (args(secrets, Some("X-Spillway-User")), Ok("Gateway")),
            (args(None, Some("X-Spillway-User")), Err("--identity-header: anybody")),
            (args(secrets, Some("Authorization")), Err("--identity-header: must")),
            (args(Some("2026a=short"), None), Err("--gateway-secrets: ")),
        ] {
            let mut errors = ConfigErrors::default();
            let access = args.access(&mut errors);
            match expected {
                Ok(name) => assert!(format!("{access:?}").starts_with(&format!("Some({name}")), "{errors}"),
                Err(text) => {
                    assert!(access.is_none());
                    assert!(errors.to_string().contains(text), "{errors}");
                    assert!(!errors.to_string().contains("short,"), "a secret is never told");
                }
            }
        }
    }
}
