//! API Gateway's backend signature: verifies that a request comes from the gateway, and reads the buyer it names.
//!
//! ingest-fn uses it for orders, the drain worker for look-ups. `ingest-fn/docs/gateway.md` describes the set-up and
//! what is known of the vendor's implementation.

mod canonical;
mod error;
mod headers;
mod identity;
mod keys;
mod parameters;
mod signed;
mod verify;

pub use canonical::{BODY_MD5_LENGTH, Canonical, body_md5};
pub use error::SignatureError;
pub use headers::{LISTED_MAX, SignedHeaders};
pub use identity::{parse_buyer, parse_identity_header};
pub use keys::{KeysError, SECRET_LENGTH_MIN, SigningKeys};
pub use parameters::{PARAMETERS_MAX, Parameter, ParameterError, parameters};
pub use signed::{IdentityError, SignatureArgs, SignedGateway};
pub use verify::{
    CONTENT_MD5, SIGNATURE, SIGNATURE_HEADERS, SIGNATURE_KEY, SIGNATURE_METHOD, Verified, Verifier,
};
