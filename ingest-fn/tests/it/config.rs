//! The configuration, through the binary: flags, environment and exit codes together.

use std::path::PathBuf;
use std::process::{Command, Output};

use clap::CommandFactory;
use ingest_fn::config::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{CATALOGUE, KEYS};

/// A directory with a catalogue.
fn with_catalogue() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("sales.toml");
    std::fs::write(&path, CATALOGUE).expect("written");
    (directory, path)
}

/// Runs the binary with only `environment`.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingest-fn"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("it runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn printed(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn all_errors_are_reported_together() {
    let (_directory, catalogue) = with_catalogue();
    let catalogue = catalogue.to_str().expect("UTF-8");
    let faulty = [
        "--catalogue=/no/such/file.toml",
        "--order-id-keys=default=11",
        "--rocketmq-endpoint=nowhere",
        "--rocketmq-access-key=only-one-of-two",
        "--orders-topic=no/topic",
        "--batch-bytes-max=1",
        "--batch-orders-max=401",
        "--gateway-secrets=2026a=short",
        "--grace-ms=2999",
        "--connections-max=2047",
        "--log=[",
    ];
    let output = run(&faulty, &[]);
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    for flag in [
        "--catalogue:",
        "--order-id-keys:",
        "--rocketmq-endpoint:",
        "--rocketmq-access-key",
        "--orders-topic:",
        "--batch-bytes-max:",
        "--batch-orders-max:",
        "--gateway-secrets:",
        "--grace-ms:",
        "--connections-max:",
        "--log:",
    ] {
        assert!(text.contains(flag), "{flag} in {text}");
    }
    // Each sale whose key is missing is reported.
    let other_keys = KEYS.replace("default=", "other=");
    let output = run(&["--catalogue", catalogue, "--order-id-keys", &other_keys], &[]);
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    for sale in ["open", "early", "over"] {
        assert!(text.contains(&format!("sale {sale} needs the key `default`")), "{text}");
    }
    assert!(text.contains("--gateway-auth: no authentication configured"), "{text}");
    assert!(!text.contains("0707"), "{text}");
}

/// Flags, environment, and a part of the reason.
type FaultyCommand<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

/// The alert for instances that do not start reads these lines.
#[test]
fn every_faulty_setting_is_a_line_of_the_log_and_exits_with_64() {
    let (_directory, catalogue) = with_catalogue();
    let catalogue = format!("--catalogue={}", catalogue.display());
    let valid = [("SPILLWAY_ORDER_ID_KEYS", KEYS), ("SPILLWAY_INSECURE_DEV", "true")];
    let cases: [FaultyCommand<'_>; 11] = [
        (&[], &[], "--catalogue"),
        (&[], &valid, "--catalogue"),
        (&[&catalogue], &[("SPILLWAY_LINGER_MS", "21")], "21 is not in 0..=20"),
        (&[&catalogue, "--requests-max=0"], &valid, "--requests-max"),
        (&[&catalogue, "planted"], &valid, "an argument is unknown"),
        (&[&catalogue, "--no-such-flag"], &valid, "an argument is unknown"),
        (&[&catalogue], &[("SPILLWAY_ORDER_ID_KEYS", "")], "--order-id-keys"),
        (&[&catalogue, "--rocketmq-access-key=", "--rocketmq-secret-key="], &valid, "--rocketmq-access-key"),
        (&[&catalogue, "--rocketmq-access-key=a", "--rocketmq-secret-key="], &valid, "must not be empty"),
        (&[&catalogue, "--grace-ms=4000", "--publish-timeout-ms=4001"], &valid, "--grace-ms"),
        (&[&catalogue, "--connections-max=99000000"], &valid, "the system's limit of open files"),
    ];
    for (arguments, environment, reason) in cases {
        for format in [&[][..], &["--log-format=json"]] {
            let output = run(&[arguments, format].concat(), environment);
            assert_eq!(output.status.code(), Some(64), "{arguments:?}");
            let line: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
            let expected = ["start_failed", "ERROR", "wrong_configuration"].map(Value::from);
            assert_eq!(["event", "level", "errorCode"].map(|name| line[name].clone()), expected, "{line}");
            assert!(
                line["errorMessage"].as_str().is_some_and(|text| text.contains(reason)),
                "{reason}: {line}"
            );
            assert!(!line.to_string().contains("planted"), "{line}");
        }
        let as_text = run(&[arguments, &["--log-format=text"]].concat(), environment);
        assert_eq!((as_text.status.code(), as_text.stdout.as_slice()), (Some(64), &b""[..]), "{arguments:?}");
        assert_ne!(stderr(&as_text), "");
    }
}

#[test]
fn connections_default_to_what_the_limit_of_open_files_permits() {
    let connections_max = |files: &str| {
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ingest-fn")])
            .args(["--print-config", "--catalogue=c", "--order-id-keys=k"])
            .env_clear()
            .output()
            .expect("it runs");
        printed(&output)["limits"]["connections_max"].as_u64()
    };
    assert_eq!((connections_max("1024"), connections_max("10000")), (Some(768), Some(8_192)));
}

#[test]
fn secrets_are_masked() {
    let arguments = ["--print-config", "--catalogue=sales.toml"];
    let environment = [
        ("SPILLWAY_ORDER_ID_KEYS", KEYS),
        ("SPILLWAY_ROCKETMQ_ACCESS_KEY", "instance-user"),
        ("SPILLWAY_GATEWAY_SECRETS", "2026a=hunter2"),
        ("SPILLWAY_ROCKETMQ_SECRET_KEY", "hunter2"),
    ];
    let output = run(&arguments, &environment);
    let config = printed(&output);
    assert_eq!(config["order_id_keys"], "***");
    assert_eq!(config["rocketmq"]["rocketmq_secret_key"], "***");
    assert_eq!(config["gateway"]["gateway_secrets"], "***");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("hunter2") && !text.contains("0707"), "{text}");
    let help = run(&["--help"], &environment);
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(!text.contains("hunter2") && !text.contains("0707"), "the help shows the environment: {text}");
}

/// A value other than the default for every flag.
const VALUES: [(&str, &str); 34] = [
    ("listen", "127.0.0.1:1"),
    ("port", "1"),
    ("ca-port", "1"),
    ("catalogue", "other.toml"),
    ("order-id-keys", "masked"),
    ("gateway-auth", "function"),
    ("gateway-secrets", "masked"),
    ("identity-header", "x-user"),
    ("insecure-dev", "true"),
    ("rocketmq-endpoint", "broker:1"),
    ("rocketmq-namespace", "space"),
    ("rocketmq-access-key", "access"),
    ("rocketmq-secret-key", "masked"),
    ("rocketmq-tls", "true"),
    ("rocketmq-tls-roots", "roots.pem"),
    ("rocketmq-request-timeout-ms", "1234"),
    ("orders-topic", "other"),
    ("batch-bytes-max", "999"),
    ("batch-orders-max", "9"),
    ("linger-ms", "7"),
    ("requests-max", "99"),
    ("requests-bytes-max", "99"),
    ("connections-max", "99"),
    ("workers", "99"),
    ("start-timeout-ms", "999"),
    ("body-timeout-ms", "999"),
    ("publish-timeout-ms", "999"),
    ("publishes-in-flight-max", "9"),
    ("queue-messages-max", "99"),
    ("grace-ms", "999"),
    ("fc-log-framing", "all"),
    ("metrics-log-interval-s", "7"),
    ("log-format", "text"),
    ("log", "debug"),
];

#[test]
fn flags_and_environment_variables_are_equivalent() {
    let command = Config::command();
    command.clone().debug_assert();
    let mut flags = vec!["--print-config".to_owned()];
    let mut environment = Vec::new();
    let settable: Vec<_> = command.get_arguments().filter(|argument| argument.get_env().is_some()).collect();
    assert_eq!(settable.len(), VALUES.len(), "every setting is tested");
    for argument in settable {
        let long = argument.get_long().expect("a long flag");
        let (_, value) = VALUES.iter().find(|(name, _)| *name == long).unwrap_or_else(|| panic!("{long}"));
        let takes_value = argument.get_action().takes_values();
        flags.push(if takes_value { format!("--{long}={value}") } else { format!("--{long}") });
        let name = argument.get_env().and_then(|name| name.to_str()).expect("UTF-8");
        // Except for the platform's own variables.
        assert!(name.starts_with("SPILLWAY_") || matches!(name, "FC_SERVER_PORT" | "CAPort"), "{name}");
        environment.push((name.to_owned(), *value));
    }
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let by_flags = printed(&run(&flags, &[]));
    let by_environment = printed(&run(&["--print-config"], &environment));
    assert_eq!(by_flags, by_environment);
    let defaults = printed(&run(&["--print-config", "--catalogue=c", "--order-id-keys=k"], &[]));
    let changed = |value: &Value, default: &Value, name: &str| match name {
        "order_id_keys" => {}
        _ => assert_ne!(value, default, "{name} was not set"),
    };
    for (name, value) in by_flags.as_object().expect("an object") {
        match value.as_object() {
            Some(group) => {
                group.iter().for_each(|(member, value)| changed(value, &defaults[name][member], member));
            }
            None => changed(value, &defaults[name], name),
        }
    }
}

#[test]
fn the_reason_of_a_failed_start_is_logged_too() {
    let output = run(&["--catalogue=nowhere.toml", "--log-format=json"], &[("SPILLWAY_ORDER_ID_KEYS", KEYS)]);
    assert_eq!(output.status.code(), Some(64));
    let line: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(
        (&line["level"], &line["errorCode"]),
        (&"ERROR".into(), &"wrong_configuration".into()),
        "{line}"
    );
    assert!(line["errorMessage"].as_str().is_some_and(|text| text.contains("nowhere.toml")), "{line}");
    let quiet = ["--catalogue=nowhere.toml", "--log-format=json", "--log=off"];
    let output = run(&quiet, &[("SPILLWAY_ORDER_ID_KEYS", KEYS)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "the flag sets the level");
}

#[test]
fn a_port_in_use_exits_with_1() {
    let (_directory, catalogue) = with_catalogue();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("--listen={}", taken.local_addr().expect("an address"));
    let catalogue = format!("--catalogue={}", catalogue.display());
    let output = run(&[&listen, &catalogue, "--insecure-dev"], &[("SPILLWAY_ORDER_ID_KEYS", KEYS)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--listen"), "{}", stderr(&output));
}

#[test]
fn one_attempt_leaves_time_for_another() {
    use clap::Parser;
    let (_directory, catalogue) = with_catalogue();
    let settings = |publish_timeout_ms: &str| {
        let catalogue = catalogue.to_str().expect("UTF-8");
        let arguments = [
            "ingest-fn",
            "--catalogue",
            catalogue,
            "--order-id-keys",
            KEYS,
            "--publish-timeout-ms",
            publish_timeout_ms,
            "--grace-ms=60000",
            "--insecure-dev",
        ];
        Config::parse_from(arguments).settings().expect("valid")
    };
    for (publish_timeout_ms, try_ms) in [("3000", 1_500), ("60000", 3_000)] {
        let settings = settings(publish_timeout_ms);
        assert_eq!(settings.client.request_timeout.as_millis(), try_ms, "{publish_timeout_ms}");
        assert!(settings.client.connect_timeout <= settings.client.request_timeout);
        assert!(settings.client.request_timeout * 2 <= settings.producer.delivery_timeout);
    }
}

#[test]
fn the_platform_sets_the_port_and_an_address_wins() {
    let listen = |flags: &[&str], environment: &[(&str, &str)]| {
        let flags = [&["--print-config", "--catalogue=c", "--order-id-keys=k"], flags].concat();
        printed(&run(&flags, environment))["listen"].as_str().expect("text").to_owned()
    };
    assert_eq!(listen(&[], &[]), "0.0.0.0:9000");
    assert_eq!(listen(&[], &[("CAPort", "9001")]), "0.0.0.0:9001");
    assert_eq!(listen(&[], &[("CAPort", "9001"), ("FC_SERVER_PORT", "9002")]), "0.0.0.0:9002");
    assert_eq!(listen(&["--port=9003"], &[("FC_SERVER_PORT", "9002")]), "0.0.0.0:9003");
    assert_eq!(listen(&["--listen=127.0.0.1:9004"], &[("FC_SERVER_PORT", "9002")]), "127.0.0.1:9004");
}

/// An instance may have a twentieth of a processor: then there is one worker.
#[cfg(target_os = "linux")]
#[test]
fn there_is_one_worker_per_processor_that_the_system_grants() {
    let printed_by = |command: &mut Command| {
        let output = command
            .args(["--print-config", "--catalogue=c", "--order-id-keys=k"])
            .env_clear()
            .output()
            .expect("it runs");
        printed(&output)["limits"]["workers"].as_u64()
    };
    let binary = env!("CARGO_BIN_EXE_ingest-fn");
    assert_eq!(printed_by(Command::new("/usr/bin/taskset").args(["--cpu-list", "0", binary])), Some(1));
    let granted = std::thread::available_parallelism().expect("known").get() as u64;
    assert_eq!(printed_by(&mut Command::new(binary)), Some(granted));
}
