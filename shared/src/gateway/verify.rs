//! Whether a request is the gateway's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Uri};

use super::canonical::{BODY_MD5_LENGTH, Canonical, body_md5};
use super::headers::{SignedHeaders, at_most_one};
use super::keys::SigningKeys;
use super::parameters::{ParameterFault, parameters};

/// The signature, base64.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-ca-proxy-signature");
/// The name of the key that it was made with.
pub const SIGNATURE_KEY: HeaderName = HeaderName::from_static("x-ca-proxy-signature-secret-key");
/// The names of the signed headers, with commas between them.
pub const SIGNATURE_HEADERS: HeaderName = HeaderName::from_static("x-ca-proxy-signature-headers");
/// The algorithm. That the gateway sends it is unknown.
pub const SIGNATURE_METHOD: HeaderName = HeaderName::from_static("x-ca-proxy-signature-method");

const METHOD: &str = "HmacSHA256";

const FORM: &str = "application/x-www-form-urlencoded";

/// Why a request does not count as the gateway's. For operators: a client is told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No signature at all.
    #[error("no signature")]
    Missing,
    /// No key is named.
    #[error("no key is named")]
    KeyMissing,
    /// The named key is not one of ours.
    #[error("unknown key")]
    UnknownKey,
    /// Signed by another algorithm.
    #[error("unknown signature method")]
    UnknownMethod,
    /// A header that must be there once is there more often, or listed more often.
    #[error("repeated header")]
    RepeatedHeader,
    /// The list of signed headers is too long.
    #[error("too many signed headers")]
    TooManyHeaders,
    /// A header that an order hangs on is not among the signed ones.
    #[error("required header not signed")]
    UnsignedHeader,
    /// A query parameter is there more than once.
    #[error("repeated parameter")]
    RepeatedParameter,
    /// More query parameters than are read.
    #[error("too many parameters")]
    TooManyParameters,
    /// Text that could be read in more than one way.
    #[error("undecodable header or parameter")]
    Undecodable,
    /// A body that the gateway does not sign: of a method other than POST and PUT.
    #[error("unsigned body")]
    UnsignedBody,
    /// The signature is that of another request, or of another secret.
    #[error("wrong signature")]
    Mismatch,
}

impl From<ParameterFault> for Fault {
    fn from(fault: ParameterFault) -> Self {
        match fault {
            ParameterFault::Repeated => Self::RepeatedParameter,
            ParameterFault::TooMany => Self::TooManyParameters,
            ParameterFault::Undecodable | ParameterFault::Ambiguous => Self::Undecodable,
        }
    }
}

/// The proof that a request is the gateway's: nothing but [`Verifier::verify`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Verified(());

/// Checks signatures.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: SigningKeys,
    required: Vec<HeaderName>,
}

impl Verifier {
    /// Checks by `keys`. A header in `required` must be signed and there once; that it is there at all is left to
    /// whoever reads it.
    #[must_use]
    pub const fn new(keys: SigningKeys, required: Vec<HeaderName>) -> Self {
        Self { keys, required }
    }

    /// Checks one request.
    ///
    /// # Errors
    /// [`Fault`]: the request is not the gateway's, or not for certain.
    pub fn verify(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Verified, Fault> {
        let signature = text(headers, &SIGNATURE)?.ok_or(Fault::Missing)?;
        let key = text(headers, &SIGNATURE_KEY)?.ok_or(Fault::KeyMissing)?;
        if text(headers, &SIGNATURE_METHOD)?.is_some_and(|method| !method.eq_ignore_ascii_case(METHOD)) {
            return Err(Fault::UnknownMethod);
        }
        let listed = SignedHeaders::parse(text(headers, &SIGNATURE_HEADERS)?.unwrap_or_default())?;
        for name in &self.required {
            if at_most_one(headers.get_all(name).iter())?.is_some() && !listed.contain(name) {
                return Err(Fault::UnsignedHeader);
            }
        }
        let is_form = is_form(headers);
        if !body.is_empty() && !matches!(*method, Method::POST | Method::PUT) {
            return Err(Fault::UnsignedBody);
        }
        let form = if is_form { std::str::from_utf8(body).map_err(|_| Fault::Undecodable)? } else { "" };
        let mut md5 = [0; BODY_MD5_LENGTH];
        let canonical = Canonical {
            method,
            path: uri.path(),
            body_md5: if body.is_empty() || is_form { "" } else { body_md5(body, &mut md5) },
            headers: &listed.values(headers)?,
            parameters: &parameters(uri.query().unwrap_or_default(), form)?,
        };
        // Room for one group of base64 more than an HMAC-SHA256 has; what does not fit is none.
        let mut bytes = [0; 36];
        let length = STANDARD.decode_slice(signature, &mut bytes).map_err(|_| Fault::Mismatch)?;
        match self.keys.verify(key, &canonical.to_bytes(), &bytes[..length]) {
            Some(true) => Ok(Verified(())),
            Some(false) => Err(Fault::Mismatch),
            None => Err(Fault::UnknownKey),
        }
    }
}

/// The one value of a header of the signature's own, if it is there.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Fault> {
    let value = at_most_one(headers.get_all(name).iter())?;
    value.map(|value| value.to_str().map_err(|_| Fault::Undecodable)).transpose()
}

/// Whether the body is one whose parameters are signed instead of its bytes.
fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}
