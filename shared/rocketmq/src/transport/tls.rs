//! TLS, by rustls with ring.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig as RustlsConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use crate::error::ClientError;
use crate::tls_config::{TlsConfig, TlsTrust};

/// The protocol name of HTTP/2, which gRPC needs.
const ALPN_H2: &[u8] = b"h2";

/// Does TLS handshakes.
#[derive(Clone)]
pub(crate) struct TlsDialer {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsDialer").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsDialer {
    /// # Errors
    /// [`ClientError::Config`] for certificates, a key or a name that cannot be read.
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, ClientError> {
        let fault =
            |what: &str, error: &dyn fmt::Display| ClientError::Config(format!("tls: {what}: {error}"));
        let provider = Arc::new(ring::default_provider());
        let builder = RustlsConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault("versions", &error))?;
        let builder = match &config.trust {
            TlsTrust::PublicRoots => {
                let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
                builder.with_root_certificates(roots)
            }
            TlsTrust::Roots(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem).map_err(|error| fault("roots", &error))? {
                    roots.add(certificate).map_err(|error| fault("roots", &error))?;
                }
                builder.with_root_certificates(roots)
            }
            TlsTrust::AnyCertificate => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
            }
        };
        let mut rustls = match &config.client_certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain).map_err(|error| fault("client certificate", &error))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| fault("client key", &error))?;
                let with_certificate = builder.with_client_auth_cert(chain, key);
                with_certificate.map_err(|error| fault("client certificate", &error))?
            }
        };
        rustls.alpn_protocols = vec![ALPN_H2.to_vec()];
        let server_name = config.server_name.clone().map(ServerName::try_from).transpose();
        let server_name = server_name.map_err(|error| fault("server name", &error))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(rustls)), server_name })
    }

    /// `host` is the name that the certificate must have, unless another is configured.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let stream = self.connector.connect(name, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
            return Err(io::Error::other("the server does not speak HTTP/2"));
        }
        Ok(stream)
    }
}

/// # Errors
/// [`pem::Error`]; also without a certificate.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(certificates) }
}

/// Accepts every certificate. Signatures are checked: the server must have the certificate's key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
