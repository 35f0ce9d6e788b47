//! Several brokers in one process.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpSocket;

use super::config::{BrokerConfig, TopicConfig};
use super::error::BrokerError;
use super::faults::Faults;
use super::server::{self, Hosted, Server};
use super::stats::BrokerStats;
use super::storage::Storage;
use super::topology::{MASTER_ID, Member, Topology};

/// The way clients reach the brokers of a [`Cluster`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterAccess {
    /// Each broker has an endpoint, as with Apache's proxy in local mode: routes name the broker's own.
    #[default]
    EndpointEach,
    /// All share one endpoint, as with Apache's proxy in cluster mode: the server spreads sends over the masters and
    /// finds the broker of a receive by its name, that of an ack by the receipt.
    OneEndpoint,
}

/// Configuration of a cluster. Start from [`ClusterConfig::new`].
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Configuration of every broker. Each has a directory of its own below `dir`, and each endpoint a free port of
    /// the address of `listen`. `advertised` is not used.
    pub broker: BrokerConfig,
    /// Number of masters, at least 1. Each has all topics and all their queues.
    pub masters: usize,
    /// Numbers of the masters that have a slave. A slave delivers the messages of its master and refuses sends.
    pub slaves: Vec<usize>,
    /// Endpoints of the brokers.
    pub access: ClusterAccess,
}

impl ClusterConfig {
    /// `masters` brokers, an endpoint each, without slaves.
    #[must_use]
    pub const fn new(broker: BrokerConfig, masters: usize) -> Self {
        Self { broker, masters, slaves: Vec::new(), access: ClusterAccess::EndpointEach }
    }
}

/// Running brokers whose routes name each other. Brokers have numbers: the masters from 0, then the slaves in the order
/// of [`ClusterConfig::slaves`]. Master number 2 is named `broker-2`, and so is its slave.
///
/// Methods with a broker's number panic if there is no such broker. Dropping the cluster stops it immediately.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    topology: Arc<Topology>,
    /// The masters' stores; `None` while a master is stopped.
    storages: Vec<Option<Storage>>,
    /// One for each broker, or one for all; `None` while its broker is stopped.
    servers: Vec<Option<Server>>,
    addresses: Vec<SocketAddr>,
    /// The addresses of stopped masters, so that each is there when its master restarts.
    reserved: Vec<Option<TcpSocket>>,
    faults: Vec<Faults>,
}

impl Cluster {
    /// Opens the brokers.
    ///
    /// # Errors
    /// As [`crate::Broker::open`]; [`BrokerError::Config`] without a master, or for a slave of no master.
    pub async fn open(config: ClusterConfig) -> Result<Self, BrokerError> {
        config.broker.validate()?;
        if config.masters == 0 || config.slaves.iter().any(|master| *master >= config.masters) {
            return Err(BrokerError::Config("a cluster needs a master, and each slave one".to_owned()));
        }
        let brokers = config.masters + config.slaves.len();
        let servers = match config.access {
            ClusterAccess::EndpointEach => brokers,
            ClusterAccess::OneEndpoint => 1,
        };
        let mut listeners = Vec::with_capacity(servers);
        for _ in 0..servers {
            listeners.push(server::bind(config.broker.listen).await?);
        }
        let addresses: Vec<_> = listeners.iter().map(|(_, local)| *local).collect();
        let members = (0..brokers).map(|number| {
            let id = if number < config.masters { MASTER_ID } else { MASTER_ID + 1 };
            let address = addresses[number.min(servers - 1)];
            let endpoint = Some((address.ip().to_string(), address.port()));
            Member { name: name(master_of(&config, number)), id, endpoint }
        });
        let topology = Arc::new(Topology::new(members.collect()));
        let mut storages = Vec::with_capacity(config.masters);
        for number in 0..config.masters {
            storages.push(Some(Storage::open(&broker_config(&config, number)).await?));
        }
        let mut cluster = Self {
            config,
            topology,
            storages,
            servers: Vec::new(),
            addresses,
            reserved: (0..servers).map(|_| None).collect(),
            faults: Vec::new(),
        };
        let mut hosted = (0..brokers).map(|number| cluster.hosted(number)).collect::<Result<Vec<_>, _>>()?;
        for listener in listeners {
            let rest = if servers == 1 { Vec::new() } else { hosted.split_off(1) };
            let served = std::mem::replace(&mut hosted, rest);
            let config = cluster.config.broker.clone();
            let server = Server::start(config, listener, cluster.topology.clone(), served);
            cluster.faults.extend(server.nodes.all().into_iter().map(|node| node.faults));
            cluster.servers.push(Some(server));
        }
        Ok(cluster)
    }

    fn hosted(&self, number: usize) -> Result<Hosted, BrokerError> {
        let master = master_of(&self.config, number);
        let storage = self.storages[master].as_ref().ok_or_else(super::error::Refusal::stopped)?;
        Ok(Hosted {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            name: name(master),
            is_slave: number >= self.config.masters,
            store: storage.store.clone(),
        })
    }

    /// Address of a broker's endpoint.
    #[must_use]
    pub fn local_addr(&self, broker: usize) -> SocketAddr {
        self.addresses[broker.min(self.addresses.len() - 1)]
    }

    /// Returns the handle that scripts a broker's faults. A restart replaces it. Behind one endpoint it scripts sends,
    /// receives, acks and changes of an invisible duration; see [`Cluster::endpoint_faults`].
    #[must_use]
    pub fn faults(&self, broker: usize) -> Faults {
        self.faults[broker].clone()
    }

    /// Returns the handle that scripts the faults of the first endpoint: its connections, and the calls that concern no
    /// single broker.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] while the first broker is stopped and has an endpoint of its own.
    pub fn endpoint_faults(&self) -> Result<Faults, BrokerError> {
        let server = self.servers[0].as_ref().ok_or_else(super::error::Refusal::stopped)?;
        Ok(server.faults.clone())
    }

    /// Lists a broker in routes, or not, as a name server does that noticed its end.
    pub fn list(&self, broker: usize, on: bool) {
        self.topology.list(broker, on);
    }

    /// Creates a topic on every broker, or adds queues to it.
    ///
    /// # Errors
    /// As [`crate::Broker::create_topic`].
    pub async fn create_topic(&self, topic: TopicConfig) -> Result<(), BrokerError> {
        topic.check()?;
        for storage in self.storages.iter().flatten() {
            storage.store.create_topic(topic.clone()).await?;
        }
        Ok(())
    }

    /// Returns a broker's statistics; a slave's are its master's.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] if the broker has stopped.
    pub async fn stats(&self, broker: usize) -> Result<BrokerStats, BrokerError> {
        Ok(self.hosted(broker)?.store.stats().await?)
    }

    /// Stops a master immediately, as a kill would: see [`crate::Broker::abort`]. Routes still name it. Its slave stops
    /// to deliver.
    ///
    /// # Errors
    /// [`BrokerError::StopTimeout`] if a write in flight takes longer than 20 seconds; [`BrokerError::Listen`] if another
    /// process takes the endpoint's port at that moment, which is else kept for [`Cluster::restart`].
    pub async fn abort(&mut self, master: usize) -> Result<(), BrokerError> {
        if self.config.access == ClusterAccess::EndpointEach
            && let Some(server) = self.servers[master].take()
        {
            server.abort().await;
            self.reserved[master] = Some(server::reserve(self.addresses[master])?);
        }
        match self.storages[master].take() {
            Some(storage) => storage.abort().await,
            None => Ok(()),
        }
    }

    /// Opens a master again that was aborted, on the same endpoint. It has the messages and lost its clients' settings.
    ///
    /// # Errors
    /// As [`crate::Broker::open`].
    pub async fn restart(&mut self, master: usize) -> Result<(), BrokerError> {
        self.storages[master] = Some(Storage::open(&broker_config(&self.config, master)).await?);
        let masters = self.config.masters;
        for (place, its_master) in self.config.slaves.clone().into_iter().enumerate() {
            if its_master == master {
                self.replace(masters + place)?;
            }
        }
        if self.config.access == ClusterAccess::OneEndpoint {
            return self.replace(master);
        }
        let address = self.addresses[master];
        let listener = match self.reserved[master].take() {
            Some(reserved) => server::listen(reserved, address)?,
            None => server::bind(address).await?,
        };
        let config = self.config.broker.clone();
        let server = Server::start(config, listener, self.topology.clone(), vec![self.hosted(master)?]);
        self.faults[master] = server.faults.clone();
        self.servers[master] = Some(server);
        Ok(())
    }

    /// Gives the server of a broker the restarted store.
    fn replace(&mut self, broker: usize) -> Result<(), BrokerError> {
        let hosted = self.hosted(broker)?;
        let place = broker.min(self.servers.len() - 1);
        if let Some(server) = &self.servers[place] {
            self.faults[broker] = server.replace(hosted);
        }
        Ok(())
    }

    /// Shuts every broker down: see [`crate::Broker::shutdown`].
    ///
    /// # Errors
    /// [`BrokerError::StopTimeout`] if a disk takes longer than 20 seconds.
    pub async fn shutdown(self) -> Result<(), BrokerError> {
        futures_util::future::join_all(self.servers.into_iter().flatten().map(Server::shutdown)).await;
        let storages = self.storages.into_iter().flatten().map(Storage::shutdown);
        futures_util::future::try_join_all(storages).await.map(drop)
    }
}

/// Name of a master and its slave.
fn name(master: usize) -> String {
    format!("broker-{master}")
}

/// Number of a slave's master; a master is its own.
fn master_of(config: &ClusterConfig, number: usize) -> usize {
    number.checked_sub(config.masters).map_or(number, |place| config.slaves[place])
}

fn broker_config(config: &ClusterConfig, master: usize) -> BrokerConfig {
    BrokerConfig { dir: config.broker.dir.join(name(master)), ..config.broker.clone() }
}
