//! Flags for authentication.

use serde::Serialize;
use shared::config::ConfigErrors;
use shared::gateway::SignatureArgs;

use crate::gateway::{Gateway, SIGNED_HEADERS};

#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(next_help_heading = "Authentication")]
pub struct GatewayArgs {
    /// Authentication of callers [default: signature, if secrets are given]
    #[arg(long, env = "SPILLWAY_GATEWAY_AUTH", value_enum)]
    pub gateway_auth: Option<GatewayAuth>,

    #[command(flatten)]
    #[serde(flatten)]
    pub signature: SignatureArgs,

    /// Accept orders of any caller in any buyer's name: for development only
    #[arg(long, env = "SPILLWAY_INSECURE_DEV")]
    pub insecure_dev: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayAuth {
    /// API Gateway signs every request
    Signature,
    /// Function Compute admits only authorised callers
    Function,
}

const CHOICES: &str = "no authentication configured: set --gateway-secrets (or --gateway-auth signature with it), \
                       --gateway-auth function, or --insecure-dev";

impl GatewayArgs {
    /// Returns `None` after pushing to `errors`. Contradicting flags are an error: an operator could believe that more
    /// is checked than is.
    pub fn gateway(&self, errors: &mut ConfigErrors) -> Option<Gateway> {
        let errors_before = errors.len();
        let signed = self.signature.signed_gateway(&SIGNED_HEADERS, errors);
        let has_secrets = self.signature.gateway_secrets.is_some();
        let gateway = match (self.gateway_auth, has_secrets, self.insecure_dev) {
            (Some(_), _, true) | (None, true, true) => {
                errors.push("--insecure-dev: remove it, or remove the gateway's secrets and --gateway-auth");
                None
            }
            (Some(GatewayAuth::Function), true, false) => {
                errors.push(
                    "--gateway-secrets: --gateway-auth function checks no signature; remove one of the two",
                );
                None
            }
            (Some(GatewayAuth::Signature), false, false) => {
                errors.push("--gateway-secrets: required by --gateway-auth signature");
                None
            }
            (None, false, false) => {
                errors.push(format_args!("--gateway-auth: {CHOICES}"));
                None
            }
            (Some(GatewayAuth::Signature) | None, true, false) => signed.map(Gateway::Signed),
            (Some(GatewayAuth::Function), false, false) => Some(Gateway::Function),
            (None, false, true) => Some(Gateway::InsecureDev),
        };
        gateway.filter(|_| errors.len() == errors_before)
    }
}
