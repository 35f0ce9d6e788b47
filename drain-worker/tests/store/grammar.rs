//! Every statement that the store sends, in the grammar of MySQL 8.0.13 and 8.0.18.
//!
//! PolarDB for MySQL 8.0.1 is compatible with 8.0.13, and 8.0.2 with 8.0.18; MariaDB accepts more. A recorder between
//! store and server reads the statements off the wire while every case of the conformance suite runs. They are judged by
//! a parser that knows since which version each rule exists (`ts-mysql-parser`, made from Oracle's grammar).

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use shared::testkit::test_variable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

const VERSIONS: [&str; 2] = ["8.0.13", "8.0.18"];

const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;

/// Reads `{version, statements}` and prints the statements that the version rejects, each with the reason.
const PARSE: &str = r"
const { default: Parser } = require('ts-mysql-parser');
const { version, statements } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const parser = new Parser({ version });
for (const statement of statements) {
    const { parserError, lexerError } = parser.parse(statement);
    const error = lexerError || parserError;
    if (error) console.log(`${statement}: ${error.message || error}`);
}
";

/// The shortest statement of each shape. Shapes differ in more than the number of repeated placeholders and rows.
type Statements = Arc<Mutex<BTreeMap<String, String>>>;

/// A relay that records statements.
pub(crate) struct Recorder {
    account: String,
    address: std::net::SocketAddr,
    statements: Statements,
    accepting: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// `server` is the server's URL, without a database.
    async fn before(server: &str) -> Self {
        let (account, place) = server.trim_end_matches('/').rsplit_once('@').expect("an account");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let statements = Statements::default();
        let (place, recorded) = (place.to_owned(), statements.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, place.clone(), recorded.clone()));
            }
        });
        Self { account: account.to_owned(), address, statements, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}@{}/", self.account, self.address)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, server: String, statements: Statements) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    // Otherwise each statement waits 40 ms for an acknowledgement.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut packet = Vec::new();
    loop {
        // Three bytes of length, then the number within the exchange: a command is the first.
        let mut head = [0; 4];
        if from_client.read_exact(&mut head).await.is_err() {
            answers.abort();
            return Ok(());
        }
        packet.clear();
        packet.extend(head);
        packet.resize(head.len() + u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize, 0);
        from_client.read_exact(&mut packet[head.len()..]).await?;
        if let [_, _, _, 0, QUERY | PREPARE, text @ ..] = packet.as_slice() {
            record(&statements, &String::from_utf8_lossy(text));
        }
        to_server.write_all(&packet).await?;
    }
}

fn record(statements: &Statements, text: &str) {
    let mut statements = statements.lock().unwrap_or_else(PoisonError::into_inner);
    let known = statements.entry(shape(text)).or_insert_with(|| text.to_owned());
    if text.len() < known.len() {
        text.clone_into(known);
    }
}

/// Replaces literals by placeholders. No literal has a quote.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            masked.push('?');
            continue;
        }
        for character in part.chars() {
            let is_digit = character.is_ascii_digit();
            let is_name = masked.ends_with(|before: char| before.is_alphanumeric() || before == '_');
            if !is_digit || is_name {
                masked.push(character);
            } else if !masked.ends_with('?') {
                masked.push('?');
            }
        }
    }
    masked.replace("CAST(UNHEX(?) AS CHAR)", "?").replace("NULL", "?")
}

/// Folds repeated list items and rows, and `WHEN ? THEN ?`.
fn shape(text: &str) -> String {
    let masked = masked(text);
    let mut rows: Vec<&str> = masked.split("), (").collect();
    rows.dedup();
    let rows = rows.join("), (");
    let mut items: Vec<&str> = rows.split(", ").collect();
    items.dedup();
    let mut shape = items.join(", ");
    for repeated in [" WHEN ? THEN ?", "?, "] {
        let twice = repeated.repeat(2);
        while shape.contains(&twice) {
            shape = shape.replace(&twice, repeated);
        }
    }
    shape
}

/// Returns what `version` rejects.
async fn rejected(parser: &str, version: &str, statements: &[String]) -> String {
    let mut process = Command::new("node")
        .args(["-e", PARSE])
        .current_dir(parser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts");
    let input = serde_json::json!({ "version": version, "statements": statements }).to_string();
    let mut stdin = process.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("the parser reads");
    drop(stdin);
    let output = process.wait_with_output().await.expect("the parser ends");
    assert!(output.status.success(), "the parser fails");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_every_statement_is_in_the_grammar_of_the_oldest_server() {
    let (Some(server), Some(parser)) =
        (test_variable("SPILLWAY_TEST_MYSQL_URL"), test_variable("SPILLWAY_TEST_MYSQL_PARSER"))
    else {
        return;
    };
    let recorder = Recorder::before(&server).await;
    crate::record_every_case(&recorder).await;
    crate::tune::ramp(&recorder.url(), &crate::tune::name("grammar")).await;
    let statements: Vec<_> =
        recorder.statements.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    println!("{} statements", statements.len());
    let words = [
        "CREATE DATABASE",
        "DROP DATABASE",
        "CREATE TABLE orders",
        "INSERT INTO orders",
        "FOR UPDATE",
        "ON DUPLICATE KEY",
        "COMMIT",
    ];
    for word in words {
        assert!(statements.iter().any(|text| text.contains(word)), "the suite sends {word}");
    }
    for version in VERSIONS {
        let rejected = rejected(&parser, version, &statements).await;
        assert!(rejected.is_empty(), "MySQL {version} rejects:\n{rejected}");
    }
    // The row alias came with 8.0.19, `RETURNING` never; the parser of this project has the alias from 8.0.18 on.
    for later in
        ["INSERT INTO a (b) VALUES (?) AS c ON DUPLICATE KEY UPDATE b = c.b", "DELETE FROM a RETURNING b"]
    {
        assert!(!rejected(&parser, VERSIONS[0], &[later.to_owned()]).await.is_empty(), "{later}");
    }
}
