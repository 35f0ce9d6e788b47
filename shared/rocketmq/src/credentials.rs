//! The credentials that sign calls. Secrets never print.

use std::fmt;
use std::sync::Arc;

/// The access key that signs calls. On the managed service: user name and password of the instance or of an ACL user,
/// not RAM keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Access key; sent with each call.
    pub access_key: String,
    /// Secret key; never sent.
    pub secret_key: String,
    /// Token of a temporary credential (STS); sent with each call.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(***)")
    }
}

/// Provides the credentials of each call, for those that expire.
pub trait CredentialsProvider: Send + Sync + 'static {
    /// Returns the credentials that are valid now; `None`: calls fail with [`crate::ClientError::NoCredentials`] until
    /// there are some.
    ///
    /// The client asks at every call, on its own tasks: the method must not block. A task of the application renews the
    /// credentials, and this method returns the latest.
    fn credentials(&self) -> Option<Credentials>;
}

impl CredentialsProvider for Credentials {
    fn credentials(&self) -> Option<Credentials> {
        Some(self.clone())
    }
}

impl<F: Fn() -> Option<Credentials> + Send + Sync + 'static> CredentialsProvider for F {
    fn credentials(&self) -> Option<Credentials> {
        self()
    }
}

/// [`Credentials`], or a [`CredentialsProvider`] of them. Clones are cheap and share the provider.
#[derive(Clone)]
pub struct CredentialsSource(Arc<dyn CredentialsProvider>);

impl<P: CredentialsProvider> From<P> for CredentialsSource {
    fn from(provider: P) -> Self {
        Self(Arc::new(provider))
    }
}

impl CredentialsSource {
    /// Returns the credentials that are valid now.
    #[must_use]
    pub fn current(&self) -> Option<Credentials> {
        self.0.credentials()
    }
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CredentialsSource(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_print() {
        let credentials = Credentials {
            access_key: "key".to_owned(),
            secret_key: "hunter2".to_owned(),
            session_token: Some("token".to_owned()),
        };
        assert_eq!(format!("{credentials:?}"), "Credentials(***)");
        assert_eq!(format!("{:?}", CredentialsSource::from(credentials)), "CredentialsSource(***)");
    }
}
