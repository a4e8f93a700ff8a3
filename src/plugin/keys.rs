//! Private keys: one that lives as long as a command, and those of files.
//!
//! RSA keys are refused. How long an operation with a private RSA key takes tells something about the key
//! (RUSTSEC-2023-0071), and no version of the library behind it mends that.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{Callbacks, DecryptError, Decryptor, Identity, IdentityFile, ssh};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::output;
use crate::entra::PassCode;

/// No key file is larger than this.
const LARGEST: u64 = 1 << 20;
/// No sealed code is larger than this.
const LARGEST_CODE: u64 = 4096;

/// A key pair that is made for one request. The private key is in memory only, and is overwritten there when it is dropped.
pub struct OneTimeKey(age::x25519::Identity);

impl OneTimeKey {
    /// A new pair.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// The public key, as a recipient of a request.
    pub fn public(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Opens what was sealed to it.
    pub fn open(&self, sealed: &[u8]) -> Result<PassCode, DecryptError> {
        open(sealed, &[&self.0])
    }
}

/// The private keys of files, to open a code with.
#[derive(Default)]
pub struct Keys(Vec<Box<dyn Identity>>);

impl Keys {
    /// Reads the keys of all files. Passphrases are asked for on the terminal, when a key is used.
    pub fn read<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, Failure> {
        let mut keys = Self::default();
        for file in files {
            let name = file.display().to_string();
            if name.to_uppercase().starts_with("AGE-SECRET-KEY-") {
                return Err(Failure::usage("-i takes the name of a file, not a key: other programs see what is typed here")
                    .remedy("others may have seen this key: make a new pair, and put its private key into a file"));
            }
            let text = content(file)
                .map_err(|error| Failure::error(format!("{name} cannot be read: {error}")))?;
            let read = keys.add(&name, &text);
            read.map_err(|why| Failure::error(format!("{name} {why}")))?;
        }
        Ok(keys)
    }

    fn add(&mut self, name: &str, text: &[u8]) -> Result<(), String> {
        let begins = |start: &str| text.starts_with(start.as_bytes());
        if begins("-----BEGIN OPENSSH PRIVATE KEY") || begins("-----BEGIN RSA PRIVATE KEY") {
            let key = ssh::Identity::from_buffer(text, Some(name.to_owned()))
                .map_err(|error| format!("is no SSH private key that can be read: {error}"))?;
            if is_rsa(&key) {
                return Err("is an RSA key, and private RSA keys are not used here: how long they take to decrypt tells about them \
                    (RUSTSEC-2023-0071). Open the code with `age -d`, and name age or ssh-ed25519 keys in future requests"
                    .to_owned());
            }
            if let ssh::Identity::Unsupported(_) = key {
                return Err(
                    "is an SSH key that cannot decrypt: name age or ssh-ed25519 keys in requests"
                        .to_owned(),
                );
            }
            self.0.push(Box::new(key.with_callbacks(Terminal::default())));
        } else if begins("age-encryption.org/") || begins("-----BEGIN AGE ENCRYPTED FILE") {
            let file = BufReader::new(std::io::Cursor::new(text.to_vec()));
            let encrypted = age::encrypted::Identity::from_buffer(
                ArmoredReader::new(file),
                Some(name.to_owned()),
                Terminal::default(),
                None,
            );
            match encrypted {
                Ok(Some(key)) => self.0.push(Box::new(key)),
                Ok(None) => {
                    return Err(
                        "is an encrypted file, but not with a passphrase: it is no key".to_owned()
                    );
                }
                Err(error) => return Err(format!("cannot be used: {error}")),
            }
        } else {
            let file = IdentityFile::from_buffer(text).map_err(|_| {
                "has no private key: neither an age key (AGE-SECRET-KEY-1...) nor that of an SSH key".to_owned()
            })?;
            let read =
                file.into_identities().map_err(|error| format!("cannot be used: {error}"))?;
            if read.is_empty() {
                return Err("has no private key".to_owned());
            }
            self.0.extend(read.into_iter().map(|key| key as Box<dyn Identity>));
        }
        Ok(())
    }

    /// Opens what was sealed to one of them.
    pub fn open(&self, sealed: &[u8]) -> Result<PassCode, DecryptError> {
        let keys: Vec<&dyn Identity> = self.0.iter().map(AsRef::as_ref).collect();
        open(sealed, &keys)
    }
}

fn content(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    File::open(file)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// Whether it is a key of RSA, of which the public half is never encrypted.
fn is_rsa(key: &ssh::Identity) -> bool {
    let ed25519 =
        matches!(ssh::Recipient::try_from(key.clone()), Ok(ssh::Recipient::SshEd25519(..)));
    !ed25519 && !matches!(key, ssh::Identity::Unsupported(_))
}

fn open(sealed: &[u8], keys: &[&dyn Identity]) -> Result<PassCode, DecryptError> {
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed))?;
    let reader = decryptor.decrypt(keys.iter().copied())?;
    let mut code = String::new();
    reader.take(LARGEST_CODE).read_to_string(&mut code)?;
    Ok(PassCode::new(code))
}

/// Asks for the passphrase of a key on the terminal itself, whatever the standard input is. Once is enough: a key of SSH is
/// decrypted anew for each of the recipients.
#[derive(Clone, Default)]
struct Terminal(Arc<OnceLock<Option<SecretString>>>);

impl Callbacks for Terminal {
    fn display_message(&self, message: &str) {
        output::say(message);
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let ask = || rpassword::prompt_password(format!("{description}: ")).ok();
        self.0.get_or_init(|| ask().map(SecretString::from)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Recipients;

    fn sealed(keys: &[String]) -> Vec<u8> {
        Recipients::read(keys).unwrap().seal("+drkzqAD").unwrap()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        use std::io::Write as _;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn the_key_of_a_request_opens_its_code_and_no_other() {
        let key = OneTimeKey::generate();
        let code = sealed(&[key.public()]);
        assert_eq!(key.open(&code).unwrap().expose(), "+drkzqAD");
        let other = OneTimeKey::generate();
        assert!(matches!(other.open(&code), Err(DecryptError::NoMatchingKeys)));
    }

    #[test]
    fn a_key_in_a_file_opens_a_code() {
        use age::secrecy::ExposeSecret as _;
        let key = age::x25519::Identity::generate();
        let text = format!("# created: today\n{}\n", key.to_string().expose_secret());
        let file = file(&text);
        let keys = Keys::read([file.path()]).unwrap();
        let code = sealed(&[key.to_public().to_string()]);
        assert_eq!(keys.open(&code).unwrap().expose(), "+drkzqAD");
    }

    #[test]
    fn rsa_keys_are_refused_with_the_reason() {
        // An encrypted one, too, before anybody is asked for its passphrase.
        for key in [
            include_str!("../../tests/support/keys/rsa"),
            include_str!("../../tests/support/keys/rsa-encrypted"),
        ] {
            let file = file(key);
            let refused = Keys::read([file.path()]).err().unwrap();
            assert!(refused.message.contains("RUSTSEC-2023-0071"), "{refused}");
        }
        for key in [
            include_str!("../../tests/support/keys/ed25519"),
            include_str!("../../tests/support/keys/ed25519-encrypted"),
        ] {
            let file = file(key);
            Keys::read([file.path()]).unwrap();
        }
    }

    #[test]
    fn a_key_on_the_command_line_is_refused_without_repeating_it() {
        let key = "AGE-SECRET-KEY-1QQQQQQ";
        let refused = Keys::read([Path::new(key)]).err().unwrap();
        assert!(!refused.to_string().contains(key), "{refused}");
        assert_eq!(refused.exit, super::super::failure::Exit::Usage);
    }

    #[test]
    fn what_is_no_key_is_refused_without_quoting_it() {
        let file = file("hunter2\n");
        let refused = Keys::read([file.path()]).err().unwrap();
        assert!(refused.message.contains("has no private key"), "{refused}");
        assert!(!refused.to_string().contains("hunter2"));
    }
}
