//! Alibaba Cloud's signature V3 of a request without a body (certain: the vendor's page "Request syntax and signature method
//! V3", 2025-02, whose example is the test).

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// SHA-256 of no bytes.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request without a body.
pub(super) struct UnsignedRequest<'a> {
    pub(super) method: &'a Method,
    /// As the header `host`.
    pub(super) host: &'a str,
    /// As it is sent, percent-encoded.
    pub(super) path: &'a str,
    /// As it is sent: percent-encoded parameters in their alphabetical order.
    pub(super) query: &'a str,
    pub(super) action: &'a str,
    pub(super) version: &'a str,
    /// Seconds of UTC: `2026-11-11T00:00:00Z`. The server accepts 15 minutes.
    pub(super) date: &'a str,
    /// Another one for each request.
    pub(super) nonce: &'a str,
}

impl UnsignedRequest<'_> {
    /// The headers that are signed, in the order in which they are.
    pub(super) const fn headers(&self) -> [(&'static str, &str); 6] {
        [
            ("host", self.host),
            ("x-acs-action", self.action),
            ("x-acs-content-sha256", EMPTY_SHA256),
            ("x-acs-date", self.date),
            ("x-acs-signature-nonce", self.nonce),
            ("x-acs-version", self.version),
        ]
    }

    /// The header `authorization`.
    pub(super) fn authorization(&self, key_id: &str, key_secret: &str) -> String {
        let headers = self.headers();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let (names, lines) =
            (names.join(";"), headers.map(|(name, value)| format!("{name}:{value}\n")).concat());
        let Self { method, path, query, .. } = self;
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{EMPTY_SHA256}");
        let to_sign = format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(canonical)));
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key_secret.as_bytes()).expect("any length");
        mac.update(to_sign.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        format!("{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's page, with its key and its signature.
    #[test]
    fn the_signature_is_that_of_the_vendors_example() {
        let request = UnsignedRequest {
            method: &Method::POST,
            host: "ecs.cn-shanghai.aliyuncs.com",
            path: "/",
            query: "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai",
            action: "RunInstances",
            version: "2014-05-26",
            date: "2023-10-26T10:22:32Z",
            nonce: "3156853299f313e23d1673dc12e1703d",
        };
        assert_eq!(
            request.authorization("YourAccessKeyId", "YourAccessKeySecret"),
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }
}
