//! The lag as the management API of ApsaraMQ for RocketMQ 5.x answers it: `GetConsumerGroupLag` of API 2022-08-01.
//!
//! Certain (the vendor's pages of the call, 2025-12, and of its endpoints, 2024-11): path and answer, and that a VPC reaches
//! the API at `rocketmq-vpc.REGION.aliyuncs.com`. Unknown: the rate limit, the age of the figures, and if redeliveries count
//! as ready. Not tried on an account.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use shared::config::Secret;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::acs3_signature::UnsignedRequest;
use super::{Lag, LagArgs, LagError, LagQuery, LagSource, LagSourceKind, RESPONSE_WAIT};
use crate::exchange::{HttpsClient, base_url, exchange, https_client, tls_client_config};

const ACTION: &str = "GetConsumerGroupLag";
const VERSION: &str = "2022-08-01";

/// Minimum time between two calls, whose limit is not known; the older API's calls have 1 to 50 a second for an account.
const CALL_INTERVAL: Duration = Duration::from_secs(10);

const CONNECT_WAIT: Duration = Duration::from_secs(1);

/// An answer about one topic has less than one KiB.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// As in RFC 3986, which the signature demands.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `http` or `https`, without a slash at the end. It has no user, which would appear in logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenApiUrl(String);

impl FromStr for OpenApiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        base_url(text).map(Self).ok_or_else(|| {
            "must look like https://rocketmq-vpc.cn-hangzhou.aliyuncs.com, without a user or a query"
                .to_owned()
        })
    }
}

/// An access key of a RAM user.
pub(crate) struct OpenApiKey {
    id: String,
    secret: Secret<String>,
}

impl OpenApiKey {
    /// `None`: `text` is not `ID:SECRET`.
    pub(crate) fn new(text: &Secret<String>) -> Option<Self> {
        let (id, secret) = text.expose().split_once(':')?;
        let is_visible = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        (is_visible(id) && is_visible(secret))
            .then(|| Self { id: id.to_owned(), secret: Secret::new(secret.to_owned()) })
    }
}

/// Asks the management API, every 10 s at most; in between it repeats its last answer, with its time.
#[derive(Debug)]
pub struct OpenApiLag {
    call: Result<LagCall, LagError>,
    last: Mutex<Option<LastAnswer>>,
}

#[derive(Debug)]
struct LastAnswer {
    called_at: Instant,
    lag: Result<Lag, LagError>,
}

struct LagCall {
    /// Without the query.
    url: String,
    uri: Uri,
    topic: String,
    group: String,
    key: OpenApiKey,
    http: HttpsClient,
}

impl fmt::Debug for LagCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LagCall").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// The members that are used.
#[derive(Deserialize)]
struct LagAnswer {
    data: Option<LagAnswerData>,
    #[serde(alias = "Code")]
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LagAnswerData {
    #[serde(default)]
    topic_lag_map: HashMap<String, TopicLag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicLag {
    ready_count: u64,
    inflight_count: u64,
    /// Seconds.
    delivery_duration: u64,
}

impl OpenApiLag {
    /// Follows the flags.
    #[must_use]
    pub fn new(args: &LagArgs, query: &LagQuery) -> Self {
        Self { call: LagCall::new(args, query), last: Mutex::new(None) }
    }
}

impl LagSource for OpenApiLag {
    async fn lag(&self) -> Result<Lag, LagError> {
        let call = self.call.as_ref().map_err(Clone::clone)?;
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.called_at.elapsed() < CALL_INTERVAL) {
            return last.lag.clone();
        }
        let called_at = Instant::now();
        let late = || LagError::Timeout { url: call.url.clone(), after: RESPONSE_WAIT };
        let lag = timeout(RESPONSE_WAIT, call.lag()).await.unwrap_or_else(|_elapsed| Err(late()));
        *last = Some(LastAnswer { called_at, lag: lag.clone() });
        lag
    }
}

impl LagCall {
    fn new(args: &LagArgs, query: &LagQuery) -> Result<Self, LagError> {
        let LagArgs { lag_openapi_url, lag_openapi_instance, lag_openapi_key, .. } = args;
        let key = lag_openapi_key.as_ref().and_then(OpenApiKey::new);
        let (Some(OpenApiUrl(base)), Some(instance), Some(key)) =
            (lag_openapi_url, lag_openapi_instance, key)
        else {
            return Err(LagError::NotConfigured);
        };
        // The API names an instance, and no namespace in it.
        let plain = |name: &str| name.rsplit('%').next().unwrap_or_default().to_owned();
        let (topic, group) = (plain(&query.topic), plain(&query.group));
        let encoded = |text| utf8_percent_encode(text, RESERVED);
        let url = format!("{base}/instances/{}/consumerGroups/{}/lag", encoded(instance), encoded(&group));
        let wrong = |reason: String| LagError::Response { url: url.clone(), reason };
        let uri: Uri = format!("{url}?topicName={}", encoded(&topic))
            .parse()
            .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        let http = https_client(tls_client_config(None).map_err(wrong)?, CONNECT_WAIT);
        Ok(Self { url, uri, topic, group, key, http })
    }

    async fn lag(&self) -> Result<Lag, LagError> {
        let as_of = OffsetDateTime::now_utc();
        let request = self.signed(as_of).map_err(|error| self.wrong(error.to_string()))?;
        let (status, body) = exchange(&self.http, request, RESPONSE_BYTES_MAX)
            .await
            .map_err(|error| LagError::from_exchange(&self.url, error))?;
        let answer: Option<LagAnswer> = serde_json::from_slice(&body).ok();
        // The API's message may repeat what was signed; its code is a name.
        let name = |code: &str| code.chars().filter(char::is_ascii_graphic).take(64).collect::<String>();
        let code = answer
            .as_ref()
            .and_then(|answer| answer.code.as_deref())
            .map_or_else(|| "no code".to_owned(), name);
        let Some(data) = answer.and_then(|answer| answer.data).filter(|_| status == StatusCode::OK) else {
            return Err(self.wrong(format!("answered {status}, {code}")));
        };
        let lag = data
            .topic_lag_map
            .get(&self.topic)
            .ok_or_else(|| LagError::GroupMissing { group: self.group.clone(), topic: self.topic.clone() })?;
        Ok(Lag {
            messages_ready: lag.ready_count,
            messages_in_flight: Some(lag.inflight_count),
            oldest_age: Some(Duration::from_secs(lag.delivery_duration)).filter(|age| !age.is_zero()),
            as_of,
            kind: LagSourceKind::OpenApi,
        })
    }

    fn signed(&self, now: OffsetDateTime) -> Result<Request<Full<Bytes>>, http::Error> {
        let date = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
        let nonce = format!("{:032x}", rand::random::<u128>());
        let unsigned = UnsignedRequest {
            method: &Method::GET,
            host: self.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default(),
            path: self.uri.path(),
            query: self.uri.query().unwrap_or_default(),
            action: ACTION,
            version: VERSION,
            date: &date,
            nonce: &nonce,
        };
        let authorization = unsigned.authorization(&self.key.id, self.key.secret.expose());
        let signed = unsigned
            .headers()
            .into_iter()
            .fold(Request::get(&self.uri), |request, (name, value)| request.header(name, value));
        signed.header(http::header::AUTHORIZATION, authorization).body(Full::default())
    }

    fn wrong(&self, reason: String) -> LagError {
        LagError::Response { url: self.url.clone(), reason }
    }
}
