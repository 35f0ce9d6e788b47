//! The gateway's signature as a service is configured with it.

use http::{HeaderMap, HeaderName, Method, Uri};
use serde::Serialize;

use super::{SignatureError, SigningKeys, Verified, Verifier, parse_buyer, parse_identity_header};
use crate::config::{ConfigErrors, Secret};
use crate::order::UserId;

/// Flags of the gateway's signature, for a service to flatten into its own.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct SignatureArgs {
    /// Secrets of the gateway's backend signature: name=secret[,name=secret…]; prefer the environment variable
    #[arg(long, env = "SPILLWAY_GATEWAY_SECRETS", value_name = "SECRETS", hide_env_values = true)]
    pub gateway_secrets: Option<Secret<String>>,

    /// Header in which the gateway names the buyer; used only if it is signed
    #[arg(long, env = "SPILLWAY_IDENTITY_HEADER", value_name = "NAME")]
    pub identity_header: Option<String>,
}

impl SignatureArgs {
    /// Builds the verifier; `None` without secrets, or after an error, which is then in `errors`. `required` headers
    /// must be signed where they are present; the identity header always is among them.
    pub fn signed_gateway(
        &self,
        required: &[HeaderName],
        errors: &mut ConfigErrors,
    ) -> Option<SignedGateway> {
        let keys = self.gateway_secrets.as_ref().and_then(|secrets| {
            let keys = secrets.expose().parse::<SigningKeys>();
            keys.map_err(|error| errors.push(format_args!("--gateway-secrets: {error}"))).ok()
        });
        let identity_header = self.identity_header.as_deref().and_then(|name| {
            let header = parse_identity_header(name);
            errors.require(
                header.is_some(),
                "--identity-header: must be a header name without another meaning, such as X-Spillway-User",
            );
            header
        });
        errors.require(
            self.gateway_secrets.is_some() || self.identity_header.is_none(),
            "--identity-header: needs --gateway-secrets: without a signature any client could set the header",
        );
        Some(SignedGateway::new(keys?, identity_header, required))
    }
}

/// Verifies that requests come from the gateway, and reads the buyer that it names.
#[derive(Debug)]
pub struct SignedGateway {
    verifier: Verifier,
    identity_header: Option<HeaderName>,
}

/// The gateway is configured to name the buyer, and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The header is absent or empty: the buyer has not signed in.
    #[error("the gateway named no buyer")]
    Missing,
    /// The header's value is not a user id: signing in again would not change it.
    #[error("the buyer's name is not 1 to {} visible ASCII characters", UserId::LENGTH_MAX)]
    Unusable,
}

impl SignedGateway {
    /// Verifies with `keys`. Headers in `required`, and the identity header, must be signed where they are present.
    #[must_use]
    pub fn new(keys: SigningKeys, identity_header: Option<HeaderName>, required: &[HeaderName]) -> Self {
        let required = required.iter().cloned().chain(identity_header.clone()).collect();
        Self { verifier: Verifier::new(keys, required), identity_header }
    }

    /// Verifies one request.
    ///
    /// # Errors
    /// [`SignatureError`]: log it within a budget, and answer less.
    pub fn verify(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Verified, SignatureError> {
        self.verifier.verify(method, uri, headers, body)
    }

    /// The header in which the gateway names the buyer.
    #[must_use]
    pub const fn identity_header(&self) -> Option<&HeaderName> {
        self.identity_header.as_ref()
    }

    /// Returns the buyer of a verified request; `None` if no identity header is configured.
    ///
    /// # Errors
    /// [`IdentityError`]. The signature covers the header, so it is there at most once.
    pub fn buyer(&self, headers: &HeaderMap, _verified: Verified) -> Result<Option<UserId>, IdentityError> {
        let Some(name) = &self.identity_header else { return Ok(None) };
        let value = headers.get(name).filter(|value| !value.is_empty()).ok_or(IdentityError::Missing)?;
        parse_buyer(value).map(Some).ok_or(IdentityError::Unusable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_header_needs_a_signature() {
        let args = |secrets: Option<&str>, header: Option<&str>| SignatureArgs {
            gateway_secrets: secrets.map(|secrets| secrets.parse().expect("any text")),
            identity_header: header.map(str::to_owned),
        };
        let secrets = Some("2026a=a-long-secret");
        for (args, expected) in [
            (args(None, None), Ok(false)),
            (args(secrets, None), Ok(true)),
            (args(secrets, Some("X-Spillway-User")), Ok(true)),
            (args(None, Some("X-Spillway-User")), Err("--identity-header: needs")),
            (args(secrets, Some("Authorization")), Err("--identity-header: must")),
            (args(Some("2026a=short"), None), Err("--gateway-secrets: ")),
        ] {
            let mut errors = ConfigErrors::default();
            let gateway = args.signed_gateway(&[], &mut errors);
            match expected {
                Ok(is_signed) => {
                    assert_eq!((gateway.is_some(), errors.is_empty()), (is_signed, true), "{errors}");
                }
                Err(text) => {
                    assert!(errors.to_string().contains(text), "{errors}");
                    assert!(!errors.to_string().contains("short,"), "an error never quotes a secret");
                }
            }
        }
    }
}
