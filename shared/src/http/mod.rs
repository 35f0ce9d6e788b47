//! HTTP/1.1 servers with a bound on open connections and on every wait for a client.
//!
//! An open connection costs a file descriptor. Without these bounds idle or slow clients take the descriptors that
//! the database and the broker need.
//!
//! - [`listen`] binds with a queue that a crowd fits in; [`Acceptor`] accepts from it.
//! - [`serve_connection`] answers the requests of one connection within [`Timeouts`]; [`reject`] answers one too many.
//! - [`serve`] does all of it on one runtime.

mod acceptor;
mod answers;
mod connection;
mod listen;
mod request_id;
mod server;
mod timeouts;

pub use acceptor::{Acceptor, reject};
pub use connection::{ConnectionEnd, serve_connection};
pub use listen::{BACKLOG, listen, open_files_max, raise_open_files};
pub use request_id::{REQUEST_ID, new_request_id};
pub use server::{ServeConfig, serve};
pub use timeouts::Timeouts;
