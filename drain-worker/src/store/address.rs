//! Checks a database's URL before it is used: the driver ignores a parameter that it does not know.

use std::str::FromStr;

use shared::config::DatabaseUrl;
use sqlx::mysql::MySqlConnectOptions;

/// Parameters of a `mysql:` URL. The driver knows more, such as the character set, which the store sets itself.
const PARAMETERS: [&str; 5] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket"];

const SSL_MODES: [&str; 5] = ["disabled", "preferred", "required", "verify_ca", "verify_identity"];

/// The reason why a database's URL cannot be used. No part of the account or of a parameter's value is in the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlFault {
    #[error("must be mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:FILE")]
    Scheme,
    #[error(
        "user or password has one of the characters / ? # @, which are written as %2F %3F %23 %40 in a URL"
    )]
    Account,
    /// The rest of the URL cannot be read.
    #[error("cannot be read ({0}); must be mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    Unreadable(String),
    #[error("names no host; must be mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    NoHost,
    #[error("names no database; must be mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    NoDatabase,
    #[error("has the unknown parameter {0}; known are {known}", known = PARAMETERS.join(", "))]
    UnknownParameter(String),
    #[error("ssl-mode must be one of {modes}", modes = SSL_MODES.join(", "))]
    SslMode,
    #[error("needs a file, which SQLite shares among connections")]
    SqliteMemory,
}

/// Checks everything but what only the server knows. Opens no connection.
///
/// # Errors
/// [`DatabaseUrlFault`]: the first fault.
pub fn check_url(url: &DatabaseUrl) -> Result<(), DatabaseUrlFault> {
    let text = url.expose();
    if text.starts_with("sqlite:") {
        // Each connection would have its own database, and discarding a connection would discard its orders.
        let is_memory = text.contains(":memory:") || text.contains("mode=memory");
        return if is_memory { Err(DatabaseUrlFault::SqliteMemory) } else { Ok(()) };
    }
    let rest = text.strip_prefix("mysql://").ok_or(DatabaseUrlFault::Scheme)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (account, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if tail.contains('@') || account.contains('@') {
        return Err(DatabaseUrlFault::Account);
    }
    if place.is_empty() || place.starts_with(':') {
        return Err(DatabaseUrlFault::NoHost);
    }
    for parameter in
        tail.split_once('?').map_or("", |(_, query)| query).split('&').filter(|it| !it.is_empty())
    {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !PARAMETERS.contains(&name) {
            return Err(DatabaseUrlFault::UnknownParameter(name.to_owned()));
        }
        if name == "ssl-mode" && !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) {
            return Err(DatabaseUrlFault::SslMode);
        }
    }
    match MySqlConnectOptions::from_str(text) {
        Ok(options) if options.get_database().is_none_or(str::is_empty) => Err(DatabaseUrlFault::NoDatabase),
        Ok(_) => Ok(()),
        // The URL parser's own texts are fixed; the driver's may quote a value.
        Err(sqlx::Error::Configuration(error)) if error.to_string().len() < 40 => {
            Err(DatabaseUrlFault::Unreadable(error.to_string()))
        }
        Err(_) => Err(DatabaseUrlFault::Unreadable("an unknown fault".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each with "hunter2" as, or in, the password. The characters to encode are those of RFC 3986, section 3.2.
    #[test]
    fn a_fault_names_what_to_do_and_no_part_of_the_password() {
        let unknown = |name: &str| DatabaseUrlFault::UnknownParameter(name.to_owned());
        for (text, expected) in [
            ("mysql://u:hunter2@h/db", None),
            ("mysql://u:hunter2@h:3306/db?ssl-mode=VERIFY_CA&ssl-ca=/etc/ca.pem", None),
            ("mysql://u:hunter%2F2%40@h/db?socket=/run/mysqld.sock", None),
            ("sqlite:orders.sqlite", None),
            ("mysqlx://u:hunter2@h/db", Some(DatabaseUrlFault::Scheme)),
            ("u:hunter2@h/db", Some(DatabaseUrlFault::Scheme)),
            ("mysql://u:hun/ter2@h/db", Some(DatabaseUrlFault::Account)),
            ("mysql://u:12?hunter2@h/db", Some(DatabaseUrlFault::Account)),
            ("mysql://u:hunter2#@h/db", Some(DatabaseUrlFault::Account)),
            ("mysql://u:hun@ter2@h/db", Some(DatabaseUrlFault::Account)),
            ("mysql://u:hunter2@:3306/db", Some(DatabaseUrlFault::NoHost)),
            ("mysql://u:hunter2@h:3306", Some(DatabaseUrlFault::NoDatabase)),
            ("mysql://u:hunter2@h/", Some(DatabaseUrlFault::NoDatabase)),
            (
                "mysql://u:hunter2@h:99999/db",
                Some(DatabaseUrlFault::Unreadable("invalid port number".to_owned())),
            ),
            ("mysql://u:hunter2@h/db?ssl_mode=required", Some(unknown("ssl_mode"))),
            ("mysql://u:hunter2@h/db?charset=latin1", Some(unknown("charset"))),
            ("mysql://u:hunter2@h/db?ssl-mode=on", Some(DatabaseUrlFault::SslMode)),
            ("sqlite::memory:", Some(DatabaseUrlFault::SqliteMemory)),
        ] {
            let url: DatabaseUrl = text.parse().expect("infallible");
            let fault = check_url(&url).err();
            assert_eq!(fault, expected, "{text}");
            let shown =
                format!("{url} {url:?} {}", fault.map_or_else(String::new, |fault| fault.to_string()));
            assert!(!shown.contains("hunter") && !shown.contains("ter2"), "{shown}");
        }
    }
}
