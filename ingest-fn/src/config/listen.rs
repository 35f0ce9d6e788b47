//! Flags for the address.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Serialize;

/// Flags for the address. Function Compute names the port by environment variables (certain: vendor's documentation of
/// custom containers).
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct ListenArgs {
    /// Address to listen on [default: 0.0.0.0 with the port below]
    #[arg(long, env = "SPILLWAY_INGEST_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Port on 0.0.0.0 if no address is given; set by Function Compute [default: CAPort, or 9000]
    #[arg(long, env = "FC_SERVER_PORT", value_name = "PORT")]
    pub port: Option<u16>,

    /// The same under the platform's older name.
    #[arg(long, env = "CAPort", value_name = "PORT", hide = true)]
    #[serde(skip)]
    pub ca_port: Option<u16>,
}

/// Function Compute's default.
const PORT: u16 = 9_000;

impl ListenArgs {
    /// The address in effect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let port = self.port.or(self.ca_port).unwrap_or(PORT);
        self.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
    }

    /// Fills in what was not given.
    pub(super) fn settle(&mut self) {
        let address = self.address();
        self.listen = Some(address);
        self.port = Some(address.port());
    }
}
