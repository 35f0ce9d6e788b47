//! Parsing the metrics of Apache's broker. The lines are those of a 5.5.0, shortened.

use std::time::Duration;

use drain_worker::lag::{Lag, LagError, LagQuery, LagSourceKind, lag_in};
use time::OffsetDateTime;

fn of() -> LagQuery {
    LagQuery::new("", "orders", "drain")
}

fn read(texts: &[&str]) -> Result<Lag, LagError> {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    lag_in(&texts, &of(), OffsetDateTime::UNIX_EPOCH)
}

fn row(name: &str, retry: bool, value: &str) -> String {
    format!(
        "rocketmq_{name}{{cluster=\"DefaultCluster\",consumer_group=\"drain\",is_retry=\"{retry}\",is_system=\"false\",\
         node_id=\"broker-a\",node_type=\"broker\",otel_scope_name=\"broker-meter\",topic=\"orders\"}} {value}\n"
    )
}

fn retried(value: &str) -> String {
    format!(
        "rocketmq_pop_revive_retry_messages_total{{consumer_group=\"drain\",put_status=\"PUT_OK\",topic=\"orders\"}} {value}\n"
    )
}

#[test]
fn redelivered_messages_are_counted_once() {
    let ready = row("consumer_ready_messages", false, "70.0");
    for (about, text, expected) in [
        ("no redelivery", ready.clone(), 70),
        ("ten redelivered", ready.clone() + &retried("10.0"), 80),
        (
            "ten to redeliver, four of them delivered again",
            ready.clone() + &retried("10.0") + &row("messages_out_total", true, "4.0"),
            76,
        ),
        (
            "to redeliver before the broker's restart, delivered after it",
            ready.clone() + &retried("10.0") + &row("messages_out_total", true, "40.0"),
            70,
        ),
        (
            "ten to redeliver twice, delivered once in between",
            ready.clone()
                + &retried("10.0")
                + &row("messages_out_total", true, "10.0")
                + &retried("10.0").replace("\"orders\"", "\"%RETRY%drain_orders\""),
            80,
        ),
        (
            "redeliveries of another group do not count",
            ready.clone() + &retried("10.0").replace("\"orders\"", "\"%RETRY%drain_2_orders\""),
            70,
        ),
        (
            "no consumer: the retry topic has its own row, which counts alone",
            ready.clone() + &row("consumer_ready_messages", true, "6.0") + &retried("10.0"),
            76,
        ),
        ("first deliveries are not redeliveries", ready + &row("messages_out_total", false, "99.0"), 70),
    ] {
        assert_eq!(read(&[&text]).map(|lag| lag.messages_ready), Ok(expected), "{about}");
    }
}

#[test]
fn lag_is_the_sum_over_brokers_and_the_maximum_age() {
    let text = |ready, age| {
        row("consumer_ready_messages", false, ready)
            + &row("consumer_lag_latency_milliseconds", false, age)
            + &row("consumer_inflight_messages", false, "0.0")
    };
    let lag = read(&[&text("70.0", "1500.0"), &text("5.0", "2500.0"), "other_metric 1\n"]).expect("succeeds");
    assert_eq!(lag.messages_ready, 75);
    assert_eq!(lag.oldest_age, Some(Duration::from_millis(2500)));
    assert_eq!(lag.messages_in_flight, None, "Apache's broker always reports 0 in flight");
    assert_eq!(lag.kind, LagSourceKind::BrokerMetrics);
    let none = read(&[&text("0.0", "0.0")]).expect("succeeds");
    assert_eq!((none.messages_ready, none.oldest_age), (0, None));
}

#[test]
fn a_namespace_prefixes_topic_and_group() {
    let text = row("consumer_ready_messages", false, "7")
        .replace("\"drain\"", "\"shop%drain\"")
        .replace("\"orders\"", "\"shop%orders\"");
    let lag = lag_in(&[text], &LagQuery::new("shop", "orders", "drain"), OffsetDateTime::UNIX_EPOCH);
    assert_eq!(lag.map(|lag| lag.messages_ready), Ok(7));
}

#[test]
fn other_groups_and_topics_are_ignored() {
    let ours = row("consumer_ready_messages", false, "7");
    for text in [
        ours.replace("\"drain\"", "\"drain2\""),
        ours.replace("\"orders\"", "\"orders2\""),
        ours.replace("ready_messages", "ready_messages_other"),
        String::new(),
    ] {
        let expected = LagError::GroupMissing { group: "drain".to_owned(), topic: "orders".to_owned() };
        assert_eq!(read(&[&text]), Err(expected), "{text}");
    }
}
