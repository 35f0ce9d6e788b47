//! Encrypted connections, through a server of TLS before the embedded broker.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use spillway_broker::{Broker, BrokerConfig, TopicConfig};
use spillway_rocketmq::{
    ClientConfig, ClientError, DefaultContext, FutureProducer, FutureRecord, ProducerConfig, TlsConfig,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

const TOPIC: &str = "orders";
/// The only name of the server's certificate.
const NAME: &str = "broker.test";
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, with a certificate of a server and one of a client.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
    /// PEM: certificate and key.
    client: (String, String),
}

impl Certificates {
    fn generate() -> Self {
        let key = || KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("signed");
        let signed = |name: &str| {
            let (params, key) = (CertificateParams::new(vec![name.to_owned()]).expect("valid"), key());
            (params.signed_by(&key, &authority).expect("signed"), key)
        };
        let (server, server_key) = signed(NAME);
        let (client, client_key) = signed("client.test");
        let server_key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
        Self {
            server: (server.der().clone(), server_key.into()),
            client: (client.pem(), client_key.serialize_pem()),
            authority,
        }
    }

    /// Serves TLS before `broker`. With `asks_client`, only clients with a certificate of the authority connect.
    async fn serve(&self, broker: SocketAddr, asks_client: bool) -> SocketAddr {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("a certificate");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = if asks_client {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("roots"))
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = (self.server.0.clone(), self.server.1.clone_key());
        let mut config = builder.with_single_cert(vec![certificate], key).expect("valid");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut broker = TcpStream::connect(broker).await.expect("the broker runs");
                    let _closed = tokio::io::copy_bidirectional(&mut stream, &mut broker).await;
                });
            }
        });
        address
    }
}

async fn send(endpoint: SocketAddr, tls: Option<TlsConfig>) -> Result<(), ClientError> {
    let mut client = ClientConfig::new(endpoint.into());
    client.tls = tls;
    let config = ProducerConfig { topics: vec![TOPIC.to_owned()], ..ProducerConfig::default() };
    let producer = FutureProducer::new(client, config, DefaultContext)?;
    producer.warm_up().await?;
    producer.send(FutureRecord::to(TOPIC).payload("x"), PATIENCE).await.expect("delivered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_needs_the_certificates_that_are_configured() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = BrokerConfig::at(directory.path());
    config.topics = vec![TopicConfig::new(TOPIC, 4)];
    let broker = Broker::open(config).await.expect("the broker opens");
    let certificates = Certificates::generate();
    let other = Certificates::generate();
    let open = certificates.serve(broker.local_addr(), false).await;
    let closed = certificates.serve(broker.local_addr(), true).await;

    let roots = || TlsConfig::roots(certificates.authority.pem());
    let known = || roots().server_name(NAME);
    let any = TlsConfig::danger_accept_any_certificate;
    let with_client =
        |tls: TlsConfig, of: &Certificates| tls.client_certificate(of.client.0.clone(), of.client.1.clone());
    for (case, address, tls, connects) in [
        ("the right root and name", open, known(), true),
        ("the address instead of the name", open, roots(), false),
        ("another name", open, roots().server_name("other.test"), false),
        ("another root", open, TlsConfig::roots(other.authority.pem()).server_name(NAME), false),
        ("the public roots", open, TlsConfig::public_roots().server_name(NAME), false),
        ("any certificate", open, any(), true),
        ("any certificate and another name", open, any().server_name("other.test"), true),
        ("no client certificate", closed, known(), false),
        ("the client's certificate", closed, with_client(known(), &certificates), true),
        ("another client's certificate", closed, with_client(known(), &other), false),
    ] {
        let sent = send(address, Some(tls)).await;
        match sent {
            Ok(()) => assert!(connects, "{case}: connected"),
            Err(ClientError::Transport { .. }) => assert!(!connects, "{case}: {sent:?}"),
            Err(other) => panic!("{case}: {other:?}"),
        }
    }
    assert!(send(open, None).await.is_err(), "the server speaks only TLS");
    for tls in [
        TlsConfig::roots("no certificate"),
        roots().server_name("no name"),
        roots().client_certificate("no certificate", "no key"),
    ] {
        let error = send(open, Some(tls)).await.expect_err("faulty");
        assert!(matches!(error, ClientError::Config(_)), "{error:?}");
    }
}
