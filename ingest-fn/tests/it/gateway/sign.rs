//! The gateway's side of the signature, written from the vendor's demo without this crate's code.

use std::collections::BTreeMap;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue, Method, Request};
use md5::{Digest, Md5};
use sha2::Sha256;
use shared::gateway::SigningKeys;

pub(crate) const KEY_NAME: &str = "2026b";
pub(crate) const SECRET: &str = "9f1c=the-second-secret";

/// Two keys: the one that [`Draft`] signs with, and its predecessor.
pub(crate) fn keys() -> SigningKeys {
    format!("2026a=the-first-secret,{KEY_NAME}={SECRET}").parse().expect("keys")
}

/// A request that the gateway is about to send to its backend.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Decoded; sent as the body if there is any.
    pub(crate) form: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    /// Names as listed, in the order of the list.
    pub(crate) signed: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// Sign the client's `Content-MD5`, or an empty line, as the vendor's page has it; else the body's, as its demo has it.
    pub(crate) signs_sent_md5: bool,
    pub(crate) key_name: String,
    pub(crate) secret: String,
}

impl Draft {
    /// An order with the idempotency key `key`.
    pub(crate) fn order(key: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            path: "/v1/orders".to_owned(),
            query: Vec::new(),
            form: Vec::new(),
            headers: vec![
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("Idempotency-Key".to_owned(), key.to_owned()),
            ],
            signed: vec!["Idempotency-Key".to_owned()],
            body: body.into(),
            signs_sent_md5: false,
            key_name: KEY_NAME.to_owned(),
            secret: SECRET.to_owned(),
        }
    }

    /// Adds a header that is signed.
    pub(crate) fn with_signed(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self.signed.push(name.to_owned());
        self
    }

    pub(crate) fn string_to_sign(&self) -> String {
        let has_body = !self.body.is_empty() && matches!(self.method, Method::POST | Method::PUT);
        let sent =
            self.headers.iter().find(|(name, _)| name == "Content-MD5").map(|(_, value)| value.clone());
        let md5 = match self.signs_sent_md5 {
            true => sent.unwrap_or_default(),
            false if has_body => STANDARD.encode(Md5::digest(&self.body)),
            false => String::new(),
        };
        let signed: BTreeMap<_, _> = self
            .signed
            .iter()
            .filter_map(|name| Some((name, self.headers.iter().find(|(known, _)| known == name)?)))
            .collect();
        let headers: String = signed
            .iter()
            .map(|(name, (_, value))| format!("{}:{value}\n", name.to_ascii_lowercase()))
            .collect();
        // Java's order of text is that of its UTF-16 units.
        let parameters: BTreeMap<Vec<u16>, String> = self
            .query
            .iter()
            .chain(&self.form)
            .map(|(name, value)| (name.encode_utf16().collect(), format!("{name}={value}")))
            .collect();
        let parameters: Vec<_> = parameters.into_values().collect();
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("{}\n{md5}\n{headers}{}{mark}{}", self.method, self.path, parameters.join("&"))
    }

    pub(crate) fn signature(&self) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length");
        mac.update(self.string_to_sign().as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The request as sent, its query encoded by `encode`.
    pub(crate) fn request_with(&self, encode: impl Fn(&[(String, String)]) -> String) -> Request<Bytes> {
        let query = encode(&self.query);
        let mark = if query.is_empty() { "" } else { "?" };
        let form = encode(&self.form);
        let body = if self.form.is_empty() { Bytes::from(self.body.clone()) } else { Bytes::from(form) };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("{}{mark}{query}", self.path))
            .header("X-Ca-Proxy-Signature", self.signature())
            .header("X-Ca-Proxy-Signature-Secret-Key", &self.key_name)
            .header("X-Ca-Proxy-Signature-Headers", self.signed.join(","))
            .body(body)
            .expect("a request");
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name.as_str()).expect("a name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        request
    }

    pub(crate) fn request(&self) -> Request<Bytes> {
        self.request_with(percent_encoded)
    }
}

/// Every byte that is not a letter or a digit as `%XX`.
pub(crate) fn percent_encoded(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect()
    };
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}
