//! Configuration that the services share: secrets that never print, and errors reported together.

mod logs;
mod rocketmq;

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

pub use logs::{LogArgs, UsageError};
pub use rocketmq::{RocketmqArgs, is_topic_name};

/// Printed in place of a secret.
pub const MASK: &str = "***";

/// Exit code for an invalid configuration or command line, as linkerd's proxy has it: a restart does not help.
pub const EXIT_CONFIG: u8 = 64;

/// A value that prints and serialises as [`MASK`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. For the place that uses it; never log the result.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl FromStr for Secret<String> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// A database's URL such as `mysql://user:password@host/db`, not yet checked. `Display` and `Debug` mask user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Returns the whole address. For the place that connects; never log the result.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before `:`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            _ if self.0.starts_with("sqlite:") => formatter.write_str(&self.0),
            Some((_, place)) if self.0.starts_with("mysql://") => write!(formatter, "mysql://{MASK}@{place}"),
            // A URL that is not valid may have its password anywhere.
            _ => formatter.write_str(MASK),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Any text: an error here would be shown together with the text, which holds a password. The store checks it.
impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// All errors of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Records an error.
    pub fn push(&mut self, error: impl fmt::Display) {
        self.0.push(error.to_string());
    }

    /// Records an error unless `holds`.
    pub fn require(&mut self, holds: bool, error: impl fmt::Display) {
        if !holds {
            self.push(error);
        }
    }

    /// Number of recorded errors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if no error was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `Ok` if no error was recorded.
    ///
    /// # Errors
    /// Itself, otherwise.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("invalid configuration:")?;
        for error in &self.0 {
            write!(formatter, "\n  - {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_address_prints_without_its_account() {
        let url: DatabaseUrl = "mysql://worker:p@ss@db.internal:3306/spillway".parse().expect("valid");
        assert_eq!(url.to_string(), "mysql://***@db.internal:3306/spillway");
        assert_eq!(format!("{url:?}"), "mysql://***@db.internal:3306/spillway");
        let url: DatabaseUrl = "sqlite:orders.sqlite".parse().expect("valid");
        assert_eq!(url.to_string(), "sqlite:orders.sqlite");
        let url: DatabaseUrl = "mysql://worker:hunter2".parse().expect("valid");
        assert_eq!(url.to_string(), "***");
    }

    #[test]
    fn a_secret_never_prints() {
        let secret: Secret<String> = "hunter2".parse().expect("infallible");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).expect("serialises"), "\"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }
}
