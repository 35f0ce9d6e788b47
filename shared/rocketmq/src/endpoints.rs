//! The addresses of a server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::protocol::{self, Address, AddressScheme};

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// DNS name or IP address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The addresses of one access point or broker, at least one. A connection is opened to any that answers.
///
/// The text form is that of the official clients: `host:port`, several joined by semicolons. A leading `http://` or
/// `https://` is accepted and says nothing: `ClientConfig::tls` decides about encryption.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoints(Arc<[Endpoint]>);

/// The text is not `host:port`, nor several of them joined by semicolons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be host:port, such as 127.0.0.1:8081, or several joined by semicolons")]
pub struct EndpointSyntax;

impl FromStr for Endpoint {
    type Err = EndpointSyntax;

    fn from_str(text: &str) -> Result<Self, EndpointSyntax> {
        let text = text.trim();
        let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, port) = text.rsplit_once(':').ok_or(EndpointSyntax)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| EndpointSyntax)?;
        if host.is_empty() || host.contains(['/', ' ', '@', ',', ';']) || port == 0 {
            return Err(EndpointSyntax);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl FromStr for Endpoints {
    type Err = EndpointSyntax;

    fn from_str(text: &str) -> Result<Self, EndpointSyntax> {
        let parts = text.split(';').filter(|part| !part.trim().is_empty());
        let addresses = parts.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Self::new(addresses).ok_or(EndpointSyntax)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.addresses().iter().enumerate() {
            write!(formatter, "{}{address}", if number == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl From<Endpoint> for Endpoints {
    fn from(address: Endpoint) -> Self {
        Self(Arc::new([address]))
    }
}

impl From<SocketAddr> for Endpoints {
    fn from(address: SocketAddr) -> Self {
        Endpoint::from(address).into()
    }
}

impl Endpoints {
    /// Returns `None` without an address.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = Endpoint>) -> Option<Self> {
        let addresses: Arc<[Endpoint]> = addresses.into_iter().collect();
        (!addresses.is_empty()).then_some(Self(addresses))
    }

    /// The addresses, at least one.
    #[must_use]
    pub fn addresses(&self) -> &[Endpoint] {
        &self.0
    }

    /// Returns the usable addresses; `None` if there is none.
    pub(crate) fn from_protocol(endpoints: &protocol::Endpoints) -> Option<Self> {
        Self::new(endpoints.addresses.iter().filter_map(|address| {
            let port = u16::try_from(address.port).ok().filter(|port| *port != 0)?;
            (!address.host.is_empty()).then(|| Endpoint { host: address.host.clone(), port })
        }))
    }

    pub(crate) fn to_protocol(&self) -> protocol::Endpoints {
        // The protocol has one scheme for all.
        let ips: Option<Vec<IpAddr>> = self.addresses().iter().map(|it| it.host.parse().ok()).collect();
        let scheme = match ips {
            Some(ips) if ips.iter().all(IpAddr::is_ipv4) => AddressScheme::Ipv4,
            Some(ips) if ips.iter().all(IpAddr::is_ipv6) => AddressScheme::Ipv6,
            _ => AddressScheme::DomainName,
        };
        let addresses = self.addresses().iter();
        let addresses =
            addresses.map(|address| Address { host: address.host.clone(), port: i32::from(address.port) });
        protocol::Endpoints { scheme: scheme.into(), addresses: addresses.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_the_official_clients_write_them() {
        for (text, expected) in [
            ("127.0.0.1:8081", Some("127.0.0.1:8081")),
            ("broker.example:80", Some("broker.example:80")),
            ("[::1]:8081", Some("[::1]:8081")),
            ("::1:8081", Some("[::1]:8081")),
            ("127.0.0.1:8081;127.0.0.2:8081", Some("127.0.0.1:8081;127.0.0.2:8081")),
            (" a:1 ; b:2; ", Some("a:1;b:2")),
            ("http://broker.example:8081", Some("broker.example:8081")),
            ("https://broker.example:8081/", Some("broker.example:8081")),
            ("", None),
            (";", None),
            ("broker", None),
            ("broker:0", None),
            (":80", None),
            ("broker:99999", None),
            ("ftp://broker:80", None),
            ("a:1;b", None),
            ("a:1,b:2", None),
            ("user@broker:80", None),
        ] {
            let found = text.parse::<Endpoints>().map(|endpoints| endpoints.to_string());
            assert_eq!(found.ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn all_addresses_of_a_server_are_kept() {
        for (text, scheme) in [
            ("127.0.0.1:1;127.0.0.2:2", AddressScheme::Ipv4),
            ("[::1]:1;[::2]:2", AddressScheme::Ipv6),
            ("127.0.0.1:1;broker:2", AddressScheme::DomainName),
        ] {
            let endpoints: Endpoints = text.parse().expect("valid");
            let protocol = endpoints.to_protocol();
            assert_eq!(protocol.scheme(), scheme, "{text}");
            assert_eq!(Endpoints::from_protocol(&protocol), Some(endpoints));
        }
        let unusable = Address { host: String::new(), port: 80 };
        let far = Address { host: "broker".to_owned(), port: 70_000 };
        let good = Address { host: "broker".to_owned(), port: 80 };
        let endpoints = |addresses| protocol::Endpoints { scheme: 0, addresses };
        assert_eq!(Endpoints::from_protocol(&endpoints(vec![unusable.clone(), far.clone()])), None);
        let found = Endpoints::from_protocol(&endpoints(vec![unusable, far, good])).expect("one is usable");
        assert_eq!(found.to_string(), "broker:80");
    }
}
