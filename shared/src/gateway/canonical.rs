//! The string that API Gateway signs.
//!
//! ```text
//! METHOD \n
//! base64(MD5(body)) \n                          only of a POST or PUT with a body that is no form
//! lower-case-name:value \n                      each listed header that is there, by its name as listed
//! path?name=value&name=value                    query and form, decoded, by name
//! ```
//!
//! Source: `Sign.java` of aliyun/api-gateway-demo-sign-backend-java, certain; its test vector is a test here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use md5::{Digest, Md5};

use super::parameters::Parameter;

/// The parts of a request that are signed.
#[derive(Clone, Copy, Debug)]
pub struct Canonical<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it was sent, nothing decoded, without the query.
    pub path: &'a str,
    /// Base64 of the body's MD5 if the body counts, empty otherwise.
    pub body_md5: &'a str,
    /// Names as listed, and values, sorted by name as listed.
    pub headers: &'a [(&'a str, &'a str)],
    /// Query and form, decoded, sorted by name.
    pub parameters: &'a [Parameter<'a>],
}

/// Room for most strings, so that writing one allocates once.
const CAPACITY: usize = 512;

impl Canonical<'_> {
    /// The string as bytes. It holds what the client sent: never log it.
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

/// Base64 of the MD5 of `body`, in `text`.
pub fn body_md5<'a>(body: &[u8], text: &'a mut [u8; BODY_MD5_LENGTH]) -> &'a str {
    let digest = Md5::digest(body);
    // 16 bytes are 24 characters of ASCII, always.
    let length = STANDARD.encode_slice(digest, text).unwrap_or_default();
    std::str::from_utf8(&text[..length]).unwrap_or_default()
}
