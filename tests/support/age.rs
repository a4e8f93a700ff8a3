//! People who read sealed passes: their keys, and the age program, with which they decrypt.

use std::process::{Output, Stdio};
use std::time::Duration;

use age::secrecy::ExposeSecret as _;
use age::x25519;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use uuid::Uuid;

use super::program;
use super::scratch::Scratch;

const PATIENCE: Duration = Duration::from_mins(1);

/// A person with a key pair.
pub struct Reader {
    /// The public key, as it is written in `spec.recipients`.
    pub public: String,
    private: String,
}

impl Reader {
    /// A reader with an age key.
    pub fn age() -> Self {
        let identity = x25519::Identity::generate();
        Self {
            public: identity.to_public().to_string(),
            private: format!("{}\n", identity.to_string().expose_secret()),
        }
    }

    /// A reader with an Ed25519 SSH key that has this comment.
    pub fn ssh_ed25519(comment: &str) -> Result<Self> {
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let public = ssh_line("ssh-ed25519", &[pair.der_bytes()], comment)?;
        Ok(Self { public, private: pair.serialize_pem() })
    }

    /// A reader with an RSA SSH key that has this comment.
    pub fn ssh_rsa(size: RsaKeySize, comment: &str) -> Result<Self> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)?;
        // A sequence of two integers, modulus and exponent. SSH encodes their content in the same way.
        let mut rest = contents(&mut pair.der_bytes(), 0x30)?;
        let (modulus, exponent) = (contents(&mut rest, 0x02)?, contents(&mut rest, 0x02)?);
        let public = ssh_line("ssh-rsa", &[exponent, modulus], comment)?;
        Ok(Self { public, private: pair.serialize_pem() })
    }

    /// Decrypts as `age --decrypt --identity KEY` does.
    pub async fn open(&self, scratch: &Scratch, sealed: &[u8]) -> Result<String> {
        let output = self.decrypt(scratch, sealed).await?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "age cannot decrypt it: {complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Expects decryption to fail because the key is not among the recipients.
    pub async fn cannot_open(&self, scratch: &Scratch, sealed: &[u8]) -> Result<()> {
        let output = self.decrypt(scratch, sealed).await?;
        ensure!(
            !output.status.success() && output.stdout.is_empty(),
            "age decrypted it: {output:?}"
        );
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(complaint.contains("no identity matched any of the recipients"), "{complaint}");
        Ok(())
    }

    async fn decrypt(&self, scratch: &Scratch, sealed: &[u8]) -> Result<Output> {
        let directory =
            tokio::task::spawn_blocking(|| program::built_by("tests/age/build")).await??;
        let key = scratch.write(&format!("age-{}", Uuid::new_v4()), &self.private)?;
        let mut age = Command::new(directory.join("age"))
            .args(["--decrypt", "--identity"])
            .arg(&key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("age")?;
        let mut stdin = age.stdin.take().context("age's standard input")?;
        let feed = async {
            // age may end before it has read everything, if it has no matching key.
            let _ = stdin.write_all(sealed).await;
            drop(stdin);
        };
        let opened = async { tokio::join!(feed, age.wait_with_output()).1 };
        Ok(tokio::time::timeout(PATIENCE, opened).await.context("age did not end")??)
    }
}

/// A line of a `.pub` file: the kind, then kind and fields in base64, each after its length, then a comment.
fn ssh_line(kind: &str, fields: &[&[u8]], comment: &str) -> Result<String> {
    let mut blob = Vec::new();
    for field in [kind.as_bytes()].iter().chain(fields) {
        blob.extend(u32::try_from(field.len())?.to_be_bytes());
        blob.extend(*field);
    }
    Ok(format!("{kind} {} {comment}", STANDARD.encode(blob)).trim_end().to_owned())
}

/// Takes the first value off some DER and returns its content. The value must have this tag.
fn contents<'a>(der: &mut &'a [u8], tag: u8) -> Result<&'a [u8]> {
    let [found, first, rest @ ..] = *der else { bail!("the DER ends too early") };
    ensure!(*found == tag, "tag {found:#x} where {tag:#x} was expected");
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at(usize::from(first & 0x7f));
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, after) = rest.split_at_checked(length).context("the DER ends too early")?;
    *der = after;
    Ok(content)
}
