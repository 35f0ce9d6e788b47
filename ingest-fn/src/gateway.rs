//! Authentication: which requests come from the gateway, and which buyer the gateway names.
//!
//! [`shared::gateway`] implements the signature. `docs/gateway.md` describes the set-up and what is known of the
//! gateway.

use axum::body::Bytes;
use http::{HeaderMap, HeaderName, Request};
use shared::gateway::{SignatureError, SignedGateway, SigningKeys, Verified};
use shared::order::UserId;

use crate::error::ApiError;
use crate::log_budgets::REQUESTS_UNAUTHENTICATED;
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
        verified.map(Some).map_err(|fault| {
            REQUESTS_UNAUTHENTICATED.record(|| {
                tracing::warn!(
                    event = "requests_unauthenticated",
                    requests = 1,
                    %fault,
                    "requests rejected: not signed by the gateway"
                );
            });
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
    /// [`ApiError::SignatureMissing`] without `verified`; [`ApiError::IdentityMissing`] if the header is absent or not
    /// a user id.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        verified: Option<Verified>,
    ) -> Result<Option<Buyer>, ApiError> {
        let Self::Signed(signed) = self else { return Ok(None) };
        match verified {
            Some(verified) => {
                let buyer = signed.buyer(headers, verified).map_err(|_missing| ApiError::IdentityMissing)?;
                Ok(buyer.map(Buyer))
            }
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

/// The buyer as the gateway names it. Personal data: masked in `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer(UserId);

impl Buyer {
    /// Fills in an empty `user_id` of a body. Call it before the order's id and digest are derived.
    ///
    /// # Errors
    /// [`ApiError::UserMismatch`] if the body names another buyer.
    pub(crate) fn apply_to(&self, user_id: &mut String) -> Result<(), ApiError> {
        if user_id.is_empty() {
            self.0.as_str().clone_into(user_id);
        }
        if *user_id == self.0.as_str() { Ok(()) } else { Err(ApiError::UserMismatch) }
    }

    #[must_use]
    pub const fn user_id(&self) -> &UserId {
        &self.0
    }
}
