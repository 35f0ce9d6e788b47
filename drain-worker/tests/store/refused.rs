//! Servers that refuse a connection, played by a few packets of MySQL's protocol (MySQL 8.0 internals manual, "Connection
//! Phase"): MariaDB knows neither refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drain_worker::store::{Store, StoreConfig, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::harness::address;

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

#[derive(Clone, Copy)]
enum Refusal {
    /// One variable exists only globally.
    Setting,
    /// The account's password must not cross the network as plain text.
    PlainPassword,
}

struct RefusingServer {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl RefusingServer {
    async fn start(refusal: Refusal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("mysql://worker:hunter2@{}/db", listener.local_addr().expect("bound"));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, refusal));
            }
        });
        Self { url, connections }
    }
}

fn handshake(plugin: &str) -> Vec<u8> {
    const PROTOCOL_41_WITH_DB_AND_SECURE: u16 = 0x8000 | 0x2000 | 0x0200 | 0x0008;
    const PLUGIN_AUTH: u16 = 0x0008;
    let mut payload = vec![10];
    payload.extend(b"8.0.18\0");
    payload.extend(1_u32.to_le_bytes());
    payload.extend(b"abcdefgh\0");
    payload.extend(PROTOCOL_41_WITH_DB_AND_SECURE.to_le_bytes());
    payload.push(45);
    payload.extend(2_u16.to_le_bytes());
    payload.extend(PLUGIN_AUTH.to_le_bytes());
    payload.push(21);
    payload.extend([0; 10]);
    payload.extend(b"ijklmnopqrst\0");
    payload.extend(plugin.as_bytes());
    payload.push(0);
    payload
}

fn error(number: u16, state: &str, text: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(number.to_le_bytes());
    payload.push(b'#');
    payload.extend(state.as_bytes());
    payload.extend(text.as_bytes());
    payload
}

async fn send(stream: &mut TcpStream, sequence: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    let mut packet = vec![length[0], length[1], length[2], sequence];
    packet.extend(payload);
    stream.write_all(&packet).await
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut payload).await?;
    Ok((head[3].wrapping_add(1), payload))
}

async fn serve(mut stream: TcpStream, refusal: Refusal) -> std::io::Result<()> {
    let plugin = match refusal {
        Refusal::Setting => "mysql_native_password",
        Refusal::PlainPassword => "caching_sha2_password",
    };
    send(&mut stream, 0, &handshake(plugin)).await?;
    let (mut sequence, _account) = receive(&mut stream).await?;
    if matches!(refusal, Refusal::PlainPassword) {
        // "Perform full authentication"; the client asks for the public key.
        send(&mut stream, sequence, &[1, 4]).await?;
        sequence = receive(&mut stream).await?.0;
        send(&mut stream, sequence, b"\x01-----BEGIN PUBLIC KEY-----").await?;
        receive(&mut stream).await?;
        return Ok(());
    }
    send(&mut stream, sequence, OK).await?;
    loop {
        let (sequence, command) = receive(&mut stream).await?;
        let text = String::from_utf8_lossy(&command);
        let answer = if text.contains("innodb_lock_wait_timeout") {
            error(
                1229,
                "HY000",
                "Variable 'innodb_lock_wait_timeout' is a GLOBAL variable and should be set with SET GLOBAL",
            )
        } else {
            OK.to_vec()
        };
        send(&mut stream, sequence, &answer).await?;
    }
}

/// Opens the store at a server that refuses; returns the error.
async fn refused(refusal: Refusal) -> String {
    let server = RefusingServer::start(refusal).await;
    let config = StoreConfig { acquire_timeout: Duration::from_secs(60), ..StoreConfig::default() };
    let store = Store::connect(&address(&server.url), config).await.expect("a valid address");
    let began = Instant::now();
    let error = store.check_schema().await.expect_err("refused");
    assert!(began.elapsed() < Duration::from_secs(5), "at once, not after {:?}", began.elapsed());
    assert!(server.connections.load(Ordering::Relaxed) <= 2, "tried once, not until the time is over");
    assert!(matches!(error, StoreError::Fatal(_)) && error.is_configuration(), "{error}");
    let text = error.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[tokio::test]
async fn a_refused_setting_fails_in_the_servers_words() {
    let text = refused(Refusal::Setting).await;
    assert!(text.contains("Variable 'innodb_lock_wait_timeout' is a GLOBAL variable"), "{text}");
}

#[tokio::test]
async fn an_account_that_needs_tls_says_so() {
    let text = refused(Refusal::PlainPassword).await;
    assert!(text.contains("ssl-mode=required"), "{text}");
}
