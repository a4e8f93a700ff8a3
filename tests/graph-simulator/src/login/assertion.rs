//! Client assertions: the signed tokens with which apps prove who they are.

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    rsa::PublicKeyComponents,
    signature::RSA_PKCS1_2048_8192_SHA256,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use webpki::{
    EndEntityCert,
    aws_lc_rs::{
        RSA_PKCS1_2048_8192_SHA256 as CERTIFICATE_RS256,
        RSA_PSS_2048_8192_SHA256_LEGACY_KEY as CERTIFICATE_PS256,
    },
};

use crate::tenant::Certificate;

/// A JSON Web Token, taken apart but not yet believed.
#[derive(Debug)]
pub(crate) struct Assertion {
    header: Value,
    claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Assertion {
    pub(crate) fn parse(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed: signed.into(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    pub(crate) fn claim(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_default()
    }

    /// Seconds since 1970 in a claim.
    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        self.claims[name].as_f64()
    }

    /// Whether this is one of the token's audiences.
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match &self.claims["aud"] {
            Value::String(one) => one == audience,
            Value::Array(several) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// Whether the token says that it was signed with this certificate's key.
    pub(crate) fn names(&self, certificate: &Certificate) -> bool {
        let Some(der) = certificate.der() else { return false };
        let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest(algorithm, &der));
        match (self.header["x5t#S256"].as_str(), self.header["x5t"].as_str()) {
            (Some(sha256), _) => sha256.trim_end_matches('=') == thumbprint(&SHA256),
            (None, Some(sha1)) => {
                sha1.trim_end_matches('=') == thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)
            }
            (None, None) => false,
        }
    }

    /// Whether this certificate's key made the signature, as PS256 or RS256.
    pub(crate) fn is_signed_with(&self, certificate: &Certificate) -> bool {
        let algorithm = match self.header["alg"].as_str() {
            Some("PS256") => CERTIFICATE_PS256,
            Some("RS256") => CERTIFICATE_RS256,
            _ => return false,
        };
        let Some(der) = certificate.der() else { return false };
        let der = der.into();
        EndEntityCert::try_from(&der).is_ok_and(|cert| {
            cert.verify_signature(algorithm, self.signed.as_bytes(), &self.signature).is_ok()
        })
    }

    /// Whether a key of this set made the signature, as RS256.
    pub(crate) fn is_signed_by(&self, jwks: &Value) -> bool {
        if self.header["alg"] != "RS256" {
            return false;
        }
        let key_id = &self.header["kid"];
        let keys = jwks["keys"].as_array().into_iter().flatten();
        keys.filter(|key| key["kty"] == "RSA" && (key_id.is_null() || key["kid"] == *key_id)).any(
            |key| {
                let part = |name: &str| {
                    URL_SAFE_NO_PAD.decode(key[name].as_str()?.trim_end_matches('=')).ok()
                };
                let (Some(n), Some(e)) = (part("n"), part("e")) else { return false };
                PublicKeyComponents { n, e }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature)
                    .is_ok()
            },
        )
    }
}

impl Certificate {
    fn der(&self) -> Option<Vec<u8>> {
        let encoded: String =
            self.key.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(encoded).ok()
    }
}
