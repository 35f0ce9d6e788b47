//! Request metadata and the access-key signature.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::config::ClientConfig;
use crate::credentials::{Credentials, CredentialsSource};
use crate::error::ClientError;
use crate::protocol::header;

const DATE_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Adds the protocol's metadata to every call; builds the constant part once.
#[derive(Debug)]
pub(crate) struct Signer {
    constant: MetadataMap,
    credentials: Option<CredentialsSource>,
    request_prefix: u64,
    requests: AtomicU64,
}

impl Signer {
    pub(crate) fn new(config: &ClientConfig, client_id: &str) -> Result<Self, ClientError> {
        let mut constant = MetadataMap::new();
        insert(&mut constant, header::CLIENT_ID, client_id)?;
        // The proxy knows `RUST`; it ignores names that it does not know.
        insert(&mut constant, header::LANGUAGE, "RUST")?;
        // From 5.0.3 on the proxy distinguishes an illegal polling time from a bad request.
        insert(&mut constant, header::CLIENT_VERSION, "5.0.3")?;
        insert(&mut constant, header::PROTOCOL, "v2")?;
        if !config.namespace.is_empty() {
            insert(&mut constant, header::NAMESPACE, &config.namespace)?;
        }
        // A fault of the first credentials is reported now, not at the first call.
        if let Some(credentials) = config.credentials.as_ref().and_then(CredentialsSource::current) {
            sign(&mut constant.clone(), &credentials, "")?;
        }
        Ok(Self {
            constant,
            credentials: config.credentials.clone(),
            request_prefix: rand::random(),
            requests: AtomicU64::new(0),
        })
    }

    /// Wraps `message` in a request that is signed now, with the current credentials.
    ///
    /// # Errors
    /// [`ClientError::NoCredentials`]; [`ClientError::Config`] for credentials that no header can carry: the call would
    /// be unsigned.
    pub(crate) fn request<M>(&self, message: M) -> Result<tonic::Request<M>, ClientError> {
        let mut request = tonic::Request::new(message);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        // A counter costs less than a random number and identifies a call as well.
        let request_id = format!("{:016x}-{number:016x}", self.request_prefix);
        let metadata = request.metadata_mut();
        *metadata = self.constant.clone();
        let date_time = OffsetDateTime::now_utc().format(DATE_TIME).unwrap_or_default();
        insert(metadata, header::REQUEST_ID, &request_id)?;
        insert(metadata, header::DATE_TIME, &date_time)?;
        if let Some(source) = &self.credentials {
            let credentials = source.current().ok_or(ClientError::NoCredentials)?;
            sign(metadata, &credentials, &date_time)?;
        }
        Ok(request)
    }
}

fn insert(metadata: &mut MetadataMap, name: &'static str, value: &str) -> Result<(), ClientError> {
    let value: MetadataValue<Ascii> = value
        .parse()
        .map_err(|_| ClientError::Config(format!("{name} holds characters that a header cannot carry")))?;
    metadata.insert(name, value);
    Ok(())
}

/// Adds the headers of the official clients: `Signature` in apache/rocketmq-clients.
fn sign(metadata: &mut MetadataMap, credentials: &Credentials, date_time: &str) -> Result<(), ClientError> {
    insert(metadata, header::AUTHORIZATION, &authorization(credentials, date_time))?;
    credentials.session_token.as_ref().map_or(Ok(()), |token| insert(metadata, header::SESSION_TOKEN, token))
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
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_signature_is_hmac_sha1_in_upper_case_hex() {
        // RFC 2202, test case 2, in upper case.
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"
        );
    }

    fn credentials(access_key: &str) -> Credentials {
        Credentials {
            access_key: access_key.to_owned(),
            secret_key: "hunter2".to_owned(),
            session_token: Some(format!("token of {access_key}")),
        }
    }

    #[test]
    fn each_request_is_signed_with_the_credentials_of_that_time() {
        let current = Arc::new(Mutex::new(Some(credentials("first"))));
        let provider = {
            let current = current.clone();
            move || current.lock().expect("not poisoned").clone()
        };
        let mut config = ClientConfig::new("127.0.0.1:1".parse().expect("valid"));
        config.credentials = Some(provider.into());
        let signer = Signer::new(&config, "client").expect("valid");
        let signed_by = || -> Result<_, ClientError> {
            let request = signer.request(())?;
            let text = |name| request.metadata().get(name).expect("set").to_str().expect("text").to_owned();
            let authorization = text(header::AUTHORIZATION);
            let (_, after) = authorization.split_once("Credential=").expect("a credential");
            let (access_key, _) = after.split_once(',').expect("more");
            Ok((access_key.to_owned(), text(header::SESSION_TOKEN)))
        };
        let set = |credentials| *current.lock().expect("not poisoned") = credentials;
        assert_eq!(signed_by(), Ok(("first".to_owned(), "token of first".to_owned())));
        set(Some(credentials("second")));
        assert_eq!(signed_by(), Ok(("second".to_owned(), "token of second".to_owned())));
        set(None);
        let error = signed_by().expect_err("unsigned");
        assert!(error == ClientError::NoCredentials && error.is_retryable());
        set(Some(credentials("a\nb")));
        assert!(matches!(signed_by(), Err(ClientError::Config(_))));
        assert!(matches!(Signer::new(&config, "client"), Err(ClientError::Config(_))));
    }

    #[test]
    fn a_signed_request_has_all_metadata_and_never_the_secret() {
        let mut config = ClientConfig::new("127.0.0.1:1".parse().expect("valid"));
        config.namespace = "ns".to_owned();
        config.credentials = Some(credentials("access").into());
        let signer = Signer::new(&config, "client").expect("valid");
        let request = signer.request(()).expect("signed");
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
