//! Bounds on what a client can make the broker hold.

use std::time::Duration;

use spillway_broker::Broker;
use spillway_rocketmq::Credentials;
use spillway_rocketmq::protocol::{
    Address, AddressScheme, Code, Endpoints, QueryRouteRequest, QueryRouteResponse, SendMessageRequest,
    SendMessageResponse, path,
};
use tempfile::tempdir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::*;

/// Maximum wait for an answer that comes at once.
const SOON: Duration = Duration::from_secs(5);

fn send_of(body_bytes: usize) -> SendMessageRequest {
    SendMessageRequest { messages: vec![message("1", vec![b'x'; body_bytes])] }
}

#[tokio::test]
async fn an_unsigned_call_is_refused_before_its_body_is_complete() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.credentials = Some(Credentials {
        access_key: "access".to_owned(),
        secret_key: "secret".to_owned(),
        session_token: None,
    });
    let broker = Broker::open(config).await.expect("the broker opens");
    let client = Client::new(&broker);
    let refused = client.unfinished::<_, SendMessageResponse>(path::SEND_MESSAGE, send_of(1 << 10));
    let refused = timeout(SOON, refused).await.expect("at once").expect("an answer");
    assert_eq!(code(refused.status), Code::UNAUTHORIZED);
}

#[tokio::test]
async fn bodies_that_are_on_their_way_count_and_others_are_refused_at_once() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.pending_bytes_max = 16 << 20;
    let broker = Broker::open(config).await.expect("the broker opens");
    let client = Client::consumer(&broker).await;
    let uploads: Vec<_> = (0..6)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let sent = client.unfinished::<_, SendMessageResponse>(path::SEND_MESSAGE, send_of(3 << 20));
                code(sent.await.expect("an answer").status)
            })
        })
        .collect();
    let refused = async {
        while !uploads.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, refused).await.expect("18 MiB are too many");
    // Others than sends have a bound of their own.
    assert_eq!(client.heartbeat().await, Code::OK);
    let mut held = Vec::new();
    for upload in uploads {
        if upload.is_finished() {
            assert_eq!(upload.await.expect("no panic"), Code::TOO_MANY_REQUESTS);
        } else {
            upload.abort();
            held.push(upload);
        }
    }
    assert!(!held.is_empty());
    let free_again = async {
        while code(client.send(vec![message("1", vec![b'x'; 4 << 20])]).await.status) != Code::OK {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, free_again).await.expect("a call that ends releases its bytes");
}

#[tokio::test]
async fn a_call_larger_than_any_sensible_one_is_refused() {
    let dir = tempdir().expect("a directory");
    let broker = open(&dir).await;
    let client = Client::new(&broker);
    let route = async |addresses: usize, host_bytes: usize| {
        let address = Address { host: "h".repeat(host_bytes), port: 8081 };
        let endpoints =
            Endpoints { scheme: AddressScheme::DomainName.into(), addresses: vec![address; addresses] };
        let request = QueryRouteRequest { topic: resource(TOPIC), endpoints: Some(endpoints) };
        let answer: QueryRouteResponse = client.unary(path::QUERY_ROUTE, request).await.expect("an answer");
        (code(answer.status), answer.message_queues.len())
    };
    assert_eq!(route(8, 100).await, (Code::OK, 4), "repeated for every queue");
    assert_eq!(route(1, 2_000).await, (Code(40_001), 0), "an illegal access point");
    assert_eq!(route(1_000, 1).await, (Code(40_001), 0));
    assert_eq!(route(1, 8 << 20).await, (Code(41_300), 0), "the payload is too large");
    let sent: SendMessageResponse =
        client.unary(path::SEND_MESSAGE, send_of(7 << 20)).await.expect("an answer");
    assert_eq!(code(sent.status), Code(41_300));
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_a_live_one_is_kept() {
    let dir = tempdir().expect("a directory");
    let mut config = config(&dir);
    config.keepalive_interval = SHORT;
    config.keepalive_timeout = SHORT;
    let broker = Broker::open(config).await.expect("the broker opens");
    let mut silent = TcpStream::connect(broker.local_addr()).await.expect("connected");
    let client = Client::consumer(&broker).await;
    let (_commands, mut telemetry) = client.telemetry().await;
    let mut received = Vec::new();
    // A reset or an end, either will do.
    let _closed = timeout(SOON, silent.read_to_end(&mut received)).await.expect("closed");
    // Nothing travels on it but pings.
    timeout(4 * SHORT, telemetry.message()).await.expect_err("still open");
    assert_eq!(client.heartbeat().await, Code::OK);
    assert_eq!(broker.faults().connections(), 2, "the client's first connection is its only one");
}
