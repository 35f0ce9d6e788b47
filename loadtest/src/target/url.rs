use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::Context;

/// `http[s]://host[:port][/prefix]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUrl {
    pub is_tls: bool,
    /// Host and port as written: the value of the `Host` header.
    pub authority: String,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Empty, or a path without a slash at its end.
    pub prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http[s]://host[:port][/prefix]")]
pub struct UrlSyntax;

impl FromStr for TargetUrl {
    type Err = UrlSyntax;

    fn from_str(text: &str) -> Result<Self, UrlSyntax> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlSyntax)?;
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(UrlSyntax),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let after_address = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[after_address..].rfind(':') {
            Some(colon) => {
                let (host, port) = authority.split_at(after_address + colon);
                (host, port[1..].parse().map_err(|_| UrlSyntax)?)
            }
            None => (authority, if is_tls { 443 } else { 80 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'?' | b'#');
        if host.is_empty() || !text.bytes().all(is_visible) {
            return Err(UrlSyntax);
        }
        Ok(Self {
            is_tls,
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

impl TargetUrl {
    /// # Errors
    /// If the name has no address.
    pub fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let addresses = (self.host.as_str(), self.port).to_socket_addrs();
        Ok(addresses.with_context(|| format!("the address of {}", self.host))?.collect())
    }
}

impl std::fmt::Display for TargetUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_scheme_host_port_and_prefix() {
        for (text, is_tls, host, port, prefix) in [
            ("http://127.0.0.1:9000", false, "127.0.0.1", 9000, ""),
            ("http://shop.test/", false, "shop.test", 80, ""),
            ("https://shop.test", true, "shop.test", 443, ""),
            ("https://[::1]:8443/stage/v2/", true, "::1", 8443, "/stage/v2"),
            ("https://[::1]/x", true, "::1", 443, "/x"),
        ] {
            let url: TargetUrl = text.parse().expect(text);
            assert_eq!(
                (url.is_tls, url.host.as_str(), url.port, url.prefix.as_str()),
                (is_tls, host, port, prefix)
            );
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
        for text in [
            "shop.test",
            "ftp://shop.test",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a b",
            "http://u@h/",
            "http://h/?q",
        ] {
            assert!(text.parse::<TargetUrl>().is_err(), "{text}");
        }
    }
}
