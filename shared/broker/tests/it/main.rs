//! The embedded broker over gRPC, with a plain client.

#![expect(clippy::expect_used, reason = "helpers outside of #[test] functions fail the test as well")]

mod bounds;
mod cluster;
mod faults;
#[path = "../../../src/loopback.rs"]
#[allow(unreachable_pub, reason = "the public module of another crate")]
mod loopback;
mod restart;
mod support;
mod throughput;
mod typed;

use std::time::Duration;

use spillway_broker::{Broker, Call, TopicConfig};
use spillway_rocketmq::Credentials;
use spillway_rocketmq::protocol::{
    ClientType, Code, NotifyClientTerminationRequest, NotifyClientTerminationResponse, PubSub, Publishing,
    QueryRouteRequest, QueryRouteResponse, Settings, TelemetryCommand, duration, path,
};
use support::*;
use tempfile::tempdir;
use tokio::time::Instant;

#[tokio::test]
async fn every_call_needs_a_client_id() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let mut client = Client::consumer(&broker).await;
    client.id = None;
    assert_eq!(code(client.send(vec![message("1", "body")]).await.status), Code::CLIENT_ID_REQUIRED);
    assert_eq!(code(client.send_settings().await.status), Code::CLIENT_ID_REQUIRED);
    assert_eq!(code(client.ack(&[]).await.status), Code::CLIENT_ID_REQUIRED);
    assert_eq!(client.heartbeat().await, Code::CLIENT_ID_REQUIRED);
    let received = client.try_receive(receive_request(1, SHORT)).await.expect("an answer");
    assert_eq!(received.code, Code::CLIENT_ID_REQUIRED);
}

#[tokio::test]
async fn with_credentials_every_call_must_be_signed() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.credentials = Some(Credentials {
        access_key: "access".to_owned(),
        secret_key: "secret".to_owned(),
        session_token: None,
    });
    let broker = Broker::open(config).await.expect("the broker opens");
    let mut client = Client::new(&broker);
    for (keys, expected) in [
        (None, Code::UNAUTHORIZED),
        (Some(("access", "wrong")), Code::UNAUTHORIZED),
        (Some(("other", "secret")), Code::UNAUTHORIZED),
        (Some(("access", "secret")), Code::OK),
    ] {
        client.keys = keys;
        assert_eq!(code(client.send(vec![message("1", "body")]).await.status), expected, "{keys:?}");
        assert_eq!(code(client.send_settings().await.status), expected, "{keys:?}");
    }
}

#[tokio::test]
async fn a_route_names_every_queue() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.advertised = Some(("broker.local".to_owned(), 8081));
    let broker = Broker::open(config).await.expect("the broker opens");
    let client = Client::new(&broker);
    let route = async |topic| -> QueryRouteResponse {
        let request = QueryRouteRequest { topic: resource(topic), endpoints: None };
        client.unary(path::QUERY_ROUTE, request).await.expect("an answer")
    };
    let queues = route(TOPIC).await.message_queues;
    assert_eq!(queues.iter().map(|queue| queue.id).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let endpoints = queues[0].broker.clone().and_then(|broker| broker.endpoints).expect("said");
    assert_eq!((endpoints.addresses[0].host.as_str(), endpoints.addresses[0].port), ("broker.local", 8081));
    broker.create_topic(TopicConfig::new(TOPIC, 6)).await.expect("extended");
    broker.create_topic(TopicConfig::new(TOPIC, 2)).await.expect("not shrunk");
    assert_eq!(route(TOPIC).await.message_queues.len(), 6);
    assert_eq!(code(route("nope").await.status), Code::TOPIC_NOT_FOUND);
}

#[tokio::test]
async fn telemetry_responds_to_settings_with_settings() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::new(&broker);
    assert_eq!(client.heartbeat().await, Code(40_015), "the client is not registered yet");
    let answer = client.send_settings().await.settings.expect("settings");
    assert_eq!(answer.backoff_policy.map(|policy| policy.max_attempts), Some(17));
    let Some(PubSub::Subscription(subscription)) = answer.pub_sub else { panic!("a consumer's") };
    assert_eq!((subscription.receive_batch_size, subscription.fifo), (Some(32), Some(false)));
    assert_eq!(client.heartbeat().await, Code::OK);

    let (commands, mut answers) = client.telemetry().await;
    let settings = Settings {
        client_type: Some(ClientType::Producer.into()),
        pub_sub: Some(PubSub::Publishing(Publishing::default())),
        ..Settings::default()
    };
    for _ in 0..2 {
        commands
            .send(TelemetryCommand { settings: Some(settings.clone()), status: None })
            .await
            .expect("open");
        let answer =
            answers.message().await.expect("an answer").expect("not the end").settings.expect("settings");
        let Some(PubSub::Publishing(publishing)) = answer.pub_sub else { panic!("a producer's") };
        assert_eq!(publishing.max_body_size, 4 << 20);
    }
    drop(commands);
    assert_eq!(answers.message().await.expect("an orderly end"), None);

    let farewell = NotifyClientTerminationRequest { group: None };
    let gone: NotifyClientTerminationResponse =
        client.unary(path::NOTIFY_CLIENT_TERMINATION, farewell).await.expect("an answer");
    assert_eq!(code(gone.status), Code::OK);
    assert_eq!(client.heartbeat().await, Code(40_015));
}

#[tokio::test]
async fn a_receive_needs_settings_and_a_deadline() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let mut client = Client::new(&broker);
    let receive =
        async |client: &Client| client.try_receive(receive_request(1, SHORT)).await.expect("an answer").code;
    assert_eq!(receive(&client).await, Code::INTERNAL_SERVER_ERROR);
    client.send_settings().await;
    assert_eq!(receive(&client).await, Code::MESSAGE_NOT_FOUND);
    client.deadline = None;
    assert_eq!(receive(&client).await, Code::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_receive_respects_its_bounds() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let mut client = Client::consumer(&broker).await;
    let hours_13 = Duration::from_secs(13 * 60 * 60);
    for (request, expected) in [
        (receive_request(0, SHORT), Code::BAD_REQUEST),
        (receive_request(33, SHORT), Code::BAD_REQUEST),
        (receive_request(1, SHORT / 2), Code::ILLEGAL_INVISIBLE_TIME),
        (receive_request(1, hours_13), Code::ILLEGAL_INVISIBLE_TIME),
    ] {
        assert_eq!(client.try_receive(request).await.expect("an answer").code, expected);
    }
    let mut request = receive_request(1, SHORT);
    request.group = resource("nope");
    assert_eq!(client.try_receive(request).await.expect("an answer").code, Code::CONSUMER_GROUP_NOT_FOUND);
    let mut request = receive_request(1, SHORT);
    request.message_queue = None;
    assert_eq!(client.try_receive(request).await.expect("an answer").code, Code::TOPIC_NOT_FOUND);
    client.deadline = Some(SHORT / 2);
    let received = client.try_receive(receive_request(1, SHORT)).await.expect("an answer");
    assert_eq!(received.code, Code::ILLEGAL_POLLING_TIME);
}

#[tokio::test]
async fn a_send_is_checked() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::new(&broker);
    let refused = async |messages| code(client.send(messages).await.status);
    let mut elsewhere = message("1", "body");
    elsewhere.topic = resource("nope");
    let mut ordered = message("1", "body");
    ordered.system_properties.get_or_insert_default().message_group = Some("buyer-7".to_owned());
    let mut many = message("1", "body");
    many.user_properties = (0..129).map(|number: u32| (number.to_string(), String::new())).collect();
    let huge = vec![b'x'; (4 << 20) + 1];
    assert_eq!(refused(vec![]).await, Code(40_016));
    assert_eq!(refused(vec![message("1", "")]).await, Code(41_302));
    assert_eq!(refused(vec![message("", "body")]).await, Code(40_009));
    assert_eq!(refused(vec![message("1", huge.clone())]).await, Code::MESSAGE_BODY_TOO_LARGE);
    assert_eq!(refused(vec![message("1", "body"), elsewhere.clone()]).await, Code(40_016));
    assert_eq!(refused(vec![elsewhere]).await, Code::TOPIC_NOT_FOUND);
    assert_eq!(refused(vec![ordered]).await, Code(40_014));
    assert_eq!(refused(vec![many]).await, Code(43_101));
    assert_eq!(refused(vec![message("1", huge[1..].to_vec())]).await, Code::OK);
}

#[tokio::test]
async fn a_message_is_received_as_it_was_sent() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let mut sent = message("the id", "the body");
    sent.user_properties.insert("key".to_owned(), "value".to_owned());
    let system = sent.system_properties.get_or_insert_default();
    system.tag = Some("tag".to_owned());
    system.keys = vec!["k1".to_owned(), "k2".to_owned()];
    client.send(vec![sent.clone()]).await;
    let received = client.receive(32, LONG).await.remove(0);
    assert_eq!(
        (&received.body, &received.user_properties, &received.topic),
        (&sent.body, &sent.user_properties, &sent.topic)
    );
    let system = received.system_properties.expect("always there");
    assert_eq!((system.message_id.as_str(), system.tag(), system.keys.len()), ("the id", "tag", 2));
    assert_eq!((system.delivery_attempt(), system.queue_offset()), (1, 0));
    assert_eq!(system.invisible_duration, Some(duration(LONG)));
    assert!(system.store_timestamp.is_some());
}

#[tokio::test]
async fn a_batch_is_stored_on_one_queue_and_gets_one_entry() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    let response = client.send((0..32).map(|number| message(&number.to_string(), "body")).collect()).await;
    assert_eq!(code(response.status), Code::OK);
    assert_eq!(response.entries.len(), 1);
    assert!(response.entries[0].message_id.starts_with("0,1,2,"));
    let received = client.receive(32, LONG).await;
    assert_eq!(received.len(), 32);
    let mut queues: Vec<_> = received
        .iter()
        .filter_map(|message| message.system_properties.as_ref())
        .map(|system| system.queue_id)
        .collect();
    queues.dedup();
    assert_eq!(queues.len(), 1);
}

#[tokio::test]
async fn every_receipt_of_an_ack_has_its_own_status() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["1", "2", "3"].map(str::to_owned)).await;
    let receipts: Vec<_> = client.receive(32, LONG).await.iter().map(receipt).collect();
    let mixed = client.ack(&[receipts[0].clone(), "nonsense".to_owned()]).await;
    assert_eq!(code(mixed.status), Code::MULTIPLE_RESULTS);
    let codes: Vec<_> = mixed.entries.into_iter().map(|entry| code(entry.status)).collect();
    assert_eq!(codes, [Code::OK, Code::INVALID_RECEIPT_HANDLE]);
    assert_eq!(code(client.ack(&receipts).await.status), Code::OK, "one of them again");
    assert_eq!(code(client.ack(&["nonsense".to_owned()]).await.status), Code::INVALID_RECEIPT_HANDLE);
    assert_eq!(code(client.ack(&[]).await.status), Code::INTERNAL_SERVER_ERROR);
    let stats = broker.stats().await.expect("open");
    let group = stats.group(TOPIC, GROUP).expect("known");
    assert_eq!((group.acked, group.in_flight, group.ready, group.oldest_unacked), (3, 0, 0, None));
}

#[tokio::test]
async fn a_changed_receipt_is_invalid_and_the_message_reappears_at_its_new_time() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["1".to_owned()]).await;
    let old = receipt(&client.receive(1, LONG).await[0]);
    let changed = client.change(&old, Duration::ZERO).await;
    assert_eq!(code(changed.status), Code::OK);
    assert_ne!(changed.receipt_handle, old);
    assert_eq!(code(client.ack(std::slice::from_ref(&old)).await.status), Code::INVALID_RECEIPT_HANDLE);
    let again = client.receive(1, LONG).await.remove(0);
    assert_eq!(attempt(&again), 2);
    assert_eq!(code(client.change(&old, LONG).await.status), Code::INVALID_RECEIPT_HANDLE);
    let longer = client.change(&receipt(&again), LONG * 2).await;
    assert_eq!(code(client.ack(&[longer.receipt_handle]).await.status), Code::OK);
}

#[tokio::test]
async fn a_long_poll_ends_with_a_message_or_with_its_time() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::consumer(&broker).await;
    let began = Instant::now();
    let nothing = client.try_receive(receive_request(32, LONG)).await.expect("an answer");
    assert_eq!(nothing.code, Code::MESSAGE_NOT_FOUND);
    assert!(began.elapsed() >= SHORT && began.elapsed() < 10 * SHORT, "{:?}", began.elapsed());

    let mut request = receive_request(32, LONG);
    request.long_polling_timeout = Some(duration(Duration::from_secs(8)));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.try_receive(request).await.expect("an answer").messages }
    });
    tokio::time::sleep(SHORT).await;
    let began = Instant::now();
    client.send_bodies(["1".to_owned()]).await;
    assert_eq!(bodies(&waiting.await.expect("served")), ["1"]);
    assert!(began.elapsed() < Duration::from_secs(2));
    // A message whose hiding ends wakes a poll as well.
    client.send_bodies(["2".to_owned()]).await;
    client.receive(32, SHORT).await;
    let mut request = receive_request(32, LONG);
    request.long_polling_timeout = Some(duration(Duration::from_secs(8)));
    let again = client.try_receive(request).await.expect("an answer").messages;
    assert_eq!((bodies(&again), attempt(&again[0])), (vec!["2".to_owned()], 2));
}

#[tokio::test]
async fn an_unsettled_message_ends_in_the_dead_letter_topic() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.attempts_max = 2;
    let broker = Broker::open(config).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    client.start_group().await;
    client.send_bodies(["poison".to_owned()]).await;
    for _ in 0..2 {
        let receipt = receipt(&client.receive(1, LONG).await[0]);
        assert_eq!(code(client.change(&receipt, Duration::ZERO).await.status), Code::OK);
    }
    assert!(client.receive(1, LONG).await.is_empty());
    let mut request = receive_request(1, LONG);
    let queue = request.message_queue.get_or_insert_default();
    queue.topic = resource(&Broker::dead_letter_topic(GROUP));
    let dead = client.try_receive(request).await.expect("an answer").messages;
    assert_eq!(bodies(&dead), ["poison"]);
}

#[tokio::test]
async fn an_unknown_call_is_not_implemented() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::new(&broker);
    let answer: Result<QueryRouteResponse, _> = client
        .unary("/apache.rocketmq.v2.MessagingService/EndTransaction", QueryRouteRequest::default())
        .await;
    assert_eq!(answer.expect_err("not built").code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn a_shutdown_ends_long_polls_and_frees_the_port() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    // No outgoing connection gets the port while it is free.
    config.listen = loopback::free_loopback_address().expect("a free port");
    let broker = Broker::open(config.clone()).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    let (_commands, mut telemetry) = client.telemetry().await;
    let mut request = receive_request(32, LONG);
    request.long_polling_timeout = Some(duration(Duration::from_secs(8)));
    let waiting = tokio::spawn(async move { client.try_receive(request).await.expect("an answer").code });
    until("the long poll", async || broker.faults().calls(Call::Receive) > 0).await;
    let began = Instant::now();
    broker.shutdown().await.expect("stopped");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(waiting.await.expect("answered"), Code::MESSAGE_NOT_FOUND);
    assert_eq!(telemetry.message().await.expect("an orderly end"), None);
    Broker::open(config).await.expect("port and directory are free");
}
