//! Which policy a person means who names none.

use k8s_openapi::api::authorization::v1::{ResourceRule, SubjectRulesReviewStatus};
use kube::ResourceExt;

use super::call_error::CallError;
use super::failure::Failure;
use super::program;
use crate::api::names::GROUP;
use crate::api::{Delivery, Lifetime, StartTimeRule, TapPolicy, TapRequestSpec};
use crate::decision::checks::is_of_one_of;
use crate::decision::terms::Terms;

/// What the rights in a namespace say about the use of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usable {
    /// These can be used, and no others.
    These(Vec<String>),
    /// Not all rights can be listed: each of these must be asked for.
    Ask(Vec<String>),
    /// Any policy can be used, and which there are cannot be seen.
    Any,
    /// Not all rights can be listed, those that can name no policy, and which there are cannot be seen.
    Unlisted,
}

/// The policies through which the person may ask in a namespace: those named in their rights, or all if the rights name
/// none. Policies that are known to serve nobody there are left out.
///
/// `policies` is what there is, if the person may read it. Rights are incomplete where something else than RBAC grants some, as
/// in clusters of Azure and Google.
pub fn usable(
    rules: &SubjectRulesReviewStatus,
    policies: Option<&[TapPolicy]>,
    namespace: &str,
) -> Usable {
    let grants: Vec<&ResourceRule> =
        rules.resource_rules.iter().filter(|rule| grants(rule, "use")).collect();
    let names_all = |rule: &&ResourceRule| rule.resource_names.as_ref().is_none_or(Vec::is_empty);
    let has_all = grants.iter().any(names_all);
    let named = grants.iter().flat_map(|rule| rule.resource_names.clone().unwrap_or_default());
    let mut named: Vec<String> = named.collect();
    named.sort_unstable();
    named.dedup();
    let Some(policies) = policies else {
        return match (has_all, named.is_empty()) {
            (true, _) => Usable::Any,
            (false, true) if rules.incomplete => Usable::Unlisted,
            (false, _) => Usable::These(named),
        };
    };
    let serving = policies.iter().filter(|policy| may_serve(policy, namespace));
    let mut names: Vec<String> = serving.map(ResourceExt::name_any).collect();
    names.sort_unstable();
    if !has_all && rules.incomplete {
        return Usable::Ask(names);
    }
    names.retain(|name| has_all || named.contains(name));
    Usable::These(names)
}

/// The policies that can be used, each asked for where that must be. `may`: whether the person may use it.
pub async fn asked(
    usable: Usable,
    may: impl AsyncFn(&str) -> Result<bool, CallError>,
) -> Result<Vec<String>, Failure> {
    match usable {
        Usable::These(names) => Ok(names),
        Usable::Ask(names) => allowed(names, may).await.map_err(Failure::from),
        Usable::Any => Err(Failure::usage("you may use any TapPolicy, and may not list them")
            .remedy("name one with --policy")),
        Usable::Unlisted => Err(Failure::usage(
            "which TapPolicies you may use cannot be listed in this cluster, and you may not list the policies",
        )
        .remedy("name one with --policy")),
    }
}

/// Those of these policies on which the person has a right.
pub async fn allowed(
    names: Vec<String>,
    may: impl AsyncFn(&str) -> Result<bool, CallError>,
) -> Result<Vec<String>, CallError> {
    let mut allowed = Vec::new();
    for name in names {
        if may(&name).await? {
            allowed.push(name);
        }
    }
    Ok(allowed)
}

/// The only one. `place` is the namespace, in words.
pub fn only(names: &[String], place: &str) -> Result<String, Failure> {
    match names {
        [one] => Ok(one.clone()),
        [] => Err(Failure::error(format!("you may use no TapPolicy for requests in {place}")).remedy(format!(
            "choose another namespace with -n, or ask your administrator for the verb use on a TapPolicy there ({} doctor shows your rights)",
            program()
        ))),
        several => Err(Failure::usage(format!("you may use several policies: {}", several.join(", ")))
            .remedy("name one with --policy")),
    }
}

/// What the policy will certainly refuse about a request, so that its name is not used up by a failure.
pub fn objection(policy: &TapPolicy, spec: &TapRequestSpec) -> Option<Failure> {
    let issuance = policy.spec.issuance.as_ref()?;
    let (name, terms) = (policy.name_any(), Terms::of(issuance));
    if let Some(rule) = &issuance.reason {
        let hint = rule.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        let pattern = rule.pattern.as_deref().unwrap_or_default();
        let given = spec.reason.as_deref().unwrap_or_default();
        if given.is_empty() {
            return Some(
                Failure::usage(format!("the policy {name} requires a reason{hint}"))
                    .remedy("add --reason"),
            );
        }
        if terms.pattern.is_some_and(|pattern| pattern.matches(given) == Some(false)) {
            return Some(
                Failure::usage(format!(
                    "the policy {name} does not accept this reason{hint}: it must match {pattern}"
                ))
                .remedy("give another --reason"),
            );
        }
    }
    let domains = issuance.users.as_ref().and_then(|users| users.domains.as_deref());
    if let Some(domains) = domains
        && spec.user.contains('@')
        && !is_of_one_of(&spec.user, domains)
    {
        return Some(
            Failure::usage(format!(
                "the policy {name} gives passes only to users of {}, and not to {}",
                domains.join(", "),
                spec.user
            ))
            .remedy("look for a mistake in the name, or choose another policy with --policy"),
        );
    }
    let asked = spec.lifetime.as_ref().and_then(|lifetime| lifetime.minutes().ok());
    if let (Some(asked), Some((_, longest))) = (asked, terms.lifetime)
        && asked > longest
    {
        let longest = Lifetime::from_minutes(longest);
        return Some(
            Failure::usage(format!("the policy {name} gives no pass for longer than {longest}"))
                .remedy(format!("ask for less, such as --for {longest}")),
        );
    }
    if spec.one_time_use == Some(false) && issuance.requires_one_time_use() {
        return Some(
            Failure::usage(format!("the policy {name} gives only passes that work once"))
                .remedy("leave out --multi-use"),
        );
    }
    if issuance.start_time == Some(StartTimeRule::Required) && spec.start_time.is_none() {
        return Some(
            Failure::usage(format!("the policy {name} requires a start time"))
                .remedy("add --at, such as --at 'tomorrow 8:00'"),
        );
    }
    if issuance.delivery == Some(Delivery::Sealed) && spec.recipients.is_none() {
        return Some(
            Failure::usage(format!("the policy {name} gives codes only to public keys"))
                .remedy("add --reveal to read it here, or --recipient with the key of its reader"),
        );
    }
    None
}

/// Whether a rule grants a verb on policies.
pub fn grants(rule: &ResourceRule, verb: &str) -> bool {
    let has = |list: &Option<Vec<String>>, word: &str| {
        list.iter().flatten().any(|entry| entry == word || entry == "*")
    };
    rule.verbs.iter().any(|granted| granted == verb || granted == "*")
        && has(&rule.api_groups, GROUP)
        && has(&rule.resources, "tappolicies")
}

/// Whether requests of this namespace may get a pass through it, as far as names tell.
fn may_serve(policy: &TapPolicy, namespace: &str) -> bool {
    let Some(issuance) = &policy.spec.issuance else { return false };
    let Some(namespaces) = &issuance.namespaces else { return false };
    namespaces.names.as_ref().is_none_or(|names| names.iter().any(|name| name == namespace))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::plugin::failure::Exit;

    fn rules(names: &[&[&str]]) -> SubjectRulesReviewStatus {
        let rules: Vec<_> = names
            .iter()
            .map(|names| json!({ "verbs": ["use"], "apiGroups": [GROUP], "resources": ["tappolicies"], "resourceNames": names }))
            .collect();
        let other =
            json!({ "verbs": ["approve"], "apiGroups": [GROUP], "resources": ["tappolicies"] });
        let rules: Vec<_> = rules.into_iter().chain([other]).collect();
        serde_json::from_value(
            json!({ "resourceRules": rules, "nonResourceRules": [], "incomplete": false }),
        )
        .unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "json! stands at each use")]
    fn policy(name: &str, issuance: serde_json::Value) -> TapPolicy {
        serde_json::from_value(json!({ "metadata": { "name": name }, "spec": { "tenant": "default", "issuance": issuance } })).unwrap()
    }

    fn these(rules: &SubjectRulesReviewStatus, policies: Option<&[TapPolicy]>) -> Vec<String> {
        match usable(rules, policies, "helpdesk") {
            Usable::These(names) => names,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_rights_name_the_policies() {
        let names = these(&rules(&[&["b", "a"], &["a"]]), None);
        assert_eq!(names, ["a", "b"]);
        assert_eq!(only(&names, "helpdesk").unwrap_err().exit, Exit::Usage);
        let one = these(&rules(&[&["a"]]), None);
        assert_eq!(only(&one, "helpdesk"), Ok("a".to_owned()));
        let none = these(&rules(&[]), None);
        assert_eq!(only(&none, "helpdesk").unwrap_err().exit, Exit::Error);
    }

    #[test]
    fn a_right_on_things_of_another_group_is_none_on_policies() {
        for (group, resource, verb, granted) in [
            (GROUP, "tappolicies", "approve", true),
            ("*", "*", "*", true),
            ("argoproj.io", "*", "*", false),
            (GROUP, "taprequests", "approve", false),
            (GROUP, "tappolicies", "use", false),
        ] {
            let rule = json!({ "verbs": [verb], "apiGroups": [group], "resources": [resource] });
            let rule = serde_json::from_value(rule).unwrap();
            assert_eq!(grants(&rule, "approve"), granted, "{group} {resource} {verb}");
        }
    }

    /// The operator says that the policy is invalid.
    #[test]
    fn no_reason_is_refused_for_a_pattern_that_the_operator_does_not_use() {
        let heavy = policy("heavy", json!({ "reason": { "pattern": r"\w{1000}" } }));
        let spec = TapRequestSpec { reason: Some("lost".into()), ..TapRequestSpec::default() };
        assert!(objection(&heavy, &spec).is_none());
    }

    #[test]
    fn policies_that_serve_nobody_here_are_left_out() {
        let policies = [
            policy("here", json!({ "namespaces": { "names": ["helpdesk"] } })),
            policy("there", json!({ "namespaces": { "names": ["other"] } })),
            policy(
                "by-label",
                json!({ "namespaces": { "selector": { "matchLabels": { "a": "b" } } } }),
            ),
            policy("nowhere", json!({})),
            policy("method-only", json!(null)),
        ];
        // A rule without names is a right on all.
        let names = these(&rules(&[&[]]), Some(&policies));
        assert_eq!(names, ["by-label", "here"]);
        assert_eq!(these(&rules(&[&["here", "there", "gone"]]), Some(&policies)), ["here"]);
        assert_eq!(usable(&rules(&[&[]]), None, "helpdesk"), Usable::Any);
    }

    #[tokio::test]
    async fn rights_that_cannot_all_be_listed_are_asked_for() {
        let incomplete =
            |names: &[&[&str]]| SubjectRulesReviewStatus { incomplete: true, ..rules(names) };
        let here = || json!({ "namespaces": { "names": ["helpdesk"] } });
        let there = json!({ "namespaces": { "names": ["other"] } });
        let policies =
            [policy("b", here()), policy("a", here()), policy("c", here()), policy("there", there)];
        let asked = async |rules: &SubjectRulesReviewStatus, policies| {
            let usable = usable(rules, policies, "helpdesk");
            super::asked(usable, async |name: &str| Ok(name != "c")).await
        };
        // No rule that could be listed names the first two.
        assert_eq!(asked(&incomplete(&[]), Some(&policies)).await.unwrap(), ["a", "b"]);
        assert_eq!(asked(&incomplete(&[&["c"]]), Some(&policies)).await.unwrap(), ["a", "b"]);
        assert_eq!(asked(&incomplete(&[&[]]), Some(&policies)).await.unwrap(), ["a", "b", "c"]);
        assert_eq!(asked(&incomplete(&[&["a"]]), None).await.unwrap(), ["a"]);
        let unlisted = asked(&incomplete(&[]), None).await.unwrap_err();
        assert!(unlisted.message.contains("cannot be listed"), "{unlisted}");
        assert_eq!(unlisted.remedy.as_deref(), Some("name one with --policy"));
        let failed = super::asked(Usable::Ask(vec!["a".into()]), async |_: &str| {
            Err(CallError::Right("no".into()))
        });
        assert_eq!(failed.await.unwrap_err().exit, Exit::Error);
    }

    #[test]
    fn what_a_policy_certainly_refuses_is_said_before() {
        let strict = policy(
            "strict",
            json!({
                "reason": { "pattern": "^INC[0-9]+", "hint": "the ticket" },
                "startTime": "Required", "delivery": "Sealed",
            }),
        );
        let mut spec = TapRequestSpec::default();
        let said = |spec: &TapRequestSpec| objection(&strict, spec).map(|said| said.message);
        assert_eq!(said(&spec).unwrap(), "the policy strict requires a reason (the ticket)");
        spec.reason = Some("lost phone".into());
        assert!(said(&spec).unwrap().contains("(the ticket): it must match ^INC[0-9]+"));
        spec.reason = Some("INC1 lost phone".into());
        spec.lifetime = Some(Lifetime::from_minutes(120));
        assert_eq!(said(&spec).unwrap(), "the policy strict gives no pass for longer than 1h");
        spec.lifetime = Some(Lifetime::from_minutes(60));
        spec.one_time_use = Some(false);
        assert_eq!(said(&spec).unwrap(), "the policy strict gives only passes that work once");
        spec.one_time_use = None;
        assert!(said(&spec).unwrap().contains("requires a start time"));
        spec.start_time = Some(Time("2026-11-30T08:00:00Z".parse().unwrap()));
        assert!(said(&spec).unwrap().contains("only to public keys"));
        spec.recipients = Some(vec!["age1".into()]);
        assert_eq!(said(&spec), None);
        assert_eq!(objection(&policy("open", json!({})), &TapRequestSpec::default()), None);
    }

    #[test]
    fn a_user_of_another_domain_is_refused_before() {
        let contoso = policy("contoso", json!({ "users": { "domains": ["contoso.com"] } }));
        let said = |user: &str| {
            let spec = TapRequestSpec { user: user.into(), ..TapRequestSpec::default() };
            objection(&contoso, &spec).map(|said| said.message)
        };
        assert_eq!(
            said("alice@fabrikam.com").unwrap(),
            "the policy contoso gives passes only to users of contoso.com, and not to alice@fabrikam.com"
        );
        assert_eq!(said("Alice@Contoso.com"), None);
        // An object id: the operator looks up whose it is.
        assert_eq!(said("11111111-0000-4000-8000-000000000001"), None);
    }
}
