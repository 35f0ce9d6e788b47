//! ingest-fn's image, its file system unpacked: the binary starts from it alone, not as root, without write access, and
//! accepts an order through a running broker. `infra/image/check` unpacks the image and runs this.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use tokio::time::{Instant, sleep};

const BOUND: Duration = Duration::from_secs(20);

const ORDER: &str = r#"{"sale_id":"demo-sale","user_id":"user-1","items":[{"sku":"CABLE","quantity":1}],"currency":"CNY","shipping_address":{"recipient":"R","line1":"L","city":"C","country":"CN"}}"#;

/// Killed when the test ends.
struct ConfinedProcess(Child);

impl Drop for ConfinedProcess {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The image's binary in the image's file system, mounted read-only for this process alone, as `user` (uid:gid).
fn confined(root: &Path, user: &str) -> Command {
    let script = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && root=$1 user=$2 && shift 2 &&
        exec chroot --userspec="$user" "$root" /ingest-fn "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]).arg(root).arg(user);
    command
}

/// Sends a request and reads until the server closes.
fn ask(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_accepts_an_order_without_root_and_without_writing() {
    let Some(root) = std::env::var_os("SPILLWAY_TEST_IMAGE_ROOT") else {
        println!("skipped: SPILLWAY_TEST_IMAGE_ROOT is not set; infra/image/check sets it");
        return;
    };
    if !getuid().is_root() {
        println!("skipped: only root may change the root of a process");
        return;
    }
    let user = std::env::var("SPILLWAY_TEST_IMAGE_USER").expect("set with the root");
    let uid = user.split(':').next().expect("a part");
    assert!(uid.parse::<u32>().expect("a number: the image has no names") > 0);

    let directory = tempfile::tempdir().expect("a directory");
    let mut config = BrokerConfig::at(directory.path().join("broker"));
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.topics = vec![TopicConfig::new("orders", 1)];
    let broker = Broker::open(config).await.expect("it opens");
    let address = shared::loopback::free_loopback_address().expect("a port");
    let mut process = ConfinedProcess(
        confined(Path::new(&root), &user)
            .args([format!("--listen={address}"), "--catalogue=/sales.toml".to_owned()])
            .arg(format!("--rocketmq-endpoint={}", broker.local_addr()))
            .env("SPILLWAY_ORDER_ID_KEYS", format!("demo={}", "5e".repeat(32)))
            .env("SPILLWAY_INSECURE_DEV", "true")
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts"),
    );
    let deadline = Instant::now() + BOUND;
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        assert_eq!(process.0.try_wait().expect("a child"), None, "it ended");
        sleep(Duration::from_millis(10)).await;
    }

    let proc = Path::new("/proc").join(process.0.id().to_string());
    let status = std::fs::read_to_string(proc.join("status")).expect("it runs");
    let uids = status.lines().find(|line| line.starts_with("Uid:")).expect("it has a user");
    assert!(uids.split_whitespace().skip(1).all(|id| id == uid), "real, effective, saved: {uids}");
    let mounts = std::fs::read_to_string(proc.join("mountinfo")).expect("it runs");
    let mut of_root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let options = of_root.find(|fields| fields[4] == "/").expect("it has a root")[5];
    assert!(options.split(',').any(|option| option == "ro"), "{options}");

    let request = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: image\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: image-1\r\ncontent-length: {}\r\n\r\n{ORDER}",
        ORDER.len()
    );
    let answer = ask(address, &request).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let stats = broker.stats().await.expect("it runs");
    assert_eq!(stats.topic("orders").expect("it is there").sent, 1, "the broker has the order");

    let pid = Pid::from_raw(i32::try_from(process.0.id()).expect("a pid")).expect("a pid");
    kill_process(pid, Signal::TERM).expect("it runs");
    let ended = process.0.wait().expect("a child");
    assert!(ended.success(), "{ended}, signal {:?}", ended.signal());
    broker.shutdown().await.expect("it stops");
}
