//! What a tenant starts with: the seed, as a YAML or JSON file or as `Tenant::contoso()`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::{Uuid, uuid};

use crate::policy::PolicyValues;

/// The tenant id of [`Tenant::contoso`].
pub const CONTOSO: Uuid = uuid!("7f2d6c1e-3b6a-4c64-9d0e-5a1c3e2b4f60");
/// The client id of the app `tap-operator` in [`Tenant::contoso`].
pub const OPERATOR: Uuid = uuid!("0d9a4f3c-62b1-4a57-8c5e-2f7be1d06a11");
/// The client secret of that app.
pub const OPERATOR_SECRET: &str = "sim~Contoso.tap-operator_secret-0001";
/// Alice, a member of the pilot group.
pub const ALICE: Uuid = uuid!("a11ce000-0000-4000-8000-000000000001");
/// Bob, a member of the pilot group.
pub const BOB: Uuid = uuid!("b0b00000-0000-4000-8000-000000000002");
/// Carol, a member in no group.
pub const CAROL: Uuid = uuid!("ca201000-0000-4000-8000-000000000003");
/// Dave, whose account is disabled.
pub const DAVE: Uuid = uuid!("da4e0000-0000-4000-8000-000000000004");
/// Erin, an external guest (B2B).
pub const ERIN: Uuid = uuid!("e2100000-0000-4000-8000-000000000005");
/// Frank, an internal guest: `userType` Guest with credentials in this tenant.
pub const FRANK: Uuid = uuid!("f2a70000-0000-4000-8000-000000000006");
/// Grace, a Global Administrator.
pub const GRACE: Uuid = uuid!("62ace000-0000-4000-8000-000000000007");
/// Heidi, who holds the Helpdesk Administrator role through a group.
pub const HEIDI: Uuid = uuid!("be1d1000-0000-4000-8000-000000000008");
/// The group "Helpdesk pilot": Alice, Bob, Dave, Frank, Grace, Heidi.
pub const PILOT_GROUP: Uuid = uuid!("6c1f0000-0000-4000-8000-000000000101");
/// The group "All staff", whose members are the pilot group and Carol.
pub const STAFF_GROUP: Uuid = uuid!("57aff000-0000-4000-8000-000000000102");
/// The group "Break glass", without members.
pub const BREAK_GLASS_GROUP: Uuid = uuid!("91aa0000-0000-4000-8000-000000000103");
/// The group "Helpdesk administrators": Heidi.
pub const HELPDESK_ADMINS_GROUP: Uuid = uuid!("be1b0000-0000-4000-8000-000000000104");
/// The directory role object of the Global Administrators.
pub const GLOBAL_ADMINISTRATORS: Uuid = uuid!("62e90000-0000-4000-8000-000000000201");
/// The directory role object of the Helpdesk Administrators.
pub const HELPDESK_ADMINISTRATORS: Uuid = uuid!("72982000-0000-4000-8000-000000000202");
/// The template of the Global Administrator role, the same in every tenant.
pub const GLOBAL_ADMINISTRATOR_TEMPLATE: Uuid = uuid!("62e90394-69f5-4237-9190-012177145e10");
/// The template of the Helpdesk Administrator role, the same in every tenant.
pub const HELPDESK_ADMINISTRATOR_TEMPLATE: Uuid = uuid!("729827e3-9c14-49f7-bb1b-9608f156bbb8");

/// What a tenant starts with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// The tenant id.
    pub id: Uuid,
    /// The organization's name.
    pub display_name: String,
    /// Verified domains, the default one first. At least one.
    pub domains: Vec<String>,
    /// App registrations with their service principals.
    #[serde(default)]
    pub apps: Vec<App>,
    /// The policy for Temporary Access Passes.
    #[serde(default)]
    pub policy: PolicyValues,
    /// The users.
    #[serde(default)]
    pub users: Vec<User>,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The activated directory roles.
    #[serde(default)]
    pub directory_roles: Vec<DirectoryRole>,
    /// Assignments of roles beside those of `directoryRoles`: scoped ones, and of custom roles. No `directoryRole` shows them.
    #[serde(default)]
    pub role_assignments: Vec<RoleAssignment>,
    /// Roles that a principal may activate (Privileged Identity Management).
    #[serde(default)]
    pub role_eligibilities: Vec<RoleEligibility>,
    /// Groups whose membership or ownership a principal may activate (Privileged Identity Management for Groups).
    #[serde(default)]
    pub group_eligibilities: Vec<GroupEligibility>,
    /// Conditional Access policies, in Graph's form. What one leaves out is null or empty, and its strength may be an id alone.
    #[serde(default)]
    pub conditional_access_policies: Vec<Value>,
    /// Authentication strengths beside the built-in ones, in Graph's form.
    #[serde(default)]
    pub authentication_strengths: Vec<Value>,
    /// The keys of the token issuers that federated credentials name.
    #[serde(default)]
    pub issuers: Vec<Issuer>,
}

/// An app registration and its service principal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// The client id.
    pub client_id: Uuid,
    /// The object id of the service principal.
    #[serde(default = "Uuid::new_v4")]
    pub service_principal_id: Uuid,
    /// The display name.
    pub name: String,
    /// Whether the app may sign in.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Names of the granted application permissions.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Client secrets.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// Certificates.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Federated identity credentials.
    #[serde(default)]
    pub federated_credentials: Vec<FederatedCredential>,
}

/// A client secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secret {
    /// The secret itself.
    pub value: String,
    /// When it ends; absent: never.
    #[serde(default)]
    pub end_date_time: Option<Timestamp>,
}

/// A certificate, as in Graph's `keyCredential`: what counts are the dates beside it, not those inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The certificate as PEM, or as base64 of its DER.
    pub key: String,
    /// When it begins; absent: always was valid.
    #[serde(default)]
    pub start_date_time: Option<Timestamp>,
    /// When it ends; absent: never.
    #[serde(default)]
    pub end_date_time: Option<Timestamp>,
}

/// A federated identity credential: whose tokens are as good as a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederatedCredential {
    /// Its name.
    pub name: String,
    /// The token's `iss`, compared exactly.
    pub issuer: String,
    /// The token's `sub`, compared exactly.
    pub subject: String,
    /// The token's `aud`, compared exactly.
    #[serde(default = "exchange_audience")]
    pub audience: String,
    /// When it was made; absent: long ago.
    #[serde(default)]
    pub created_date_time: Option<Timestamp>,
}

/// A token issuer and its keys, in place of fetching them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Its JSON Web Key Set; RSA keys count.
    pub jwks: Value,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// The object id.
    pub id: Uuid,
    /// The user principal name.
    pub user_principal_name: String,
    /// The display name.
    pub display_name: String,
    /// Whether the user may sign in.
    #[serde(default = "yes")]
    pub account_enabled: bool,
    /// Member or Guest.
    #[serde(default)]
    pub user_type: UserType,
    /// How the user signs in; left out: the user principal name in this tenant.
    #[serde(default)]
    pub identities: Option<Vec<Identity>>,
    /// For B2B guests: `PendingAcceptance` or `Accepted`.
    #[serde(default)]
    pub external_user_state: Option<String>,
    /// Whether the user is in a restricted management administrative unit: applications cannot write their methods
    /// (reported).
    #[serde(default)]
    pub is_management_restricted: bool,
    /// The primary mail address; not unique.
    #[serde(default)]
    pub mail: Option<String>,
    /// Mail addresses with their kind: `SMTP:` for the primary one, `smtp:` for the others.
    #[serde(default)]
    pub proxy_addresses: Vec<String>,
    /// The registered methods, by the type that Graph gives them, without password and passes: `fido2`, `phone`, ...
    #[serde(default)]
    pub methods: Vec<String>,
    /// Whether the user is synchronized from an on-premises directory.
    #[serde(default)]
    pub on_premises_sync_enabled: Option<bool>,
    /// When the user was made; absent: long ago.
    #[serde(default)]
    pub created_date_time: Option<Timestamp>,
}

/// Graph's `userType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserType {
    /// A member of the organization.
    #[default]
    Member,
    /// A guest.
    Guest,
}

/// Graph's `objectIdentity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// `userPrincipalName`, `federated`, ...
    pub sign_in_type: String,
    /// A domain of this tenant, or `ExternalAzureAD`.
    pub issuer: String,
    /// The name at that issuer.
    #[serde(default)]
    pub issuer_assigned_id: Option<String>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// The object id.
    pub id: Uuid,
    /// The display name; not unique.
    pub display_name: String,
    /// Whether it may hold directory roles, or be eligible for them.
    #[serde(default)]
    pub is_assignable_to_role: bool,
    /// `Public`, `Private` or `HiddenMembership`; absent: null.
    #[serde(default)]
    pub visibility: Option<String>,
    /// Ids of users and groups.
    #[serde(default)]
    pub members: Vec<Uuid>,
}

/// An activated directory role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryRole {
    /// The object id.
    pub id: Uuid,
    /// The template, the same in every tenant; also the id of the role's definition.
    pub role_template_id: Uuid,
    /// The display name.
    pub display_name: String,
    /// Ids of users and groups.
    #[serde(default)]
    pub members: Vec<Uuid>,
}

/// A role that is assigned to a principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleAssignment {
    /// User, group or service principal.
    pub principal_id: Uuid,
    /// The role's definition: the template id of a built-in role, the own id of a custom one.
    pub role_definition_id: Uuid,
    /// `/` for the tenant, `/administrativeUnits/{id}`, or `/{id}` of an application or another object.
    #[serde(default = "whole_tenant")]
    pub directory_scope_id: String,
}

/// A role that a principal may activate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleEligibility {
    /// User or group.
    pub principal_id: Uuid,
    /// The role's definition: the template id of a built-in role, the own id of a custom one.
    pub role_definition_id: Uuid,
    /// As in [`RoleAssignment`].
    #[serde(default = "whole_tenant")]
    pub directory_scope_id: String,
    /// From when on; absent: long ago. One that begins later is a schedule without an instance.
    #[serde(default)]
    pub start_date_time: Option<Timestamp>,
}

/// A group whose membership or ownership a principal may activate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupEligibility {
    /// The group.
    pub group_id: Uuid,
    /// User or group.
    pub principal_id: Uuid,
    /// Member or owner.
    #[serde(default)]
    pub access_id: GroupAccess,
}

/// Graph's `privilegedAccessGroupRelationships`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupAccess {
    /// A member.
    #[default]
    Member,
    /// An owner, who can add members.
    Owner,
}

impl RoleEligibility {
    /// A role that a principal may activate for the whole tenant, since long.
    pub fn of(principal_id: Uuid, role_definition_id: Uuid) -> Self {
        Self {
            principal_id,
            role_definition_id,
            directory_scope_id: whole_tenant(),
            start_date_time: None,
        }
    }
}

impl User {
    /// An enabled member who signs in with this name.
    pub fn member(id: Uuid, user_principal_name: &str, display_name: &str) -> Self {
        Self {
            id,
            user_principal_name: user_principal_name.into(),
            display_name: display_name.into(),
            account_enabled: true,
            user_type: UserType::Member,
            identities: None,
            external_user_state: None,
            is_management_restricted: false,
            mail: None,
            proxy_addresses: Vec::new(),
            methods: Vec::new(),
            on_premises_sync_enabled: None,
            created_date_time: None,
        }
    }

    /// Whether the user's credentials are in another tenant.
    pub(crate) fn is_external(&self) -> bool {
        let elsewhere = |identity: &Identity| {
            identity.sign_in_type == "federated" && identity.issuer == "ExternalAzureAD"
        };
        self.identities.iter().flatten().any(elsewhere)
    }
}

impl Tenant {
    /// Reads a seed from YAML or JSON.
    pub fn from_yaml(text: &str) -> Result<Self, InvalidTenant> {
        let tenant: Self =
            serde_yaml::from_str(text).map_err(|error| InvalidTenant(error.to_string()))?;
        if tenant.domains.is_empty() {
            return Err(InvalidTenant("a tenant needs at least one domain".into()));
        }
        Ok(tenant)
    }

    /// A small tenant with one user of each kind and the app `tap-operator`, which holds what the operator needs.
    ///
    /// Its ids are the constants of this module.
    pub fn contoso() -> Self {
        let mut dave = User::member(DAVE, "dave@contoso.com", "Dave Disabled");
        dave.account_enabled = false;
        let mut erin = User::member(ERIN, "erin_fabrikam.com#EXT#@contoso.com", "Erin External");
        erin.user_type = UserType::Guest;
        erin.external_user_state = Some("Accepted".into());
        erin.identities = Some(vec![Identity {
            sign_in_type: "federated".into(),
            issuer: "ExternalAzureAD".into(),
            issuer_assigned_id: None,
        }]);
        let mut frank = User::member(FRANK, "frank@contoso.com", "Frank Internal-Guest");
        frank.user_type = UserType::Guest;
        let group = |id, name: &str, members: &[Uuid]| Group {
            id,
            display_name: name.into(),
            is_assignable_to_role: id == HELPDESK_ADMINS_GROUP,
            visibility: None,
            members: members.to_vec(),
        };
        let role = |id, role_template_id, name: &str, members: &[Uuid]| DirectoryRole {
            id,
            role_template_id,
            display_name: name.into(),
            members: members.to_vec(),
        };
        Self {
            id: CONTOSO,
            display_name: "Contoso".into(),
            domains: vec!["contoso.com".into(), "contoso.onmicrosoft.com".into()],
            apps: vec![App {
                client_id: OPERATOR,
                service_principal_id: uuid!("5e2f1c00-0000-4000-8000-000000000301"),
                name: "tap-operator".into(),
                enabled: true,
                roles: [
                    "UserAuthMethod-TAP.ReadWrite.All",
                    "Policy.ReadWrite.AuthenticationMethod",
                    "User.Read.All",
                    "GroupMember.Read.All",
                    "RoleManagement.Read.Directory",
                    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
                ]
                .map(String::from)
                .to_vec(),
                secrets: vec![Secret { value: OPERATOR_SECRET.into(), end_date_time: None }],
                certificates: Vec::new(),
                federated_credentials: Vec::new(),
            }],
            policy: PolicyValues::default(),
            users: vec![
                User::member(ALICE, "alice@contoso.com", "Alice Adams"),
                User::member(BOB, "bob@contoso.com", "Bob Brown"),
                User::member(CAROL, "carol@contoso.com", "Carol Clark"),
                dave,
                erin,
                frank,
                User::member(GRACE, "grace@contoso.com", "Grace Global-Admin"),
                User::member(HEIDI, "heidi@contoso.com", "Heidi Helpdesk"),
            ],
            groups: vec![
                group(PILOT_GROUP, "Helpdesk pilot", &[ALICE, BOB, DAVE, FRANK, GRACE, HEIDI]),
                group(STAFF_GROUP, "All staff", &[PILOT_GROUP, CAROL]),
                group(BREAK_GLASS_GROUP, "Break glass", &[]),
                group(HELPDESK_ADMINS_GROUP, "Helpdesk administrators", &[HEIDI]),
            ],
            directory_roles: vec![
                role(
                    GLOBAL_ADMINISTRATORS,
                    GLOBAL_ADMINISTRATOR_TEMPLATE,
                    "Global Administrator",
                    &[GRACE],
                ),
                role(
                    HELPDESK_ADMINISTRATORS,
                    HELPDESK_ADMINISTRATOR_TEMPLATE,
                    "Helpdesk Administrator",
                    &[HELPDESK_ADMINS_GROUP],
                ),
            ],
            role_assignments: Vec::new(),
            role_eligibilities: Vec::new(),
            group_eligibilities: Vec::new(),
            conditional_access_policies: Vec::new(),
            authentication_strengths: Vec::new(),
            issuers: Vec::new(),
        }
    }
}

/// A seed that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the tenant file: {0}")]
pub struct InvalidTenant(String);

fn yes() -> bool {
    true
}

fn whole_tenant() -> String {
    "/".into()
}

fn exchange_audience() -> String {
    "api://AzureADTokenExchange".into()
}
