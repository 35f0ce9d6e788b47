//! Flags of the authentication mode.

use clap::Parser;
use ingest_fn::config::{Config, GatewayArgs};
use ingest_fn::gateway::Gateway;
use shared::config::ConfigErrors;

const SECRETS: &str = "--gateway-secrets=2026a=long-enough";

fn arguments(flags: &[&str]) -> GatewayArgs {
    let arguments = ["ingest-fn", "--catalogue=c", "--order-id-keys=k"].iter().chain(flags);
    Config::try_parse_from(arguments).expect("flags").gateway
}

#[test]
fn a_start_requires_exactly_one_authentication_mode() {
    enum Expected {
        Signed(Option<&'static str>),
        Function,
        InsecureDev,
        Faults(&'static [&'static str]),
    }
    use Expected::{Faults, Function, InsecureDev, Signed};
    let cases: &[(&[&str], Expected)] = &[
        (&[SECRETS], Signed(None)),
        (&[SECRETS, "--gateway-auth=signature"], Signed(None)),
        (&[SECRETS, "--identity-header=X-User"], Signed(Some("x-user"))),
        (&["--gateway-auth=function"], Function),
        (&["--insecure-dev"], InsecureDev),
        (&[], Faults(&["--gateway-secrets", "--gateway-auth function", "--insecure-dev"])),
        (&["--gateway-auth=signature"], Faults(&["--gateway-secrets"])),
        (&["--gateway-secrets=2026a=short"], Faults(&["--gateway-secrets: a secret has fewer"])),
        (&["--gateway-secrets="], Faults(&["--gateway-secrets: must be name=secret"])),
        // An operator could believe that signatures are checked.
        (&[SECRETS, "--gateway-auth=function"], Faults(&["--gateway-secrets"])),
        (&[SECRETS, "--insecure-dev"], Faults(&["--insecure-dev"])),
        (&["--gateway-auth=function", "--insecure-dev"], Faults(&["--insecure-dev"])),
        // Any client could set the header.
        (&["--gateway-auth=function", "--identity-header=X-User"], Faults(&["--identity-header"])),
        (&["--insecure-dev", "--identity-header=X-User"], Faults(&["--identity-header"])),
        (&[SECRETS, "--identity-header=X User"], Faults(&["--identity-header"])),
        (&[SECRETS, "--identity-header=Idempotency-Key"], Faults(&["--identity-header"])),
        (&[SECRETS, "--identity-header=X-Ca-Proxy-Signature"], Faults(&["--identity-header"])),
        (&[SECRETS, "--identity-header=x-fc-account-id"], Faults(&["--identity-header"])),
    ];
    for (flags, expected) in cases {
        let mut errors = ConfigErrors::default();
        let gateway = arguments(flags).gateway(&mut errors);
        let text = errors.to_string();
        match (expected, gateway) {
            (Signed(header), Some(Gateway::Signed(signed))) => {
                assert_eq!(signed.identity_header().map(|name| name.as_str()), *header, "{flags:?}");
                assert!(errors.is_empty(), "{flags:?}: {text}");
            }
            (Function, Some(Gateway::Function)) | (InsecureDev, Some(Gateway::InsecureDev)) => {
                assert!(errors.is_empty(), "{flags:?}: {text}");
            }
            (Faults(faults), None) => {
                for fault in *faults {
                    assert!(text.contains(fault), "{flags:?}: {fault} in {text}");
                }
                assert!(!text.contains("long-enough"), "{text}");
            }
            (_, gateway) => panic!("{flags:?}: {gateway:?}, {text}"),
        }
    }
}
