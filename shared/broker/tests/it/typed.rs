//! Topics of type FIFO and DELAY, and filters.

use std::time::{Duration, SystemTime};

use spillway_broker::{Broker, TopicConfig};
use spillway_rocketmq::TopicType;
use spillway_rocketmq::protocol::{
    Code, FilterExpression, FilterType, Message, MessageType, PubSub, QueryRouteRequest, QueryRouteResponse,
    ReceiveMessageRequest, path, timestamp,
};
use tempfile::{TempDir, tempdir};
use tokio::time::{Instant, timeout};

use crate::support::*;

const SOON: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);
/// Codes of apache.rocketmq.v2.
const ILLEGAL_MESSAGE_GROUP: Code = Code(40_006);
const ILLEGAL_FILTER_EXPRESSION: Code = Code(40_010);
const ILLEGAL_DELIVERY_TIME: Code = Code(40_012);
const MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: Code = Code(40_014);

/// A broker whose topic has a type.
async fn open_typed(dir: &TempDir, topic_type: TopicType) -> Broker {
    let mut config = config(dir);
    config.topics = vec![TopicConfig::new(TOPIC, 4).of_type(topic_type)];
    Broker::open(config).await.expect("the broker opens")
}

fn grouped(body: &str, group: &str) -> Message {
    let mut message = message(body, body.to_owned());
    message.system_properties.get_or_insert_default().message_group = Some(group.to_owned());
    message
}

fn delayed(body: &str, at: SystemTime) -> Message {
    let mut message = message(body, body.to_owned());
    message.system_properties.get_or_insert_default().delivery_timestamp = Some(timestamp(at));
    message
}

fn tagged(body: &str, tag: &str) -> Message {
    let mut message = message(body, body.to_owned());
    message.system_properties.get_or_insert_default().tag = Some(tag.to_owned());
    message
}

fn filtered(filter_type: FilterType, expression: &str) -> ReceiveMessageRequest {
    let filter = FilterExpression { r#type: filter_type.into(), expression: expression.to_owned() };
    ReceiveMessageRequest { filter_expression: Some(filter), ..receive_request(32, LONG) }
}

// Apache's proxy derives a message's type from its properties, a delivery time before a message group, and compares it with
// the topic's: TopicMessageType.parseFromMessageProperty, DefaultTopicMessageTypeValidator.
#[tokio::test]
async fn a_topic_takes_messages_of_its_type_only() {
    let now = SystemTime::now();
    let both = {
        let mut message = delayed("1", now);
        message.system_properties.get_or_insert_default().message_group = Some("buyer-7".to_owned());
        message
    };
    for (topic_type, message_type) in [
        (TopicType::Normal, MessageType::Normal),
        (TopicType::Fifo, MessageType::Fifo),
        (TopicType::Delay, MessageType::Delay),
    ] {
        let dir = tempdir().expect("a directory");
        let broker = open_typed(&dir, topic_type).await;
        let client = Client::new(&broker);
        let request = QueryRouteRequest { topic: resource(TOPIC), endpoints: None };
        let route: QueryRouteResponse = client.unary(path::QUERY_ROUTE, request).await.expect("an answer");
        let accepted: Vec<_> = route.message_queues[0].accept_message_types().collect();
        assert_eq!(accepted, [message_type]);
        for (sent, its_type) in [
            (message("1", "body"), TopicType::Normal),
            (grouped("1", "buyer-7"), TopicType::Fifo),
            (delayed("1", now), TopicType::Delay),
            (both.clone(), TopicType::Delay),
        ] {
            let expected =
                if its_type == topic_type { Code::OK } else { MESSAGE_PROPERTY_CONFLICT_WITH_TYPE };
            let answer = client.send(vec![sent]).await;
            assert_eq!(code(answer.status), expected, "{its_type} to {topic_type}");
        }
    }
}

#[tokio::test]
async fn the_properties_of_typed_messages_are_bounded() {
    let dir = tempdir().expect("a directory");
    let broker = open_typed(&dir, TopicType::Delay).await;
    let client = Client::new(&broker);
    let send = async |message: Message| code(client.send(vec![message]).await.status);
    let now = SystemTime::now();
    // ProxyConfig: maxDelayTimeMills is a day.
    assert_eq!(send(delayed("1", now + 23 * HOUR)).await, Code::OK);
    assert_eq!(send(delayed("1", now + 25 * HOUR)).await, ILLEGAL_DELIVERY_TIME);
    let mut endless = delayed("1", now);
    let system = endless.system_properties.get_or_insert_default();
    system.delivery_timestamp.get_or_insert_default().seconds = i64::MAX;
    assert_eq!(send(endless).await, ILLEGAL_DELIVERY_TIME);
    let dir = tempdir().expect("a directory");
    let broker = open_typed(&dir, TopicType::Fifo).await;
    let client = Client::new(&broker);
    let send = async |messages| code(client.send(messages).await.status);
    // ProxyConfig: maxMessageGroupSize is 64, and a group must have less.
    assert_eq!(send(vec![grouped("1", &"g".repeat(63))]).await, Code::OK);
    assert_eq!(send(vec![grouped("1", &"g".repeat(64))]).await, ILLEGAL_MESSAGE_GROUP);
    let two_groups = vec![grouped("1", "buyer-7"), grouped("2", "buyer-8")];
    assert_eq!(send(two_groups).await, MESSAGE_PROPERTY_CONFLICT_WITH_TYPE);
}

#[tokio::test]
async fn a_delayed_message_survives_a_restart_and_comes_at_its_time() {
    const DELAY: Duration = Duration::from_secs(3);
    let dir = tempdir().expect("a directory");
    let broker = open_typed(&dir, TopicType::Delay).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let sent = SystemTime::now();
    assert_eq!(code(client.send(vec![delayed("later", sent + DELAY)]).await.status), Code::OK);
    assert_eq!(code(client.send(vec![delayed("overdue", sent - DELAY)]).await.status), Code::OK);
    assert_eq!(bodies(&client.receive(32, LONG).await), ["overdue"]);
    broker.abort().await.expect("stopped");

    let broker = open_typed(&dir, TopicType::Delay).await;
    let client = Client::consumer(&broker).await;
    assert_eq!(broker.stats().await.expect("open").topic(TOPIC).expect("made").waiting, 1);
    let mut request = receive_request(32, LONG);
    request.long_polling_timeout = Some(spillway_rocketmq::protocol::duration(SOON));
    let received = timeout(SOON * 2, client.try_receive(request)).await.expect("in time").expect("an answer");
    assert!(sent.elapsed().expect("no jump") >= DELAY, "{:?}", sent.elapsed());
    assert_eq!((bodies(&received.messages), attempt(&received.messages[0])), (vec!["later".to_owned()], 1));
    let system = received.messages[0].system_properties.clone().expect("always there");
    assert_eq!(system.delivery_timestamp, Some(timestamp(sent + DELAY)));
}

#[tokio::test]
async fn a_message_group_is_received_in_order() {
    let dir = tempdir().expect("a directory");
    let broker = open_typed(&dir, TopicType::Fifo).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    for number in 0..6 {
        let sent = grouped(&number.to_string(), "buyer-7");
        assert_eq!(code(client.send(vec![sent]).await.status), Code::OK);
    }
    let body = |message: &Message| String::from_utf8_lossy(&message.body).into_owned();
    let held = client.receive(3, LONG).await;
    assert_eq!(held.iter().map(body).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(client.receive(32, LONG).await.is_empty(), "the group is blocked");
    client.ack_all(&held[..1]).await;
    for message in &held[1..] {
        assert_eq!(code(client.change(&receipt(message), Duration::ZERO).await.status), Code::OK);
    }
    let again = client.receive(32, LONG).await;
    assert_eq!(again.iter().map(body).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
    assert_eq!(again.iter().map(attempt).collect::<Vec<_>>(), [2, 2, 1, 1, 1]);
    // An ack wakes a waiting receive.
    let sent = grouped("6", "buyer-7");
    assert_eq!(code(client.send(vec![sent]).await.status), Code::OK);
    let mut request = receive_request(32, LONG);
    request.long_polling_timeout = Some(spillway_rocketmq::protocol::duration(SOON * 2));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.try_receive(request).await.expect("an answer").messages }
    });
    tokio::time::sleep(SHORT).await;
    let began = Instant::now();
    client.ack_all(&again).await;
    assert_eq!(bodies(&waiting.await.expect("served")), ["6"]);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_settings_of_a_consumer_say_whether_it_receives_in_order() {
    for (topic_type, is_fifo) in [(TopicType::Fifo, true), (TopicType::Delay, false)] {
        let dir = tempdir().expect("a directory");
        let broker = open_typed(&dir, topic_type).await;
        let client = Client::new(&broker);
        let settings = client.send_settings().await.settings.expect("settings");
        let Some(PubSub::Subscription(subscription)) = settings.pub_sub else { panic!("a consumer's") };
        assert_eq!(subscription.fifo, Some(is_fifo), "{topic_type}");
    }
}

#[tokio::test]
async fn a_receive_takes_the_tags_of_its_filter() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let received = async |filter_type, expression| {
        let received = client.try_receive(filtered(filter_type, expression)).await.expect("an answer");
        (received.code, bodies(&received.messages))
    };
    for body in ["red", "green", "blue", "yellow"] {
        assert_eq!(code(client.send(vec![tagged(body, body)]).await.status), Code::OK);
    }
    client.send_bodies(["untagged".to_owned()]).await;
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(received(FilterType::Tag, "red || blue").await.1);
    }
    found.sort();
    assert_eq!(found, ["blue", "red"]);
    // Apache's broker moves on past messages that do not pass: no other filter brings them back.
    assert_eq!(received(FilterType::Tag, "*").await, (Code::MESSAGE_NOT_FOUND, vec![]));
    assert_eq!(received(FilterType::Tag, "||").await.0, ILLEGAL_FILTER_EXPRESSION);
    assert_eq!(received(FilterType::Sql, "colour = 'red'").await.0, Code::NOT_IMPLEMENTED);
}
