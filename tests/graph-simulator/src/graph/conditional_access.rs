//! Conditional Access policies, authentication strengths, and What If.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use crate::{
    state::State,
    wire::{Answer, Refusal},
};

const POLICY_PROPERTIES: [&str; 9] = [
    "id",
    "templateId",
    "displayName",
    "createdDateTime",
    "modifiedDateTime",
    "state",
    "conditions",
    "grantControls",
    "sessionControls",
];
const STRENGTH_PROPERTIES: [&str; 9] = [
    "id",
    "createdDateTime",
    "modifiedDateTime",
    "displayName",
    "description",
    "policyType",
    "requirementsSatisfied",
    "allowedCombinations",
    "combinationConfigurations",
];

impl State {
    pub(super) fn access_policies(&self, call: &Call) -> Result<Answer, Refusal> {
        let items = self.conditional_access.whole_policies();
        let kind = "microsoft.graph.conditionalAccessPolicy";
        let context = "identity/conditionalAccess/policies";
        self.collection(call, items, kind, &POLICY_PROPERTIES, context)
    }

    pub(super) fn authentication_strengths(&self, call: &Call) -> Result<Answer, Refusal> {
        let items = self.conditional_access.strengths();
        let kind = "microsoft.graph.authenticationStrengthPolicy";
        let context = "policies/authenticationStrengthPolicies";
        self.collection(call, items, kind, &STRENGTH_PROPERTIES, context)
    }

    /// Which policies a sign-in of a user meets, as far as what the question says tells. Those in report-only mode apply, too
    /// (documented).
    pub(super) fn evaluate(&self, call: &Call) -> Result<Answer, Refusal> {
        if !self.switches.premium_licence {
            let message = "Your tenant is not licensed for this feature: Microsoft Entra ID P1.";
            return Err(Refusal::new(403, "AccessDenied", message));
        }
        let body = call.incoming.json()?;
        let invalid = |what: &str| Refusal::new(400, "BadRequest", format!("{what} is missing."));
        let user = body["signInIdentity"]["userId"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let user = user.ok_or_else(|| invalid("signInIdentity.userId"))?;
        if !body["signInConditions"].is_object() {
            return Err(invalid("signInConditions"));
        }
        let context = &body["signInContext"];
        let registers = match context["@odata.type"].as_str() {
            Some("#microsoft.graph.userActionContext") => true,
            Some("#microsoft.graph.applicationContext") => false,
            _ => return Err(invalid("signInContext")),
        };
        let asked: Vec<&str> = (context["includeApplications"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let lists = |list: &Value, text: &str| {
            let all = list.as_array().into_iter().flatten().filter_map(Value::as_str);
            all.into_iter().any(|one| one.eq_ignore_ascii_case(text))
        };
        let mut items = Vec::new();
        for mut policy in self.conditional_access.whole_policies() {
            let applications = &policy["conditions"]["applications"];
            let include = &applications["includeApplications"];
            let here = if registers {
                lists(&applications["includeUserActions"], "urn:user:registersecurityinfo")
            } else {
                asked.iter().any(|app| {
                    (lists(include, "All") || lists(include, app))
                        && !lists(&applications["excludeApplications"], app)
                })
            };
            let conditions = &policy["conditions"];
            let risks = ["signInRiskLevels", "userRiskLevels"];
            let is_open = conditions["locations"].is_object()
                || conditions["platforms"].is_object()
                || conditions["devices"].is_object()
                || risks.iter().any(|levels| {
                    conditions[*levels].as_array().is_some_and(|levels| !levels.is_empty())
                });
            let (applies, reasons) = if policy["state"] == "disabled" {
                (false, "policyNotEnabled")
            } else if !self.targets(&policy, user) {
                (false, "users")
            } else if !here {
                (false, if registers { "userActions" } else { "application" })
            } else if is_open {
                (false, "notEnoughInformation")
            } else {
                (true, "notSet")
            };
            if body["appliedPoliciesOnly"] == true && !applies {
                continue;
            }
            policy["policyApplies"] = applies.into();
            policy["analysisReasons"] = reasons.into();
            items.push(policy);
        }
        let context = format!(
            "{}/v1.0/$metadata#Collection(microsoft.graph.whatIfAnalysisResult)",
            call.incoming.base()
        );
        Ok(Answer::json(200, json!({"@odata.context": context, "value": items})))
    }
}
