//! Who is told what.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Kind, Notice};
use crate::secret_file::{self, SecretFileError};

/// A receiver of notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, in the log and in metrics.
    pub name: String,
    /// The format that it understands.
    pub format: Format,
    /// Where notices are sent.
    pub address: Address,
    /// The file with the bearer token that goes with each notice.
    pub token: Option<PathBuf>,
    /// The file with the key by which each notice is signed.
    pub hmac_key: Option<PathBuf>,
    /// What it is told.
    pub filter: Filter,
    /// Whether it is not told for whom passes are.
    pub omit_user: bool,
}

/// The format of the body of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// A `CloudEvent` 1.0 in structured JSON.
    CloudEvents,
    /// The format of Slack's incoming webhooks.
    Slack,
    /// An Adaptive Card, as a workflow of Microsoft Teams takes it.
    Teams,
}

/// Where notices are sent. The URL of a webhook is often a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The URL.
    Url(String),
    /// The file with the URL.
    File(PathBuf),
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What a receiver is told. A part that is absent lets everything through. One that is there asks for what it names, so a
/// notice about no namespace, such as one of drift, does not pass a list of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The kinds.
    pub kinds: Option<Vec<Kind>>,
    /// The namespaces of requests.
    pub namespaces: Option<Vec<String>>,
    /// The names of policies.
    pub policies: Option<Vec<String>>,
}

impl Filter {
    /// Whether a notice passes.
    pub fn passes(&self, notice: &Notice) -> bool {
        let namespace = notice.subject.namespace();
        let policies = notice.subject.policies();
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&notice.kind))
            && self
                .namespaces
                .as_ref()
                .is_none_or(|all| all.iter().any(|n| Some(&**n) == namespace))
            && self.policies.as_ref().is_none_or(|all| all.iter().any(|p| policies.contains(p)))
    }
}

/// A file of a receiver that cannot be used now. It is read again for each notice.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}; mount there a file with {what} and nothing else", .path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// What it should contain.
    pub what: &'static str,
    /// What is wrong with it; never its content.
    pub why: String,
}

impl Unreadable {
    fn of(path: &Path, what: &'static str) -> impl FnOnce(SecretFileError) -> Self {
        move |error| Self { path: path.into(), what, why: error.to_string() }
    }
}

impl Receiver {
    /// The URL.
    pub(super) fn url(&self) -> Result<Zeroizing<String>, Unreadable> {
        let (what, path) = (
            "the URL",
            match &self.address {
                Address::Url(url) => return Ok(Zeroizing::new(url.clone())),
                Address::File(path) => path,
            },
        );
        let url = secret_file::text(path).map_err(Unreadable::of(path, what))?;
        match checked_url(&url) {
            Ok(()) => Ok(url),
            Err(why) => Err(Unreadable { path: path.clone(), what, why: why.into() }),
        }
    }

    /// The bearer token, if it has one.
    pub(super) fn token(&self) -> Result<Option<Zeroizing<String>>, Unreadable> {
        let (what, Some(path)) = ("the token", &self.token) else { return Ok(None) };
        let token = secret_file::text(path).map_err(Unreadable::of(path, what))?;
        if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(token));
        }
        let why = "what it contains is not one word of ASCII".into();
        Err(Unreadable { path: path.clone(), what, why })
    }

    /// The key by which notices are signed, if it has one: the bytes of its file, without the line break at the end.
    pub(super) fn hmac_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable> {
        let Some(path) = &self.hmac_key else { return Ok(None) };
        secret_file::bytes(path).map(Some).map_err(Unreadable::of(path, "the key"))
    }

    /// What is wrong with its files now.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        let files = [self.url().err(), self.token().err(), self.hmac_key().err()];
        files.into_iter().flatten().collect()
    }
}

/// Checks that a URL is one to which notices may be sent.
pub(super) fn checked_url(url: &str) -> Result<(), &'static str> {
    let uri: http::Uri = url.parse().map_err(|_| "it is not a URL")?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("https"), Some(authority)) if !authority.as_str().contains('@') => Ok(()),
        (Some("https"), Some(_)) => Err("the URL contains a user name"),
        _ => Err("it is not an https URL with a host"),
    }
}
