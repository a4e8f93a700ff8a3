//! The connections that a file describes.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::check::{Named, Setting, Unchecked};
use super::{ConnectionConfig, Credential};
use crate::api::Ceilings;
use crate::configuration::{self, ConfigError, Problem};
use crate::entra::{UserNameRule, UserNames};

/// Where the workload identity webhook mounts the token of the service account.
const FEDERATED_TOKEN_FILE: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// Reads connections from a YAML file.
pub fn connections_from_file(path: &Path) -> Result<Vec<ConnectionConfig>, ConfigError> {
    let text = configuration::read(path)?;
    connections_from_text(&text, &path.display().to_string())
}

/// Reads connections from a YAML text. `origin` is its name in messages.
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
        return Err(Problem::new("there is no tenant in the file", remedy).at(origin).into());
    }
    let mut connections: Vec<ConnectionConfig> = Vec::with_capacity(file.tenants.len());
    let mut complaints = Vec::new();
    for (index, tenant) in file.tenants.iter().enumerate() {
        let place = |at: &str| format!("{origin}: tenants[{index}] ({}): {at}", tenant.name);
        if file.tenants[..index].iter().any(|earlier| earlier.name == tenant.name) {
            let problem =
                Problem::new("an earlier entry has the same name", "give each entry its own name");
            complaints.push(problem.at(place("name")));
        }
        match tenant.check() {
            Ok(connection) => connections.push(connection),
            Err(problems) => {
                complaints.extend(problems.into_iter().map(|(at, problem)| problem.at(place(at))));
            }
        }
    }
    if complaints.is_empty() { Ok(connections) } else { Err(complaints.into_iter().collect()) }
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
    #[serde(default)]
    ceilings: Ceilings,
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

/// The usual messages quote the value, which may be the secret itself.
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

/// One rule, or a list of them.
struct UsersForm(Vec<UserNameRule>);

impl<'de> Deserialize<'de> for UsersForm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = UsersForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{form, prefix} or a list of such")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UsersForm, A::Error> {
                let rule = UserNameRule::deserialize(MapAccessDeserializer::new(map))?;
                Ok(UsersForm(vec![rule]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<UsersForm, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(UsersForm)
            }
        }
        from.deserialize_any(OneOrMore)
    }
}

impl TenantForm {
    fn check(&self) -> Result<ConnectionConfig, Vec<Named>> {
        Unchecked {
            name: &self.name,
            tenant_id: Setting { name: "tenantId", value: Ok(&self.tenant_id) },
            client_id: Setting { name: "clientId", value: Ok(&self.client_id) },
            cloud: Setting { name: "cloud", value: Ok(self.cloud.as_deref()) },
            login_url: Setting { name: "loginUrl", value: Ok(self.login_url.as_deref()) },
            graph_url: Setting { name: "graphUrl", value: Ok(self.graph_url.as_deref()) },
            credential: self.credential.check().map_err(|problem| ("credential", problem)),
            ceilings: Setting { name: "ceilings", value: Ok(self.ceilings.clone()) },
            users: Setting { name: "users", value: self.user_names() },
        }
        .check()
    }

    fn user_names(&self) -> Result<Option<UserNames>, Problem> {
        match &self.users {
            None => Ok(None),
            Some(UsersForm(rules)) if rules.is_empty() => {
                let remedy = "name at least one form, or leave users out";
                Err(Problem::new("there is no form of user names", remedy))
            }
            Some(UsersForm(rules)) => Ok(Some(UserNames::new(rules.iter().cloned()))),
        }
    }
}

impl CredentialForm {
    fn check(&self) -> Result<Credential, Problem> {
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
                "set one of clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, \
                 workloadIdentity: {} or managedIdentity: {}",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::Behind;

    const TENANT: &str = "7F2D6C1E-3B6A-4C64-9D0E-5A1C3E2B4F60";
    const CLIENT: &str = "0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11";

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
- name: a
  tenantId: {TENANT}
  clientId: {CLIENT}
  credential: {{workloadIdentity: {{}}}}
  users: [{{form: userPrincipalName, prefix: 'entra:'}}, {{form: objectId}}]
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
        let both = connections[2].users.as_ref().unwrap();
        for name in ["entra:alice@contoso.com", CLIENT] {
            assert!(matches!(both.behind(name), Behind::User(_)), "{name}");
        }
    }

    #[test]
    fn all_problems_of_a_file_are_told_at_once() {
        let entries = entry("credential: {}, cloud: mars, graphUrl: 'http://x'")
            + &entry("users: [], credential: {managedIdentity: {}}").replace(TENANT, "contoso.com");
        let error = file(&entries).unwrap_err();
        let places: Vec<&str> =
            error.lines().map(|line| line.rsplit("): ").next().unwrap_or_default()).collect();
        let places: Vec<&str> =
            places.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(places, ["cloud", "graphUrl", "credential", "name", "tenantId", "users"]);
    }

    #[test]
    fn a_problem_in_a_file_is_named_with_place_and_remedy() {
        let secret = "credential: {clientSecret: {file: /s}}";
        for (entries, expected) in [
            (
                " []".to_owned(),
                "tenants.yaml: there is no tenant in the file; add at least one entry to tenants",
            ),
            (
                entry(secret) + &entry(secret),
                "tenants.yaml: tenants[1] (contoso): name: an earlier entry has the same name; give each entry its \
                 own name",
            ),
            (
                entry(secret).replace("contoso", "Contoso"),
                "tenants.yaml: tenants[0] (Contoso): name: \"Contoso\" is not a valid name; use up to 63 lower case \
                 letters, digits and hyphens, and no hyphen at either end",
            ),
            (
                entry(secret).replace(TENANT, "contoso.com"),
                "tenants.yaml: tenants[0] (contoso): tenantId: \"contoso.com\" is not a GUID; use the tenant id from the \
                 Entra admin center; a domain name will not do",
            ),
            (
                entry("credential: {}"),
                "tenants.yaml: tenants[0] (contoso): credential: there must be exactly one credential; set one of \
                 clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, workloadIdentity: {} or \
                 managedIdentity: {}",
            ),
            (
                entry("credential: {managedIdentity: {}, clientSecret: {file: /s}}"),
                "tenants.yaml: tenants[0] (contoso): credential: there must be exactly one credential; set one of \
                 clientSecret: {file}, clientCertificate: {certificateFile, keyFile}, workloadIdentity: {} or \
                 managedIdentity: {}",
            ),
            (
                entry(&format!("cloud: china, {secret}")),
                "tenants.yaml: tenants[0] (contoso): cloud: Graph v1.0 of the cloud china (21Vianet) has no Temporary \
                 Access Pass; remove the connection: such a tenant cannot be managed until Microsoft adds it",
            ),
            (
                entry(&format!("graphUrl: 'http://x', {secret}")),
                "tenants.yaml: tenants[0] (contoso): graphUrl: \"http://x\" is not https; write https://host or \
                 https://host:port",
            ),
            (
                entry(&format!("ceilings: {{excludeGroups: [Break glass]}}, {secret}")),
                "tenants.yaml: tenants[0] (contoso): ceilings: excludeGroups: \"Break glass\" is not a GUID; name each by \
                 its object id",
            ),
            (
                entry(&format!("ceilings: {{domains: ['@contoso.com']}}, {secret}")),
                "tenants.yaml: tenants[0] (contoso): ceilings: domains: \"@contoso.com\" is not a domain; write domains \
                 such as contoso.com",
            ),
            (
                entry(&format!("ceilings: {{lifetime: 5m}}, {secret}")),
                "tenants.yaml: tenants[0] (contoso): ceilings: lifetime: \"5m\" is not between 10m and 720h; write hours \
                 and minutes, such as 90m or 8h",
            ),
            (
                entry(&format!("ceilings: {{directoryRoleHolderApprovals: 6}}, {secret}")),
                "tenants.yaml: tenants[0] (contoso): ceilings: directoryRoleHolderApprovals: a policy can ask for 5 \
                 approvals at most; ask for fewer",
            ),
            (
                entry(&format!("users: [], {secret}")),
                "tenants.yaml: tenants[0] (contoso): users: there is no form of user names; name at least one form, or \
                 leave users out",
            ),
        ] {
            assert_eq!(file(&entries).unwrap_err(), expected);
        }
    }

    #[test]
    fn unknown_fields_and_other_forms_are_refused_by_name() {
        let secret = "credential: {clientSecret: {file: /s}}";
        for (entries, part) in [
            (entry("credential: {clientSecret: {value: s3cr3t}}"), "clientSecret must be"),
            (entry("credential: {clientSecret: s3cr3t}"), "clientSecret must be"),
            (entry("credential: {clientSecret: {file: /s}}, region: eu"), "region"),
            (entry("credential: {password: {}}"), "password"),
            (entry(&format!("{secret}, ceilings: {{lifetimes: 8h}}")), "unknown field `lifetimes`"),
            (entry(&format!("{secret}, ceilings: {{delivery: Any}}")), "unknown variant `Any`"),
            (
                entry(&format!("{secret}, ceilings: {{directoryRoleHolders: Allow}}")),
                "unknown variant `Allow`",
            ),
            (entry(&format!("{secret}, users: [{{form: mail}}]")), "unknown variant `mail`"),
            (entry(&format!("{secret}, users: {{form: objectId, suffix: x}}")), "suffix"),
            (entry(&format!("{secret}, users: objectId")), "{form, prefix} or a list"),
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
        assert!(
            error.to_string().starts_with("/does/not/exist.yaml: the file cannot be read: "),
            "{error}"
        );
    }
}
