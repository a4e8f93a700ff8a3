//! What makes a connection valid, wherever it was written.

use super::{ConnectionConfig, Credential, ceilings};
use crate::api::Ceilings;
use crate::entra::{Cloud, UserNames, guid};

/// A configuration that cannot be used. Its text names the place, the problem and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}; {}", problem.what, problem.remedy)]
pub struct ConfigError {
    place: String,
    problem: Problem,
}

/// What is wrong with a setting, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    what: String,
    remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    pub(super) fn at(self, place: impl Into<String>) -> ConfigError {
        ConfigError { place: place.into(), problem: self }
    }
}

/// A setting that has not been checked, and the name that it has in its source.
pub(super) struct Setting<T> {
    pub(super) name: &'static str,
    pub(super) value: T,
}

impl<T: Copy> Setting<T> {
    /// Checks the value. A problem is returned together with the name of the setting.
    fn check<R>(
        &self,
        check: impl FnOnce(T) -> Result<R, Problem>,
    ) -> Result<R, (&'static str, Problem)> {
        check(self.value).map_err(|problem| (self.name, problem))
    }
}

/// A connection that has not been checked.
pub(super) struct Unchecked<'a> {
    pub(super) name: &'a str,
    pub(super) tenant_id: Setting<&'a str>,
    pub(super) client_id: Setting<&'a str>,
    pub(super) cloud: Setting<Option<&'a str>>,
    pub(super) login_url: Setting<Option<&'a str>>,
    pub(super) graph_url: Setting<Option<&'a str>>,
    pub(super) credential: Credential,
    pub(super) users: Option<UserNames>,
    pub(super) ceilings: Setting<Ceilings>,
}

impl Unchecked<'_> {
    /// Returns the connection if it is valid, otherwise the name of a setting and what is wrong with it.
    pub(super) fn check(self) -> Result<ConnectionConfig, (&'static str, Problem)> {
        if !is_name(self.name) {
            let what = format!("{:?} is not a valid name", self.name);
            let remedy =
                "use up to 63 lower case letters, digits and hyphens, and no hyphen at either end";
            return Err(("name", Problem::new(what, remedy)));
        }
        let id = |text: &str, remedy: &str| {
            guid(text).ok_or_else(|| Problem::new(format!("{text:?} is not a GUID"), remedy))
        };
        let tenant_id = self.tenant_id.check(|text| {
            id(text, "use the tenant id from the Entra admin center; a domain name will not do")
        })?;
        let client_id = self
            .client_id
            .check(|text| id(text, "use the application (client) id from the app registration"))?;
        let cloud = self.cloud.check(|name| name.map_or(Ok(Cloud::Global), cloud_named))?;
        let login_url = self.login_url.check(|url| origin(url.unwrap_or(cloud.login_url())))?;
        let graph_url = self.graph_url.check(|url| origin(url.unwrap_or(cloud.graph_url())))?;
        self.login_url.check(|_| check_cloud(&login_url, cloud))?;
        self.graph_url.check(|_| check_cloud(&graph_url, cloud))?;
        let Setting { name, value } = self.ceilings;
        let ceilings = ceilings::check(value).map_err(|problem| (name, problem))?;
        Ok(ConnectionConfig {
            name: self.name.to_owned(),
            tenant_id,
            client_id,
            cloud,
            credential: self.credential,
            login_url,
            graph_url,
            users: self.users,
            ceilings,
        })
    }
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn cloud_named(name: &str) -> Result<Cloud, Problem> {
    match name {
        "global" => Ok(Cloud::Global),
        "usgov" => Ok(Cloud::UsGov),
        "usgovdod" => Ok(Cloud::UsGovDod),
        "china" => Err(no_china()),
        _ => Err(Problem::new(
            format!("there is no cloud {name:?}"),
            "use global, usgov (GCC High) or usgovdod",
        )),
    }
}

fn no_china() -> Problem {
    Problem::new(
        "Graph v1.0 of the cloud china (21Vianet) has no Temporary Access Pass",
        "remove the connection: such a tenant cannot be managed until Microsoft adds it",
    )
}

/// Returns scheme and host of an https URL, and refuses a URL that has anything else.
fn origin(url: &str) -> Result<String, Problem> {
    let remedy = "write https://host or https://host:port";
    let wrong = |what: &str| Problem::new(format!("{url:?} {what}"), remedy);
    let uri: http::Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("is not https"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') {
        // Not quoted, because it may contain a password.
        return Err(Problem::new("the URL contains a user name", remedy));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("has a path"));
    }
    Ok(format!("https://{}", authority.as_str().to_ascii_lowercase()))
}

/// A host of Microsoft's must belong to the cloud, because other clouds do not accept its tokens.
fn check_cloud(url: &str, cloud: Cloud) -> Result<(), Problem> {
    let host = url.trim_start_matches("https://");
    let clouds: &[Cloud] = match host {
        "login.microsoftonline.com" | "login.windows.net" | "graph.microsoft.com" => {
            &[Cloud::Global]
        }
        "login.microsoftonline.us" => &[Cloud::UsGov, Cloud::UsGovDod],
        "graph.microsoft.us" => &[Cloud::UsGov],
        "dod-graph.microsoft.us" => &[Cloud::UsGovDod],
        "login.chinacloudapi.cn"
        | "login.partner.microsoftonline.cn"
        | "microsoftgraph.chinacloudapi.cn" => return Err(no_china()),
        _ => return Ok(()),
    };
    if clouds.contains(&cloud) {
        return Ok(());
    }
    let names: Vec<_> = clouds.iter().map(|cloud| cloud.name()).collect();
    Err(Problem::new(
        format!("{host} does not belong to the cloud {}", cloud.name()),
        format!("set the cloud to {}, or remove the URL", names.join(" or ")),
    ))
}
