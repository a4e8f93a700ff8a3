//! The connection that the environment describes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::PathBuf;

use super::check::{Named, Setting, Unchecked};
use super::{ConnectionConfig, Credential};
use crate::api::Ceilings;
use crate::configuration::{ConfigError, Problem};
use crate::entra::{UserNameForm, UserNameRule, UserNames};

/// The name of the connection that the environment describes.
pub const DEFAULT_CONNECTION: &str = "default";

/// The variables that [`connections_from_env`] looks at.
pub const VARIABLES: &[&str] = &[
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_KEY_PATH",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "TAP_OPERATOR_CEILINGS_FILE",
    "TAP_OPERATOR_CLOUD",
    "TAP_OPERATOR_GRAPH_URL",
    "TAP_OPERATOR_MANAGED_IDENTITY",
    "TAP_OPERATOR_USER_NAME",
    "TAP_OPERATOR_USER_NAME_PREFIX",
];

/// Reads the connection `default` from the environment.
///
/// Required are `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`, and one credential: `AZURE_FEDERATED_TOKEN_FILE`,
/// `AZURE_CLIENT_SECRET_FILE`, `AZURE_CLIENT_CERTIFICATE_PATH` (with `AZURE_CLIENT_CERTIFICATE_KEY_PATH`, by default the
/// same file) or `TAP_OPERATOR_MANAGED_IDENTITY=true`. Optional are `TAP_OPERATOR_CLOUD`, `AZURE_AUTHORITY_HOST`,
/// `TAP_OPERATOR_GRAPH_URL`, `TAP_OPERATOR_CEILINGS_FILE`, and `TAP_OPERATOR_USER_NAME` (`userPrincipalName`, `objectId`, or both with
/// a comma between them), to which `TAP_OPERATOR_USER_NAME_PREFIX` may be added.
pub fn connections_from_env<S: BuildHasher>(
    environment: &HashMap<String, String, S>,
) -> Result<Vec<ConnectionConfig>, ConfigError> {
    let environment = Environment(&|name| environment.get(name).map(String::as_str));
    let connection = Unchecked {
        name: DEFAULT_CONNECTION,
        tenant_id: environment.required("AZURE_TENANT_ID"),
        client_id: environment.required("AZURE_CLIENT_ID"),
        cloud: environment.optional("TAP_OPERATOR_CLOUD"),
        login_url: environment.optional("AZURE_AUTHORITY_HOST"),
        graph_url: environment.optional("TAP_OPERATOR_GRAPH_URL"),
        credential: environment.credential(),
        users: Setting { name: "TAP_OPERATOR_USER_NAME", value: environment.users() },
        ceilings: environment.ceilings(),
    };
    let located = |(variable, problem): Named| problem.at(place(variable));
    let checked =
        connection.check().map_err(|problems| problems.into_iter().map(located).collect());
    checked.map(|connection| vec![connection])
}

/// The place of a variable; without a name, the environment as a whole.
fn place(variable: &str) -> String {
    if variable.is_empty() {
        "environment".to_owned()
    } else {
        format!("environment variable {variable}")
    }
}

struct Environment<'a>(&'a dyn Fn(&str) -> Option<&'a str>);

impl<'a> Environment<'a> {
    /// The value of a variable. An empty variable counts as not set.
    fn get(&self, name: &str) -> Option<&'a str> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not in the list");
        (self.0)(name).map(str::trim).filter(|value| !value.is_empty())
    }

    fn optional(&self, name: &'static str) -> Setting<Option<&'a str>> {
        Setting { name, value: Ok(self.get(name)) }
    }

    fn required(&self, name: &'static str) -> Setting<&'a str> {
        let remedy = "set it, or describe the tenant connections in a file";
        let value = self.get(name).ok_or_else(|| Problem::new("the variable is not set", remedy));
        Setting { name, value }
    }

    fn credential(&self) -> Result<Credential, Named> {
        if self.get("AZURE_CLIENT_SECRET").is_some() {
            let problem = Problem::new(
                "a secret in the environment is too easy to read",
                "mount it as a file and set AZURE_CLIENT_SECRET_FILE to its path",
            );
            return Err(("AZURE_CLIENT_SECRET", problem));
        }
        if self.get("AZURE_CLIENT_CERTIFICATE_PASSWORD").is_some() {
            let problem = Problem::new(
                "encrypted keys are not supported",
                "mount the certificate and the decrypted key in PEM form",
            );
            return Err(("AZURE_CLIENT_CERTIFICATE_PASSWORD", problem));
        }
        let managed = match self.get("TAP_OPERATOR_MANAGED_IDENTITY") {
            None | Some("false") => None,
            Some("true") => Some(Credential::ManagedIdentity),
            Some(other) => {
                let problem =
                    Problem::new(format!("the value is {other:?}"), "set it to true or false");
                return Err(("TAP_OPERATOR_MANAGED_IDENTITY", problem));
            }
        };
        let path = |name| self.get(name).map(PathBuf::from);
        let certificate = path("AZURE_CLIENT_CERTIFICATE_PATH").map(|certificate_file| {
            let key_file = path("AZURE_CLIENT_CERTIFICATE_KEY_PATH");
            let key_file = key_file.unwrap_or_else(|| certificate_file.clone());
            Credential::ClientCertificate { certificate_file, key_file }
        });
        let token = path("AZURE_FEDERATED_TOKEN_FILE");
        let secret = path("AZURE_CLIENT_SECRET_FILE");
        let mut found: Vec<(&str, Credential)> = [
            (
                "AZURE_FEDERATED_TOKEN_FILE",
                token.map(|token_file| Credential::WorkloadIdentity { token_file }),
            ),
            ("AZURE_CLIENT_SECRET_FILE", secret.map(|file| Credential::ClientSecret { file })),
            ("AZURE_CLIENT_CERTIFICATE_PATH", certificate),
            ("TAP_OPERATOR_MANAGED_IDENTITY", managed),
        ]
        .into_iter()
        .filter_map(|(name, credential)| Some((name, credential?)))
        .collect();
        // The workload identity webhook sets this variable in every pod that it sees. Any other credential was chosen by
        // a person, so it takes precedence.
        if found.len() > 1 {
            found.retain(|(name, _)| *name != "AZURE_FEDERATED_TOKEN_FILE");
        }
        if found.len() == 1 {
            return Ok(found.remove(0).1);
        }
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        let problem = if names.is_empty() {
            // Kubernetes sets the variable in every pod. Elsewhere, nobody knows of a webhook.
            let webhook = (self.0)("KUBERNETES_SERVICE_HOST").map_or("", |_| {
                "; if the webhook of workload identity should have set the first, it missed this pod: delete the pod once \
                 the webhook runs"
            });
            let remedy = format!(
                "set one of AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_CERTIFICATE_PATH or \
                 TAP_OPERATOR_MANAGED_IDENTITY=true{webhook}"
            );
            Problem::new("there is no credential", remedy)
        } else {
            let what = format!("there are {} credentials: {}", names.len(), names.join(", "));
            Problem::new(what, "keep one of them")
        };
        Err(("", problem))
    }

    fn ceilings(&self) -> Setting<Ceilings> {
        let name = "TAP_OPERATOR_CEILINGS_FILE";
        let value = self.get(name).map_or_else(|| Ok(Ceilings::default()), ceilings_in);
        Setting { name, value }
    }

    fn users(&self) -> Result<Option<UserNames>, Problem> {
        let prefix = self.get("TAP_OPERATOR_USER_NAME_PREFIX");
        let forms = match (self.get("TAP_OPERATOR_USER_NAME"), prefix) {
            (None, None) => return Ok(None),
            (forms, _) => forms.unwrap_or_default(),
        };
        let rule = |form: &str| {
            let form = match form.trim() {
                "userPrincipalName" => UserNameForm::UserPrincipalName,
                "objectId" => UserNameForm::ObjectId,
                other => return Err(other.to_owned()),
            };
            Ok(UserNameRule { prefix: prefix.unwrap_or_default().to_owned(), form })
        };
        let rules: Result<Vec<UserNameRule>, String> = forms.split(',').map(rule).collect();
        let rules = rules.map_err(|other| {
            let what = if forms.is_empty() {
                "the variable is not set".to_owned()
            } else {
                format!("the value is {other:?}")
            };
            let remedy =
                "set it to userPrincipalName or objectId, or both with a comma between them";
            Problem::new(what, remedy)
        })?;
        Ok(Some(UserNames::new(rules)))
    }
}

/// The ceilings in a file.
fn ceilings_in(path: &str) -> Result<Ceilings, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("the file {path} cannot be read: {error}");
        Problem::new(what, "mount the file there, or set another path")
    })?;
    crate::api::yaml::read(&text).map_err(|error| {
        let remedy = "the fields are those of ceilings of a tenant connection";
        Problem::new(format!("{path}: {error}"), remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::{Behind, Cloud};

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
                ceilings: Ceilings::default(),
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
            Some(UserNames::new([UserNameRule {
                prefix: "entra:".into(),
                form: UserNameForm::ObjectId
            }]))
        );
        let both = [("TAP_OPERATOR_USER_NAME", "userPrincipalName, objectId")];
        let both = from_environment(&both).unwrap().users.unwrap();
        for name in ["alice@contoso.com", CLIENT] {
            assert!(matches!(both.behind(name), Behind::User(_)), "{name}");
        }
        let simulator = from_environment(&[
            ("AZURE_AUTHORITY_HOST", "https://127.0.0.1:8443"),
            ("TAP_OPERATOR_GRAPH_URL", "https://Localhost:8443/"),
        ])
        .unwrap();
        assert_eq!(simulator.login_url, "https://127.0.0.1:8443");
        assert_eq!(simulator.graph_url, "https://localhost:8443");
    }

    #[test]
    fn the_environment_names_a_file_with_the_ceilings() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let named = || from_environment(&[("TAP_OPERATOR_CEILINGS_FILE", &path)]);
        std::fs::write(
            file.path(),
            "{lifetime: 2h, excludeUsers: [0D9A4F3C-62B1-4A57-8C5E-2F7BE1D06A11]}",
        )
        .unwrap();
        let ceilings = named().unwrap().ceilings;
        assert_eq!((ceilings.longest(), ceilings.exclude_users), (Some(120), vec![CLIENT.into()]));
        for (text, part) in
            [("lifetimes: 2h", "unknown field `lifetimes`"), ("lifetime: 1m", "\"1m\"")]
        {
            std::fs::write(file.path(), text).unwrap();
            let error = named().unwrap_err();
            assert!(
                error.starts_with("environment variable TAP_OPERATOR_CEILINGS_FILE: "),
                "{error}"
            );
            assert!(error.contains(part), "{error}");
        }
        let missing = from_environment(&[("TAP_OPERATOR_CEILINGS_FILE", "/does/not/exist")]);
        assert!(missing.unwrap_err().contains("/does/not/exist cannot be read"));
    }

    #[test]
    fn the_environment_can_have_each_credential() {
        let no_secret = ("AZURE_CLIENT_SECRET_FILE", "");
        let of = |change| from_environment(&[no_secret, change]).unwrap().credential;
        assert_eq!(
            of(("AZURE_FEDERATED_TOKEN_FILE", "/t")),
            Credential::WorkloadIdentity { token_file: "/t".into() }
        );
        assert_eq!(of(("TAP_OPERATOR_MANAGED_IDENTITY", "true")), Credential::ManagedIdentity);
    }

    #[test]
    fn all_problems_of_the_environment_are_told_at_once() {
        let error = from_environment(&[
            ("AZURE_TENANT_ID", ""),
            ("AZURE_CLIENT_SECRET_FILE", ""),
            ("TAP_OPERATOR_CLOUD", "GCC"),
            ("TAP_OPERATOR_USER_NAME", "mail"),
            ("TAP_OPERATOR_CEILINGS_FILE", "/does/not/exist"),
        ])
        .unwrap_err();
        let places: Vec<&str> =
            error.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(
            places,
            [
                "environment variable AZURE_TENANT_ID",
                "environment variable TAP_OPERATOR_CLOUD",
                "environment",
                "environment variable TAP_OPERATOR_USER_NAME",
                "environment variable TAP_OPERATOR_CEILINGS_FILE",
            ]
        );
    }

    #[test]
    fn a_problem_in_the_environment_is_named_with_its_remedy() {
        for (changes, expected) in [
            (
                &[("AZURE_TENANT_ID", "")][..],
                "environment variable AZURE_TENANT_ID: the variable is not set; set it, or describe the tenant connections in a file",
            ),
            (
                &[("AZURE_TENANT_ID", "contoso.com")],
                "environment variable AZURE_TENANT_ID: \"contoso.com\" is not a GUID; use the tenant id from the \
                 Entra admin center; a domain name will not do",
            ),
            (
                &[("AZURE_CLIENT_ID", "{0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11}")],
                "environment variable AZURE_CLIENT_ID: \"{0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11}\" is not a GUID; \
                 use the application (client) id from the app registration",
            ),
            (
                &[("AZURE_CLIENT_SECRET", "s3cr3t")],
                "environment variable AZURE_CLIENT_SECRET: a secret in the environment is too easy to read; mount \
                 it as a file and set AZURE_CLIENT_SECRET_FILE to its path",
            ),
            (
                &[("AZURE_CLIENT_CERTIFICATE_PASSWORD", "s3cr3t")],
                "environment variable AZURE_CLIENT_CERTIFICATE_PASSWORD: encrypted keys are not supported; mount \
                 the certificate and the decrypted key in PEM form",
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
                &[("AZURE_CLIENT_SECRET_FILE", ""), ("KUBERNETES_SERVICE_HOST", "10.96.0.1")],
                "environment: there is no credential; set one of AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_SECRET_FILE, \
                 AZURE_CLIENT_CERTIFICATE_PATH or TAP_OPERATOR_MANAGED_IDENTITY=true; if the webhook of workload identity \
                 should have set the first, it missed this pod: delete the pod once the webhook runs",
            ),
            (
                &[("TAP_OPERATOR_MANAGED_IDENTITY", "yes")],
                "environment variable TAP_OPERATOR_MANAGED_IDENTITY: the value is \"yes\"; set it to true or false",
            ),
            (
                &[("TAP_OPERATOR_CLOUD", "china")],
                "environment variable TAP_OPERATOR_CLOUD: Graph v1.0 of the cloud china (21Vianet) has no Temporary \
                 Access Pass; remove the connection: such a tenant cannot be managed until Microsoft adds it",
            ),
            (
                &[("TAP_OPERATOR_CLOUD", "GCC")],
                "environment variable TAP_OPERATOR_CLOUD: there is no cloud \"GCC\"; use global, usgov (GCC High) or \
                 usgovdod",
            ),
            (
                &[("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")],
                "environment variable AZURE_AUTHORITY_HOST: login.microsoftonline.us does not belong to the cloud \
                 global; set the cloud to usgov or usgovdod, or remove the URL",
            ),
            (
                &[("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/")],
                "environment variable AZURE_AUTHORITY_HOST: Graph v1.0 of the cloud china (21Vianet) has no Temporary \
                 Access Pass; remove the connection: such a tenant cannot be managed until Microsoft adds it",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "http://localhost:8080")],
                "environment variable TAP_OPERATOR_GRAPH_URL: \"http://localhost:8080\" is not https; write \
                 https://host or https://host:port",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "https://graph.microsoft.com/v1.0")],
                "environment variable TAP_OPERATOR_GRAPH_URL: \"https://graph.microsoft.com/v1.0\" has a path; write \
                 https://host or https://host:port",
            ),
            (
                &[("TAP_OPERATOR_GRAPH_URL", "https://me:pw@graph.microsoft.com")],
                "environment variable TAP_OPERATOR_GRAPH_URL: the URL contains a user name; write https://host or \
                 https://host:port",
            ),
            (
                &[("TAP_OPERATOR_USER_NAME", "mail")],
                "environment variable TAP_OPERATOR_USER_NAME: the value is \"mail\"; set it to userPrincipalName or objectId, or both with a comma between them",
            ),
            (
                &[("TAP_OPERATOR_USER_NAME_PREFIX", "entra:")],
                "environment variable TAP_OPERATOR_USER_NAME: the variable is not set; set it to userPrincipalName or objectId, or both with a comma between them",
            ),
        ] {
            let error = from_environment(changes).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.contains("s3cr3t"));
        }
    }
}
