//! Sealed delivery: a code encrypted to the public keys of its readers, in the format of
//! [age](https://age-encryption.org/v1).
//!
//! [`Recipients::read`] is pure, so a decision can reject an unusable key before any pass is asked for.
//! [`Recipients::seal`] uses the random number generator of the operating system.

mod recipient;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write as _};

use age::armor::{ArmoredWriter, Format};

pub use self::recipient::KeyError;
use self::recipient::Recipient;

/// The largest number of public keys that a request may name.
const MOST: usize = 10;

/// The public keys of a request. The private key of any one of them opens what was sealed.
pub struct Recipients(Vec<Recipient>);

/// Why the public keys of a request cannot be used. The message names a key by its index and never quotes it, because
/// somebody may have pasted a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// None, or too many.
    #[error("spec.recipients names {0} public keys; it must name 1 to {MOST}")]
    Count(usize),
    /// No code can be encrypted to one of them.
    #[error("spec.recipients[{index}] {cause}")]
    Key {
        /// Its index in the list, from 0.
        index: usize,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// One is named twice, so the key of another reader may be missing.
    #[error("spec.recipients[{index}] is the same key as spec.recipients[{first}]")]
    Duplicate {
        /// Its index in the list, from 0.
        index: usize,
        /// The index of the first one.
        first: usize,
    },
}

/// Why a code could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The public keys cannot be used.
    #[error(transparent)]
    Recipients(#[from] RecipientError),
    /// age refuses to encrypt to them.
    #[error("the code cannot be encrypted to spec.recipients: {0}")]
    Encryption(#[from] age::EncryptError),
    /// The result could not be written.
    #[error("the code cannot be encrypted: {0}")]
    Output(#[from] io::Error),
}

impl Recipients {
    /// Reads all of the public keys, or fails.
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

    /// Encrypts a text to all of the keys. Returns an age file in ASCII armor, which any one of their private keys opens.
    ///
    /// age copies the text into its own buffers; the program's allocator overwrites them when they are freed.
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

/// How people tell a public key from others: an SSH key by its SHA-256 as `ssh-keygen -l` prints it, an age key as it is. What
/// is not a public key is not quoted, because it may be a private one.
pub fn fingerprint(key: &str) -> String {
    match Recipient::read(key) {
        Ok(recipient) => recipient.fingerprint(),
        Err(_) => "not a public key".to_owned(),
    }
}

/// The number of keys, and the kind of each in order: `2 recipients (age, ssh-rsa)`.
impl fmt::Display for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.0.iter().map(Recipient::kind).collect();
        let plural = if kinds.len() == 1 { "" } else { "s" };
        write!(f, "{} recipient{plural} ({})", kinds.len(), kinds.join(", "))
    }
}
