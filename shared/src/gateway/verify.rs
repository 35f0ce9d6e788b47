//! Verification of the gateway's signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Uri};

use super::canonical::{BODY_MD5_LENGTH, Canonical, body_md5};
use super::error::SignatureError;
use super::headers::{SignedHeaders, at_most_one};
use super::keys::SigningKeys;
use super::parameters::parameters;

/// The signature, base64.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-ca-proxy-signature");
/// Name of the key that made the signature.
pub const SIGNATURE_KEY: HeaderName = HeaderName::from_static("x-ca-proxy-signature-secret-key");
/// Names of the signed headers, separated by commas.
pub const SIGNATURE_HEADERS: HeaderName = HeaderName::from_static("x-ca-proxy-signature-headers");
/// The algorithm. Unknown: if the gateway sends this header.
pub const SIGNATURE_METHOD: HeaderName = HeaderName::from_static("x-ca-proxy-signature-method");

const METHOD: &str = "HmacSHA256";

const FORM: &str = "application/x-www-form-urlencoded";

/// A digest of the body that a client may send, and that the gateway may sign (RFC 1864).
pub const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Proof that a request comes from the gateway: only [`Verifier::verify`] creates one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    covers_body: bool,
}

impl Verified {
    /// True if the signature covers the body, or there is none; false if it covers the rest of the request alone.
    #[must_use]
    pub const fn covers_body(self) -> bool {
        self.covers_body
    }
}

/// Verifies signatures.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: SigningKeys,
    required: Vec<HeaderName>,
}

impl Verifier {
    /// Verifies with `keys`. A header in `required` must be signed if it is present; the caller checks that it is.
    #[must_use]
    pub const fn new(keys: SigningKeys, required: Vec<HeaderName>) -> Self {
        Self { keys, required }
    }

    /// Verifies one request.
    ///
    /// The gateway signs an MD5 of a body that is not a form. The vendor's texts differ on which: the demo computes it
    /// from the body; by the page "Backend signature plugin" (2023 to 2026) it is the client's `Content-MD5`, and empty
    /// if the client sends none. Both verify. A `Content-MD5` that is not the body's never does.
    ///
    /// # Errors
    /// [`SignatureError`]: the request does not come from the gateway, or is ambiguous.
    pub fn verify(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Verified, SignatureError> {
        let signature = text(headers, &SIGNATURE)?.ok_or(SignatureError::Missing)?;
        let key = text(headers, &SIGNATURE_KEY)?.ok_or(SignatureError::KeyMissing)?;
        if text(headers, &SIGNATURE_METHOD)?.is_some_and(|method| !method.eq_ignore_ascii_case(METHOD)) {
            return Err(SignatureError::UnknownMethod);
        }
        let listed = SignedHeaders::parse(text(headers, &SIGNATURE_HEADERS)?.unwrap_or_default())?;
        for name in &self.required {
            if at_most_one(headers.get_all(name).iter())?.is_some() && !listed.contain(name) {
                return Err(SignatureError::UnsignedHeader);
            }
        }
        let is_form = is_form(headers);
        if !body.is_empty() && !matches!(*method, Method::POST | Method::PUT) {
            return Err(SignatureError::UnsignedBody);
        }
        let form =
            if is_form { std::str::from_utf8(body).map_err(|_| SignatureError::Undecodable)? } else { "" };
        let mut md5 = [0; BODY_MD5_LENGTH];
        let body_md5 = if body.is_empty() || is_form { "" } else { body_md5(body, &mut md5) };
        let sent_md5 = text(headers, &CONTENT_MD5)?;
        if sent_md5.is_some_and(|sent| !body_md5.is_empty() && sent != body_md5) {
            return Err(SignatureError::Mismatch);
        }
        let canonical = Canonical {
            method,
            path: uri.path(),
            body_md5,
            headers: &listed.values(headers)?,
            parameters: &parameters(uri.query().unwrap_or_default(), form)?,
        };
        // One base64 group more than an HMAC-SHA256 has; a longer signature does not match.
        let mut bytes = [0; 36];
        let length = STANDARD.decode_slice(signature, &mut bytes).map_err(|_| SignatureError::Mismatch)?;
        let is_made_of = |canonical: &Canonical<'_>| {
            let matches = self.keys.verify(key, &canonical.to_bytes(), &bytes[..length]);
            matches.ok_or(SignatureError::UnknownKey)
        };
        if is_made_of(&canonical)? {
            return Ok(Verified { covers_body: true });
        }
        let may_be_empty = sent_md5.is_none() && !body_md5.is_empty();
        if may_be_empty && is_made_of(&Canonical { body_md5: "", ..canonical })? {
            return Ok(Verified { covers_body: false });
        }
        Err(SignatureError::Mismatch)
    }
}

/// Returns the value of a header of the signature; more than one value is an error.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, SignatureError> {
    let value = at_most_one(headers.get_all(name).iter())?;
    value.map(|value| value.to_str().map_err(|_| SignatureError::Undecodable)).transpose()
}

/// True if the body is a form: then its parameters are signed instead of its bytes.
fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}
