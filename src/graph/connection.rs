//! Tenant connections: which tenants there are, and how the operator signs in to each.
//!
//! One connection, `default`, comes from the environment, in the variables that Azure's tools and the workload identity
//! webhook use; several come from a file. Secrets are only ever named by the file they are mounted as.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The name of the connection that the environment describes.
pub const DEFAULT_CONNECTION: &str = "default";

/// Where the workload identity webhook mounts the service account's token.
const FEDERATED_TOKEN_FILE: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// A connection to one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// The name that policies use: `spec.tenant`.
    pub name: String,
    /// The tenant's id, a GUID in lower case.
    pub tenant_id: String,
    /// The app's id (client id), a GUID in lower case.
    pub client_id: String,
    /// The cloud the tenant lives in.
    pub cloud: Cloud,
    /// How to prove to be the app.
    pub credential: Credential,
    /// Scheme and host of the login, `https://login.microsoftonline.com`.
    pub login_url: String,
    /// Scheme and host of Graph, `https://graph.microsoft.com`.
    pub graph_url: String,
    /// How the cluster's names of people map to the tenant's; `None`: that is not known.
    pub users: Option<UserNames>,
}

impl ConnectionConfig {
    /// The scope of the tokens: all that was granted for Graph.
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.graph_url)
    }

    /// Where tokens come from.
    pub(super) fn token_endpoint(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.login_url, self.tenant_id)
    }
}

/// The clouds that know passes in Graph v1.0 (documented).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// `global`: the public cloud, GCC included.
    Global,
    /// `usgov`: US Government L4 (GCC High).
    UsGov,
    /// `usgovdod`: US Government L5 (Department of Defense).
    UsGovDod,
}

impl Cloud {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGov => "usgov",
            Self::UsGovDod => "usgovdod",
        }
    }

    fn login_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
        }
    }

    fn graph_url(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsGovDod => "https://dod-graph.microsoft.us",
        }
    }

    fn from_name(name: &str) -> Result<Self, Problem> {
        match name {
            "global" => Ok(Self::Global),
            "usgov" => Ok(Self::UsGov),
            "usgovdod" => Ok(Self::UsGovDod),
            "china" => Err(no_china()),
            _ => Err(Problem::new(
                format!("there is no cloud {name:?}"),
                "take global, usgov (GCC High) or usgovdod",
            )),
        }
    }
}

fn no_china() -> Problem {
    Problem::new(
        "the cloud china (21Vianet) has no Temporary Access Pass in Graph v1.0",
        "such a tenant cannot be managed until Microsoft adds it; remove the connection",
    )
}

/// How the app proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A client secret. The file is read anew for each token.
    ClientSecret {
        /// Holds the secret alone.
        file: PathBuf,
    },
    /// A certificate and its private key, both PEM, read anew for each token.
    ClientCertificate {
        /// The certificate, or a chain with it.
        certificate_file: PathBuf,
        /// The RSA key, not encrypted; may be the same file.
        key_file: PathBuf,
    },
    /// The service account's token, exchanged by a federated credential of the app.
    WorkloadIdentity {
        /// Holds the projected token, read anew for each exchange.
        token_file: PathBuf,
    },
    /// The managed identity with the connection's client id, by the platform's identity endpoint.
    ManagedIdentity,
}

impl Credential {
    /// A short name for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientSecret { .. } => "client secret",
            Self::ClientCertificate { .. } => "client certificate",
            Self::WorkloadIdentity { .. } => "workload identity",
            Self::ManagedIdentity => "managed identity",
        }
    }
}

/// How a Kubernetes user name becomes a user of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNames {
    /// What the API server puts before the names of people who sign in through Entra, such as `entra:`. May be empty.
    pub prefix: String,
    /// What follows the prefix.
    pub form: UserNameForm,
}

/// What the cluster takes from Entra as a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserNameForm {
    /// The sign-in name (the claims `upn`, `preferred_username`).
    UserPrincipalName,
    /// The object id (the claim `oid`).
    ObjectId,
}

/// A person in the tenant, as far as a Kubernetes user name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntraName {
    /// Compared in any case.
    UserPrincipalName(String),
    /// Compared in any case.
    ObjectId(String),
}

impl UserNames {
    /// The person behind a Kubernetes user name; `None` for names without the prefix, and for the cluster's own.
    pub fn entra(&self, kubernetes_name: &str) -> Option<EntraName> {
        if kubernetes_name.starts_with("system:") {
            return None;
        }
        let name = kubernetes_name.strip_prefix(&self.prefix)?;
        match self.form {
            UserNameForm::UserPrincipalName if name.contains('@') => {
                Some(EntraName::UserPrincipalName(name.to_owned()))
            }
            UserNameForm::ObjectId => Some(EntraName::ObjectId(guid(name)?)),
            UserNameForm::UserPrincipalName => None,
        }
    }
}

/// A configuration that cannot be used. Says where, what and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}; {}", problem.what, problem.remedy)]
pub struct ConfigError {
    place: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    what: String,
    remedy: String,
}

impl Problem {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    fn at(self, place: impl Into<String>) -> ConfigError {
        ConfigError { place: place.into(), problem: self }
    }
}

/// The connection `default`, from the environment.
///
/// `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`; one of `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_CLIENT_SECRET_FILE`,
/// `AZURE_CLIENT_CERTIFICATE_PATH` (with `AZURE_CLIENT_CERTIFICATE_KEY_PATH`, by default the same file) or
/// `TAP_OPERATOR_MANAGED_IDENTITY=true`; optional `TAP_OPERATOR_CLOUD`, `AZURE_AUTHORITY_HOST`,
/// `TAP_OPERATOR_GRAPH_URL`, and `TAP_OPERATOR_USER_NAME` (`userPrincipalName` or `objectId`) with
/// `TAP_OPERATOR_USER_NAME_PREFIX`.
pub fn connections_from_env<S: BuildHasher>(
    environment: &HashMap<String, String, S>,
) -> Result<Vec<ConnectionConfig>, ConfigError> {
    let environment = Environment(&|name| environment.get(name).map(String::as_str));
    let connection = Parts {
        name: DEFAULT_CONNECTION,
        tenant_id: environment.required("AZURE_TENANT_ID")?,
        tenant_id_at: "AZURE_TENANT_ID",
        client_id: environment.required("AZURE_CLIENT_ID")?,
        client_id_at: "AZURE_CLIENT_ID",
        cloud: environment.get("TAP_OPERATOR_CLOUD"),
        cloud_at: "TAP_OPERATOR_CLOUD",
        login_url: environment.get("AZURE_AUTHORITY_HOST"),
        login_url_at: "AZURE_AUTHORITY_HOST",
        graph_url: environment.get("TAP_OPERATOR_GRAPH_URL"),
        graph_url_at: "TAP_OPERATOR_GRAPH_URL",
        credential: environment.credential()?,
        users: environment.users()?,
    };
    let place = |at: &str| format!("environment variable {at}");
    Ok(vec![connection.judge().map_err(|(at, problem)| problem.at(place(at)))?])
}

/// The connections of a YAML file.
pub fn connections_from_file(path: &Path) -> Result<Vec<ConnectionConfig>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(
            format!("cannot be read: {error}"),
            "mount the file there, or name another one",
        )
        .at(path.display().to_string())
    })?;
    connections_from_text(&text, &path.display().to_string())
}

/// The connections that a YAML text describes; `origin` is its name in messages.
pub fn connections_from_text(
    text: &str,
    origin: &str,
) -> Result<Vec<ConnectionConfig>, ConfigError> {
    let file: FileForm = crate::api::yaml::read(text).map_err(|error| {
        let remedy = "the form is tenants: [{name, tenantId, clientId, credential: {...}}]";
        Problem::new(error.to_string(), remedy).at(origin)
    })?;
    if file.tenants.is_empty() {
        let remedy = "add at least one entry to tenants";
        return Err(Problem::new("there is no tenant in it", remedy).at(origin));
    }
    let mut connections: Vec<ConnectionConfig> = Vec::with_capacity(file.tenants.len());
    for (index, tenant) in file.tenants.iter().enumerate() {
        let place = |at: &str| format!("{origin}: tenants[{index}] ({}): {at}", tenant.name);
        if connections.iter().any(|known| known.name == tenant.name) {
            let problem = Problem::new("an earlier entry has this name", "give each its own name");
            return Err(problem.at(place("name")));
        }
        connections.push(tenant.judge().map_err(|(at, problem)| problem.at(place(at)))?);
    }
    Ok(connections)
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<&'a str>);

impl<'a> Environment<'a> {
    /// A variable's value; an empty one counts as not set.
    fn get(&self, name: &str) -> Option<&'a str> {
        (self.0)(name).map(str::trim).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&'a str, ConfigError> {
        self.get(name).ok_or_else(|| {
            Problem::new("is not set", "set it, or describe the tenant connections in a file")
                .at(format!("environment variable {name}"))
        })
    }

    fn credential(&self) -> Result<Credential, ConfigError> {
        let place = |name: &str| format!("environment variable {name}");
        if self.get("AZURE_CLIENT_SECRET").is_some() {
            let problem = Problem::new(
                "a secret in the environment can be read by too many",
                "mount it as a file and set AZURE_CLIENT_SECRET_FILE to its path",
            );
            return Err(problem.at(place("AZURE_CLIENT_SECRET")));
        }
        if self.get("AZURE_CLIENT_CERTIFICATE_PASSWORD").is_some() {
            let problem = Problem::new(
                "encrypted keys are not supported",
                "mount certificate and key as PEM, the key not encrypted",
            );
            return Err(problem.at(place("AZURE_CLIENT_CERTIFICATE_PASSWORD")));
        }
        let managed = match self.get("TAP_OPERATOR_MANAGED_IDENTITY") {
            None | Some("false") => None,
            Some("true") => Some(Credential::ManagedIdentity),
            Some(other) => {
                let problem = Problem::new(format!("is {other:?}"), "set it to true or false");
                return Err(problem.at(place("TAP_OPERATOR_MANAGED_IDENTITY")));
            }
        };
        let path = |name| self.get(name).map(PathBuf::from);
        let certificate = path("AZURE_CLIENT_CERTIFICATE_PATH").map(|certificate_file| {
            let key_file = path("AZURE_CLIENT_CERTIFICATE_KEY_PATH");
            let key_file = key_file.unwrap_or_else(|| certificate_file.clone());
            Credential::ClientCertificate { certificate_file, key_file }
        });
        let mut found: Vec<(&str, Credential)> = [
            (
                "AZURE_FEDERATED_TOKEN_FILE",
                path("AZURE_FEDERATED_TOKEN_FILE")
                    .map(|token_file| Credential::WorkloadIdentity { token_file }),
            ),
            (
                "AZURE_CLIENT_SECRET_FILE",
                path("AZURE_CLIENT_SECRET_FILE").map(|file| Credential::ClientSecret { file }),
            ),
            ("AZURE_CLIENT_CERTIFICATE_PATH", certificate),
            ("TAP_OPERATOR_MANAGED_IDENTITY", managed),
        ]
        .into_iter()
        .filter_map(|(name, credential)| Some((name, credential?)))
        .collect();
        // The workload identity webhook sets this one in every pod that it sees: what somebody chose wins over it.
        if found.len() > 1 {
            found.retain(|(name, _)| *name != "AZURE_FEDERATED_TOKEN_FILE");
        }
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        let all = "AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_CERTIFICATE_PATH or \
                   TAP_OPERATOR_MANAGED_IDENTITY=true";
        let (what, remedy) = match names.as_slice() {
            [_] => {
                return Ok(found
                    .into_iter()
                    .map(|(_, credential)| credential)
                    .collect::<Vec<_>>()
                    .remove(0));
            }
            [] => ("there is no credential".to_owned(), format!("set one of {all}")),
            names => (
                format!("there are {} credentials: {}", names.len(), names.join(", ")),
                "keep one of them".to_owned(),
            ),
        };
        Err(Problem::new(what, remedy).at("environment"))
    }

    fn users(&self) -> Result<Option<UserNames>, ConfigError> {
        let prefix = self.get("TAP_OPERATOR_USER_NAME_PREFIX");
        let form = match (self.get("TAP_OPERATOR_USER_NAME"), prefix) {
            (None, None) => return Ok(None),
            (Some("userPrincipalName"), _) => UserNameForm::UserPrincipalName,
            (Some("objectId"), _) => UserNameForm::ObjectId,
            (other, _) => {
                let what = other.map_or("is not set".into(), |other| format!("is {other:?}"));
                let problem = Problem::new(what, "set it to userPrincipalName or objectId");
                return Err(problem.at("environment variable TAP_OPERATOR_USER_NAME"));
            }
        };
        Ok(Some(UserNames { prefix: prefix.unwrap_or_default().to_owned(), form }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    tenants: Vec<TenantForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TenantForm {
    name: String,
    tenant_id: String,
    client_id: String,
    #[serde(default)]
    cloud: Option<String>,
    credential: CredentialForm,
    #[serde(default)]
    login_url: Option<String>,
    #[serde(default)]
    graph_url: Option<String>,
    #[serde(default)]
    users: Option<UsersForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CredentialForm {
    #[serde(default, deserialize_with = "secret_form")]
    client_secret: Option<SecretForm>,
    #[serde(default)]
    client_certificate: Option<CertificateForm>,
    #[serde(default)]
    workload_identity: Option<WorkloadForm>,
    #[serde(default)]
    managed_identity: Option<ManagedForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretForm {
    file: PathBuf,
}

/// The usual messages quote what they found, which here may be the secret itself.
fn secret_form<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretForm>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    serde_json::from_value(value)
        .map_err(|_| D::Error::custom("clientSecret must be {file: <path of a mounted file>}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CertificateForm {
    certificate_file: PathBuf,
    #[serde(default)]
    key_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkloadForm {
    #[serde(default)]
    token_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManagedForm {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersForm {
    #[serde(default)]
    prefix: String,
    form: UserNameForm,
}

impl TenantForm {
    fn judge(&self) -> Result<ConnectionConfig, (&'static str, Problem)> {
        Parts {
            name: &self.name,
            tenant_id: &self.tenant_id,
            tenant_id_at: "tenantId",
            client_id: &self.client_id,
            client_id_at: "clientId",
            cloud: self.cloud.as_deref(),
            cloud_at: "cloud",
            login_url: self.login_url.as_deref(),
            login_url_at: "loginUrl",
            graph_url: self.graph_url.as_deref(),
            graph_url_at: "graphUrl",
            credential: self.credential.judge().map_err(|problem| ("credential", problem))?,
            users: self
                .users
                .as_ref()
                .map(|users| UserNames { prefix: users.prefix.clone(), form: users.form }),
        }
        .judge()
    }
}

impl CredentialForm {
    fn judge(&self) -> Result<Credential, Problem> {
        match (
            &self.client_secret,
            &self.client_certificate,
            &self.workload_identity,
            &self.managed_identity,
        ) {
            (Some(SecretForm { file }), None, None, None) => {
                Ok(Credential::ClientSecret { file: file.clone() })
            }
            (None, Some(CertificateForm { certificate_file, key_file }), None, None) => {
                Ok(Credential::ClientCertificate {
                    certificate_file: certificate_file.clone(),
                    key_file: key_file.clone().unwrap_or_else(|| certificate_file.clone()),
                })
            }
            (None, None, Some(WorkloadForm { token_file }), None) => {
                let token_file = token_file.clone();
                Ok(Credential::WorkloadIdentity {
                    token_file: token_file.unwrap_or_else(|| FEDERATED_TOKEN_FILE.into()),
                })
            }
            (None, None, None, Some(ManagedForm {})) => Ok(Credential::ManagedIdentity),
            _ => Err(Problem::new(
                "there must be exactly one credential",
                "give one of clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, \
                 workloadIdentity: {} or managedIdentity: {}",
            )),
        }
    }
}

/// A connection as it was written, wherever that was; `.._at` is what a field is called there.
struct Parts<'a> {
    name: &'a str,
    tenant_id: &'a str,
    tenant_id_at: &'static str,
    client_id: &'a str,
    client_id_at: &'static str,
    cloud: Option<&'a str>,
    cloud_at: &'static str,
    login_url: Option<&'a str>,
    login_url_at: &'static str,
    graph_url: Option<&'a str>,
    graph_url_at: &'static str,
    credential: Credential,
    users: Option<UserNames>,
}

impl Parts<'_> {
    fn judge(self) -> Result<ConnectionConfig, (&'static str, Problem)> {
        if !is_name(self.name) {
            let remedy = "take lower case letters, digits and hyphens, at most 63, as for a Kubernetes label";
            return Err(("name", Problem::new(format!("{:?} is no name", self.name), remedy)));
        }
        let tenant_id = guid(self.tenant_id).ok_or_else(|| {
            let remedy =
                "take the tenant id from the Entra admin center, a GUID; a domain name will not do";
            (self.tenant_id_at, Problem::new(format!("{:?} is no GUID", self.tenant_id), remedy))
        })?;
        let client_id = guid(self.client_id).ok_or_else(|| {
            let remedy = "take the application (client) id from the app registration, a GUID";
            (self.client_id_at, Problem::new(format!("{:?} is no GUID", self.client_id), remedy))
        })?;
        let cloud = self.cloud.map_or(Ok(Cloud::Global), Cloud::from_name);
        let cloud = cloud.map_err(|problem| (self.cloud_at, problem))?;
        let login_url = origin(self.login_url.unwrap_or(cloud.login_url()))
            .map_err(|problem| (self.login_url_at, problem))?;
        let graph_url = origin(self.graph_url.unwrap_or(cloud.graph_url()))
            .map_err(|problem| (self.graph_url_at, problem))?;
        check_cloud(&login_url, cloud).map_err(|problem| (self.login_url_at, problem))?;
        check_cloud(&graph_url, cloud).map_err(|problem| (self.graph_url_at, problem))?;
        Ok(ConnectionConfig {
            name: self.name.to_owned(),
            tenant_id,
            client_id,
            cloud,
            credential: self.credential,
            login_url,
            graph_url,
            users: self.users,
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

/// A GUID in its usual form, in lower case.
fn guid(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?.hyphenated().to_string();
    id.eq_ignore_ascii_case(text).then_some(id)
}

/// Scheme and host of an https URL that is nothing more than that.
fn origin(url: &str) -> Result<String, Problem> {
    let remedy = "write it as https://host or https://host:port";
    let wrong = |what: &str| Problem::new(format!("{url:?} {what}"), remedy);
    let uri: http::Uri = url.parse().map_err(|_| wrong("is no URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("is not https"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') {
        // Not quoted: there may be a password in it.
        return Err(Problem::new("the URL names a user", remedy));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("has a path"));
    }
    Ok(format!("https://{}", authority.as_str().to_ascii_lowercase()))
}

/// Microsoft's own hosts must be the cloud's: tokens of one cloud are worth nothing in another.
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
        format!("set the cloud to {}, or leave the URL out", names.join(" or ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "7F2D6C1E-3B6A-4C64-9D0E-5A1C3E2B4F60";
    const CLIENT: &str = "0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11";

    fn environment(changes: &[(&str, &str)]) -> HashMap<String, String> {
        let base = [
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET_FILE", "/secrets/client"),
        ];
        (base.iter().chain(changes))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn from_environment(changes: &[(&str, &str)]) -> Result<ConnectionConfig, String> {
        let connections = connections_from_env(&environment(changes));
        let mut connections = connections.map_err(|error| error.to_string())?;
        assert_eq!(connections.len(), 1);
        Ok(connections.remove(0))
    }

    #[test]
    fn the_environment_describes_one_connection() {
        assert_eq!(
            from_environment(&[]),
            Ok(ConnectionConfig {
                name: "default".into(),
                tenant_id: TENANT.to_ascii_lowercase(),
                client_id: CLIENT.into(),
                cloud: Cloud::Global,
                credential: Credential::ClientSecret { file: "/secrets/client".into() },
                login_url: "https://login.microsoftonline.com".into(),
                graph_url: "https://graph.microsoft.com".into(),
                users: None,
            })
        );
        let other = from_environment(&[
            ("AZURE_CLIENT_SECRET_FILE", ""),
            ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem"),
            ("TAP_OPERATOR_CLOUD", "usgovdod"),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
            ("TAP_OPERATOR_USER_NAME", "objectId"),
            ("TAP_OPERATOR_USER_NAME_PREFIX", "entra:"),
        ])
        .unwrap();
        let path = PathBuf::from("/c.pem");
        assert_eq!(
            other.credential,
            Credential::ClientCertificate { certificate_file: path.clone(), key_file: path }
        );
        assert_eq!(other.scope(), "https://dod-graph.microsoft.us/.default");
        let endpoint =
            format!("https://login.microsoftonline.us/{}/oauth2/v2.0/token", other.tenant_id);
        assert_eq!(other.token_endpoint(), endpoint);
        assert_eq!(
            other.users,
            Some(UserNames { prefix: "entra:".into(), form: UserNameForm::ObjectId })
        );
        let simulator = from_environment(&[
            ("AZURE_AUTHORITY_HOST", "https://127.0.0.1:8443"),
            ("TAP_OPERATOR_GRAPH_URL", "https://Localhost:8443/"),
        ])
        .unwrap();
        assert_eq!(simulator.login_url, "https://127.0.0.1:8443");
        assert_eq!(simulator.graph_url, "https://localhost:8443");
    }

    #[test]
    fn each_credential_can_be_had_from_the_environment() {
        let no_secret = ("AZURE_CLIENT_SECRET_FILE", "");
        let of = |change| from_environment(&[no_secret, change]).unwrap().credential;
        assert_eq!(
            of(("AZURE_FEDERATED_TOKEN_FILE", "/t")),
            Credential::WorkloadIdentity { token_file: "/t".into() }
        );
        assert_eq!(of(("TAP_OPERATOR_MANAGED_IDENTITY", "true")), Credential::ManagedIdentity);
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_told_with_its_remedy() {
        for (changes, expected) in [
            (
                &[("AZURE_TENANT_ID", "")][..],
                "environment variable AZURE_TENANT_ID: is not set; set it, or describe the tenant connections in a file",
            ),
            (
                &[("AZURE_TENANT_ID", "contoso.com")],
                "environment variable AZURE_TENANT_ID: \"contoso.com\" is no GUID; take the tenant id from the Entra \
                 admin center, a GUID; a domain name will not do",
            ),
            (
                &[("AZURE_CLIENT_ID", "{0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11}")],
                "environment variable AZURE_CLIENT_ID: \"{0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11}\" is no GUID; take \
                 the application (client) id from the app registration, a GUID",
            ),
            (
                &[("AZURE_CLIENT_SECRET", "s3cr3t")],
                "environment variable AZURE_CLIENT_SECRET: a secret in the environment can be read by too many; mount \
                 it as a file and set AZURE_CLIENT_SECRET_FILE to its path",
            ),
            (
                &[("AZURE_CLIENT_CERTIFICATE_PASSWORD", "s3cr3t")],
                "environment variable AZURE_CLIENT_CERTIFICATE_PASSWORD: encrypted keys are not supported; mount \
                 certificate and key as PEM, the key not encrypted",
            ),
            (
                &[("AZURE_CLIENT_CERTIFICATE_PATH", "/c"), ("AZURE_FEDERATED_TOKEN_FILE", "/t")],
                "environment: there are 2 credentials: AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_CERTIFICATE_PATH; keep \
                 one of them",
            ),
            (
                &[("AZURE_CLIENT_SECRET_FILE", "")],
                "environment: there is no credential; set one of AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_SECRET_FILE, \
                 AZURE_CLIENT_CERTIFICATE_PATH or TAP_OPERATOR_MANAGED_IDENTITY=true",
            ),
            (
                &[("TAP_OPERATOR_MANAGED_IDENTITY", "yes")],
                "environment variable TAP_OPERATOR_MANAGED_IDENTITY: is \"yes\"; set it to true or false",
            ),
            (
                &[("TAP_OPERATOR_CLOUD", "china")],
                "environment variable TAP_OPERATOR_CLOUD: the cloud china (21Vianet) has no Temporary Access Pass in \
                 Graph v1.0; such a tenant cannot be managed until Microsoft adds it; remove the connection",
            ),
            (
                &[("TAP_OPERATOR_CLOUD", "GCC")],
                "environment variable TAP_OPERATOR_CLOUD: there is no cloud \"GCC\"; take global, usgov (GCC High) or \
                 usgovdod",
            ),
            (
                &[("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")],
                "environment variable AZURE_AUTHORITY_HOST: login.microsoftonline.us does not belong to the cloud \
                 global; set the cloud to usgov or usgovdod, or leave the URL out",
            ),
            (
                &[("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/")],
                "environment variable AZURE_AUTHORITY_HOST: the cloud china (21Vianet) has no Temporary Access Pass in \
                 Graph v1.0; such a tenant cannot be managed until Microsoft adds it; remove the connection",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "http://localhost:8080")],
                "environment variable TAP_OPERATOR_GRAPH_URL: \"http://localhost:8080\" is not https; write it as \
                 https://host or https://host:port",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "https://graph.microsoft.com/v1.0")],
                "environment variable TAP_OPERATOR_GRAPH_URL: \"https://graph.microsoft.com/v1.0\" has a path; write \
                 it as https://host or https://host:port",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "https://me:pw@graph.microsoft.com")],
                "environment variable TAP_OPERATOR_GRAPH_URL: the URL names a user; write it as https://host or \
                 https://host:port",
            ),
            (
                &[("TAP_OPERATOR_USER_NAME", "mail")],
                "environment variable TAP_OPERATOR_USER_NAME: is \"mail\"; set it to userPrincipalName or objectId",
            ),
            (
                &[("TAP_OPERATOR_USER_NAME_PREFIX", "entra:")],
                "environment variable TAP_OPERATOR_USER_NAME: is not set; set it to userPrincipalName or objectId",
            ),
        ] {
            let error = from_environment(changes).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.contains("s3cr3t"));
        }
    }

    fn file(entries: &str) -> Result<Vec<ConnectionConfig>, String> {
        let text = format!("tenants:\n{entries}");
        connections_from_text(&text, "tenants.yaml").map_err(|error| error.to_string())
    }

    fn entry(rest: &str) -> String {
        format!("- {{name: contoso, tenantId: {TENANT}, clientId: {CLIENT}, {rest}}}\n")
    }

    #[test]
    fn a_file_describes_several() {
        let text = format!(
            "- name: contoso
  tenantId: {TENANT}
  clientId: {CLIENT}
  credential: {{clientSecret: {{file: /s}}}}
  users: {{prefix: 'entra:', form: userPrincipalName}}
- name: fabrikam
  tenantId: {TENANT}
  clientId: {CLIENT}
  cloud: usgov
  credential: {{clientCertificate: {{certificateFile: /c, keyFile: /k}}}}
- {{name: a, tenantId: {TENANT}, clientId: {CLIENT}, credential: {{workloadIdentity: {{}}}}}}
- {{name: b, tenantId: {TENANT}, clientId: {CLIENT}, credential: {{workloadIdentity: {{tokenFile: /t}}}}}}
- name: c
  tenantId: {TENANT}
  clientId: {CLIENT}
  loginUrl: https://login.example
  graphUrl: https://graph.example:8443
  credential: {{managedIdentity: {{}}}}
"
        );
        let connections = file(&text).unwrap();
        let names: Vec<_> = connections.iter().map(|connection| connection.name.as_str()).collect();
        assert_eq!(names, ["contoso", "fabrikam", "a", "b", "c"]);
        let credentials: Vec<_> =
            connections.iter().map(|connection| connection.credential.clone()).collect();
        assert_eq!(
            credentials,
            [
                Credential::ClientSecret { file: "/s".into() },
                Credential::ClientCertificate {
                    certificate_file: "/c".into(),
                    key_file: "/k".into()
                },
                Credential::WorkloadIdentity { token_file: FEDERATED_TOKEN_FILE.into() },
                Credential::WorkloadIdentity { token_file: "/t".into() },
                Credential::ManagedIdentity,
            ]
        );
        assert_eq!(connections[1].graph_url, "https://graph.microsoft.us");
        assert_eq!(connections[4].graph_url, "https://graph.example:8443");
        assert_eq!(connections[4].login_url, "https://login.example");
        assert_eq!(connections[0].tenant_id, TENANT.to_ascii_lowercase());
        assert!(connections[0].users.is_some() && connections[1].users.is_none());
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_place_and_remedy() {
        let secret = "credential: {clientSecret: {file: /s}}";
        for (entries, expected) in [
            (
                " []".to_owned(),
                "tenants.yaml: there is no tenant in it; add at least one entry to tenants",
            ),
            (
                entry(secret) + &entry(secret),
                "tenants.yaml: tenants[1] (contoso): name: an earlier entry has this name; give each its own name",
            ),
            (
                entry(secret).replace("contoso", "Contoso"),
                "tenants.yaml: tenants[0] (Contoso): name: \"Contoso\" is no name; take lower case letters, digits and \
                 hyphens, at most 63, as for a Kubernetes label",
            ),
            (
                entry(secret).replace(TENANT, "contoso.com"),
                "tenants.yaml: tenants[0] (contoso): tenantId: \"contoso.com\" is no GUID; take the tenant id from the \
                 Entra admin center, a GUID; a domain name will not do",
            ),
            (
                entry("credential: {}"),
                "tenants.yaml: tenants[0] (contoso): credential: there must be exactly one credential; give one of \
                 clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, workloadIdentity: {} or \
                 managedIdentity: {}",
            ),
            (
                entry("credential: {managedIdentity: {}, clientSecret: {file: /s}}"),
                "tenants.yaml: tenants[0] (contoso): credential: there must be exactly one credential; give one of \
                 clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, workloadIdentity: {} or \
                 managedIdentity: {}",
            ),
            (
                entry(&format!("cloud: china, {secret}")),
                "tenants.yaml: tenants[0] (contoso): cloud: the cloud china (21Vianet) has no Temporary Access Pass in \
                 Graph v1.0; such a tenant cannot be managed until Microsoft adds it; remove the connection",
            ),
            (
                entry(&format!("graphUrl: 'http://x', {secret}")),
                "tenants.yaml: tenants[0] (contoso): graphUrl: \"http://x\" is not https; write it as https://host or \
                 https://host:port",
            ),
        ] {
            assert_eq!(file(&entries).unwrap_err(), expected);
        }
    }

    #[test]
    fn unknown_fields_and_other_forms_are_refused_by_name() {
        for (entries, part) in [
            (entry("credential: {clientSecret: {value: s3cr3t}}"), "clientSecret must be"),
            (entry("credential: {clientSecret: s3cr3t}"), "clientSecret must be"),
            (entry("credential: {clientSecret: {file: /s}}, region: eu"), "region"),
            (entry("credential: {password: {}}"), "password"),
            ("- {name: contoso}\n".to_owned(), "tenantId"),
            (" 7".to_owned(), "tenants"),
        ] {
            let error = file(&entries).unwrap_err();
            assert!(error.starts_with("tenants.yaml: "), "{error}");
            assert!(error.contains(part), "{error}");
            assert!(error.ends_with("[{name, tenantId, clientId, credential: {...}}]"), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = connections_from_file(Path::new("/does/not/exist.yaml")).unwrap_err();
        assert!(error.to_string().starts_with("/does/not/exist.yaml: cannot be read: "), "{error}");
    }

    #[test]
    fn user_names_of_the_cluster_map_to_the_tenants() {
        let by = |prefix: &str, form| UserNames { prefix: prefix.into(), form };
        let upn = by("entra:", UserNameForm::UserPrincipalName);
        let alice = EntraName::UserPrincipalName("alice@contoso.com".into());
        assert_eq!(upn.entra("entra:alice@contoso.com"), Some(alice.clone()));
        assert_eq!(by("", UserNameForm::UserPrincipalName).entra("alice@contoso.com"), Some(alice));
        assert_eq!(upn.entra("alice@contoso.com"), None);
        assert_eq!(upn.entra("entra:alice"), None);
        let id = by("", UserNameForm::ObjectId);
        let object = EntraName::ObjectId(TENANT.to_ascii_lowercase());
        assert_eq!(id.entra(TENANT), Some(object));
        assert_eq!(id.entra("alice@contoso.com"), None);
        let anything = by("", UserNameForm::UserPrincipalName);
        assert_eq!(anything.entra("system:serviceaccount:a:b@c"), None);
    }
}
