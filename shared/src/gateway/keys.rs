//! The secrets that requests may be signed with, each ready for use.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shortest secret, bytes: what is shorter can be guessed.
pub const SECRET_LENGTH_MIN: usize = 8;

/// Secrets by name. Several at once, so that one can take another's place while requests of both are under way.
#[derive(Clone)]
pub struct SigningKeys(Vec<(Box<str>, Hmac<Sha256>)>);

/// Why secrets cannot be read. Never holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not `name=secret[,name=secret…]`.
    #[error("must be name=secret[,name=secret…]")]
    Syntax,
    /// A name is there twice.
    #[error("a name is given twice")]
    Repeated,
    /// A secret has fewer bytes than [`SECRET_LENGTH_MIN`].
    #[error("a secret has fewer than {SECRET_LENGTH_MIN} characters")]
    TooShort,
}

impl SigningKeys {
    /// Whether a request's signature under the key `name` is that of `signed`, compared in constant time; `None` if
    /// there is no such key.
    #[must_use]
    pub fn verify(&self, name: &str, signed: &[u8], signature: &[u8]) -> Option<bool> {
        // Names are no secret, and a handful are found faster one after another than in a map.
        let (_, key) = self.0.iter().find(|(known, _)| **known == *name)?;
        let mut mac = key.clone();
        mac.update(signed);
        Some(mac.verify_slice(signature).is_ok())
    }

    /// The keys' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl FromStr for SigningKeys {
    type Err = KeysError;

    /// A secret may hold `=`, but no `,`.
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
            // An HMAC takes keys of any length.
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
