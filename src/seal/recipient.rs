//! One public key to which a code can be encrypted: an age key (X25519) or an SSH key (Ed25519, RSA).
//!
//! These checks are stricter than those of age: age ignores text after a key, and it panics on some keys, which would
//! end the operator.

use age::ssh::ParseRecipientKeyError;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::Bech32;
use bech32::primitives::decode::{CheckedHrpstring, CheckedHrpstringError};

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";

/// Length of a native age key, in characters.
const NATIVE_LENGTH: usize = 62;

/// Texts that occur only in private keys: age's, PEM, and OpenSSH's without the PEM lines ("openssh-key-v1" in base64).
const PRIVATE: [&str; 3] = ["AGE-SECRET-KEY-", "PRIVATE KEY", "b3BlbnNzaC1rZXktdj"];

/// The kinds of SSH keys that can only sign, by the beginning of their name.
const SIGN_ONLY: [&str; 3] = ["ecdsa-", "sk-", "ssh-dss"];

/// A public key.
pub(super) enum Recipient {
    /// A native age key.
    Age(age::x25519::Recipient),
    /// An SSH key.
    Ssh(age::ssh::Recipient),
}

/// What is wrong with a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private key.
    #[error(
        "looks like a private key, and others may have seen it: make a new key pair, and give its public key"
    )]
    Private,
    /// Line breaks, tabs and the like.
    #[error("contains a line break or another control character: a key is one line")]
    ControlCharacter,
    /// Not a key of a known kind.
    #[error("is neither an age key (age1...) nor an SSH key (ssh-ed25519 ... or ssh-rsa ...)")]
    Unknown,
    /// Begins like a native age key.
    #[error(
        "is not a native age key, which is age1 and 58 more characters (keys of age plugins and post-quantum keys are not supported)"
    )]
    NotNative,
    /// A native age key with a typing error.
    #[error("is not an age key: its checksum is wrong, so a character was lost or changed")]
    Checksum,
    /// An SSH key that is cut off, changed, or followed by other data.
    #[error("is not an SSH key: the text after its kind is cut off or changed")]
    Damaged,
    /// An SSH key that cannot encrypt.
    #[error("is an SSH key that can only sign (ECDSA, DSA, or the key of a security key)")]
    SignOnly,
    /// An RSA key that is too short.
    #[error("is an RSA key of less than 2048 bits, which is too weak")]
    RsaTooShort,
    /// An RSA key that is longer than age accepts.
    #[error("is an RSA key of more than 4096 bits, which age does not accept")]
    RsaTooLong,
    /// A point of low order: anybody or nobody can read what is encrypted to it.
    #[error("is a weak key that keeps nothing secret (a point of low order)")]
    LowOrder,
}

impl Recipient {
    /// Reads a public key as its owner has it: `age1...`, or the line of an SSH `.pub` file.
    pub(super) fn read(text: &str) -> Result<Self, KeyError> {
        let upper = text.to_ascii_uppercase();
        if PRIVATE.iter().any(|mark| text.contains(mark) || upper.contains(mark)) {
            return Err(KeyError::Private);
        }
        if text.contains(char::is_control) {
            return Err(KeyError::ControlCharacter);
        }
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        match kind {
            ED25519 | RSA => ssh(kind, rest.split_once(' ').map_or(rest, |(key, _comment)| key)),
            _ if text.starts_with("age1") => native(text),
            _ if SIGN_ONLY.iter().any(|start| kind.starts_with(start)) => Err(KeyError::SignOnly),
            _ => Err(KeyError::Unknown),
        }
    }

    /// The key as the age crate takes it.
    pub(super) fn key(&self) -> &dyn age::Recipient {
        match self {
            Self::Age(key) => key,
            Self::Ssh(key) => key,
        }
    }

    /// Its kind, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Age(_) => "age",
            Self::Ssh(age::ssh::Recipient::SshEd25519(..)) => ED25519,
            Self::Ssh(age::ssh::Recipient::SshRsa(..)) => RSA,
        }
    }

    /// How people tell it from others.
    pub(super) fn fingerprint(&self) -> String {
        let canonical = self.canonical();
        let blob = match self {
            Self::Age(_) => None,
            Self::Ssh(_) => canonical.split(' ').nth(1).and_then(|blob| STANDARD.decode(blob).ok()),
        };
        match blob {
            Some(blob) => {
                let hash = digest::digest(&digest::SHA256, &blob);
                format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
            }
            None => canonical,
        }
    }

    /// The key without its comment. Two keys are the same if this is.
    pub(super) fn canonical(&self) -> String {
        match self {
            Self::Age(key) => key.to_string(),
            Self::Ssh(key) => key.to_string(),
        }
    }
}

fn native(text: &str) -> Result<Recipient, KeyError> {
    if text.len() != NATIVE_LENGTH {
        return Err(KeyError::NotNative);
    }
    let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|error| match error {
        CheckedHrpstringError::Checksum(_) => KeyError::Checksum,
        _ => KeyError::NotNative,
    })?;
    let bytes: Vec<u8> = checked.byte_iter().collect();
    let point: [u8; 32] = bytes.try_into().map_err(|_| KeyError::NotNative)?;
    // age panics when it encrypts to a point of low order. Any scalar detects one, because X25519 clears the cofactor.
    if x25519_dalek::x25519([0; 32], point) == [0; 32] {
        return Err(KeyError::LowOrder);
    }
    let key: age::x25519::Recipient = text.parse().map_err(|_| KeyError::NotNative)?;
    if key.to_string() == text { Ok(Recipient::Age(key)) } else { Err(KeyError::NotNative) }
}

fn ssh(kind: &str, encoded: &str) -> Result<Recipient, KeyError> {
    let blob = STANDARD.decode(encoded).map_err(|_| KeyError::Damaged)?;
    let whole = match fields(&blob).as_deref() {
        Some([name, key]) => kind == ED25519 && *name == kind.as_bytes() && key.len() == 32,
        // age panics on a number that is zero.
        Some([name, exponent, modulus]) => {
            kind == RSA && *name == kind.as_bytes() && is_positive(exponent) && is_positive(modulus)
        }
        _ => false,
    };
    if !whole {
        return Err(KeyError::Damaged);
    }
    let key: age::ssh::Recipient =
        format!("{kind} {encoded}").parse().map_err(|error| match error {
            ParseRecipientKeyError::RsaModulusTooSmall => KeyError::RsaTooShort,
            ParseRecipientKeyError::RsaModulusTooLarge => KeyError::RsaTooLong,
            _ => KeyError::Damaged,
        })?;
    match &key {
        age::ssh::Recipient::SshEd25519(_, point) if point.is_small_order() => {
            Err(KeyError::LowOrder)
        }
        _ => Ok(Recipient::Ssh(key)),
    }
}

/// The fields of an SSH key, each after its length (RFC 4251, section 5); `None` if the last one is cut off.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

/// Whether an SSH number is positive and has its canonical encoding, without extra leading zeros.
fn is_positive(number: &[u8]) -> bool {
    match number {
        [] => false,
        [0, next, ..] => *next >= 0x80,
        [first, ..] => (1..0x80).contains(first),
    }
}
