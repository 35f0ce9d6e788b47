//! The processor time of the costliest body that fits, against a good order's.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use ingest_fn::limits::BODY_BYTES_MAX;
use serde_json::json;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::sockets::{Client, head, served};
use crate::support::{order, order_with};

/// Fills a body of [`BODY_BYTES_MAX`] with as many `part` as fit between `start` and `end`.
fn filled(start: &str, part: &str, end: &str) -> String {
    let count = (BODY_BYTES_MAX - start.len() - end.len()) / part.len();
    format!("{start}{}{end}", part.repeat(count))
}

/// The sample order with `value` as its city, as it is written.
fn with_city(value: &str) -> String {
    order().to_string().replace("\"Hangzhou\"", value)
}

/// An order whose address and reference have the characters of `text` up to their bounds.
fn with_address_of(text: &str) -> String {
    let line = |characters: usize| json!(text.chars().cycle().take(characters).collect::<String>());
    order_with(|order| {
        for member in ["recipient", "line1", "line2", "city", "region", "postal_code", "phone"] {
            order["shipping_address"][member] = line(200);
        }
        order["client_reference"] = line(128);
    })
    .to_string()
}

fn escaped(json: &str) -> String {
    let mut text = String::new();
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(ascii) => text.push(char::from(ascii)),
            Err(_) => write!(text, "\\u{unit:04x}").expect("writing to a string"),
        }
    }
    text
}

fn shapes() -> Vec<(&'static str, String)> {
    let order = order().to_string();
    let inside = order.trim_end_matches('}').to_owned();
    let lines: Vec<_> =
        (0..20).map(|number| json!({ "sku": format!("{number:064}"), "quantity": 10_000 })).collect();
    let faulty_lines = vec![json!({ "sku": "a b", "quantity": -1, "x": 0 }); 20];
    vec![
        ("empty items", filled("{\"items\":[", "{},", "{}]}")),
        ("nested arrays", filled("", "[", "")),
        ("nested objects", filled("", "{\"a\":", "")),
        ("a long array", filled(&format!("{inside},\"x\":["), "0,", "0]}")),
        ("a long text", filled(&format!("{inside},\"x\":\""), "x", "\"}")),
        ("a long text beyond ASCII", filled(&format!("{inside},\"x\":\""), "界", "\"}")),
        ("a long city", with_city(&format!("\"{}\"", "x".repeat(15_000)))),
        ("escapes", filled(&format!("{inside},\"x\":\""), "\\u0041", "\"}")),
        ("short escapes", filled(&format!("{inside},\"x\":\""), "\\n", "\"}")),
        ("a city of escapes", with_city(&format!("\"{}\"", "\\u754c".repeat(2_500)))),
        ("repeated members", filled(&inside, ",\"sale_id\":\"open\"", "}")),
        ("unknown members", filled(&inside, ",\"a\":0", "}")),
        ("members with escaped names", filled(&inside, ",\"\\u0061\":0", "}")),
        ("spaces", filled(&inside, " ", "}")),
        ("lines", filled(&inside, "\n", "}")),
        ("a long number", filled(&format!("{inside},\"x\":"), "1", "}")),
        ("a long quantity", filled("{\"items\":[{\"quantity\":", "1", "}]}")),
        ("twenty lines of unknown SKUs", order_with(|order| order["items"] = json!(lines)).to_string()),
        ("twenty faulty lines", order_with(|order| order["items"] = json!(faulty_lines)).to_string()),
        ("not JSON at its end", filled(&inside, " ", "x")),
        ("a long address", with_address_of("x")),
        ("an address beyond ASCII", with_address_of("界")),
        ("an address to compose", with_address_of("e\u{323}\u{302}")),
        ("an address of escapes", escaped(&with_address_of("界"))),
        ("an address of marks", with_address_of("\u{301}\u{323}")),
    ]
}

/// Processor time of a request, at the server's thread: sockets and HTTP included, the client's not.
async fn cost_of(address: SocketAddr, body: &str) -> (Duration, String) {
    const CONNECTIONS: usize = 8;
    const ROUNDS: u32 = 500;
    const SERIES: usize = 3;
    // A key of its own: the instance remembers the body of an accepted key.
    let key = format!("idempotency-key: {}", body.len());
    let request = format!("{}{body}", head(body.len()).replace("idempotency-key: k", &key));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address).await);
    }
    let mut status = String::new();
    let mut least = Duration::MAX;
    for _ in 0..SERIES {
        let before = server_cpu();
        for _ in 0..ROUNDS {
            for client in &mut clients {
                client.say(&request).await;
            }
            for client in &mut clients {
                client.answer().await.status().clone_into(&mut status);
            }
        }
        least = least.min((server_cpu() - before) / (ROUNDS * CONNECTIONS as u32));
    }
    (least, status)
}

/// The thread of the server.
const SERVER: &str = "server";

/// Time on a processor of the thread [`SERVER`].
fn server_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of_worker = threads.flatten().map(|thread| thread.path()).find(|thread| {
        std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() == SERVER)
    });
    let statistics =
        std::fs::read_to_string(of_worker.expect("the server").join("schedstat")).expect("readable");
    let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// `cargo test --profile dist -p ingest-fn --test it body_cost -- --ignored --nocapture`
#[tokio::test]
#[ignore = "prints a table: meaningful in an optimised build"]
async fn the_costliest_body_against_a_good_order() {
    let (started, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = async {
        let served = served(|config| {
            config.connections_max = NonZeroUsize::new(512).expect("positive");
            config.limits.bytes_max = NonZeroUsize::new(1 << 24).expect("positive");
        })
        .await;
        started.send(served.address).expect("the test waits");
        let _dropped = stopped.await;
        served.stop().await;
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = thread::Builder::new().name(SERVER.to_owned()).spawn(move || runtime.block_on(serve));
    let address = address.await.expect("it starts");
    let good_body = order().to_string();
    let (good, status) = cost_of(address, &good_body).await;
    println!(
        "{:<32} {:>6} bytes  {status}  {:>6.1} µs",
        "a good order",
        good_body.len(),
        good.as_secs_f64() * 1e6
    );
    let mut worst = (0.0, "");
    for (name, body) in shapes() {
        assert!(body.len() <= BODY_BYTES_MAX, "{name}: {}", body.len());
        let (cost, status) = cost_of(address, &body).await;
        let ratio = cost.as_secs_f64() / good.as_secs_f64();
        println!(
            "{name:<32} {:>6} bytes  {status}  {:>6.1} µs  {ratio:>5.2} ×",
            body.len(),
            cost.as_secs_f64() * 1e6
        );
        if ratio > worst.0 {
            worst = (ratio, name);
        }
    }
    println!("worst: {} with {:.2} ×", worst.1, worst.0);
    drop(stop);
    server.expect("a thread").join().expect("no panic");
}
