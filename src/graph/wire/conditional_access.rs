//! Conditional Access policies and authentication strengths as Graph writes them.
//!
//! A list that decides whom a policy concerns, or what it demands, must not count as empty if it cannot be parsed. So such
//! an answer is not accepted at all. A value that this version does not know makes the policy depend on it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::json::{lenient, lenient_name, list, name};
use crate::entra::{
    AccessPolicy, AccessPolicyState, AccessResources, AccessTargets, AuthenticationStrength,
    Circumstance, Control, Grant, PassKind,
};

/// The user action of registering security info (documented).
const REGISTRATION: &str = "urn:user:registersecurityinfo";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct StrengthAnswer {
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(default, deserialize_with = "lenient_name")]
    display_name: Option<String>,
    #[serde(default)]
    allowed_combinations: Option<Vec<String>>,
}

impl From<StrengthAnswer> for AuthenticationStrength {
    fn from(answer: StrengthAnswer) -> Self {
        let kind = |combination: &String| match combination.as_str() {
            "temporaryAccessPassOneTime" => Some(PassKind::OneTime),
            "temporaryAccessPassMultiUse" => Some(PassKind::MultiUse),
            _ => None,
        };
        let kinds = |all: Vec<String>| all.iter().filter_map(kind).collect();
        Self {
            display_name: answer.display_name.unwrap_or_else(|| answer.id.clone()),
            id: answer.id.to_ascii_lowercase(),
            admits: answer.allowed_combinations.filter(|all| !all.is_empty()).map(kinds),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct AccessPolicyAnswer {
    #[serde(deserialize_with = "name")]
    id: String,
    #[serde(default, deserialize_with = "lenient_name")]
    display_name: Option<String>,
    #[serde(deserialize_with = "name")]
    state: String,
    conditions: Conditions,
    #[serde(default)]
    grant_controls: Option<GrantControls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    #[serde(default)]
    users: Option<Whom>,
    #[serde(default)]
    applications: Option<ForWhat>,
    #[serde(default, deserialize_with = "list")]
    client_app_types: Vec<String>,
    #[serde(default)]
    platforms: Option<Platforms>,
    #[serde(default)]
    locations: Option<Locations>,
    #[serde(default)]
    devices: Option<Devices>,
    #[serde(default, deserialize_with = "list")]
    sign_in_risk_levels: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    user_risk_levels: Vec<String>,
    #[serde(default)]
    insider_risk_levels: Option<String>,
    #[serde(default)]
    authentication_flows: Option<Flows>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whom {
    #[serde(default, deserialize_with = "list")]
    include_users: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_users: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    include_groups: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_groups: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    include_roles: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_roles: Vec<String>,
    #[serde(default)]
    include_guests_or_external_users: Option<Guests>,
    #[serde(default)]
    exclude_guests_or_external_users: Option<Guests>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Guests {
    // Kinds with commas between them.
    #[serde(default)]
    guest_or_external_user_types: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForWhat {
    #[serde(default, deserialize_with = "list")]
    include_applications: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_applications: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    include_user_actions: Vec<String>,
    #[serde(default)]
    application_filter: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Platforms {
    #[serde(default, deserialize_with = "list")]
    include_platforms: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_platforms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Locations {
    #[serde(default, deserialize_with = "list")]
    include_locations: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    exclude_locations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Devices {
    #[serde(default)]
    device_filter: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flows {
    // Methods with commas between them.
    #[serde(default)]
    transfer_methods: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrantControls {
    #[serde(default)]
    operator: Option<String>,
    #[serde(default, deserialize_with = "list")]
    built_in_controls: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    custom_authentication_factors: Vec<String>,
    #[serde(default, deserialize_with = "list")]
    terms_of_use: Vec<String>,
    #[serde(default)]
    authentication_strength: Option<StrengthAnswer>,
}

impl From<AccessPolicyAnswer> for AccessPolicy {
    fn from(answer: AccessPolicyAnswer) -> Self {
        let AccessPolicyAnswer { id, display_name, state, conditions, grant_controls } = answer;
        let others = conditions.others();
        let in_browsers = conditions.concern_browsers();
        let (include, exclude) = conditions.users.map(Whom::targets).unwrap_or_default();
        Self {
            display_name: display_name.unwrap_or_else(|| id.clone()),
            id: id.to_ascii_lowercase(),
            state: match state.as_str() {
                "enabled" => AccessPolicyState::Enforced,
                "enabledForReportingButNotEnforced" => AccessPolicyState::ReportOnly,
                "disabled" => AccessPolicyState::Disabled,
                _ => AccessPolicyState::Other,
            },
            include,
            exclude,
            resources: conditions.applications.map(ForWhat::resources).unwrap_or_default(),
            in_browsers,
            conditions: others,
            grant: grant_controls.map(GrantControls::grant).unwrap_or_default(),
        }
    }
}

impl Whom {
    /// Whom it includes, and whom it excludes.
    fn targets(self) -> (AccessTargets, AccessTargets) {
        let include = targets(
            &self.include_users,
            &self.include_groups,
            &self.include_roles,
            self.include_guests_or_external_users,
        );
        let exclude = targets(
            &self.exclude_users,
            &self.exclude_groups,
            &self.exclude_roles,
            self.exclude_guests_or_external_users,
        );
        (include, exclude)
    }
}

fn targets(
    users: &[String],
    groups: &[String],
    roles: &[String],
    guests: Option<Guests>,
) -> AccessTargets {
    let names = |word: &str| users.iter().any(|user| user == word);
    let kinds = guests.and_then(|guests| guests.guest_or_external_user_types).unwrap_or_default();
    let is_user =
        |user: &&String| !["All", "None", "GuestsOrExternalUsers"].contains(&user.as_str());
    AccessTargets {
        everybody: names("All"),
        users: lower(users.iter().filter(is_user)),
        groups: lower(groups.iter()),
        roles: lower(roles.iter()),
        internal_guests: names("GuestsOrExternalUsers")
            || kinds.split(',').any(|kind| kind.trim() == "internalGuest"),
    }
}

impl ForWhat {
    fn resources(self) -> AccessResources {
        let all = self.include_applications.iter().any(|app| app == "All");
        AccessResources {
            all,
            applications: lower(self.include_applications.iter()),
            excluded: lower(self.exclude_applications.iter()),
            registration: self.include_user_actions.iter().any(|action| action == REGISTRATION),
            filtered: self.application_filter.is_some(),
        }
    }
}

impl Conditions {
    /// Whether they hold for an ordinary sign-in in a browser.
    fn concern_browsers(&self) -> bool {
        let types = &self.client_app_types;
        let browsers =
            |kind: &String| ["all", "browser", "unknownFutureValue"].contains(&kind.as_str());
        let flows = self.authentication_flows.as_ref();
        let transfers = flows.and_then(|flows| flows.transfer_methods.as_deref()).unwrap_or("none");
        // A policy about transfers alone does not concern a sign-in that is none.
        let is_none = |method: &str| ["none", ""].contains(&method.trim());
        (types.is_empty() || types.iter().any(browsers)) && transfers.split(',').all(is_none)
    }

    /// What else decides whether the policy concerns a sign-in.
    fn others(&self) -> BTreeSet<Circumstance> {
        let is_all = |listed: &[String], word: &str| listed.iter().any(|one| one == word);
        let by_location = self.locations.as_ref().is_some_and(|locations| {
            !(is_all(&locations.include_locations, "All") && locations.exclude_locations.is_empty())
        });
        let by_platform = self.platforms.as_ref().is_some_and(|platforms| {
            !(is_all(&platforms.include_platforms, "all") && platforms.exclude_platforms.is_empty())
        });
        let by_device =
            self.devices.as_ref().is_some_and(|devices| devices.device_filter.is_some());
        let by_risk = !self.sign_in_risk_levels.is_empty()
            || !self.user_risk_levels.is_empty()
            || self.insider_risk_levels.as_ref().is_some_and(|levels| !levels.is_empty());
        let all = [
            (by_location, Circumstance::Location),
            (by_platform, Circumstance::Platform),
            (by_device, Circumstance::Device),
            (by_risk, Circumstance::Risk),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect()
    }
}

impl GrantControls {
    fn grant(self) -> Grant {
        let built_in = self.built_in_controls.iter().map(|control| match control.as_str() {
            "block" => Control::Block,
            "mfa" => Control::Mfa,
            "compliantDevice" | "domainJoinedDevice" => Control::DependsOn(Circumstance::Device),
            "approvedApplication" | "compliantApplication" => {
                Control::DependsOn(Circumstance::Application)
            }
            "passwordChange" => Control::DependsOn(Circumstance::PasswordChange),
            "riskRemediation" => Control::DependsOn(Circumstance::Risk),
            _ => Control::DependsOn(Circumstance::Unknown),
        });
        let custom = self.custom_authentication_factors.iter();
        let custom = custom.map(|_| Control::DependsOn(Circumstance::Unknown));
        let terms = self.terms_of_use.iter().map(|_| Control::Terms);
        let mut controls: Vec<Control> = built_in.chain(custom).chain(terms).collect();
        controls.extend(self.authentication_strength.map(|one| Control::Strength(one.into())));
        Grant { one_is_enough: self.operator.as_deref() == Some("OR"), controls }
    }
}

fn lower<'a>(ids: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    ids.map(|id| id.to_ascii_lowercase()).collect()
}

/// A policy in the answer to What If.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct WhatIfAnswer {
    #[serde(default, deserialize_with = "lenient")]
    policy_applies: Option<bool>,
    // Reasons with commas between them.
    #[serde(default, deserialize_with = "lenient")]
    analysis_reasons: Option<String>,
    #[serde(flatten)]
    policy: AccessPolicyAnswer,
}

impl WhatIfAnswer {
    /// The policy, unless it certainly does not concern the sign-in.
    pub(in crate::graph) fn applying(self) -> Option<AccessPolicy> {
        let reasons = self.analysis_reasons.unwrap_or_default();
        let is_open = reasons.split(',').any(|reason| reason.trim() == "notEnoughInformation");
        (self.policy_applies != Some(false) || is_open).then(|| self.policy.into())
    }
}

/// The question of What If: which policies a sign-in of this user meets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graph) struct WhatIfBody<'a> {
    sign_in_identity: SignInIdentity<'a>,
    sign_in_context: SignInContext<'a>,
    sign_in_conditions: SignInConditions,
    applied_policies_only: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignInIdentity<'a> {
    #[serde(rename = "@odata.type")]
    kind: &'static str,
    user_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignInContext<'a> {
    #[serde(rename = "@odata.type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_action: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include_applications: &'a [&'a str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignInConditions {
    client_app_type: &'static str,
}

impl<'a> WhatIfBody<'a> {
    /// Registering security info.
    pub(in crate::graph) fn registering(user_id: &'a str) -> Self {
        Self::of(
            user_id,
            SignInContext {
                kind: "#microsoft.graph.userActionContext",
                user_action: Some("registerSecurityInformation"),
                include_applications: &[],
            },
        )
    }

    /// Signing in to these applications.
    pub(in crate::graph) fn opening(user_id: &'a str, applications: &'a [&'a str]) -> Self {
        Self::of(
            user_id,
            SignInContext {
                kind: "#microsoft.graph.applicationContext",
                user_action: None,
                include_applications: applications,
            },
        )
    }

    fn of(user_id: &'a str, sign_in_context: SignInContext<'a>) -> Self {
        Self {
            sign_in_identity: SignInIdentity { kind: "#microsoft.graph.userSignIn", user_id },
            sign_in_context,
            sign_in_conditions: SignInConditions { client_app_type: "browser" },
            // Those whose conditions cannot be evaluated matter, too.
            applied_policies_only: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Page, read};
    use super::*;

    fn policy(change: &Value) -> Result<AccessPolicy, super::super::json::Unreadable> {
        let mut policy = json!({
            "id": "P1", "displayName": "one", "state": "enabled", "sessionControls": null,
            "conditions": {
                "users": {"includeUsers": ["All"], "excludeGroups": ["91AA"], "includeGuestsOrExternalUsers": null},
                "applications": {"includeApplications": ["All"], "includeUserActions": []},
                "clientAppTypes": ["all"], "platforms": null, "locations": null, "devices": null,
                "signInRiskLevels": [], "userRiskLevels": [], "times": null,
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        });
        json_patch::merge(&mut policy, change);
        let page = json!({ "value": [policy] }).to_string();
        let page: Page<AccessPolicyAnswer> = read(page.as_bytes())?;
        Ok(page.value.into_iter().next().unwrap().into())
    }

    #[test]
    fn a_policy_is_read_with_the_nulls_of_real_answers() {
        let read = policy(&json!({})).unwrap();
        assert!(read.include.everybody && read.resources.all && read.in_browsers, "{read:?}");
        assert_eq!(read.exclude.groups, BTreeSet::from(["91aa".to_owned()]));
        assert_eq!(read.grant, Grant { one_is_enough: true, controls: vec![Control::Mfa] });
        assert!(read.conditions.is_empty());
    }

    #[test]
    fn what_is_not_known_is_no_permission() {
        let control =
            policy(&json!({"grantControls": {"builtInControls": ["newDemand"]}})).unwrap();
        assert_eq!(control.grant.controls, [Control::DependsOn(Circumstance::Unknown)]);
        assert_eq!(policy(&json!({"state": "later"})).unwrap().state, AccessPolicyState::Other);
        assert!(policy(&json!({"conditions": {"users": {"includeUsers": {}}}})).is_err());
        let session_only = policy(&json!({"grantControls": null})).unwrap();
        assert!(session_only.grant.controls.is_empty());
    }

    #[test]
    fn conditions_that_cannot_be_judged_are_noted_unless_they_hold_everywhere() {
        let of = |conditions: Value| policy(&json!({ "conditions": conditions })).unwrap();
        let everywhere =
            json!({"locations": {"includeLocations": ["All"], "excludeLocations": []}});
        assert!(of(everywhere).conditions.is_empty());
        let outside =
            json!({"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}});
        assert_eq!(of(outside).conditions, BTreeSet::from([Circumstance::Location]));
        let risky = json!({"userRiskLevels": ["high"], "platforms": {"includePlatforms": ["iOS"]}});
        let both = [Circumstance::Platform, Circumstance::Risk];
        assert_eq!(of(risky).conditions, both.into());
        assert!(!of(json!({"clientAppTypes": ["exchangeActiveSync", "other"]})).in_browsers);
        let codes = json!({"authenticationFlows": {"transferMethods": "deviceCodeFlow,authenticationTransfer"}});
        assert!(!of(codes).in_browsers);
        assert!(of(json!({"authenticationFlows": {"transferMethods": "none"}})).in_browsers);
    }

    #[test]
    fn a_strength_admits_the_kinds_that_stand_in_its_combinations_alone() {
        let strength = |combinations: Value| -> AuthenticationStrength {
            let body = json!({"id": "S", "displayName": "s", "allowedCombinations": combinations});
            read::<StrengthAnswer>(body.to_string().as_bytes()).unwrap().into()
        };
        let one = strength(json!(["password,sms", "temporaryAccessPassOneTime"]));
        assert_eq!(one.admits, Some(BTreeSet::from([PassKind::OneTime])));
        assert_eq!(strength(json!(["fido2"])).admits, Some(BTreeSet::new()));
        for nothing in [json!(null), json!([])] {
            assert_eq!(strength(nothing).admits, None);
        }
    }
}
