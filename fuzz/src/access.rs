//! Decisions about requests and policies by what a tenant says of Conditional Access.

use std::sync::Arc;

use serde_json::json;
use tap_operator::decision::outcome::Outcome;
use tap_operator::decision::sign_in::{Overview, Who, overview, verdict};
use tap_operator::decision::situation::{SignInRules, SignInSeen, SignInTargets};
use tap_operator::decision::step::{Question, SignInAsks};
use tap_operator::entra::{AccessPolicy, AuthenticationStrength, PassKind, WhatIf};

use super::cluster::{usual_policy, usual_request};
use super::{decide, is_a_message};

/// The longest sentence about policies, in bytes: names of 128 characters of which each is escaped.
const LONGEST: usize = 16 * 1024;

/// All policies of a tenant: a request for each kind of pass whose user is in all groups and has all roles that they name,
/// and a policy for each of them.
pub fn policies(policies: &Arc<[AccessPolicy]>, input: usize) {
    let answer = |question| match question {
        Question::SignInRules { .. } => {
            Outcome::SignInRules(Ok(SignInRules::Policies(Arc::clone(policies))))
        }
        Question::SignIn { asks: SignInAsks::Targets { groups, .. }, .. } => {
            let member_of = groups.into_iter().collect();
            let targets = policies.iter().flat_map(|policy| policy.include.roles.iter().cloned());
            let roles = Some(targets.collect());
            let targets = SignInTargets { member_of, roles, ..SignInTargets::default() };
            Outcome::SignIn(Ok(SignInSeen::Targets(targets)))
        }
        question => decide::answer(question),
    };
    decide_all(answer, input);
    for kind in [PassKind::OneTime, PassKind::MultiUse] {
        let verdict = verdict(policies, kind, Who::Concerned);
        for text in [verdict.prevented(), verdict.open(), Some(verdict.remarks())] {
            is_a_message(&text.unwrap_or_default(), LONGEST);
        }
        let issuance = usual_policy(json!({})).spec.issuance.expect("it issues");
        let Overview { blocking, elsewhere, once_enforced, perhaps } =
            overview(policies, &issuance, &[kind]);
        for sentence in [blocking, elsewhere, once_enforced, perhaps].concat() {
            is_a_message(&sentence, LONGEST);
        }
    }
    for issuance in
        [json!({}), json!({"requireOneTimeUse": false, "directoryRoleHolders": "Allow"})]
    {
        decide::policy_seeing(&usual_policy(issuance), input, &["Policy.Read.All"], policies, &[]);
    }
}

/// The policies that a user meets, if the tenant tells.
pub fn met(met: WhatIf, input: usize) {
    let seen = match met {
        WhatIf::Meets(policies) => SignInSeen::Applying(policies),
        WhatIf::NotOffered => SignInSeen::NotOffered,
        WhatIf::NotLicensed => SignInSeen::NotLicensed,
    };
    let answer = |question| match question {
        Question::SignInRules { .. } => Outcome::SignInRules(Ok(SignInRules::WhatIf)),
        Question::SignIn { .. } => Outcome::SignIn(Ok(seen.clone())),
        question => decide::answer(question),
    };
    decide_all(answer, input);
}

/// The strengths, where nothing else is seen.
pub fn strengths(strengths: &[AuthenticationStrength], input: usize) {
    let held = ["Policy.Read.AuthenticationMethod"];
    decide::policy_seeing(&usual_policy(json!({})), input, &held, &Arc::default(), strengths);
}

fn decide_all(answer: impl Fn(Question) -> Outcome, input: usize) {
    for unusable in ["Warn", "Refuse"] {
        let policy = usual_policy(json!({"unusablePass": unusable, "requireOneTimeUse": false}));
        for one_time in [true, false] {
            let request = usual_request(json!({"spec": {"oneTimeUse": one_time}}));
            decide::request_in(request, &policy, input, &answer);
        }
    }
}
