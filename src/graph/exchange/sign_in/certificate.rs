//! Sign-in with a certificate: an assertion that is signed with the private key of the app.
//!
//! Its form is documented: PS256, the certificate identified by its SHA-256, the token endpoint as audience.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256, RsaKeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use zeroize::Zeroizing;

/// How long an assertion is valid. It is as short as differences between clocks allow.
const LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// A certificate and its private key.
pub(super) struct SigningCertificate {
    key: RsaKeyPair,
    thumbprint: String,
}

/// Why a certificate and a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("there is no certificate in PEM form")]
    NoCertificate,
    #[error("there is no private key in PEM form")]
    NoKey,
    #[error("the private key is encrypted, which is not supported; store it decrypted")]
    EncryptedKey,
    #[error("the private key is not an RSA key of at least 2048 bits, which Entra requires")]
    NotRsa,
    #[error("the private key does not match any of the certificates")]
    Mismatch,
    #[error("the assertion cannot be signed")]
    Signing,
}

impl SigningCertificate {
    /// Reads both from PEM. If there are several certificates, as in a chain, it takes the one that matches the key.
    pub(super) fn read(certificates: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let key = read_key(key)?;
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(certificates).flatten() {
            found = true;
            // A certificate contains the public key in the same encoding as the key pair returns it.
            let public = key.public_key().as_ref();
            if contains(&certificate, public) {
                let thumbprint = digest::digest(&digest::SHA256, &certificate);
                return Ok(Self { key, thumbprint: URL_SAFE_NO_PAD.encode(thumbprint) });
            }
        }
        Err(if found { CertificateError::Mismatch } else { CertificateError::NoCertificate })
    }

    /// Returns a signed assertion that the app is `client_id`, for the token endpoint `audience`.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, CertificateError> {
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let expires = now.saturating_add(LIFETIME).map_err(|_| CertificateError::Signing)?;
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": uuid::Uuid::new_v4(),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": expires.as_second(),
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut assertion = Zeroizing::new(format!("{}.{}", encode(header), encode(claims)));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), assertion.as_bytes(), &mut signature)
            .map_err(|_| CertificateError::Signing)?;
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
        Ok(assertion)
    }
}

fn read_key(pem: &[u8]) -> Result<RsaKeyPair, CertificateError> {
    if contains(pem, b"ENCRYPTED") {
        return Err(CertificateError::EncryptedKey);
    }
    match &PrivateKeyDer::from_pem_slice(pem).map_err(|_| CertificateError::NoKey)? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(CertificateError::NotRsa),
    }
    .map_err(|_| CertificateError::NotRsa)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
