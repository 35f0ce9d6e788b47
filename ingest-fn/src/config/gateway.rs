//! Settings of what stands in front.

use serde::Serialize;
use shared::config::{ConfigErrors, Secret};
use shared::gateway::{SigningKeys, parse_identity_header};

use crate::gateway::Gateway;

/// Flags for what stands in front.
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "In front")]
pub struct GatewayArgs {
    /// Who keeps strangers out [default: signature, if secrets are given]
    #[arg(long, env = "SPILLWAY_GATEWAY_AUTH", value_enum)]
    pub gateway_auth: Option<GatewayAuth>,

    /// Secrets of the gateway's backend signature: name=secret[,name=secret…]; prefer the environment variable
    #[arg(long, env = "SPILLWAY_GATEWAY_SECRETS", value_name = "SECRETS", hide_env_values = true)]
    pub gateway_secrets: Option<Secret<String>>,

    /// Header in which the gateway names the buyer; believed only if it is signed
    #[arg(long, env = "SPILLWAY_IDENTITY_HEADER", value_name = "NAME")]
    pub identity_header: Option<String>,

    /// Let anybody order in anybody's name: for development alone
    #[arg(long, env = "SPILLWAY_INSECURE_DEV")]
    pub insecure_dev: bool,
}

/// Who keeps strangers out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayAuth {
    /// API Gateway signs what it sends on
    Signature,
    /// The platform lets only authorised callers invoke the function
    Function,
}

const CHOICES: &str = "say who keeps strangers out: --gateway-secrets (or --gateway-auth signature with it), \
                       --gateway-auth function, or --insecure-dev";

impl GatewayArgs {
    /// What the flags come to. What contradicts itself is an error: somebody may believe that more is checked than is.
    pub fn gateway(&self, errors: &mut ConfigErrors) -> Option<Gateway> {
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
        let has_secrets = self.gateway_secrets.is_some();
        let signed = match (self.gateway_auth, has_secrets, self.insecure_dev) {
            (Some(_), _, true) | (None, true, true) => {
                errors.push(
                    "--insecure-dev: leave it out, or leave out the gateway's secrets and --gateway-auth",
                );
                return None;
            }
            (Some(GatewayAuth::Function), true, false) => {
                errors.push(
                    "--gateway-secrets: --gateway-auth function checks no signature; leave one of them out",
                );
                return None;
            }
            (Some(GatewayAuth::Signature), false, false) => {
                errors.push("--gateway-secrets: --gateway-auth signature needs them");
                return None;
            }
            (None, false, false) => {
                errors.push(format_args!("--gateway-auth: {CHOICES}"));
                return None;
            }
            (Some(GatewayAuth::Signature) | None, true, false) => true,
            (Some(GatewayAuth::Function), false, false) | (None, false, true) => false,
        };
        errors.require(
            signed || self.identity_header.is_none(),
            "--identity-header: anybody could set it where nothing is signed; it needs --gateway-auth signature",
        );
        if errors.len() > before {
            return None;
        }
        match keys {
            Some(keys) if signed => Some(Gateway::signed(keys, identity_header)),
            _ if self.insecure_dev => Some(Gateway::InsecureDev),
            _ => Some(Gateway::Function),
        }
    }
}
