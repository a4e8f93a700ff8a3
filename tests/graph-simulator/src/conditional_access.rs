//! The tenant's Conditional Access: its policies and authentication strengths, in Graph's form.

use serde_json::{Value, json};

/// Policies and strengths of a tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConditionalAccess {
    /// The policies. A strength in `grantControls` may have an id alone.
    pub(crate) policies: Vec<Value>,
    /// The custom strengths.
    pub(crate) custom_strengths: Vec<Value>,
}

/// The built-in strengths with their combinations (documented).
fn built_in() -> [Value; 3] {
    let strength = |number: u8, name: &str, combinations: &[&str]| {
        json!({
            "id": format!("00000000-0000-0000-0000-00000000000{number}"),
            "createdDateTime": "2021-12-01T00:00:00Z",
            "modifiedDateTime": "2021-12-01T00:00:00Z",
            "displayName": name,
            "description": format!("The built-in strength {name}"),
            "policyType": "builtIn",
            "requirementsSatisfied": "mfa",
            "allowedCombinations": combinations,
            "combinationConfigurations": [],
        })
    };
    let resistant = ["windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"];
    let passwordless = [&resistant[..], &["deviceBasedPush"]].concat();
    let any = [
        &passwordless[..],
        &["temporaryAccessPassOneTime", "temporaryAccessPassMultiUse"],
        &["password,microsoftAuthenticatorPush", "password,softwareOath", "password,sms"],
    ];
    [
        strength(2, "Multifactor authentication", &any.concat()),
        strength(3, "Passwordless MFA", &passwordless),
        strength(4, "Phishing resistant MFA", &resistant),
    ]
}

impl ConditionalAccess {
    /// All strengths, the built-in ones first.
    pub(crate) fn strengths(&self) -> Vec<Value> {
        let custom = self.custom_strengths.iter().map(|strength| {
            let mut whole = json!({
                "createdDateTime": "2026-01-01T00:00:00Z",
                "modifiedDateTime": "2026-01-01T00:00:00Z",
                "description": "",
                "policyType": "custom",
                "requirementsSatisfied": "mfa",
                "combinationConfigurations": [],
            });
            fill(&mut whole, strength);
            whole
        });
        built_in().into_iter().chain(custom).collect()
    }

    /// All policies as Graph returns them: each with its strength, and with the nulls of what it leaves out.
    pub(crate) fn whole_policies(&self) -> Vec<Value> {
        let strengths = self.strengths();
        let whole = |policy: &Value| {
            let mut whole = json!({
                "templateId": null,
                "createdDateTime": "2026-01-01T00:00:00Z",
                "modifiedDateTime": null,
                "state": "enabled",
                "sessionControls": null,
                "grantControls": null,
                "conditions": {
                    "clientAppTypes": ["all"],
                    "signInRiskLevels": [],
                    "userRiskLevels": [],
                    "servicePrincipalRiskLevels": [],
                    "insiderRiskLevels": null,
                    "platforms": null,
                    "locations": null,
                    "devices": null,
                    "clientApplications": null,
                    "authenticationFlows": null,
                    "applications": {
                        "includeApplications": [],
                        "excludeApplications": [],
                        "includeUserActions": [],
                        "includeAuthenticationContextClassReferences": [],
                        "applicationFilter": null,
                    },
                    "users": {
                        "includeUsers": [],
                        "excludeUsers": [],
                        "includeGroups": [],
                        "excludeGroups": [],
                        "includeRoles": [],
                        "excludeRoles": [],
                        "includeGuestsOrExternalUsers": null,
                        "excludeGuestsOrExternalUsers": null,
                    },
                },
            });
            fill(&mut whole, policy);
            if whole["grantControls"].is_object() {
                let grant = &mut whole["grantControls"];
                let id = grant["authenticationStrength"]["id"].clone();
                let mut filled = json!({
                    "operator": "OR",
                    "builtInControls": [],
                    "customAuthenticationFactors": [],
                    "termsOfUse": [],
                    "authenticationStrength": null,
                });
                fill(&mut filled, grant);
                let inline = strengths.iter().find(|strength| strength["id"] == id);
                if let Some(strength) = inline {
                    filled["authenticationStrength"] = strength.clone();
                }
                *grant = filled;
            }
            whole
        };
        self.policies.iter().map(whole).collect()
    }
}

/// Puts the fields of one object over those of another, in depth.
fn fill(whole: &mut Value, fields: &Value) {
    match (whole, fields) {
        (Value::Object(whole), Value::Object(fields)) => {
            for (name, value) in fields {
                fill(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, fields) => *whole = fields.clone(),
    }
}
