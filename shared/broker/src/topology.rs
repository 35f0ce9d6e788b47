//! The brokers of a cluster, as routes name them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Broker id of a master; every other id is a slave's.
pub(crate) const MASTER_ID: i32 = 0;

/// A broker of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// [`MASTER_ID`], or above it for a slave of the master with the same name.
    pub(crate) id: i32,
    /// Host and port for clients; `None`: the endpoint that the client was given.
    pub(crate) endpoint: Option<(String, u16)>,
}

/// Every broker of a cluster, by number. A single broker is a cluster of one.
#[derive(Debug)]
pub(crate) struct Topology {
    members: Vec<Member>,
    delisted: Mutex<BTreeSet<usize>>,
}

impl Topology {
    pub(crate) fn new(members: Vec<Member>) -> Self {
        Self { members, delisted: Mutex::default() }
    }

    fn delisted(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.delisted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the broker in routes, or not, as a name server does that noticed its end.
    pub(crate) fn list(&self, number: usize, on: bool) {
        let mut delisted = self.delisted();
        if on {
            delisted.remove(&number)
        } else {
            delisted.insert(number)
        };
    }

    pub(crate) fn listed(&self) -> Vec<&Member> {
        let delisted = self.delisted();
        let members = self.members.iter().enumerate();
        members.filter(|(number, _)| !delisted.contains(number)).map(|(_, member)| member).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delisted_broker_is_in_no_route_until_it_is_listed_again() {
        let member = |name: &str| Member { name: name.to_owned(), id: MASTER_ID, endpoint: None };
        let topology = Topology::new(vec![member("a"), member("b")]);
        let names = || topology.listed().iter().map(|member| member.name.clone()).collect::<Vec<_>>();
        topology.list(0, false);
        assert_eq!(names(), ["b"]);
        topology.list(0, true);
        assert_eq!(names(), ["a", "b"]);
    }
}
