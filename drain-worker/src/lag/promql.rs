//! The lag as a metrics server answers it: two instant queries over Prometheus' HTTP API.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Lag, LagArgs, LagError, LagQuery, LagSource, LagSourceKind, ScrapeUrl};

/// The default of `--lag-promql-messages`.
pub(super) const MESSAGES_QUERY: &str =
    r#"sum(rocketmq_consumer_ready_messages{consumer_group="$group",topic="$topic"})"#;

/// The default of `--lag-promql-age`.
pub(super) const AGE_QUERY: &str =
    r#"max(rocketmq_consumer_lag_latency_milliseconds{consumer_group="$group",topic="$topic"}) / 1000"#;

/// Asks a server that has Prometheus' HTTP API.
#[derive(Debug)]
pub struct PromqlLag {
    /// `None`: no URL is configured.
    urls: Option<QueryUrls>,
    query: LagQuery,
}

#[derive(Debug)]
struct QueryUrls {
    messages: ScrapeUrl,
    age: ScrapeUrl,
}

/// The answer to an instant query (certain: Prometheus' documentation of its HTTP API).
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Value),
}

#[derive(Deserialize)]
struct Series {
    value: Value,
}

/// Seconds since 1970, and a number as text.
#[derive(Deserialize)]
struct Value(f64, String);

impl PromqlLag {
    /// Follows the flags.
    #[must_use]
    pub fn new(args: &LagArgs, query: LagQuery) -> Self {
        let urls = args.lag_promql_url.as_ref().and_then(|base| {
            Some(QueryUrls {
                messages: query_url(base, &args.lag_promql_messages, &query)?,
                age: query_url(base, &args.lag_promql_age, &query)?,
            })
        });
        Self { urls, query }
    }
}

impl LagSource for PromqlLag {
    async fn lag(&self) -> Result<Lag, LagError> {
        let Some(QueryUrls { messages, age }) = &self.urls else { return Err(LagError::NotConfigured) };
        let (messages_ready, age_s) = tokio::try_join!(ask(messages), ask(age))?;
        let Some((at_s, messages_ready)) = messages_ready else {
            return Err(LagError::GroupMissing {
                group: self.query.group.clone(),
                topic: self.query.topic.clone(),
            });
        };
        let as_of = OffsetDateTime::from_unix_timestamp_nanos((at_s * 1e9) as i128);
        Ok(Lag {
            messages_ready: messages_ready as u64,
            messages_in_flight: None,
            oldest_age: age_s
                .and_then(|(_, seconds)| Duration::try_from_secs_f64(seconds).ok())
                .filter(|age| !age.is_zero()),
            as_of: as_of.unwrap_or_else(|_beyond| OffsetDateTime::now_utc()),
            kind: LagSourceKind::Promql,
        })
    }
}

/// The URL of an instant query, in which `$group` and `$topic` stand for the names.
fn query_url(base: &ScrapeUrl, query: &str, names: &LagQuery) -> Option<ScrapeUrl> {
    // As in a string of PromQL.
    let quoted = |name: &str| name.replace('\\', r"\\").replace('"', r#"\""#);
    let query = query.replace("$group", &quoted(&names.group)).replace("$topic", &quoted(&names.topic));
    let query = utf8_percent_encode(&query, NON_ALPHANUMERIC);
    format!("{}/api/v1/query?query={query}", base.to_string().trim_end_matches('/')).parse().ok()
}

/// The time and the value of the one result; `None`: there is none, or it is not a number.
async fn ask(url: &ScrapeUrl) -> Result<Option<(f64, f64)>, LagError> {
    let text = url.text().await?;
    let wrong = |reason: String| LagError::Response { url: url.to_string(), reason };
    let answer: Answer = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Value(at_s, value) = match answer.data {
        Data::Scalar(value) => value,
        Data::Vector(mut series) if series.len() <= 1 => match series.pop() {
            Some(Series { value }) => value,
            None => return Ok(None),
        },
        Data::Vector(series) => {
            return Err(wrong(format!(
                "{} results: the query must return one, such as sum(…)",
                series.len()
            )));
        }
    };
    let value: f64 = value.parse().map_err(|_invalid| wrong(format!("{value:?} is not a number")))?;
    Ok(value.is_finite().then_some((at_s, value)))
}
