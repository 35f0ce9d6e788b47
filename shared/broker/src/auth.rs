//! Checks the access-key signature of a call.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha1::Sha1;

use super::error::Refusal;
use spillway_rocketmq::Credentials;
use spillway_rocketmq::protocol::{Code, header};

const SCHEME: &str = "MQv2-HMAC-SHA1 ";

/// Returns an error unless a call with these headers is signed with `credentials`. Like the open-source server it does not compare the
/// signed instant with the clock.
pub(crate) fn check(credentials: &Credentials, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = text(header::AUTHORIZATION).zip(text(header::DATE_TIME));
    match signed.and_then(|(authorization, date_time)| verify(credentials, authorization, date_time)) {
        Some(()) => Ok(()),
        None => Err(Refusal::new(Code::UNAUTHORIZED, "missing or invalid signature")),
    }
}

fn verify(credentials: &Credentials, authorization: &str, date_time: &str) -> Option<()> {
    let mut access_key = None;
    let mut signature = None;
    for part in authorization.strip_prefix(SCHEME)?.split(',') {
        match part.trim().split_once('=')? {
            // Region and service may follow the key.
            ("Credential", value) => access_key = value.split('/').next(),
            ("SignedHeaders", value) if value != header::DATE_TIME => return None,
            ("Signature", value) => signature = hex::decode(value).ok(),
            _ => {}
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(credentials.secret_key.as_bytes()).ok()?;
    mac.update(date_time.as_bytes());
    // In constant time, before the access key is compared, which is not secret.
    mac.verify_slice(&signature?).ok()?;
    (access_key? == credentials.access_key).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 2202, test case 2.
    const DATE_TIME: &str = "what do ya want for nothing?";
    const SIGNATURE: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";

    fn headers(credential: &str, signature: &str) -> HeaderMap {
        let authorization = format!(
            "MQv2-HMAC-SHA1 Credential={credential}, SignedHeaders=x-mq-date-time, Signature={signature}"
        );
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().expect("ascii"));
        headers.insert(header::DATE_TIME, DATE_TIME.parse().expect("ascii"));
        headers
    }

    #[test]
    fn only_the_right_key_with_the_right_signature_passes() {
        let credentials = Credentials {
            access_key: "access".to_owned(),
            secret_key: "Jefe".to_owned(),
            session_token: None,
        };
        let upper = SIGNATURE.to_uppercase();
        for (credential, signature) in
            [("access", SIGNATURE), ("access", &upper), ("access/cn/mq", SIGNATURE)]
        {
            assert_eq!(
                check(&credentials, &headers(credential, signature)),
                Ok(()),
                "{credential} {signature}"
            );
        }
        let wrong = SIGNATURE.replace('e', "f");
        for (credential, signature) in [
            ("other", SIGNATURE),
            ("access", &wrong),
            ("access", &SIGNATURE[..38]),
            ("access", ""),
            ("", "zz"),
        ] {
            let refused = check(&credentials, &headers(credential, signature)).expect_err("wrong");
            assert_eq!(refused.code, Code::UNAUTHORIZED);
        }
        assert!(check(&credentials, &HeaderMap::new()).is_err());
    }
}
