//! Who may look up what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode};
use shared::gateway::{SignatureError, SigningKeys, Verifier};
use shared::order::UserId;
use shared::problem::Problem;
use shared::telemetry::LogRateLimiter;

/// Who may look orders up.
#[derive(Debug)]
pub enum LookupAccess {
    /// Whoever reaches the port and knows an order's id.
    Open,
    /// The gateway, by its signature; and if it names the buyer, for the buyer's own orders alone.
    Gateway {
        /// Checks signatures.
        verifier: Verifier,
        /// The header in which the gateway names the buyer.
        identity_header: Option<HeaderName>,
        /// One line a second tells of all refusals.
        refusals: LogRateLimiter,
    },
}

/// On whose behalf the gateway asks. Nobody in particular: everybody's orders are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker(Option<UserId>);

impl LookupAccess {
    /// Requests are signed with one of `keys`; the buyer is told by `identity_header`.
    #[must_use]
    pub fn gateway(keys: SigningKeys, identity_header: Option<HeaderName>) -> Self {
        let required = identity_header.clone().into_iter().collect();
        let refusals = LogRateLimiter::new(1, Duration::from_secs(1));
        Self::Gateway { verifier: Verifier::new(keys, required), identity_header, refusals }
    }

    /// Says at start what is not checked.
    pub fn warn(&self) {
        match self {
            Self::Open => tracing::warn!(
                "look-ups are not signed: whoever reaches the query port and knows an order's id is told its state"
            ),
            Self::Gateway { identity_header: None, .. } => tracing::warn!(
                "no --identity-header: the gateway's clients are told the state of every order whose id they know"
            ),
            Self::Gateway { identity_header: Some(_), .. } => {}
        }
    }

    fn judge(&self, request: &Request) -> Result<Asker, Denied> {
        let Self::Gateway { verifier, identity_header, refusals } = self else { return Ok(Asker(None)) };
        // A look-up has no body: what one might carry is not signed, and not read.
        let verified = verifier.verify(request.method(), request.uri(), request.headers(), &[]);
        if let Err(fault) = verified {
            if let Some(requests) = refusals.count_due() {
                tracing::warn!(requests, %fault, "look-ups refused: not the gateway's");
            }
            return Err(fault.into());
        }
        match identity_header {
            Some(header) => buyer(request.headers(), header).map(|buyer| Asker(Some(buyer))),
            None => Ok(Asker(None)),
        }
    }
}

/// Once at most: the signature was checked for that.
fn buyer(headers: &HeaderMap, header: &HeaderName) -> Result<UserId, Denied> {
    headers.get(header).and_then(shared::gateway::parse_buyer).ok_or(Denied::IdentityMissing)
}

impl Asker {
    /// Whether an order of `owner` may be told. One whose owner is not on record is told to nobody in particular.
    pub(super) fn may_see(&self, owner: Option<&UserId>) -> bool {
        self.0.is_none() || self.0.as_ref() == owner
    }
}

/// Why a look-up is refused; ingest-fn's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    SignatureMissing,
    SignatureInvalid,
    RepeatedParameter,
    IdentityMissing,
}

impl From<SignatureError> for Denied {
    /// A client learns no more than this: what exactly is wrong would help whoever forges.
    fn from(fault: SignatureError) -> Self {
        match fault {
            SignatureError::Missing => Self::SignatureMissing,
            SignatureError::RepeatedParameter => Self::RepeatedParameter,
            _ => Self::SignatureInvalid,
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Self::SignatureMissing => {
                (StatusCode::UNAUTHORIZED, "signature_missing", "Look orders up through the gateway.")
            }
            Self::SignatureInvalid => (
                StatusCode::FORBIDDEN,
                "signature_invalid",
                "Look orders up through the gateway, with one of each header.",
            ),
            Self::RepeatedParameter => {
                (StatusCode::BAD_REQUEST, "repeated_parameter", "Give each query parameter once.")
            }
            Self::IdentityMissing => (
                StatusCode::UNAUTHORIZED,
                "identity_missing",
                "Sign in: the gateway did not say who the buyer is.",
            ),
        };
        Problem::new(status, code, detail).into_response()
    }
}

/// Lets a look-up through, with its [`Asker`] in the extensions, or answers it.
pub(super) async fn guard(
    State(access): State<Arc<LookupAccess>>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.judge(&request) {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(denied) => denied.into_response(),
    }
}
