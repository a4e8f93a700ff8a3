//! Sealed delivery: a code encrypted to the public keys of those who are to read it, in the format of
//! [age](https://age-encryption.org/v1).
//!
//! [`Recipients::read`] is pure, so a key that cannot be used is found by a decision, before any pass is asked for.
//! [`Recipients::seal`] draws its randomness from the operating system.

mod recipient;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write as _};

use age::armor::{ArmoredWriter, Format};

pub use self::recipient::KeyError;
use self::recipient::Recipient;

/// The most public keys that one request may name.
const MOST: usize = 10;

/// Public keys, each of which opens what was sealed.
pub struct Recipients(Vec<Recipient>);

/// Why the public keys of a request cannot be used. Names the key by its place in the list and never quotes it: what
/// stands there may be a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// None, or too many.
    #[error("spec.recipients names {0} public keys, and may name 1 to {MOST}")]
    Count(usize),
    /// One is no key that a code can be encrypted to.
    #[error("spec.recipients[{index}] {cause}")]
    Key {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// One is there twice, so that somebody may be missing.
    #[error("spec.recipients[{index}] is the same key as spec.recipients[{first}]")]
    Duplicate {
        /// Its place in the list, from 0.
        index: usize,
        /// The place of the first one.
        first: usize,
    },
}

/// Why a code was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The public keys cannot be used.
    #[error(transparent)]
    Recipients(#[from] RecipientError),
    /// age does not encrypt to them.
    #[error("the code cannot be encrypted to spec.recipients: {0}")]
    Encryption(#[from] age::EncryptError),
    /// The result could not be written.
    #[error("the code cannot be encrypted: {0}")]
    Output(#[from] io::Error),
}

impl Recipients {
    /// Reads public keys, all or none.
    pub fn read(keys: &[String]) -> Result<Self, RecipientError> {
        if keys.is_empty() || keys.len() > MOST {
            return Err(RecipientError::Count(keys.len()));
        }
        let mut recipients: Vec<Recipient> = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let recipient =
                Recipient::read(key).map_err(|cause| RecipientError::Key { index, cause })?;
            let same = |earlier: &Recipient| earlier.canonical() == recipient.canonical();
            if let Some(first) = recipients.iter().position(same) {
                return Err(RecipientError::Duplicate { index, first });
            }
            recipients.push(recipient);
        }
        Ok(Self(recipients))
    }

    /// Encrypts a text to all of the keys: an age file in ASCII armor, which any one of their private keys opens.
    ///
    /// age holds the text in buffers of its own, which the allocator of the program overwrites when they are freed.
    pub fn seal(&self, text: &str) -> Result<Vec<u8>, SealError> {
        let encryptor = age::Encryptor::with_recipients(self.0.iter().map(Recipient::key))?;
        let mut sealed = Vec::new();
        let armor = ArmoredWriter::wrap_output(&mut sealed, Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(text.as_bytes())?;
        writer.finish()?.finish()?;
        Ok(sealed)
    }
}

/// How many, and of which kind each is, in their order: `2 recipients (age, ssh-rsa)`.
impl fmt::Display for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.0.iter().map(Recipient::kind).collect();
        let plural = if kinds.len() == 1 { "" } else { "s" };
        write!(f, "{} recipient{plural} ({})", kinds.len(), kinds.join(", "))
    }
}
