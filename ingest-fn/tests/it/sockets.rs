//! The server over sockets: slow heads, full instances, and bodies that an answer did not need.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ingest_fn::current_sales::CurrentSales;
use ingest_fn::gateway::Gateway;
use ingest_fn::request_logger::RequestLogSettings;
use ingest_fn::server::{RunError, ServerConfig, serve};
use serde_json::Value;
use shared::catalogue::Catalogue;
use shared::testkit::{PATIENCE, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{CATALOGUE, KEYS, LIMITS, StubPublisher, order};

/// A head's time in these tests.
const SHORT: Duration = Duration::from_millis(500);

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

pub(crate) async fn served(change: impl FnOnce(&mut ServerConfig)) -> Served {
    served_with(StubPublisher::accepting(), change).await
}

async fn served_with(publisher: StubPublisher, change: impl FnOnce(&mut ServerConfig)) -> Served {
    let mut config = ServerConfig {
        sales: Arc::new(CurrentSales::fixed(
            Catalogue::from_toml(CATALOGUE).expect("a catalogue"),
            &KEYS.parse().expect("keys"),
        )),
        gateway: Arc::new(Gateway::InsecureDev),
        limits: LIMITS,
        workers: NonZeroUsize::MIN,
        connections_max: NonZeroUsize::new(4).expect("positive"),
        head_timeout: SHORT,
        start_timeout: PATIENCE,
        grace: PATIENCE,
        request_log: RequestLogSettings::default(),
    };
    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(serve(config, listener, shutdown.clone(), move || Ok(publisher.clone())));
    Served { address, shutdown, running }
}

impl Served {
    async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running).await.expect("in time").expect("no panic").expect("stopped in order");
    }
}

pub(crate) struct Client(TcpStream);

/// An answer as it was on the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    head: String,
    body: String,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status")
    }

    fn rejection(&self) -> (&str, String) {
        let body: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let id = self.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
        assert_eq!(body["instance"], format!("urn:spillway:request:{id}"));
        (self.status(), body["code"].as_str().expect("a code").to_owned())
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("connected"))
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("written");
    }

    /// Reads one answer by its Content-Length.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() == length.expect("a length").parse::<usize>().expect("a number") {
                    return Answer { head: head.to_owned(), body: body.to_owned() };
                }
            }
            let read = timeout(PATIENCE, self.0.read_buf(&mut bytes)).await.expect("in time");
            assert_ne!(read.expect("read"), 0, "closed after {}", String::from_utf8_lossy(&bytes));
        }
    }

    async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.say(request).await;
        self.answer().await
    }

    /// Waits until the server has closed the connection.
    async fn is_closed(&mut self) {
        let read = timeout(PATIENCE, self.0.read_u8()).await.expect("closed in time");
        assert!(read.is_err(), "more bytes than the answer");
    }
}

/// The head of an order whose body has `bytes`.
pub(crate) fn head(bytes: usize) -> String {
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\nidempotency-key: k\r\n\
         content-length: {bytes}\r\n\r\n"
    )
}

fn whole() -> String {
    let body = order().to_string();
    format!("{}{body}", head(body.len()))
}

#[tokio::test]
async fn a_head_that_has_begun_must_end_and_an_idle_connection_need_not() {
    let served = served(|_| {}).await;
    let (mut silent, mut kept, mut half) =
        (served.connect().await, served.connect().await, served.connect().await);
    assert_eq!(kept.ask(whole()).await.status(), "202");
    let began = Instant::now();
    half.say("POST /v1/orders HTTP/1.1\r\nhost:").await;
    assert_eq!(half.answer().await.rejection(), ("408", "head_timeout".to_owned()));
    half.is_closed().await;
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    sleep(SHORT * 2).await;
    // Both were silent for longer than a head may take.
    assert_eq!(silent.ask(whole()).await.status(), "202");
    assert_eq!(kept.ask(whole()).await.status(), "202");

    // The same on a connection that has served requests, however many bytes of the head come.
    kept.say("POST /v1/orders HTTP/1.1\r\nx: ").await;
    let began = Instant::now();
    while began.elapsed() < SHORT / 2 {
        kept.say("x").await;
        sleep(SHORT / 10).await;
    }
    assert_eq!(kept.answer().await.status(), "408");
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
    served.stop().await;
}

#[tokio::test]
async fn a_full_instance_answers_probes_and_rejects_the_rest() {
    let served = served(|config| config.head_timeout = PATIENCE).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = served.connect().await;
        client.say("POST /v1/orders HTTP/1.1\r\nhost:").await;
        held.push(client);
    }
    for _ in 0..100 {
        let mut probe = served.connect().await;
        let answer = probe.ask(HEALTH).await;
        assert_eq!((answer.status(), answer.body.as_str()), ("200", "ok\n"));
        assert!(answer.head.contains("\r\nconnection: close"), "{answer:?}");
        let mut order = served.connect().await;
        let answer = order.ask(whole()).await;
        assert_eq!(answer.rejection(), ("503", "too_many_connections".to_owned()));
        assert!(answer.head.contains("\r\nretry-after: 1"), "{answer:?}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
        order.is_closed().await;
    }
    // Connections that are held beyond the bound do not keep probes away for longer than a second.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(served.connect().await);
    }
    let refused = served.connect().await.answer().await;
    assert_eq!(refused.rejection(), ("503", "too_many_connections".to_owned()));
    eventually("a probe is answered", async || {
        let mut probe = served.connect().await;
        let _may_be_closed = probe.0.write_all(HEALTH.as_bytes()).await;
        let mut text = String::new();
        let _may_be_reset = timeout(PATIENCE, probe.0.read_to_string(&mut text)).await.expect("in time");
        text.ends_with("ok\n")
    })
    .await;
    drop(held);
    eventually("an order is accepted", async || served.connect().await.ask(whole()).await.status() == "202")
        .await;
    served.stop().await;
}

#[tokio::test]
async fn a_rejection_before_the_body_keeps_the_connection() {
    let served =
        served(|config| config.limits.bytes_max = NonZeroUsize::new(16_484).expect("positive")).await;
    let mut client = served.connect().await;
    let rejections = [
        (head(100 * 1024), 100 * 1024, "413"),
        (head(100).replace("application/json", "text/plain"), 100, "415"),
        (head(100).replace("idempotency-key", "x-key"), 100, "400"),
        (head(100).replace("/v1/orders", "/nowhere"), 100, "404"),
    ];
    for (head, bytes, status) in rejections {
        // The answer does not wait for the body.
        assert_eq!(client.ask(head).await.status(), status);
        sleep(Duration::from_millis(20)).await;
        client.say(vec![b' '; bytes]).await;
        assert_eq!(client.ask(whole()).await.status(), "202", "after {status}");
    }
    // Shed: another request has nearly all the bytes.
    let mut other = served.connect().await;
    other.say(head(16 * 1024)).await;
    eventually("orders are shed", async || client.ask(whole()).await.status() == "429").await;
    assert_eq!(client.ask(head(1_000)).await.status(), "429");
    client.say([b' '; 1_000]).await;
    assert_eq!(client.ask(HEALTH).await.status(), "200");
    served.stop().await;
}

#[tokio::test]
async fn an_upload_of_20_mb_sees_the_413() {
    let served = served(|_| {}).await;
    for announced in [true, false] {
        let mut client = served.connect().await;
        let bytes = vec![b' '; 20_000_000];
        // Many clients read only after they have written everything.
        if announced {
            client.say(head(bytes.len())).await;
            client.say(&bytes).await;
        } else {
            client.say(head(0).replace("content-length: 0", "transfer-encoding: chunked")).await;
            client.say(format!("{:x}\r\n", bytes.len())).await;
            client.say(&bytes).await;
            client.say("\r\n0\r\n\r\n").await;
        }
        let answer = client.answer().await;
        assert_eq!(answer.rejection(), ("413", "body_too_large".to_owned()));
        assert_eq!(answer.head.contains("connection: close"), announced, "{answer:?}");
        client.is_closed().await;
    }
    served.stop().await;
}

#[tokio::test]
async fn an_oversized_event_closes_the_connection_and_its_reply_does_not_say_so() {
    let served = served(|_| {}).await;
    let mut client = served.connect().await;
    let answer = client.ask("POST /invoke HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n").await;
    assert_eq!(answer.status(), "200");
    assert!(answer.head.contains("\r\nconnection: close"), "{answer:?}");
    let reply: Value = serde_json::from_str(&answer.body).expect("a reply");
    assert_eq!(reply["statusCode"], 413);
    assert_eq!(reply["headers"]["connection"], Value::Null, "{reply}");
    served.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives() {
    let served = served_with(StubPublisher::panicking(), |_| {}).await;
    let mut client = served.connect().await;
    for _ in 0..3 {
        let answer = client.ask(whole()).await;
        assert_eq!(answer.rejection(), ("500", "internal_error".to_owned()));
        assert!(answer.head.contains("x-fc-status: 500"), "{answer:?}");
    }
    let metrics = client.ask("GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(metrics.body.contains("ingest_requests_in_flight 0\n"), "{}", metrics.body);
    let counted = metrics.body.lines().find_map(|line| {
        line.strip_prefix("ingest_requests_rejected_total{code=\"internal_error\"} ")?.parse::<u64>().ok()
    });
    assert!(counted >= Some(3), "{}", metrics.body);
    served.stop().await;
}
