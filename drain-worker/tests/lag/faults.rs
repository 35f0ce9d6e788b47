//! Lag sources that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drain_worker::lag::{LagArgs, LagChoice, LagError, LagQuery, LagSource, MetricsLag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SAMPLE: &str = "rocketmq_consumer_ready_messages{consumer_group=\"drain\",topic=\"orders\"} 3\n";

/// Responds to every connection with `answer`, keeps it open if `hold` is set, and counts connections.
async fn server(answer: String, hold: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(answer.as_bytes()).await;
            if hold {
                held.push(stream);
            }
        }
    });
    (address, count)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn source(choice: LagChoice, endpoint: &str, urls: &[String]) -> MetricsLag {
    let args = LagArgs {
        lag_source: choice,
        lag_metrics_url: urls.iter().map(|url| url.parse().expect("an address")).collect(),
        ..LagArgs::default()
    };
    MetricsLag::new(&args, endpoint, LagQuery { topic: "orders".to_owned(), group: "drain".to_owned() })
}

async fn asked(answer: String, hold: bool) -> Result<u64, LagError> {
    let (address, _) = server(answer, hold).await;
    let source = source(LagChoice::Metrics, "unused:1", &[format!("http://{address}/metrics")]);
    source.lag().await.map(|lag| lag.messages_ready)
}

#[tokio::test]
async fn a_response_is_read_with_and_without_keep_alive() {
    for hold in [false, true] {
        assert_eq!(asked(ok(SAMPLE), hold).await, Ok(3), "hold {hold}");
    }
}

#[tokio::test]
async fn each_faulty_response_has_its_own_error() {
    let is_answer = |result: Result<u64, LagError>| matches!(result, Err(LagError::Response { .. }));
    assert!(is_answer(
        asked("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(), true).await
    ));
    assert!(is_answer(
        asked("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nbroken off".to_owned(), false).await
    ));
    assert!(is_answer(asked("\0\0\u{12}not HTTP".to_owned(), false).await));
    assert!(is_answer(asked(ok(&"x".repeat((8 << 20) + 1)), true).await), "too long");
    assert!(matches!(asked(ok("nothing 1\n"), true).await, Err(LagError::GroupMissing { .. })));
    let gone = source(LagChoice::Metrics, "unused:1", &["http://127.0.0.1:1/metrics".to_owned()]);
    assert!(matches!(gone.lag().await, Err(LagError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_times_out() {
    assert!(matches!(asked(String::new(), true).await, Err(LagError::Timeout { .. })));
}

#[tokio::test]
async fn one_silent_broker_of_two_is_an_error() {
    let (address, _) = server(ok(SAMPLE), true).await;
    let urls = [format!("http://{address}/metrics"), "http://127.0.0.1:1/metrics".to_owned()];
    let result = source(LagChoice::Metrics, "unused:1", &urls).lag().await;
    assert!(matches!(result, Err(LagError::Unreachable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_port_with_another_protocol_is_not_polled_again() {
    let (address, count) = server("\0\0\u{12}\u{4}".to_owned(), false).await;
    let source = source(LagChoice::Auto, &address, &[]);
    for _ in 0..5 {
        assert_eq!(source.lag().await, Err(LagError::NotConfigured));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1, "asked once");
}

#[tokio::test]
async fn a_disabled_source_sends_no_request() {
    let (address, count) = server(ok(SAMPLE), true).await;
    let off = source(LagChoice::None, &address, &[format!("http://{address}/metrics")]);
    assert_eq!(off.lag().await, Err(LagError::Off));
    assert_eq!(source(LagChoice::Metrics, &address, &[]).lag().await, Err(LagError::NotConfigured));
    assert_eq!(count.load(Ordering::SeqCst), 0);
}
