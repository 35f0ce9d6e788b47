//! The gateway in front: which requests are its own, and who it says the buyer is.
//!
//! See `docs/gateway.md` for how to set it up and for what is known of it.

mod buyer;
mod canonical;
mod headers;
mod keys;
mod parameters;
mod policy;
mod verify;

pub use buyer::Buyer;
pub use canonical::{BODY_MD5_LENGTH, Canonical, body_md5};
pub use headers::{LISTED_MAX, SignedHeaders};
pub use keys::{KeysError, SECRET_LENGTH_MIN, SigningKeys};
pub use parameters::{PARAMETERS_MAX, Parameter, ParameterFault, parameters};
pub use policy::Gateway;
pub use verify::{Fault, SIGNATURE, SIGNATURE_HEADERS, SIGNATURE_KEY, SIGNATURE_METHOD, Verified, Verifier};
