//! Whether Conditional Access lets somebody in who signs in with a pass.
//!
//! Every enforced policy that applies must be satisfied. In the interrupt mode of registration, the strengths of policies on
//! registering take the place of those on resources (documented); on the page for it they do not (reported).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{passes::Pass, state::State, tenant::UserType};

/// My Signins, one of the applications behind the page for security info; a policy that reaches any of them closes it
/// (reported).
const BEHIND_THE_PAGE: [&str; 6] = [
    "19db86c3-b2b9-44cc-b339-36da233a3be2",
    "8c59ead7-d703-4a27-9e55-c96a0054c8d2",
    "0000000c-0000-0000-c000-000000000000",
    "00000002-0000-0000-c000-000000000000",
    "1b912ec3-a9dd-4c4d-a53e-76aa7adb28d7",
    "ea890292-c8c8-4433-b5ea-b09d0668e1a6",
];
const REGISTRATION: &str = "urn:user:registersecurityinfo";

/// Where somebody signs in, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Way {
    /// What for.
    pub to: Destination,
    /// The named location from which; `None` is none of them.
    pub location: Option<String>,
    /// The platform of the device.
    pub platform: String,
    /// Whether the device is compliant and joined, and the application approved.
    pub managed: bool,
    /// The risk of user and sign-in.
    pub risk: String,
}

/// What somebody signs in for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// The page for security info.
    #[default]
    SecurityInfoPage,
    /// Some application, where the sign-in is interrupted until security info is registered.
    Interruption,
    /// Some application.
    Application,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            to: Destination::default(),
            location: None,
            platform: "windows".into(),
            managed: false,
            risk: "none".into(),
        }
    }
}

impl State {
    /// Whether no policy keeps the owner of a pass out.
    pub(super) fn lets_in(&self, pass: &Pass, way: &Way) -> bool {
        let policies = self.conditional_access.whole_policies();
        let applying: Vec<&Value> =
            policies.iter().filter(|policy| self.applies(policy, pass.user, way)).collect();
        let on_registering = |policy: &Value| lists(actions(policy), REGISTRATION);
        let replaced = way.to == Destination::Interruption
            && applying.iter().any(|policy| {
                on_registering(policy)
                    && policy["grantControls"]["authenticationStrength"].is_object()
            });
        applying.iter().all(|policy| {
            satisfied(&policy["grantControls"], pass, way, replaced && !on_registering(policy))
        })
    }

    fn applies(&self, policy: &Value, user: Uuid, way: &Way) -> bool {
        policy["state"] == "enabled"
            && self.targets(policy, user)
            && reaches(policy, way.to)
            && in_these_conditions(&policy["conditions"], way)
    }

    /// Whether a policy includes the user and does not exclude them.
    pub(crate) fn targets(&self, policy: &Value, user: Uuid) -> bool {
        let directory = self.directory.current();
        let Some(found) = directory.user(&user.to_string()) else { return false };
        let groups = directory.group_ids_of(user);
        let roles: Vec<Uuid> =
            directory.roles_of(user, true).iter().map(|role| role.role_template_id).collect();
        let guest = found.user_type == UserType::Guest;
        let kind = if found.is_external() { "b2bCollaborationGuest" } else { "internalGuest" };
        let users = &policy["conditions"]["users"];
        let named = |side: &str| {
            let list = |what: &str| &users[format!("{side}{what}")];
            let kinds = list("GuestsOrExternalUsers")["guestOrExternalUserTypes"].as_str();
            let any =
                |ids: &[Uuid], what: &str| ids.iter().any(|id| lists(list(what), &id.to_string()));
            lists(list("Users"), "All")
                || any(&[user], "Users")
                || any(&groups, "Groups")
                || any(&roles, "Roles")
                || (guest && lists(list("Users"), "GuestsOrExternalUsers"))
                || (guest && kinds.unwrap_or_default().split(',').any(|one| one == kind))
        };
        named("include") && !named("exclude")
    }
}

fn actions(policy: &Value) -> &Value {
    &policy["conditions"]["applications"]["includeUserActions"]
}

fn reaches(policy: &Value, to: Destination) -> bool {
    let applications = &policy["conditions"]["applications"];
    let (include, exclude) =
        (&applications["includeApplications"], &applications["excludeApplications"]);
    let everything = lists(include, "All");
    let registration = lists(actions(policy), REGISTRATION);
    match to {
        Destination::Application => everything,
        Destination::Interruption => everything || registration,
        Destination::SecurityInfoPage => {
            let page = BEHIND_THE_PAGE
                .iter()
                .any(|app| (everything || lists(include, app)) && !lists(exclude, app));
            registration || page
        }
    }
}

fn in_these_conditions(conditions: &Value, way: &Way) -> bool {
    let app = &conditions["clientAppTypes"];
    let transfers = conditions["authenticationFlows"]["transferMethods"].as_str();
    let locations = &conditions["locations"];
    let at = |list: &Value| {
        lists(list, "All") || way.location.as_ref().is_some_and(|place| lists(list, place))
    };
    let platforms = &conditions["platforms"];
    let on = |list: &Value| lists(list, "all") || lists(list, &way.platform);
    let risky =
        |levels: &Value| levels.as_array().is_none_or(Vec::is_empty) || lists(levels, &way.risk);
    (lists(app, "all") || lists(app, "browser"))
        && transfers.is_none_or(|methods| methods == "none")
        && (locations.is_null()
            || (at(&locations["includeLocations"]) && !at(&locations["excludeLocations"])))
        && (platforms.is_null()
            || (on(&platforms["includePlatforms"]) && !on(&platforms["excludePlatforms"])))
        && risky(&conditions["signInRiskLevels"])
        && risky(&conditions["userRiskLevels"])
}

fn satisfied(grant: &Value, pass: &Pass, way: &Way, strength_is_replaced: bool) -> bool {
    let mut outcomes: Vec<bool> = Vec::new();
    for control in grant["builtInControls"].as_array().into_iter().flatten() {
        match control.as_str().unwrap_or_default() {
            "block" => return false,
            "mfa" => outcomes.push(true),
            // Whoever has a pass has no password to change.
            "passwordChange" | "riskRemediation" => outcomes.push(false),
            _ => outcomes.push(way.managed),
        }
    }
    let strength = &grant["authenticationStrength"];
    if strength.is_object() {
        let mode = if pass.one_time {
            "temporaryAccessPassOneTime"
        } else {
            "temporaryAccessPassMultiUse"
        };
        outcomes.push(strength_is_replaced || lists(&strength["allowedCombinations"], mode));
    }
    outcomes.extend(grant["termsOfUse"].as_array().into_iter().flatten().map(|_| true));
    if grant["operator"] == "OR" {
        outcomes.is_empty() || outcomes.contains(&true)
    } else {
        !outcomes.contains(&false)
    }
}

/// Whether a list of texts has this one.
fn lists(list: &Value, text: &str) -> bool {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).any(|one| one.eq_ignore_ascii_case(text))
}
