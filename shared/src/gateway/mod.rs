//! The gateway's backend signature: which requests are its own, and in which header it names the buyer.
//!
//! Used by ingest-fn for orders and by the drain worker for look-ups. `ingest-fn/docs/gateway.md` tells how to set it up
//! and what is known of it.

mod canonical;
mod headers;
mod identity;
mod keys;
mod parameters;
mod verify;

pub use canonical::{BODY_MD5_LENGTH, Canonical, body_md5};
pub use headers::{LISTED_MAX, SignedHeaders};
pub use identity::{buyer, identity_header};
pub use keys::{KeysError, SECRET_LENGTH_MIN, SigningKeys};
pub use parameters::{PARAMETERS_MAX, Parameter, ParameterFault, parameters};
pub use verify::{Fault, SIGNATURE, SIGNATURE_HEADERS, SIGNATURE_KEY, SIGNATURE_METHOD, Verified, Verifier};
