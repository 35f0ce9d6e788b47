//! Errors of the broker, and of single requests.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use spillway_rocketmq::protocol::{Code, Status};

/// A broker could not be opened, queried or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The configuration is invalid; lists every fault.
    #[error("broker configuration: {0}")]
    Config(String),
    /// Another broker has the directory locked.
    #[error("another broker has {} open", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A file operation failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file in the directory is not a log of this version.
    #[error("{} is not a log of this version", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The broker cannot listen on the address.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The broker rejected the operation.
    #[error("rejected with {code}: {reason}")]
    Refused {
        /// Code that a client would receive.
        code: Code,
        /// Description for people.
        reason: String,
    },
    /// The broker did not stop in time. Everything that it acknowledged is stored.
    #[error("the broker did not stop in time")]
    StopTimeout,
}

impl BrokerError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

impl From<Refusal> for BrokerError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code, reason: refusal.reason.into_owned() }
    }
}

/// A request that gets a code other than OK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The store stopped, or its disk failed: the broker accepts nothing until it is opened again.
    pub(crate) const fn stopped() -> Self {
        Self { code: Code::INTERNAL_SERVER_ERROR, reason: Cow::Borrowed("the store has stopped") }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self == Self::stopped()
    }

    pub(crate) fn no_topic(name: &str) -> Self {
        Self::new(Code::TOPIC_NOT_FOUND, format!("no route info of this topic: {name}"))
    }

    pub(crate) fn no_group(name: &str) -> Self {
        Self::new(Code::CONSUMER_GROUP_NOT_FOUND, format!("the consumer group does not exist: {name}"))
    }

    pub(crate) fn status(self) -> Status {
        self.code.status(self.reason)
    }
}
