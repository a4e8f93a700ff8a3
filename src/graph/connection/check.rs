//! What makes a connection valid, wherever it was written.

use super::{ConnectionConfig, Credential, ceilings};
use crate::api::Ceilings;
use crate::configuration::{Problem, checked_name};
use crate::entra::{Cloud, UserNames, guid};

/// A problem with the name of its setting.
pub(super) type Named = (&'static str, Problem);

/// A setting that has not been checked, and the name that it has in its source.
pub(super) struct Setting<T> {
    pub(super) name: &'static str,
    pub(super) value: Result<T, Problem>,
}

impl<T> Setting<T> {
    /// Checks the value. A problem is returned together with the name of the setting.
    fn check<R>(self, check: impl FnOnce(T) -> Result<R, Problem>) -> Result<R, Named> {
        self.value.and_then(check).map_err(|problem| (self.name, problem))
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
    pub(super) credential: Result<Credential, Named>,
    pub(super) users: Setting<Option<UserNames>>,
    pub(super) ceilings: Setting<Ceilings>,
}

impl Unchecked<'_> {
    /// Returns the connection if it is valid, otherwise each setting that is not, and what is wrong with it.
    pub(super) fn check(self) -> Result<ConnectionConfig, Vec<Named>> {
        let mut problems = Problems::default();
        let name = problems.keep(checked_name(self.name).map_err(|problem| ("name", problem)));
        let id = |text: &str, remedy: &str| {
            guid(text).ok_or_else(|| Problem::new(format!("{text:?} is not a GUID"), remedy))
        };
        let tenant_id = problems.keep(self.tenant_id.check(|text| {
            id(text, "use the tenant id from the Entra admin center; a domain name will not do")
        }));
        let client_id =
            problems.keep(self.client_id.check(|text| {
                id(text, "use the application (client) id from the app registration")
            }));
        let cloud = self.cloud.check(|name| name.map_or(Ok(Cloud::Global), cloud_named));
        let cloud = problems.keep(cloud);
        // A URL is compared with the cloud if that is known.
        let url = |given: Option<&str>, default: fn(Cloud) -> &'static str| {
            let url = origin(given.unwrap_or(default(cloud.unwrap_or(Cloud::Global))))?;
            cloud.map_or(Ok(()), |cloud| check_cloud(&url, cloud))?;
            Ok(url)
        };
        let login_url = problems.keep(self.login_url.check(|given| url(given, Cloud::login_url)));
        let graph_url = problems.keep(self.graph_url.check(|given| url(given, Cloud::graph_url)));
        let credential = problems.keep(self.credential);
        let users = problems.keep(self.users.check(Ok));
        let ceilings = problems.keep(self.ceilings.check(ceilings::check));
        let all = || {
            Some(ConnectionConfig {
                name: name?,
                tenant_id: tenant_id?,
                client_id: client_id?,
                cloud: cloud?,
                credential: credential?,
                login_url: login_url?,
                graph_url: graph_url?,
                users: users?,
                ceilings: ceilings?,
            })
        };
        all().ok_or(problems.0)
    }
}

/// The problems that were met on the way.
#[derive(Default)]
struct Problems(Vec<Named>);

impl Problems {
    /// Keeps the problem, if there is one instead of a value.
    fn keep<T>(&mut self, checked: Result<T, Named>) -> Option<T> {
        checked.map_err(|problem| self.0.push(problem)).ok()
    }
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
