//! The string that API Gateway signs.
//!
//! ```text
//! METHOD \n
//! base64(MD5(body)) \n                          only of a POST or PUT whose body is not a form
//! lower-case-name:value \n                      each listed header that is present, sorted by its name as listed
//! path?name=value&name=value                    query and form, decoded, sorted by name
//! ```
//!
//! Source: `Sign.java` of aliyun/api-gateway-demo-sign-backend-java, certain; its test vector is a test here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use md5::{Digest, Md5};

use super::parameters::Parameter;

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Canonical<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as sent, not decoded, without the query.
    pub path: &'a str,
    /// Base64 of the body's MD5 if the body is signed, else empty.
    pub body_md5: &'a str,
    /// Names as listed with their values, sorted by name as listed.
    pub headers: &'a [(&'a str, &'a str)],
    /// Query and form, decoded, sorted by name.
    pub parameters: &'a [Parameter<'a>],
}

/// Capacity that fits most strings, so that building one allocates once.
const CAPACITY: usize = 512;

impl Canonical<'_> {
    /// Builds the string to sign. It holds what the client sent: never log it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(CAPACITY);
        text.extend_from_slice(self.method.as_str().as_bytes());
        text.push(b'\n');
        text.extend_from_slice(self.body_md5.as_bytes());
        text.push(b'\n');
        for (name, value) in self.headers {
            text.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(self.path.as_bytes());
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            text.push(if index == 0 { b'?' } else { b'&' });
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
        }
        text
    }
}

/// Length of an MD5 in base64.
pub const BODY_MD5_LENGTH: usize = 24;

/// Writes base64 of the MD5 of `body` to `text`.
pub fn body_md5<'a>(body: &[u8], text: &'a mut [u8; BODY_MD5_LENGTH]) -> &'a str {
    let digest = Md5::digest(body);
    // 16 bytes always encode to 24 ASCII characters.
    let length = STANDARD.encode_slice(digest, text).unwrap_or_default();
    std::str::from_utf8(&text[..length]).unwrap_or_default()
}
