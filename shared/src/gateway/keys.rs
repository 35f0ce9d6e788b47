//! The secrets that verify a request's signature.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Minimum bytes of a secret: shorter ones can be guessed.
pub const SECRET_LENGTH_MIN: usize = 8;

/// Secrets by name. More than one, so that a secret can be replaced while requests signed with the old one are in
/// flight. Never empty.
#[derive(Clone)]
pub struct SigningKeys(Vec<(Box<str>, Hmac<Sha256>)>);

/// The reason why secrets are invalid. Never holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The text is not `name=secret[,name=secret…]`.
    #[error("must be name=secret[,name=secret…]")]
    Syntax,
    /// A name appears twice.
    #[error("a name is given twice")]
    Repeated,
    /// A secret has fewer bytes than [`SECRET_LENGTH_MIN`].
    #[error("a secret has fewer than {SECRET_LENGTH_MIN} characters")]
    TooShort,
}

impl SigningKeys {
    /// Compares `signature` with that of `signed` under the key `name`, in constant time. Returns `None` if there is no
    /// such key.
    #[must_use]
    pub fn verify(&self, name: &str, signed: &[u8], signature: &[u8]) -> Option<bool> {
        // Names are not secret, and for a handful a scan is faster than a map.
        let (_, key) = self.0.iter().find(|(known, _)| **known == *name)?;
        let mut mac = key.clone();
        mac.update(signed);
        Some(mac.verify_slice(signature).is_ok())
    }

    /// Signs `signed` with the first key, as the gateway would. Returns the key's name and the signature's bytes.
    #[must_use]
    pub fn sign(&self, signed: &[u8]) -> (&str, [u8; 32]) {
        let (name, key) = &self.0[0];
        let mut mac = key.clone();
        mac.update(signed);
        (name, mac.finalize().into_bytes().into())
    }

    /// Names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl FromStr for SigningKeys {
    type Err = KeysError;

    /// A secret may contain `=`, but not `,`.
    fn from_str(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<(Box<str>, Hmac<Sha256>)> = Vec::new();
        for entry in text.split(',') {
            let (name, secret) = entry.split_once('=').ok_or(KeysError::Syntax)?;
            let name = name.trim();
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(KeysError::Syntax);
            }
            if keys.iter().any(|(earlier, _)| **earlier == *name) {
                return Err(KeysError::Repeated);
            }
            let secret = secret.trim().as_bytes();
            if secret.len() < SECRET_LENGTH_MIN {
                return Err(KeysError::TooShort);
            }
            // HMAC accepts keys of any length.
            let key = Hmac::new_from_slice(secret).map_err(|_| KeysError::Syntax)?;
            keys.push((name.into(), key));
        }
        Ok(Self(keys))
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}
