use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// TLS to one server, whose certificate must be valid for its name.
#[derive(Clone, Debug)]
pub struct TlsTarget {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl TlsTarget {
    /// Trusts the certificates of the PEM file `ca`; without one, the public authorities.
    ///
    /// # Errors
    /// If the file has no certificate, or `host` is no server name.
    pub fn new(host: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let name = || path.display().to_string();
                for certificate in CertificateDer::pem_file_iter(path).with_context(name)? {
                    roots.add(certificate.with_context(name)?).with_context(name)?;
                }
                anyhow::ensure!(!roots.is_empty(), "{}: no certificate", name());
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server = ServerName::try_from(host.to_owned()).with_context(|| format!("the host {host}"))?;
        Ok(Self { config: Arc::new(config), server })
    }

    pub fn session(&self) -> Result<ClientConnection, rustls::Error> {
        let mut session = ClientConnection::new(self.config.clone(), self.server.clone())?;
        // A request is one buffer, whatever its size.
        session.set_buffer_limit(None);
        Ok(session)
    }
}
