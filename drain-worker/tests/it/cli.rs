//! The operator's command line against a worker's admin port.

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::Duration;

use axum::Router;
use drain_worker::admin::AdminAccess;
use drain_worker::control::{AuditContext, GroupSettings, Rate};
use drain_worker::store::{
    DeadLetterSelection, Fence, JoinRequest, LeaseId, OrderStore, PageRequest, PoolStore,
};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use shared::order::{ClientReference, PayloadDigest, TraceParent};
use shared::testkit::GROUP;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::admin::{one_token, port};
use crate::harness::{WorkerFixture, order, orders};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TOKEN: &str = "correct-horse-battery";

/// Serves `router` until the test ends, by TLS if there is an acceptor.
pub(crate) async fn serve(router: Router, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (router, tls) = (TowerToHyperService::new(router.clone()), tls.clone());
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                match tls {
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let _ended = http.serve_connection(TokioIo::new(stream), router).await;
                    }
                    None => drop(http.serve_connection(TokioIo::new(stream), router).await),
                }
            });
        }
    });
    address
}

pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drain-worker"));
    command.args(arguments).env("SPILLWAY_ADMIN_URL", url).env("USER", "ann").kill_on_drop(true);
    command
        .env_remove("SPILLWAY_DATABASE_URL")
        .env_remove("SPILLWAY_ADMIN_TOKEN")
        .env_remove("SPILLWAY_ADMIN_TLS_ROOTS");
    command
}

async fn run(url: &str, arguments: &[&str]) -> Output {
    command(url, arguments).output().await.expect("it runs")
}

/// Returns the output of a command that succeeds.
pub(crate) async fn done(url: &str, arguments: &[&str]) -> String {
    let output = run(url, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_found_by_id_and_by_buyer_without_its_address() {
    let fixture = WorkerFixture::new().await;
    let mut placed = orders(0..12, "FEW");
    placed[3].client_reference = Some(ClientReference::parse("basket & 3").expect("valid"));
    placed[1].traceparent = TraceParent::parse(TRACE);
    fixture.store.commit(Fence::Open, &placed).await.expect("committed");
    let mut changed = placed[1].clone();
    changed.digest = PayloadDigest::from_bytes([9; 32]);
    let unknown = order(50, "NOT-IN-THE-DATABASE");
    for batch in [changed.clone(), unknown.clone()] {
        fixture.store.commit(Fence::Open, &[batch]).await.expect("committed");
    }
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);

    let id = placed[1].order_id.to_string();
    let json: Value =
        serde_json::from_str(&done(&url, &["order", "show", &id, "--json"]).await).expect("JSON");
    assert_eq!((&json["state"], &json["reason"]), (&"confirmed".into(), &Value::Null));
    assert_eq!(json["decided"]["accepted_at"], "2026-11-11T00:00:00.123Z");
    assert_eq!(json["decided"]["traceparent"], TRACE);
    assert_eq!(json["conflicts"][0]["digest"], changed.digest.to_string());
    let text = done(&url, &["order", "show", &id]).await;
    assert!(text.starts_with(&format!("{id}: confirmed\n")), "{text}");
    assert!(text.contains(&changed.digest.to_string()), "{text}");
    let all = format!("{json}{text}");
    for part in ["Nanjing Road", "张伟", "0000\""] {
        assert!(!all.contains(part), "the address is not shown: {all}");
    }

    let id = unknown.order_id.to_string();
    let text = done(&url, &["order", "show", &id]).await;
    assert!(text.starts_with(&format!("{id}: dead_lettered (unknown_sku)\n")), "{text}");
    let rejected = placed[11].order_id.to_string();
    let text = done(&url, &["order", "show", &rejected]).await;
    assert!(text.starts_with(&format!("{rejected}: rejected (sold_out)\n")), "{text}");

    let user = placed[0].user_id.as_str();
    let list = done(&url, &["order", "find", "--user", user]).await;
    assert!(list.contains(&placed[11].order_id.to_string()) && list.contains("12 orders\n"), "{list}");
    assert!(list.contains("unknown_sku"), "the buyer's dead letters: {list}");
    let page = done(&url, &["order", "find", "--user", user, "--limit", "5", "--json"]).await;
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let next = page["next"].to_string();
    assert_eq!(page["orders"].as_array().map(Vec::len), Some(5));
    let rest = done(&url, &["order", "find", "--user", user, "--after", &next, "--limit", "200"]).await;
    assert!(rest.contains("7 orders\n"), "{rest}");
    let found = done(&url, &["order", "find", "--user", user, "--reference", "basket & 3"]).await;
    assert!(found.contains(&placed[3].order_id.to_string()) && found.contains("1 orders\n"), "{found}");
    // The buyer need not be known.
    let found =
        done(&url, &["order", "find", "--reference", "basket & 3", "--from", "2026-11-11T00:00:00Z"]).await;
    assert!(found.contains(&placed[3].order_id.to_string()) && found.contains("1 orders\n"), "{found}");
    let refused = run(&url, &["order", "find", "--from", "2026-11-11T00:00:00Z"]).await;
    assert_eq!(refused.status.code(), Some(2), "--user or --reference is required");
    let span = ["order", "find", "--user", user, "--from", "2026-11-12T00:00:00Z"];
    assert!(done(&url, &span).await.contains("0 orders\n"));

    let missing = run(&url, &["order", "show", "00000000-0000-0000-0000-000000000000"]).await;
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("404 order_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_shows_its_stock_and_why_orders_are_rejected() {
    let fixture = WorkerFixture::new().await;
    // FEW has ten units; ONE-EACH has a limit of one.
    fixture.store.commit(Fence::Open, &orders(0..12, "FEW")).await.expect("committed");
    fixture.store.commit(Fence::Open, &orders(20..23, "ONE-EACH")).await.expect("committed");
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);

    let text = done(&url, &["sales", "sale"]).await;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = |sku: &str| rows.iter().find(|row| row[..].first() == Some(&sku)).expect("a row").clone();
    assert_eq!(row("FEW")[1..], ["10", "10", "0", "-", "10", "2", "0"], "{text}");
    assert_eq!(row("PLENTY")[1..], ["1,000,000", "0", "1,000,000", "-", "0", "0", "0"], "{text}");
    assert_eq!(row("ONE-EACH")[1..], ["1,000,000", "1", "999,999", "1", "1", "0", "2"], "{text}");
    assert!(text.contains("of the last 15 orders 11 confirmed, 2 sold out, 2 over the limit\n"), "{text}");

    let json: Value = serde_json::from_str(&done(&url, &["sales", "--json"]).await).expect("JSON");
    let sale = &json["sales"][0];
    assert_eq!(
        (&sale["sale_id"], &sale["skus"], &sale["stock_reserved"]),
        (&"sale".into(), &3.into(), &11.into())
    );
    assert_eq!(run(&url, &["sales", "none"]).await.status.code(), Some(3));
}

/// Returns a TLS server's acceptor and its root certificate as PEM.
fn tls() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("valid");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid");
    let server = server.signed_by(&key, &authority).expect("a certificate");
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate and its key");
    (TlsAcceptor::from(std::sync::Arc::new(config)), authority.pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_behind_tls_and_a_path_answers_after_one_that_is_down() {
    let fixture = WorkerFixture::new().await;
    let worker = port(&fixture, one_token());
    let (acceptor, roots) = tls();
    let address = serve(Router::new().nest("/drain/1", worker), Some(acceptor)).await;
    let room = tempfile::TempDir::new().expect("a directory");
    let file = room.path().join("roots.pem");
    std::fs::write(&file, roots).expect("written");
    let url = format!("http://127.0.0.1:1,https://localhost:{}/drain/1/", address.port());
    let flags = ["--admin-tls-roots", file.to_str().expect("text"), "--admin-token", TOKEN];

    let output = run(&url, &[&["dlq", "list"][..], &flags].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 of 0\n"));

    // The public roots do not vouch for it.
    let output = run(&url, &["dlq", "list", "--admin-token", TOKEN]).await;
    assert_eq!(output.status.code(), Some(4));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_url_a_refusal_and_silence_have_exit_codes_of_their_own() {
    let fixture = WorkerFixture::new().await;
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    let guarded = port(&fixture, one_token());
    let guarded = format!("http://{}", serve(guarded, None).await);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("http://{}", silent.local_addr().expect("an address"));
    let list = &["dlq", "list"][..];
    for (url, arguments, code, says) in [
        (url.as_str(), list, 0, ""),
        (&url, &["dlq", "list", "--limit", "0"], 2, "--limit"),
        (&url, &["dlq", "show", "7"], 3, "404 dead_letter_not_found"),
        (&guarded, list, 3, "401 unauthorized"),
        ("http://127.0.0.1:1", list, 4, "is a worker running there?"),
        (&silent, list, 4, "no response within 3 s"),
        ("http://127.0.0.1:1,http://127.0.0.1:2", &["cordon"], 64, "must name one worker"),
        ("localhost:9101", list, 64, "must look like http://host:port"),
        ("http://ann:hunter2@localhost", list, 64, "must look like http://host:port"),
    ] {
        let began = Instant::now();
        let output = run(url, arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{url} {arguments:?}: {error}");
        assert!(error.contains(says) && !error.contains("hunter2"), "{url} {arguments:?}: {error}");
        assert!(began.elapsed() < Duration::from_secs(8), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_ends_a_command_quietly() {
    let fixture = WorkerFixture::new().await;
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    for arguments in [&["dlq", "list"][..], &["dlq", "list", "--json"], &["completions", "bash"]] {
        let mut command = command(&url, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().await.expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_of_others_reach_no_terminal() {
    let fixture = WorkerFixture::new().await;
    let unknown = [order(1, "NONE")];
    fixture.store.commit(Fence::Open, &unknown).await.expect("committed");
    // As an older worker or a program beside the API may have left it.
    let context = AuditContext {
        who: "\u{1b}[2Jroot".to_owned(),
        reason: "x\n2026-11-11T00:00:00Z  ann  resume\u{9b}31m".to_owned(),
        ..AuditContext::default()
    };
    let page = PageRequest { after: 0, letters_max: std::num::NonZeroU32::MAX };
    fixture
        .store
        .discard_dead_letters(&DeadLetterSelection::All, page, "drain", &context)
        .await
        .expect("discarded");
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    for (arguments, lines) in [
        (&["audit"][..], Some(3)),
        (&["audit", "--json"], None),
        (&["dlq", "list", "--state", "all", "--json"], None),
        (&["dlq", "show", "1"], Some(5)),
    ] {
        let text = done(&url, arguments).await;
        let raw = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(raw), "{arguments:?}: {text:?}");
        assert!(text.contains("\\u001b[2Jroot"), "{arguments:?}: {text}");
        if let Some(lines) = lines {
            assert_eq!(text.lines().count(), lines, "{arguments:?}: {text}");
        } else {
            let json: Value = serde_json::from_str(&text).expect("JSON");
            assert!(json.to_string().contains("\\u001b[2Jroot"), "{json}");
        }
    }
}

/// Joins the pool with a cap of 2,000, so that its settings exist.
pub(crate) async fn join(fixture: &WorkerFixture) {
    let seed = GroupSettings::new(Rate::new(2_000).expect("within bounds"));
    let ttl = Duration::from_secs(60);
    let request = JoinRequest { group: GROUP, lease: LeaseId::random(), worker: "host:1", seed: &seed, ttl };
    fixture.store.join(&request).await.expect("joins");
}

/// Runs a command with `input`.
async fn fed(url: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = command(url, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that reads nothing may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    child.wait_with_output().await.expect("it ends")
}

const NIGHT: &str = r#"{"time_zone": "Asia/Shanghai", "entries": [{"from": "02:00", "rate": 3000}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_prints_json_and_nothing_else() {
    let fixture = WorkerFixture::new().await;
    join(&fixture).await;
    let placed = order(1, "PLENTY");
    fixture.store.commit(Fence::Open, &[placed.clone(), order(2, "NONE")]).await.expect("committed");
    let (id, user) = (placed.order_id.to_string(), placed.user_id.as_str());
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    let database = fixture.database.url.expose();
    for (arguments, member) in [
        (&["status"][..], "state"),
        (&["rate", "set", "500"], "cap"),
        (&["rate", "set", "900", "--ramp", "10s"], "settings"),
        (&["rate", "reset"], "cap"),
        (&["rate", "ceiling", "5000"], "settings"),
        (&["rate", "ceiling", "--none"], "settings"),
        (&["pause", "--for", "10m"], "hold"),
        (&["resume", "--hold", "6"], "settings"),
        (&["resume", "--all"], "settings"),
        (&["schedule", "set", "-"], "settings"),
        (&["schedule", "show"], "time_zone"),
        (&["schedule", "clear"], "settings"),
        (&["cordon"], "is_cordoned"),
        (&["uncordon"], "is_cordoned"),
        (&["order", "show", &id], "decided"),
        (&["order", "find", "--user", user], "orders"),
        (&["sales"], "sales"),
        (&["sales", "sale"], "skus"),
        (&["dlq", "list"], "letters"),
        (&["dlq", "show", "1"], "orders"),
        (&["dlq", "redrive", "--all", "--yes"], "stopped"),
        (&["dlq", "discard", "1", "--yes", "--reason", "a test"], "outcomes"),
        (&["dlq", "restore", "1"], "outcomes"),
        (&["audit"], "entries"),
        (&["purge", "--before", "2026-01-01", "--yes"], "rows"),
    ] {
        let output = fed(&url, &[arguments, &["--json"]].concat(), NIGHT).await;
        let error = String::from_utf8_lossy(&output.stderr);
        // The gate of this worker is closed, so a redrive stops.
        let is_redrive = arguments[..2.min(arguments.len())] == ["dlq", "redrive"];
        assert!(is_redrive || output.status.success(), "{arguments:?}: {error}");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
        assert!(json.get(member).is_some(), "{arguments:?}: {json}");
        assert!(is_redrive || error.is_empty(), "{arguments:?}: {error}");
    }
    let totals = done(&url, &["totals", "--database-url", database]).await;
    let totals: Value = serde_json::from_str(&totals).expect("JSON");
    assert_eq!((&totals["confirmed"], &totals["dead_letters"]["unknown_sku"]), (&1.into(), &1.into()));
}

/// A call takes 500 numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_on_many_named_letters_is_one_entry_of_the_audit_trail() {
    let fixture = WorkerFixture::new().await;
    for first in [0, 500, 1_000] {
        fixture.store.commit(Fence::Open, &orders(first..first + 500, "NONE")).await.expect("committed");
    }
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    let reason = ["--yes", "--reason", "a test"];
    // The second call finds nothing that is open.
    let middle: Vec<_> = (501..=1_000).map(|id: i64| id.to_string()).collect();
    let middle: Vec<_> = middle.iter().map(String::as_str).collect();
    done(&url, &[&["dlq", "discard"][..], &middle, &["--yes", "--reason", "before"]].concat()).await;
    let all: Vec<_> = (1..=1_500).map(|id: i64| id.to_string()).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let discarded = done(&url, &[&["dlq", "discard"][..], &all, &reason].concat()).await;
    assert!(discarded.ends_with("1500 letters: 1500 discarded\n"), "{discarded}");
    // As a call that stopped says: continue with --after 700.
    let restored = done(&url, &[&["dlq", "restore"][..], &all, &["--after", "700"]].concat()).await;
    assert!(restored.ends_with("800 letters: 800 restored\n"), "{restored}");
    let audit = fixture.store.list_audit(GROUP, None, 50).await.expect("reads");
    let acts: Vec<_> = audit.iter().filter(|entry| entry.action == "letters_discarded").collect();
    let outcomes: Vec<_> = acts.iter().map(|act| &act.after.as_ref().expect("a value")["outcomes"]).collect();
    assert_eq!(outcomes, [&json!({"discarded": 1_000}), &json!({"discarded": 500})]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_read_from_standard_input() {
    let fixture = WorkerFixture::new().await;
    join(&fixture).await;
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    for (input, code, says) in [
        ("", 1, "-: EOF while parsing"),
        ("[]", 1, "-: invalid type"),
        (r#"{"time_zone": "Mars/Olympus", "entries": []}"#, 3, "time_zone: 'Mars/Olympus'"),
        (r#"{"time_zone": "UTC"}"#, 3, "missing field `entries`"),
        (NIGHT, 0, ""),
    ] {
        let output = fed(&url, &["schedule", "set", "-"], input).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{input}: {error}");
        assert!(error.contains(says), "{input}: {error}");
    }
    let shown: Value = serde_json::from_str(&done(&url, &["schedule", "show"]).await).expect("JSON");
    assert_eq!(shown, serde_json::from_str::<Value>(NIGHT).expect("JSON"));
}

/// A edits the schedule for ten minutes; meanwhile B sets one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_its_author_has_not_seen_is_not_replaced() {
    let fixture = WorkerFixture::new().await;
    join(&fixture).await;
    let url = format!("http://{}", serve(port(&fixture, AdminAccess::Loopback), None).await);
    let set = async |schedule: &str, flags: &[&str]| {
        let output = fed(&url, &[&["schedule", "set", "-"][..], flags].concat(), schedule).await;
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(set(NIGHT, &["--who", "bob"]).await.0, Some(0));
    let other = NIGHT.replace("02:00", "03:00");
    let (code, error) = set(&other, &["--who", "ann"]).await;
    assert!(code == Some(1) && error.contains("in force, of revision 1: {\"time_zone\""), "{code:?} {error}");
    assert!(error.contains("--revision 1") && error.contains("pass --yes"), "{error}");
    // Seen before bob's.
    let (code, error) = set(&other, &["--revision", "0"]).await;
    assert!(code == Some(1) && error.contains("by bob at"), "{code:?} {error}");
    let output = run(&url, &["schedule", "show"]).await;
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(shown.trim_end(), "settings revision 1");
    assert_eq!(set(&other, &["--revision", "1"]).await, (Some(0), String::new()));

    // A digit too many.
    let steep = NIGHT.replace("3000", "30000");
    let (code, error) = set(&steep, &["--revision", "2"]).await;
    assert!(code == Some(1) && error.contains("30000/s is more than twice 3000/s"), "{code:?} {error}");
    assert_eq!(set(&steep, &["--yes"]).await.0, Some(0));
}

/// With no worker alive, so that none starts at the full cap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_change_in_the_database_while_no_worker_runs() {
    let fixture = WorkerFixture::new().await;
    let database = format!("--database-url={}", fixture.database.url.expose());
    let nowhere = "http://127.0.0.1:1";
    let room = tempfile::TempDir::new().expect("a directory");
    let empty = room.path().join("empty.sqlite");
    std::fs::write(&empty, "").expect("written");
    let empty = format!("--database-url=sqlite:{}", empty.display());
    for (flag, code, says) in [
        (&database, 3, "404 group_not_found: no worker of the group 'drain' has ever run"),
        (&"--database-url=mysql://u:hunter2@127.0.0.1:1/db".to_owned(), 4, "no database answers"),
        (&empty, 64, "the database has no schema yet"),
        (&"--database-url=postgres://u:hunter2@h/db".to_owned(), 64, "--database-url: must be"),
    ] {
        for command in [&["pause"][..], &["rate", "set", "5"], &["schedule", "show"]] {
            let output = run(nowhere, &[command, &[flag]].concat()).await;
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command:?} {flag}: {error}");
            assert!(error.contains(says) && !error.contains("hunter2"), "{command:?}: {error}");
        }
    }
    join(&fixture).await;
    let paused = done(nowhere, &["pause", &database, "--who", "ann"]).await;
    assert!(paused.starts_with("paused until resumed (hold 1)\n"), "{paused}");
    done(nowhere, &["rate", "set", "500", &database, "--who", "ann"]).await;
    let steep = run(nowhere, &["rate", "set", "1001", &database]).await;
    assert!(String::from_utf8_lossy(&steep.stderr).contains("more than twice the present cap of 500/s"));
    let resumed = done(nowhere, &["resume", "--all", &database]).await;
    assert!(resumed.starts_with("cap 500/s (manual)\nsettings revision 3"), "{resumed}");
    let audit = fixture.store.list_audit("drain", None, 9).await.expect("reads");
    let acts: Vec<_> = audit.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    let all = ["resume", "rate_set", "pause"].map(|action| ("database", action));
    assert_eq!(acts[..3], all);
    let audit = done(nowhere, &["audit", &database, "--limit", "3", "--json"]).await;
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    let shown: Vec<_> =
        audit["entries"].as_array().into_iter().flatten().map(|entry| &entry["action"]).collect();
    assert_eq!(shown, ["resume", "rate_set", "pause"]);

    // The URL of a database may contain its password: an environment variable names it as well.
    let named = run(nowhere, &["schedule", "show", "--database-url"]).await;
    assert_eq!(named.status.code(), Some(64), "SPILLWAY_DATABASE_URL is not set");
}
