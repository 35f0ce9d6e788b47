//! Configuration of encrypted connections. Keys never print.

use std::fmt;

/// Encryption of the connections by TLS 1.2 or 1.3, and the certificates that are accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsConfig {
    pub(crate) trust: TlsTrust,
    /// Chain and key, PEM.
    pub(crate) client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TlsTrust {
    PublicRoots,
    /// PEM.
    Roots(Vec<u8>),
    AnyCertificate,
}

impl TlsConfig {
    const fn new(trust: TlsTrust) -> Self {
        Self { trust, client_certificate: None, server_name: None }
    }

    /// Checks the server's certificate against the public web roots.
    #[must_use]
    pub const fn public_roots() -> Self {
        Self::new(TlsTrust::PublicRoots)
    }

    /// Checks the server's certificate against these PEM certificates.
    #[must_use]
    pub fn roots(pem: impl Into<Vec<u8>>) -> Self {
        Self::new(TlsTrust::Roots(pem.into()))
    }

    /// Accepts every certificate, as the official Java client does: the connection is encrypted, but
    /// a machine between client and server can read and change everything.
    #[must_use]
    pub const fn danger_accept_any_certificate() -> Self {
        Self::new(TlsTrust::AnyCertificate)
    }

    /// Presents a certificate to the server: its chain, the client's first, and its private key, PEM.
    #[must_use]
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client_certificate = Some((chain.into(), key.into()));
        self
    }

    /// Sets the name that the server's certificate must have, instead of the host of its address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = match self.trust {
            TlsTrust::PublicRoots => "public roots",
            TlsTrust::Roots(_) => "given roots",
            TlsTrust::AnyCertificate => "any certificate",
        };
        formatter
            .debug_struct("TlsConfig")
            .field("trust", &trust)
            .field("has_client_certificate", &self.client_certificate.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}
