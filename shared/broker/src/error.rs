//! Why a broker cannot be opened, and how a request is refused.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use spillway_rocketmq::protocol::{Code, Status};

/// A broker could not be opened, asked or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The configuration cannot be used; every fault is named.
    #[error("broker configuration: {0}")]
    Config(String),
    /// Another broker has the directory open.
    #[error("another broker has {} open", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file in the directory is not a log that this version can read.
    #[error("{} is not a log of this version", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The address could not be listened on.
    #[error("listening on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The broker refused what it was asked.
    #[error("refused with {code}: {reason}")]
    Refused {
        /// As a client would see it.
        code: Code,
        /// For people.
        reason: String,
    },
    /// The broker did not stop in time; what it answered is written all the same.
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

/// A request that is answered with a code other than OK.
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

    /// The store is gone, or its disk failed: nothing is accepted until the broker is opened again.
    pub(crate) const fn stopped() -> Self {
        Self { code: Code::INTERNAL_SERVER_ERROR, reason: Cow::Borrowed("the store has stopped") }
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
