//! Commands that ask an operator at a terminal.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use drain_worker::admin::AdminAccess;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use shared::testkit::PATIENCE;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use crate::admin::port;
use crate::cli::{command, done, join, serve};
use crate::harness::WorkerFixture;

/// A command whose standard input is a terminal.
struct AtTerminal {
    keyboard: File,
    screen: ChildStderr,
    child: Child,
}

impl AtTerminal {
    fn start(url: &str, arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("granted");
        unlockpt(&ours).expect("unlocked");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).expect("it opens");
        let mut command = command(url, arguments);
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let screen = child.stderr.take().expect("piped");
        Self { keyboard: ours.into(), screen, child }
    }

    /// Returns what the command prints up to its next question, or until it ends.
    async fn says(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"? [y/N] ") {
            let read = timeout(PATIENCE, self.screen.read_buf(&mut text)).await.expect("in time");
            if read.expect("read") == 0 {
                break;
            }
        }
        String::from_utf8(text).expect("text")
    }

    fn answer(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").expect("typed");
    }

    async fn code(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("ends in time").expect("it ran").code()
    }
}

async fn manual(url: &str) -> Value {
    let settings = shared::testkit::HttpClient::get(url.parse().expect("an address"), "/v1/settings").await;
    settings.json()["settings"]["manual"]["to"].clone()
}

/// A confirms a steep rise of 2,000; meanwhile B lowers the cap in an emergency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_on_other_settings_is_asked_again() {
    let fixture = WorkerFixture::new().await;
    join(&fixture).await;
    let address = serve(port(&fixture, AdminAccess::Loopback), None).await.to_string();
    let url = format!("http://{address}");
    done(&url, &["rate", "set", "100", "--yes"]).await;
    let mut first = AtTerminal::start(&url, &["rate", "set", "300"]);
    let asked = first.says().await;
    assert!(asked.contains("300/s is more than twice the present cap of 100/s"), "{asked}");
    assert!(asked.ends_with("set it all the same? [y/N] "), "{asked}");
    done(&url, &["rate", "set", "50", "--who", "bob"]).await;
    first.answer("y");
    let asked = first.says().await;
    assert!(asked.contains("rate_set, 50/s, by bob"), "{asked}");
    assert!(asked.ends_with("change them all the same? [y/N] "), "{asked}");
    first.answer("y");
    let asked = first.says().await;
    assert!(asked.contains("300/s is more than twice the present cap of 50/s"), "{asked}");
    first.answer("n");
    let said = first.says().await;
    assert!(said.contains("nothing was done"), "{said}");
    assert_eq!((first.code().await, manual(&address).await), (Some(1), 50.into()));

    let mut second = AtTerminal::start(&url, &["rate", "set", "300"]);
    second.says().await;
    second.answer("y");
    assert_eq!((second.says().await.as_str(), second.code().await), ("", Some(0)));
    assert_eq!(manual(&address).await, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_in_force_is_shown_before_it_is_replaced() {
    let fixture = WorkerFixture::new().await;
    join(&fixture).await;
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    let room = tempfile::TempDir::new().expect("a directory");
    let file = |name: &str, rate: u32| {
        let path = room.path().join(name);
        let schedule = format!(r#"{{"time_zone": "UTC", "entries": [{{"from": "02:00", "rate": {rate}}}]}}"#);
        std::fs::write(&path, schedule).expect("written");
        path.display().to_string()
    };
    let (day, night) = (file("day", 700), file("night", 800));
    done(&url, &["schedule", "set", &day]).await;
    for (answer, code, rate) in [("", 1, 700), ("yes", 0, 800)] {
        let mut setting = AtTerminal::start(&url, &["schedule", "set", &night]);
        let asked = setting.says().await;
        assert!(asked.contains(r#""rate":700"#), "{asked}");
        setting.answer(answer);
        setting.says().await;
        assert_eq!(setting.code().await, Some(code), "{answer:?}");
        let shown: Value = serde_json::from_str(&done(&url, &["schedule", "show"]).await).expect("JSON");
        assert_eq!(shown["entries"][0]["rate"], rate);
    }
}
