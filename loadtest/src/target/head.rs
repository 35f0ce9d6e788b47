use std::str::FromStr;

use anyhow::{Context, bail};
use http::{HeaderName, Method};
use shared::config::Secret;

use super::signature::GatewaySigner;

/// What every request's head has besides its own fields.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Value of the `Host` header.
    pub host: String,
    /// Precedes the path of each request.
    pub prefix: String,
    pub headers: Vec<HeaderTemplate>,
    /// Bearer tokens: buyer n has token n, modulo their number.
    pub bearers: Vec<Secret<String>>,
    pub signer: Option<GatewaySigner>,
}

/// What the further headers of one request depend on.
#[derive(Clone, Debug)]
pub struct RequestFields<'a> {
    pub method: Method,
    pub path: &'a str,
    pub body: &'a [u8],
    pub is_form: bool,
    pub has_key: bool,
    pub number: u64,
    /// Number and id of the buyer.
    pub buyer: u32,
    pub user_id: &'a str,
    pub idempotency_key: &'a str,
    /// Distinct for each request of any run.
    pub uuid: u128,
}

/// A header whose value may contain `{number}`, `{user}`, `{key}` and `{uuid}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderTemplate {
    name: String,
    parts: Vec<ValuePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValuePart {
    Text(String),
    Number,
    User,
    Key,
    Uuid,
}

impl FromStr for HeaderTemplate {
    type Err = anyhow::Error;

    /// Parses `Name: value`. `{{` is a brace.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value) = text.split_once(':').context("expected NAME: VALUE")?;
        let name = HeaderName::from_str(name.trim()).context("the header's name")?.as_str().to_owned();
        const OWN: [&str; 5] =
            ["host", "content-length", "content-type", "idempotency-key", "transfer-encoding"];
        if OWN.contains(&name.as_str()) {
            bail!("the generator itself sets {name}");
        }
        let value = value.trim();
        if !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            bail!("{name}: use visible ASCII and spaces");
        }
        let (mut parts, mut rest) = (Vec::new(), value);
        while let Some((text, after)) = rest.split_once('{') {
            parts.push(ValuePart::Text(text.to_owned()));
            if let Some(after) = after.strip_prefix('{') {
                parts.push(ValuePart::Text("{".to_owned()));
                rest = after;
                continue;
            }
            let (placeholder, after) =
                after.split_once('}').with_context(|| format!("{name}: `{{` without `}}`"))?;
            parts.push(match placeholder {
                "number" => ValuePart::Number,
                "user" => ValuePart::User,
                "key" => ValuePart::Key,
                "uuid" => ValuePart::Uuid,
                other => bail!("{name}: unknown {{{other}}}; use {{number}}, {{user}}, {{key}} or {{uuid}}"),
            });
            rest = after;
        }
        parts.push(ValuePart::Text(rest.to_owned()));
        Ok(Self { name, parts })
    }
}

impl HeaderTemplate {
    fn value(&self, values: &RequestFields<'_>) -> String {
        let text = |part: &ValuePart| match part {
            ValuePart::Text(text) => text.clone(),
            ValuePart::Number => values.number.to_string(),
            ValuePart::User => values.user_id.to_owned(),
            ValuePart::Key => values.idempotency_key.to_owned(),
            ValuePart::Uuid => uuid_text(values.uuid),
        };
        self.parts.iter().map(text).collect()
    }
}

/// A version 8 UUID, which leaves its bits to the application.
fn uuid_text(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Appends a header after an end of line.
pub(super) fn write_header(name: &str, value: &str, out: &mut Vec<u8>) {
    for text in ["\r\n", name, ": ", value] {
        out.extend_from_slice(text.as_bytes());
    }
}

impl RequestHead {
    pub fn new(host: &str) -> Self {
        let host = host.to_owned();
        Self { host, prefix: String::new(), headers: Vec::new(), bearers: Vec::new(), signer: None }
    }

    /// True if requests differ in more than the workload's own fields.
    pub(crate) const fn has_headers(&self) -> bool {
        !self.headers.is_empty() || !self.bearers.is_empty() || self.signer.is_some()
    }

    /// A complete `GET` of `request`'s path, which includes the prefix.
    pub(crate) fn get(&self, request: &RequestFields<'_>) -> Vec<u8> {
        let mut out = format!("GET {} HTTP/1.1\r\nhost: {}", request.path, self.host).into_bytes();
        self.write_headers(request, &mut out);
        out.extend_from_slice(b"\r\n\r\n");
        out
    }

    /// A buyer, of `users`, whose requests have another identity than `buyer`'s; `None`: requests do not name the buyer.
    pub(crate) fn another_buyer(&self, buyer: u32, users: u32) -> Option<u32> {
        let tokens = self.bearers.len() as u32;
        let is_named = self.headers.iter().any(|header| header.parts.contains(&ValuePart::User));
        let is_another = |other: &u32| if tokens > 1 { other % tokens != buyer % tokens } else { is_named };
        (1..users).map(|step| (buyer + step) % users).find(is_another)
    }

    /// Appends the further headers, each after an end of line.
    pub(crate) fn write_headers(&self, request: &RequestFields<'_>, out: &mut Vec<u8>) {
        let headers: Vec<_> =
            self.headers.iter().map(|header| (header.name.as_str(), header.value(request))).collect();
        for (name, value) in &headers {
            write_header(name, value, out);
        }
        if !self.bearers.is_empty() {
            let token = self.bearers[request.buyer as usize % self.bearers.len()].expose();
            write_header("authorization", &format!("Bearer {token}"), out);
        }
        if let Some(signer) = &self.signer {
            let signed = headers.iter().map(|(name, value)| (*name, value.as_str()));
            let key = request.has_key.then_some(("idempotency-key", request.idempotency_key));
            signer.sign(request, signed.chain(key).collect(), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri};
    use shared::gateway::{SignatureError, SigningKeys, Verifier};

    use super::*;

    const VALUES: RequestFields<'_> = RequestFields {
        method: Method::POST,
        path: "/stage/v1/orders",
        body: b"{}",
        is_form: false,
        has_key: true,
        number: 7,
        buyer: 3,
        user_id: "user-3",
        idempotency_key: "key-7",
        uuid: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
    };

    #[test]
    fn placeholders_become_the_requests_own_values() {
        for (text, name, value) in [
            ("X-Spillway-User: {user}", "x-spillway-user", "user-3"),
            ("x-trace:{number}/{key}-{{x}", "x-trace", "7/key-7-{x}"),
            // Version 8, variant 2: the fixed bits of RFC 9562.
            ("x-id: {uuid}", "x-id", "01234567-89ab-8def-8123-456789abcdef"),
            ("x-empty:", "x-empty", ""),
        ] {
            let template: HeaderTemplate = text.parse().expect(text);
            assert_eq!((template.name.as_str(), template.value(&VALUES).as_str()), (name, value));
        }
        for text in ["x-user", "x user: 1", "Host: x", "x: {id}", "x: {user", "x: a\r\nb: c"] {
            assert!(text.parse::<HeaderTemplate>().is_err(), "{text}");
        }
    }

    #[test]
    fn another_buyer_has_another_identity() {
        let (mut by_header, mut by_token) = (RequestHead::new("h"), RequestHead::new("h"));
        assert_eq!(by_header.another_buyer(0, 9), None, "requests do not name the buyer");
        by_header.headers = vec!["X-User: {user}".parse().expect("a header")];
        by_token.bearers = vec![Secret::new("t0".to_owned())];
        assert_eq!(by_token.another_buyer(0, 9), None, "all buyers have one token");
        by_token.bearers = ["t0", "t1", "t2"].map(|token| Secret::new(token.to_owned())).to_vec();
        for (head, buyer, users, expected) in [
            (&by_header, 0, 9, Some(1)),
            (&by_header, 8, 9, Some(0)),
            (&by_header, 0, 1, None),
            (&by_token, 0, 9, Some(1)),
            // Buyer 0 has token 0 as well.
            (&by_token, 9, 10, Some(1)),
            (&by_token, 0, 1, None),
        ] {
            assert_eq!(head.another_buyer(buyer, users), expected, "{buyer} of {users}");
        }
    }

    #[test]
    fn a_signed_request_without_a_body_is_verified() {
        let mut head = RequestHead::new("h");
        head.signer = Some("2026=a-long-secret".parse().expect("a secret"));
        let path = "/stage/v1/orders/1";
        let request =
            head.get(&RequestFields { method: Method::GET, path, body: b"", has_key: false, ..VALUES });
        let text = String::from_utf8(request).expect("text");
        assert!(text.starts_with("GET /stage/v1/orders/1 HTTP/1.1\r\nhost: h\r\n"), "{text}");
        let mut headers = HeaderMap::new();
        for line in text.trim_end().split("\r\n").skip(1) {
            let (name, value) = line.split_once(": ").expect("a header");
            headers.insert(HeaderName::from_str(name).expect("a name"), value.parse().expect("a value"));
        }
        let verifier = Verifier::new("2026=a-long-secret".parse().expect("keys"), Vec::new());
        let uri: Uri = path.parse().expect("a path");
        assert_eq!(verifier.verify(&Method::GET, &uri, &headers, b"").map(|_| ()), Ok(()));
    }

    #[test]
    fn a_service_verifies_the_signature_and_finds_every_change() {
        let secrets = "2026b=another-secret,2026a=a-long-secret";
        let mut head = RequestHead::new("h");
        head.headers = vec!["X-Spillway-User: {user}".parse().expect("a header")];
        head.bearers = vec!["t0", "t1"].into_iter().map(|token| Secret::new(token.to_owned())).collect();
        head.signer = Some(secrets.parse().expect("a secret"));
        assert!(!format!("{head:?}").contains("another-secret") && !format!("{head:?}").contains("t1"));
        let mut out = Vec::new();
        head.write_headers(&VALUES, &mut out);
        let text = String::from_utf8(out).expect("text");
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_static("key-7"));
        for line in text.split("\r\n").skip(1) {
            let (name, value) = line.split_once(": ").expect("a header");
            headers.insert(HeaderName::from_str(name).expect("a name"), value.parse().expect("a value"));
        }
        assert_eq!(headers["authorization"], "Bearer t1");
        let required = ["idempotency-key", "x-spillway-user"].map(HeaderName::from_static);
        let keys: SigningKeys = secrets.parse().expect("keys");
        let verifier = Verifier::new(keys, required.to_vec());
        let verify = |path: &str, headers: &HeaderMap, body: &[u8]| {
            let uri: Uri = path.parse().expect("a path");
            verifier.verify(&Method::POST, &uri, headers, body).map(|_| ())
        };
        assert_eq!(verify("/stage/v1/orders", &headers, b"{}"), Ok(()));
        assert_eq!(verify("/v1/orders", &headers, b"{}"), Err(SignatureError::Mismatch));
        assert_eq!(verify("/stage/v1/orders", &headers, b"{ }"), Err(SignatureError::Mismatch));
        headers.insert("x-spillway-user", HeaderValue::from_static("user-4"));
        assert_eq!(verify("/stage/v1/orders", &headers, b"{}"), Err(SignatureError::Mismatch));
    }
}
