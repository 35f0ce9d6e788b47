//! Request metadata and the access-key signature.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::config::{ClientConfig, Credentials};
use crate::error::ClientError;
use crate::protocol::header;

const DATE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Adds the protocol's metadata to every call; builds the constant part once.
#[derive(Debug)]
pub(crate) struct Signer {
    constant: MetadataMap,
    credentials: Option<Credentials>,
    request_prefix: u64,
    requests: AtomicU64,
}

impl Signer {
    pub(crate) fn new(config: &ClientConfig, client_id: &str) -> Result<Self, ClientError> {
        let mut constant = MetadataMap::new();
        let mut insert = |name: &'static str, value: &str| -> Result<(), ClientError> {
            let value: MetadataValue<Ascii> = value
                .parse()
                .map_err(|_| ClientError::Config(format!("{name} holds characters a header cannot carry")))?;
            constant.insert(name, value);
            Ok(())
        };
        insert(header::CLIENT_ID, client_id)?;
        // The proxy knows `RUST`; it ignores names that it does not know.
        insert(header::LANGUAGE, "RUST")?;
        // From 5.0.3 on the proxy distinguishes an illegal polling time from a bad request.
        insert(header::CLIENT_VERSION, "5.0.3")?;
        insert(header::PROTOCOL, "v2")?;
        if !config.namespace.is_empty() {
            insert(header::NAMESPACE, &config.namespace)?;
        }
        // A key that no header can carry would leave every call unsigned.
        if let Some(credentials) = &config.credentials
            && authorization(credentials, "").parse::<MetadataValue<Ascii>>().is_err()
        {
            return Err(ClientError::Config(
                "the access key holds characters that a header cannot carry".to_owned(),
            ));
        }
        if let Some(token) =
            config.credentials.as_ref().and_then(|credentials| credentials.session_token.as_ref())
        {
            insert(header::SESSION_TOKEN, token)?;
        }
        Ok(Self {
            constant,
            credentials: config.credentials.clone(),
            request_prefix: rand::random(),
            requests: AtomicU64::new(0),
        })
    }

    /// Wraps `message` in a request that is signed now.
    pub(crate) fn request<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A counter costs less than a random number and identifies a call as well.
        let request_id = format!("{:016x}-{number:016x}", self.request_prefix);
        let metadata = request.metadata_mut();
        *metadata = self.constant.clone();
        let date_time = OffsetDateTime::now_utc().format(DATE_TIME).unwrap_or_default();
        let mut values = vec![(header::REQUEST_ID, request_id)];
        if let Some(credentials) = &self.credentials {
            values.push((header::AUTHORIZATION, authorization(credentials, &date_time)));
        }
        values.push((header::DATE_TIME, date_time));
        for (name, value) in values {
            // All three are ASCII that this client generates; `new` has checked the access key.
            if let Ok(value) = value.parse::<MetadataValue<Ascii>>() {
                metadata.insert(name, value);
            }
        }
        request
    }
}

/// `MQv2-HMAC-SHA1 Credential=…, SignedHeaders=x-mq-date-time, Signature=HEX(HMAC-SHA1(secret, date time))`.
fn authorization(credentials: &Credentials, date_time: &str) -> String {
    format!(
        "MQv2-HMAC-SHA1 Credential={}, SignedHeaders={}, Signature={}",
        credentials.access_key,
        header::DATE_TIME,
        signature(&credentials.secret_key, date_time)
    )
}

fn signature(secret_key: &str, date_time: &str) -> String {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()) else { return String::new() };
    mac.update(date_time.as_bytes());
    hex::encode_upper(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha1_in_upper_case_hex() {
        // RFC 2202, test case 2, in upper case.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"
        );
    }

    #[test]
    fn a_signed_request_has_all_metadata_and_never_the_secret() {
        let mut config = ClientConfig::new("127.0.0.1:1".parse().expect("valid"));
        config.namespace = "ns".to_owned();
        config.credentials = Some(Credentials {
            access_key: "access".to_owned(),
            secret_key: "hunter2".to_owned(),
            session_token: Some("token".to_owned()),
        });
        let signer = Signer::new(&config, "client").expect("valid");
        let request = signer.request(());
        for name in [
            header::CLIENT_ID,
            header::DATE_TIME,
            header::LANGUAGE,
            header::CLIENT_VERSION,
            header::PROTOCOL,
            header::REQUEST_ID,
            header::NAMESPACE,
            header::SESSION_TOKEN,
            header::AUTHORIZATION,
        ] {
            assert!(request.metadata().contains_key(name), "{name}");
        }
        assert!(!format!("{:?}", request.metadata()).contains("hunter2"));
    }
}
