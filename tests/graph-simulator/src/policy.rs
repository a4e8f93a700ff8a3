//! The tenant's policy for Temporary Access Passes: its values, what Graph accepts for them, and its form on the wire.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    switches::{EmptyTargets, PolicyErrorCode, ResetState, Switches, UserTargets},
    wire::Refusal,
};

/// The type name without which Graph refuses a change (documented).
pub(crate) const ODATA_TYPE: &str =
    "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration";
/// The target that stands for everybody (documented).
pub(crate) const ALL_USERS: &str = "all_users";
/// The id as it comes back, whatever the request's spelling (documented).
pub(crate) const POLICY_ID: &str = "TemporaryAccessPass";

/// The values of the tenant's TAP policy. Its serde form is also that of the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyValues {
    /// Whether the method is on.
    pub state: MethodState,
    /// Lifetime of a pass that asks for none, in minutes, 10 to 43200.
    pub default_lifetime_in_minutes: u32,
    /// Characters in a code, 8 to 48.
    pub default_length: u32,
    /// Shortest lifetime a pass may ask for, in minutes, 10 to 43200.
    pub minimum_lifetime_in_minutes: u32,
    /// Longest lifetime a pass may ask for, in minutes, 10 to 43200.
    pub maximum_lifetime_in_minutes: u32,
    /// True: every pass of the tenant is one-time. False: each request chooses.
    pub is_usable_once: bool,
    /// Who may sign in with a pass.
    pub include_targets: Vec<IncludeTarget>,
    /// Who may not; wins over `include_targets`.
    pub exclude_targets: Vec<ExcludeTarget>,
}

/// Graph's `authenticationMethodState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MethodState {
    /// Passes can be used.
    Enabled,
    /// No pass can be used.
    Disabled,
}

/// Graph's `authenticationMethodTarget`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IncludeTarget {
    /// Group or user id, or `all_users`.
    pub id: String,
    /// What the id names.
    pub target_type: TargetType,
    /// Kept and given back; without effect on passes.
    #[serde(default)]
    pub is_registration_required: bool,
}

/// Graph's `excludeTarget`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExcludeTarget {
    /// Group or user id.
    pub id: String,
    /// What the id names.
    pub target_type: TargetType,
}

/// Graph's `authenticationMethodTargetType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetType {
    /// A single user.
    User,
    /// A group, or `all_users`.
    Group,
}

impl Default for PolicyValues {
    /// The documented defaults of a tenant, switched on.
    fn default() -> Self {
        Self {
            state: MethodState::Enabled,
            default_lifetime_in_minutes: 60,
            default_length: 8,
            minimum_lifetime_in_minutes: 60,
            maximum_lifetime_in_minutes: 480,
            is_usable_once: false,
            include_targets: vec![IncludeTarget {
                id: ALL_USERS.into(),
                target_type: TargetType::Group,
                is_registration_required: false,
            }],
            exclude_targets: Vec::new(),
        }
    }
}

impl PolicyValues {
    /// What DELETE leaves behind.
    pub(crate) fn reset(switches: &Switches) -> Self {
        let state = match switches.reset_state {
            ResetState::Disabled => MethodState::Disabled,
            ResetState::Enabled => MethodState::Enabled,
        };
        Self { state, ..Self::default() }
    }

    /// Whether a user with these groups (their ids, nested ones included) is in the policy's scope.
    pub(crate) fn covers(&self, user: Uuid, groups: &[Uuid]) -> bool {
        let names = |kind: TargetType, id: &str| match kind {
            TargetType::Group if id == ALL_USERS => true,
            TargetType::Group => Uuid::parse_str(id).is_ok_and(|id| groups.contains(&id)),
            TargetType::User => Uuid::parse_str(id) == Ok(user),
        };
        self.include_targets.iter().any(|target| names(target.target_type, &target.id))
            && !self.exclude_targets.iter().any(|target| names(target.target_type, &target.id))
    }

    /// As Graph answers a GET.
    pub(crate) fn wire(&self, base: &str) -> Value {
        let metadata = format!("{base}/v1.0/$metadata#");
        let mut body = self.inline(base);
        body.insert(
            "@odata.context".into(),
            format!("{metadata}authenticationMethodConfigurations/$entity").into(),
        );
        Value::Object(body)
    }

    /// As it stands inside the parent policy.
    pub(crate) fn inline(&self, base: &str) -> Map<String, Value> {
        let targets = format!(
            "{base}/v1.0/$metadata#policies/authenticationMethodsPolicy/authenticationMethodConfigurations('{POLICY_ID}')\
             /microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration/includeTargets"
        );
        let mut body = match json!(self) {
            Value::Object(body) => body,
            _ => Map::new(),
        };
        body.insert("@odata.type".into(), ODATA_TYPE.into());
        body.insert("id".into(), POLICY_ID.into());
        body.insert("includeTargets@odata.context".into(), targets.into());
        body
    }

    /// The values after a PATCH with this body, or why Graph refuses it.
    ///
    /// `known` tells whether an object id exists in the directory.
    pub(crate) fn patched(
        &self,
        body: &Value,
        switches: &Switches,
        known: impl Fn(Uuid) -> bool,
    ) -> Result<Self, Refusal> {
        let refuse = |message: String| {
            Err(Refusal::new(
                400,
                match switches.policy_error_code {
                    PolicyErrorCode::BadRequest => "badRequest",
                    PolicyErrorCode::Empty => "",
                },
                message,
            ))
        };
        let Some(fields) = body.as_object() else {
            return refuse("The request body must be an object.".into());
        };
        match fields.get("@odata.type").and_then(Value::as_str) {
            Some(ODATA_TYPE) => {}
            Some(other) => {
                return refuse(format!("The type '{other}' does not match the resource."));
            }
            None => return refuse("The property '@odata.type' is missing.".into()),
        }
        let mut next = self.clone();
        for (name, value) in fields {
            let outcome = match name.as_str() {
                "@odata.type" => Ok(()),
                "id" if value == POLICY_ID => Ok(()),
                "state" => read(value).map(|read| next.state = read),
                "defaultLifetimeInMinutes" => {
                    read(value).map(|read| next.default_lifetime_in_minutes = read)
                }
                "defaultLength" => read(value).map(|read| next.default_length = read),
                "minimumLifetimeInMinutes" => {
                    read(value).map(|read| next.minimum_lifetime_in_minutes = read)
                }
                "maximumLifetimeInMinutes" => {
                    read(value).map(|read| next.maximum_lifetime_in_minutes = read)
                }
                "isUsableOnce" => read(value).map(|read| next.is_usable_once = read),
                "includeTargets" => {
                    read_targets(value, switches).map(|read| next.include_targets = read)
                }
                "excludeTargets" => {
                    read(&without_annotations(value)).map(|read| next.exclude_targets = read)
                }
                annotation if annotation.contains("@odata.") && switches.tolerate_annotations => {
                    Ok(())
                }
                _ => Err("no such property".to_owned()),
            };
            if let Err(reason) = outcome {
                return refuse(format!("Invalid value for '{name}': {reason}."));
            }
        }
        if switches.recalculate_default_lifetime && !fields.contains_key("defaultLifetimeInMinutes")
        {
            let minimum = next.minimum_lifetime_in_minutes;
            let maximum = next.maximum_lifetime_in_minutes.max(minimum);
            next.default_lifetime_in_minutes =
                next.default_lifetime_in_minutes.clamp(minimum, maximum);
        }
        match next.fault(switches, known) {
            Some(message) => refuse(message),
            None => Ok(next),
        }
    }

    /// What Graph would not accept about these values.
    fn fault(&self, switches: &Switches, known: impl Fn(Uuid) -> bool) -> Option<String> {
        let lifetimes = [
            ("minimumLifetimeInMinutes", self.minimum_lifetime_in_minutes),
            ("defaultLifetimeInMinutes", self.default_lifetime_in_minutes),
            ("maximumLifetimeInMinutes", self.maximum_lifetime_in_minutes),
        ];
        for (name, minutes) in lifetimes {
            if !(10..=43_200).contains(&minutes) {
                return Some(format!(
                    "Invalid {name} specified. The valid range is between 10 and 43200."
                ));
            }
        }
        if !lifetimes.is_sorted_by_key(|(_, minutes)| *minutes) {
            return Some(
                "The default lifetime must be between the minimum and the maximum lifetime.".into(),
            );
        }
        if !(8..=48).contains(&self.default_length) {
            return Some(
                "Invalid defaultLength specified. The valid range is between 8 and 48.".into(),
            );
        }
        if self.include_targets.is_empty() && switches.empty_include_targets == EmptyTargets::Refuse
        {
            return Some("At least one include target is needed.".into());
        }
        let targets = (self.include_targets.iter().map(|target| (target.target_type, &target.id)))
            .chain(self.exclude_targets.iter().map(|target| (target.target_type, &target.id)));
        for (kind, id) in targets {
            if kind == TargetType::User && switches.user_targets == UserTargets::Refuse {
                return Some("Users cannot be targets of this method.".into());
            }
            if id == ALL_USERS {
                if kind == TargetType::User {
                    return Some("'all_users' goes with the target type 'group'.".into());
                }
                continue;
            }
            match Uuid::parse_str(id) {
                Err(_) => return Some(format!("The target '{id}' is not an object id.")),
                Ok(id) if !switches.accept_unknown_targets && !known(id) => {
                    return Some(format!("The target '{id}' does not exist."));
                }
                Ok(_) => {}
            }
        }
        None
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

fn read_targets(value: &Value, switches: &Switches) -> Result<Vec<IncludeTarget>, String> {
    let value = without_annotations(value);
    let complete = |target: &Value| target.get("isRegistrationRequired").is_some();
    let all_complete = value.as_array().is_some_and(|targets| targets.iter().all(complete));
    if switches.demand_registration_flag && !all_complete {
        return Err("isRegistrationRequired is missing".into());
    }
    read(&value)
}

/// A target may carry annotations, which say nothing.
fn without_annotations(targets: &Value) -> Value {
    let mut targets = targets.clone();
    for target in targets.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        target.retain(|name, _| !name.contains("@odata."));
    }
    targets
}
