//! An official client as a child process; see `OfficialClient.java` for the line protocol.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use spillway_rocketmq::{ClientConfig, CredentialsSource};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const ANSWER_MAX: Duration = Duration::from_secs(90);
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");

/// The language of an official client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Java,
    Python,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::Java, Self::Python];

    /// Variable with the folder of the installed client.
    const fn variable(self) -> &'static str {
        match self {
            Self::Java => "SPILLWAY_TEST_JAVA_CLIENT",
            Self::Python => "SPILLWAY_TEST_PYTHON_CLIENT",
        }
    }

    fn command(self, installed: &str) -> Command {
        match self {
            Self::Java => {
                let mut command = Command::new("java");
                command
                    .args(["-XX:TieredStopAtLevel=1", "-Drocketmq.log.level=OFF"])
                    .args(["-cp", &format!("{installed}/*")])
                    .arg(format!("{SOURCES}/OfficialClient.java"));
                command
            }
            Self::Python => {
                let mut command = Command::new(Path::new(installed).join("bin/python"));
                command.arg(format!("{SOURCES}/official_client.py"));
                command
            }
        }
    }
}

/// A message as an official client shows it, or is to send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainMessage {
    pub(crate) tag: Option<String>,
    /// Joined by commas.
    pub(crate) keys: Option<String>,
    /// `a=b,c=d`, sorted.
    pub(crate) properties: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct OfficialClient {
    language: Language,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _process: Child,
    /// The Python client writes its log there.
    _home: TempDir,
}

impl OfficialClient {
    /// Starts every installed client in turn. Prints which one is not.
    pub(crate) fn each(client: &ClientConfig) -> impl Iterator<Item = Self> {
        Language::ALL.into_iter().filter_map(|language| Self::start(language, client))
    }

    fn start(language: Language, client: &ClientConfig) -> Option<Self> {
        let Ok(installed) = std::env::var(language.variable()) else {
            println!("skipped: {} is not set", language.variable());
            return None;
        };
        let home = TempDir::new().expect("a directory");
        let mut command = language.command(&installed);
        command.arg(client.endpoints.to_string()).env("HOME", home.path());
        if let Some(credentials) = client.credentials.as_ref().and_then(CredentialsSource::current) {
            command.args([&credentials.access_key, &credentials.secret_key]);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the client starts");
        let commands = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Some(Self { language, commands, answers, _process: process, _home: home })
    }

    pub(crate) const fn language(&self) -> Language {
        self.language
    }

    /// Sends `message` to `topic`, delivered `delay` later.
    pub(crate) async fn send(&mut self, topic: &str, message: &PlainMessage, delay: Option<Duration>) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let command = [
            "send".to_owned(),
            topic.to_owned(),
            text(&message.tag),
            text(&message.keys),
            text(&message.properties),
            text(&message.group),
            delay.map_or_else(|| "-".to_owned(), |delay| delay.as_millis().to_string()),
            hex::encode(&message.body),
        ];
        self.execute(&command.join("\t")).await;
    }

    /// Subscribes to `tags`, `*` or alternatives between `||`.
    pub(crate) async fn subscribe(&mut self, group: &str, topic: &str, tags: &str) {
        self.execute(&format!("subscribe\t{group}\t{topic}\ttag\t{tags}")).await;
    }

    /// Receives and acks `count` messages.
    pub(crate) async fn receive(&mut self, group: &str, count: usize) -> Vec<PlainMessage> {
        let lines = self.execute(&format!("receive\t{group}\t{count}")).await;
        lines.iter().map(|line| read(line)).collect()
    }

    /// Returns the lines before `ok`.
    async fn execute(&mut self, command: &str) -> Vec<String> {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("the client reads");
        let mut lines = Vec::new();
        loop {
            let line = timeout(ANSWER_MAX, self.answers.next_line()).await.expect("the client responds");
            let line = line.expect("readable").expect("the client runs");
            match line.split('\t').next() {
                Some("ok") => return lines,
                Some("message") => lines.push(line),
                Some("error") => panic!("{:?}: {command}: {line}", self.language),
                // The client's own log.
                _ => println!("{:?}: {line}", self.language),
            }
        }
    }
}

fn read(line: &str) -> PlainMessage {
    let [_kind, _id, tag, keys, properties, group, _attempt, body] = line.split('\t').collect::<Vec<_>>()[..]
    else {
        panic!("not a message: {line}");
    };
    let text = |word: &str| (word != "-").then(|| word.to_owned());
    PlainMessage {
        tag: text(tag),
        keys: text(keys),
        properties: text(properties),
        group: text(group),
        body: hex::decode(body).expect("hex"),
    }
}
