//! Authentication: which requests come from the gateway, and which buyer the gateway names.
//!
//! [`shared::gateway`] implements the signature. `docs/gateway.md` describes the set-up and what is known of the
//! gateway.

use std::error::Error;

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, Request};
use shared::gateway::{IdentityError, SignatureError, SignedGateway, SigningKeys, Verified};
use shared::order::UserId;

use crate::error::ApiError;
use crate::log_budgets::REQUESTS_UNAUTHENTICATED;
use crate::metrics;
use crate::request_context::IDEMPOTENCY_KEY;

/// Authentication of callers.
#[derive(Debug)]
pub enum Gateway {
    /// Every request has the gateway's signature.
    Signed(SignedGateway),
    /// The platform admits authorised callers only; this process checks nothing.
    Function,
    /// No check at all.
    InsecureDev,
}

/// Headers that must be signed: the order's id is derived from them.
pub(crate) const SIGNED_HEADERS: [HeaderName; 1] = [IDEMPOTENCY_KEY];

fn log_rejection(fault: &dyn Error) {
    REQUESTS_UNAUTHENTICATED.record(|| {
        tracing::warn!(
            event = "requests_unauthenticated",
            requests = 1,
            %fault,
            "requests rejected: no valid signature or buyer of the gateway"
        );
    });
}

impl Gateway {
    #[must_use]
    pub fn signed(keys: SigningKeys, identity_header: Option<HeaderName>) -> Self {
        Self::Signed(SignedGateway::new(keys, identity_header, &SIGNED_HEADERS))
    }

    /// Checks the signature of `request`. Returns `None` in the modes without signatures.
    ///
    /// # Errors
    /// [`ApiError::SignatureMissing`], [`ApiError::RepeatedParameter`], or [`ApiError::SignatureInvalid`] for every
    /// other fault: the exact fault would help a forger, so only the log states it.
    pub fn check_signature(&self, request: &Request<Bytes>) -> Result<Option<Verified>, ApiError> {
        let Self::Signed(signed) = self else { return Ok(None) };
        let verified = signed.verify(request.method(), request.uri(), request.headers(), request.body());
        if let Ok(verified) = verified {
            metrics::signature_verified(verified.covers_body());
        }
        verified.map(Some).map_err(|fault| {
            log_rejection(&fault);
            match fault {
                SignatureError::Missing => ApiError::SignatureMissing,
                SignatureError::RepeatedParameter => ApiError::RepeatedParameter,
                _ => ApiError::SignatureInvalid,
            }
        })
    }

    /// Returns the buyer that the gateway names, or `None` without an identity header. Any client can set a header, so
    /// an identity counts only with `verified`.
    ///
    /// # Errors
    /// [`ApiError::SignatureMissing`] without `verified`; [`ApiError::IdentityMissing`] if the header is absent or empty;
    /// [`ApiError::IdentityUnusable`] if it is not a user id, which operators have to know: signing in again cannot help.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        verified: Option<Verified>,
    ) -> Result<Option<UserId>, ApiError> {
        let Self::Signed(signed) = self else { return Ok(None) };
        match verified {
            Some(verified) => signed.buyer(headers, verified).map_err(|fault| match fault {
                IdentityError::Missing => ApiError::IdentityMissing,
                IdentityError::Unusable => {
                    log_rejection(&fault);
                    ApiError::IdentityUnusable
                }
            }),
            None if signed.identity_header().is_some() => Err(ApiError::SignatureMissing),
            None => Ok(None),
        }
    }

    /// Logs a warning at start for each check that this mode does not make.
    pub fn warn(&self) {
        match self {
            Self::InsecureDev => tracing::warn!(
                event = "authentication_disabled",
                "insecure: --insecure-dev accepts orders of any caller in any buyer's name; never use it in production"
            ),
            Self::Function => tracing::warn!(
                event = "signature_not_checked",
                "requests are not signed: every caller that the platform admits may order in any buyer's name"
            ),
            Self::Signed(signed) if signed.identity_header().is_none() => tracing::warn!(
                event = "identity_not_checked",
                "no --identity-header: every caller that the gateway admits may order in any buyer's name"
            ),
            Self::Signed(_) => {}
        }
    }
}
