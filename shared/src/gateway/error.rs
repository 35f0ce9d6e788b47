//! Errors of a signature's verification.

use super::parameters::ParameterError;

/// The reason why a signature is not valid. For the log only: the response says less, so as not to help a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature header is missing.
    #[error("no signature")]
    Missing,
    /// The key header is missing.
    #[error("no key name")]
    KeyMissing,
    /// No configured secret has this name.
    #[error("unknown key")]
    UnknownKey,
    /// The algorithm is not HmacSHA256.
    #[error("unknown signature method")]
    UnknownMethod,
    /// A header is present or listed more than once.
    #[error("repeated header")]
    RepeatedHeader,
    /// The list of signed headers is too long.
    #[error("too many signed headers")]
    TooManyHeaders,
    /// A required header is present but not signed.
    #[error("required header not signed")]
    UnsignedHeader,
    /// A query parameter appears more than once.
    #[error("repeated parameter")]
    RepeatedParameter,
    /// The query has more than [`super::PARAMETERS_MAX`] parameters.
    #[error("too many parameters")]
    TooManyParameters,
    /// A header or parameter is ambiguous.
    #[error("undecodable header or parameter")]
    Undecodable,
    /// The request has a body that the gateway does not sign: the method is neither POST nor PUT.
    #[error("unsigned body")]
    UnsignedBody,
    /// The signature belongs to another request or another secret.
    #[error("wrong signature")]
    Mismatch,
}

impl From<ParameterError> for SignatureError {
    fn from(error: ParameterError) -> Self {
        match error {
            ParameterError::Repeated => Self::RepeatedParameter,
            ParameterError::TooMany => Self::TooManyParameters,
            ParameterError::Undecodable | ParameterError::Ambiguous => Self::Undecodable,
        }
    }
}
