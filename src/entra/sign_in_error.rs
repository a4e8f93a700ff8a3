//! Why Entra gave no token.

/// Why Entra gave no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInErrorKind {
    /// The file with the secret, certificate, key or token is missing, unreadable or has the wrong content.
    CredentialFile,
    /// The client secret is wrong.
    WrongSecret,
    /// The client secret has expired.
    ExpiredSecret,
    /// The app registration does not have the certificate, or the signature is wrong.
    WrongCertificate,
    /// The assertion is not valid now: the clock is wrong, or the service account token is old.
    AssertionTime,
    /// No federated credential of the app registration matches the service account token.
    NoFederatedCredential,
    /// The app does not exist in the tenant.
    AppNotInTenant,
    /// The app is disabled in the tenant.
    AppDisabled,
    /// The tenant does not exist in this cloud.
    TenantNotFound,
    /// The tenant, the login URL and the Graph URL belong to different clouds.
    WrongCloud,
    /// Conditional Access for workload identities blocks the app.
    BlockedByPolicy,
    /// The token is for a tenant other than the connection's, which can happen with a managed identity.
    WrongTenant,
    /// The managed identity does not exist, or its endpoint cannot be reached from this pod.
    ManagedIdentity,
    /// Entra asks the client to wait.
    Throttled,
    /// Entra cannot be reached or does not work.
    Unavailable,
    /// Entra refused for another reason.
    Other,
}

/// What becomes of what time may heal.
pub(super) const AGAIN: &str = "the operator tries again";

impl SignInErrorKind {
    /// The meaning of the number after `AADSTS`.
    ///
    /// Documented: 7000222, 700016, 90002, 50012, 70011, 500011, 90055 and the 9003x about clouds. The others are
    /// reported or common knowledge.
    pub(crate) fn of_aadsts(number: u64) -> Option<Self> {
        Some(match number {
            7_000_215 | 7_000_216 | 7_000_218 => Self::WrongSecret,
            7_000_222 => Self::ExpiredSecret,
            700_027 | 50_012 => Self::WrongCertificate,
            700_024 => Self::AssertionTime,
            70_021 | 70_025 | 700_211 | 700_212 | 700_213 | 7_002_138 | 7_000_272 | 50_013
            | 501_661 => Self::NoFederatedCredential,
            700_016 => Self::AppNotInTenant,
            7_000_112 => Self::AppDisabled,
            90_002 => Self::TenantNotFound,
            90_038 | 900_382 | 900_432 | 500_011 | 70_011 | 1_002_012 | 700_023 => Self::WrongCloud,
            53_003 => Self::BlockedByPolicy,
            90_055 | 50_196 => Self::Throttled,
            _ => return None,
        })
    }

    /// Whether a right sign-in is refused like this now and then, so that it is worth trying again at once (reported for
    /// federated credentials).
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::NoFederatedCredential | Self::AssertionTime)
    }

    /// What a person can do about it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::CredentialFile => {
                "mount the file, and check its path in the tenant connection, or in AZURE_CLIENT_SECRET_FILE, \
                 AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE"
            }
            Self::WrongSecret => {
                "the client secret is wrong: put the secret's value, not its id, into the mounted file"
            }
            Self::ExpiredSecret => {
                "the client secret has expired: add a new one to the app registration and to the mounted file"
            }
            Self::WrongCertificate => {
                "upload the public certificate to the app registration, and mount it together with its private key; \
                 replace it if it has expired"
            }
            Self::AssertionTime => {
                "check the clock of the node, and that the mounted service account token is renewed"
            }
            Self::NoFederatedCredential => {
                "add a federated credential to the app registration with exactly the cluster's issuer, the subject \
                 system:serviceaccount:<namespace>:<name> and the audience of the mounted token; Entra must be able to \
                 fetch the issuer's keys"
            }
            Self::AppNotInTenant => {
                "check the client id and the tenant id, and give the app consent in that tenant"
            }
            Self::AppDisabled => "enable the enterprise application in the tenant",
            Self::TenantNotFound => "check the tenant id and the cloud of the tenant connection",
            Self::WrongCloud => {
                "set the cloud and the URLs of the tenant connection to those of the tenant's cloud"
            }
            Self::BlockedByPolicy => {
                "a Conditional Access policy for workload identities blocks the app: exclude the app there, or allow this network"
            }
            Self::WrongTenant => {
                "set the tenant id of the connection to the tenant of the identity"
            }
            Self::ManagedIdentity => {
                "assign the managed identity to the node or workload, and allow the pod to reach the identity endpoint"
            }
            Self::Throttled | Self::Unavailable => AGAIN,
            Self::Other => "look up the number in Entra's list of sign-in errors",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entras_numbers_are_understood() {
        use SignInErrorKind as Kind;
        for (number, kind) in [
            (7_000_215, Some(Kind::WrongSecret)),
            (7_000_222, Some(Kind::ExpiredSecret)),
            (700_016, Some(Kind::AppNotInTenant)),
            (90_002, Some(Kind::TenantNotFound)),
            (700_213, Some(Kind::NoFederatedCredential)),
            (700_027, Some(Kind::WrongCertificate)),
            (500_011, Some(Kind::WrongCloud)),
            (53_003, Some(Kind::BlockedByPolicy)),
            (1, None),
        ] {
            assert_eq!(Kind::of_aadsts(number), kind, "{number}");
        }
    }
}
