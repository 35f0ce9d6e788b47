//! `loadtest run --target` against an ingest-fn that is configured as for production: it accepts only what the gateway
//! has signed and whose buyer the gateway names. One run goes through TLS.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

#[path = "common/services.rs"]
mod services;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

use services::{Service, drain, front, loadtest};

const SECRETS: &str = "2026b=another-long-secret,2026a=a-long-secret";

struct Production {
    directory: TempDir,
    broker: SocketAddr,
    ingest: SocketAddr,
    _services: [Service; 2],
}

fn production() -> Production {
    let directory = TempDir::new().expect("a directory");
    let catalogue = loadtest::scenario::load("hostile").expect("ships").catalogue_toml();
    let environment =
        [("SPILLWAY_GATEWAY_SECRETS", SECRETS), ("SPILLWAY_IDENTITY_HEADER", "X-Spillway-User")];
    let (broker, ingest, services) = front(directory.path(), &catalogue, &environment);
    Production { directory, broker, ingest, _services: services }
}

/// Plays 200 requests of every kind; returns output and report.
fn play(directory: &Path, flags: &[&str]) -> (String, Value) {
    let report = directory.join("report");
    let output = loadtest()
        .args(["run", "hostile", "--no-expect", "--phase", "constant:200:1s", "--set", "mix.invalid=0.3"])
        .args(["--report".as_ref(), report.as_os_str()])
        .args(flags)
        .env("SPILLWAY_GATEWAY_SECRETS", SECRETS)
        .env_remove("SPILLWAY_DATABASE_URL")
        .output()
        .expect("runs");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    println!("{text}");
    let json = std::fs::read(report.with_added_extension("json")).expect("a report was written");
    (text, serde_json::from_slice(&json).expect("JSON"))
}

fn accepted(report: &Value) -> u64 {
    report["totals"]["accepted"].as_u64().expect("a count")
}

#[test]
fn a_signed_request_is_accepted_and_no_secret_is_printed() {
    let production = production();
    let target = format!("http://{}", production.ingest);
    let identity = ["--target", &target, "--header", "X-Spillway-User: {user}"];
    let (text, report) = play(production.directory.path(), &[&identity[..], &["--sign"]].concat());
    // 30 % are invalid, others hang up.
    assert!(accepted(&report) > 80, "{}", report["totals"]);
    assert_eq!(report["surprises"], Value::Array(Vec::new()), "invalid requests get their own codes");
    assert!(!text.contains("another-long-secret") && !report.to_string().contains("another-long-secret"));

    let (_, unsigned) = play(production.directory.path(), &identity);
    assert_eq!(accepted(&unsigned), 0);
    assert!(unsigned["totals"]["refused_by_code"]["signature_missing"].as_u64() > Some(80));

    let other_buyer = ["--target", &target, "--header", "X-Spillway-User: another", "--sign"];
    let (_, mismatched) = play(production.directory.path(), &other_buyer);
    assert_eq!(accepted(&mismatched), 0);
    assert!(mismatched["totals"]["refused_by_code"]["user_mismatch"].as_u64() > Some(80));
}

#[test]
fn orders_go_through_tls() {
    let production = production();
    let (certificate, key) = certificate(production.directory.path());
    let front = terminate_tls(&certificate, &key, production.ingest);
    let ca = certificate.display().to_string();
    // 127.0.0.1, perhaps after ::1.
    let target = format!("https://localhost:{}", front.port());
    let flags = ["--target", &target, "--ca", &ca, "--header", "X-Spillway-User: {user}", "--sign"];
    let (_, report) = play(production.directory.path(), &flags);
    assert!(accepted(&report) > 80, "{}", report["totals"]);
    assert_eq!(report["surprises"], Value::Array(Vec::new()));

    let untrusted =
        loadtest().args(["run", "baseline", "--no-report", "--target", &target]).output().expect("runs");
    let error = String::from_utf8_lossy(&untrusted.stderr);
    assert!(!untrusted.status.success() && error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn look_ups_through_tls_are_signed_and_another_buyers_are_not_answered() {
    let production = production();
    let directory = production.directory.path();
    let (certificate, key) = certificate(directory);
    let ca = certificate.display().to_string();
    let target = format!("http://{}", production.ingest);
    let judge = |look_up: SocketAddr| {
        let front = terminate_tls(&certificate, &key, look_up);
        let look_up = format!("https://localhost:{}", front.port());
        let target = ["--target", &target, "--lookup-url", &look_up, "--ca", &ca];
        let (_, report) =
            play(directory, &[&target[..], &["--header", "X-Spillway-User: {user}", "--sign"]].concat());
        assert!(report["ledger"]["looked_up"].as_u64() > Some(80), "{}", report["ledger"]);
        let faults = report["ledger"]["faults"].as_array().expect("an array").iter();
        faults.map(|fault| fault["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
    };
    let secrets = ("SPILLWAY_GATEWAY_SECRETS", SECRETS);
    let identity = ("SPILLWAY_IDENTITY_HEADER", "X-Spillway-User");
    {
        let (look_up, _, _worker) = drain(directory, production.broker, &[secrets, identity]);
        assert_eq!(judge(look_up), [""; 0]);
    }
    // Without the identity the worker answers every buyer that the gateway has let in.
    let (look_up, _, _worker) = drain(directory, production.broker, &[secrets]);
    assert_eq!(judge(look_up), ["lookup_answers_another_buyer"]);
}

fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
                .split(' '),
        )
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout".as_ref(), key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// Forwards each request to `upstream`, one at a time on each connection.
fn terminate_tls(certificate: &Path, key: &Path, upstream: SocketAddr) -> SocketAddr {
    let certificates = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, config) = (stream.expect("accepted"), config.clone());
            std::thread::spawn(move || {
                let session = ServerConnection::new(config).expect("a session");
                let mut client = StreamOwned::new(session, stream);
                let mut server = TcpStream::connect(upstream).expect("connects");
                while forward(&mut client, &mut server)
                    .and_then(|()| forward(&mut server, &mut client))
                    .is_some()
                {}
            });
        }
    });
    address
}

/// Copies one message, whose body has a `content-length`; `None` at the end of the stream.
fn forward(from: &mut impl Read, to: &mut impl Write) -> Option<()> {
    let (mut message, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&message).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let length = length.map_or(Some(0), |length| length.parse().ok())?;
            if body.len() >= length {
                return to.write_all(&message).and_then(|()| to.flush()).ok();
            }
        }
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => message.extend_from_slice(&buffer[..bytes]),
        }
    }
}
