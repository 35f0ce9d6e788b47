//! What stands between strangers and this function.

use std::time::Duration;

use http::HeaderName;
use shared::gateway::{SignatureError, SigningKeys, Verifier};
use shared::telemetry::LogRateLimiter;

use crate::layers::head::IDEMPOTENCY_KEY;

/// How callers are told from strangers.
#[derive(Debug)]
pub enum Gateway {
    /// Every request carries the gateway's signature.
    Signed {
        /// Checks it.
        verifier: Verifier,
        /// The header in which the gateway names the buyer, if it does.
        identity_header: Option<HeaderName>,
        /// One line a second tells of all refusals.
        refusals: LogRateLimiter,
    },
    /// The platform lets only authorised callers in; nothing is checked here.
    Function,
    /// Nothing is checked anywhere.
    InsecureDev,
}

impl Gateway {
    /// Requests are signed with one of `keys`; the buyer is told by `identity_header`.
    #[must_use]
    pub fn signed(keys: SigningKeys, identity_header: Option<HeaderName>) -> Self {
        // What an order hangs on, besides the body.
        let required = [Some(IDEMPOTENCY_KEY), identity_header.clone()].into_iter().flatten().collect();
        let refusals = LogRateLimiter::new(1, Duration::from_secs(1));
        Self::Signed { verifier: Verifier::new(keys, required), identity_header, refusals }
    }

    /// What checks signatures, where they are checked.
    #[must_use]
    pub const fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Signed { verifier, .. } => Some(verifier),
            Self::Function | Self::InsecureDev => None,
        }
    }

    /// The header that names the buyer: there is none where nothing is signed, since anybody could set it.
    #[must_use]
    pub const fn identity_header(&self) -> Option<&HeaderName> {
        match self {
            Self::Signed { identity_header, .. } => identity_header.as_ref(),
            Self::Function | Self::InsecureDev => None,
        }
    }

    /// Tells of a request that is not the gateway's. What is wrong with it is told here alone: its sender learns less.
    pub fn refused(&self, fault: SignatureError) {
        let Self::Signed { refusals, .. } = self else { return };
        if let Some(requests) = refusals.count_due() {
            tracing::warn!(requests, %fault, "requests refused: not the gateway's");
        }
    }

    /// Says at start what is not checked.
    pub fn warn(&self) {
        match self {
            Self::InsecureDev => tracing::warn!(
                "insecure: --insecure-dev lets anybody order in anybody's name; never use it in production"
            ),
            Self::Function => tracing::warn!(
                "requests are not signed: whoever the platform lets in may order in anybody's name"
            ),
            Self::Signed { identity_header: None, .. } => tracing::warn!(
                "no --identity-header: whoever the gateway lets in may order in anybody's name"
            ),
            Self::Signed { identity_header: Some(_), .. } => {}
        }
    }
}
