//! Headers that are forwarded, and headers that the platform adds.

use http::header::{
    CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, DATE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SERVER,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Maximum size of all headers in either direction.
pub(super) const HEADER_BYTES_MAX: usize = 8 * 1024;

pub(super) const TARGET_BYTES_MAX: usize = 4 * 1024;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-fc-request-id");

pub(super) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fc-error-type");

/// Headers of every request of this function, except the request id. Account, credentials and log store are omitted:
/// they do not exist here.
pub(super) fn common(memory_mb: u32) -> Vec<(HeaderName, HeaderValue)> {
    let fixed = |name: &'static str, value: &'static str| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    vec![
        fixed("x-fc-function-name", "ingest-fn"),
        fixed("x-fc-function-handler", "index.handler"),
        fixed("x-fc-qualifier", "LATEST"),
        fixed("x-fc-version-id", "LATEST"),
        fixed("x-fc-region", "local"),
        (HeaderName::from_static("x-fc-function-memory"), HeaderValue::from(memory_mb)),
    ]
}

/// True for hop-by-hop headers and for the platform's own.
fn stays_behind(name: &HeaderName) -> bool {
    const HOP_BY_HOP: [HeaderName; 7] =
        [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let text = name.as_str();
    HOP_BY_HOP.contains(name) || text == "keep-alive" || text.starts_with("x-fc-")
}

fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

fn strip(headers: &mut HeaderMap) {
    if !headers.keys().any(stays_behind) {
        return;
    }
    // Headers that `Connection` names are hop-by-hop too.
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let doomed: Vec<_> = headers.keys().filter(|name| stays_behind(name)).cloned().collect();
    for name in named.iter().chain(&doomed) {
        headers.remove(name);
    }
}

/// Converts a client's headers to the instance's. Returns false if they exceed the bounds.
pub(super) fn to_instance(
    headers: &mut HeaderMap,
    common: &[(HeaderName, HeaderValue)],
    request_id: &HeaderValue,
) -> bool {
    if bytes(headers) > HEADER_BYTES_MAX {
        return false;
    }
    strip(headers);
    for (name, value) in common {
        headers.insert(name, value.clone());
    }
    headers.insert(REQUEST_ID, request_id.clone());
    true
}

/// Converts an instance's headers to the client's. Returns false if they exceed the bounds.
pub(super) fn to_client(headers: &mut HeaderMap, request_id: &HeaderValue) -> bool {
    if bytes(headers) > HEADER_BYTES_MAX {
        return false;
    }
    strip(headers);
    for name in [DATE, SERVER, CONTENT_LENGTH, CONTENT_DISPOSITION] {
        headers.remove(name);
    }
    headers.insert(REQUEST_ID, request_id.clone());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn hop_by_hop_headers_and_forged_ones_do_not_reach_the_instance() {
        let mut given = headers(&[
            ("host", "shop"),
            ("idempotency-key", "k"),
            ("connection", "keep-alive, x-secret-hop"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-fc-request-id", "forged"),
            ("x-fc-access-key-id", "forged"),
        ]);
        let id = HeaderValue::from_static("id-1");
        assert!(to_instance(&mut given, &common(512), &id));
        let mut expected =
            headers(&[("host", "shop"), ("idempotency-key", "k"), ("x-fc-request-id", "id-1")]);
        expected.extend(common(512));
        assert_eq!(given, expected);
        assert_eq!(given["x-fc-function-memory"], "512");
    }

    #[test]
    fn platform_headers_do_not_reach_the_client() {
        let mut given = headers(&[
            ("location", "/v1/orders/1"),
            ("content-type", "application/json"),
            ("date", "today"),
            ("server", "us"),
            ("content-length", "3"),
            ("content-disposition", "inline"),
            ("x-fc-status", "404"),
            ("connection", "close"),
        ]);
        let id = HeaderValue::from_static("id-1");
        assert!(to_client(&mut given, &id));
        let expected =
            [("location", "/v1/orders/1"), ("content-type", "application/json"), ("x-fc-request-id", "id-1")];
        assert_eq!(given, headers(&expected));
    }

    #[test]
    fn headers_over_the_bound_are_detected() {
        let long = |length: usize| {
            let value = HeaderValue::from_bytes(&vec![b'x'; length]).expect("visible");
            HeaderMap::from_iter([(HeaderName::from_static("a"), value)])
        };
        let id = HeaderValue::from_static("id-1");
        for (length, within) in [(HEADER_BYTES_MAX - 1, true), (HEADER_BYTES_MAX, false)] {
            assert_eq!(to_instance(&mut long(length), &[], &id), within);
            assert_eq!(to_client(&mut long(length), &id), within);
        }
    }
}
