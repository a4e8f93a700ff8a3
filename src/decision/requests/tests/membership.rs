//! Groups that admit and exclude, also those of which it cannot be told who is in them.

use super::*;

const GROUP: &str = "91aa0000-0000-4000-8000-000000000103";

/// Each way in which a group decides, with the state of that group, and what comes of it.
#[test]
fn an_exclusion_that_cannot_be_judged_is_no_no() {
    type Change = fn(&mut Life);
    let ways: [(&str, Change); 5] = [
        ("excluded by the policy", |life| {
            life.edit_policy(&format!("{{users: {{excludeGroups: [{{group: {GROUP}}}]}}}}"));
        }),
        ("excluded by a ceiling", |life| {
            life.set_ceilings(&format!("{{excludeGroups: [{GROUP}]}}"));
        }),
        ("excluded by the method", |life| {
            life.method.as_mut().unwrap().exclude = vec![target()];
        }),
        ("admitted by the policy", |life| {
            let upper = GROUP.to_uppercase();
            life.edit_policy(&format!("{{users: {{groups: [{{group: {upper}}}]}}}}"));
        }),
        ("included by the method", |life| {
            life.method.as_mut().unwrap().include = vec![target()];
        }),
    ];
    let (failed, pending, active) = (Phase::Failed, Phase::Pending, Phase::Active);
    let (seen, hidden, gone) = (GroupState::Seen, GroupState::Hidden, GroupState::Gone);
    for (state, is_member, expected) in [
        (seen, true, [failed, failed, failed, active, active]),
        (seen, false, [active, active, active, pending, pending]),
        (hidden, true, [failed, failed, failed, active, active]),
        (hidden, false, [pending; 5]),
        // The tenant decides itself about its method.
        (gone, false, [pending, pending, active, pending, pending]),
    ] {
        for ((way, change), expected) in ways.iter().zip(expected) {
            let mut life = Life::new();
            change(&mut life);
            life.group_states.insert(GROUP.into(), state);
            life.groups = if is_member { vec![GROUP.into()] } else { vec![] };
            life.reconcile();
            assert_eq!(life.request.phase(), expected, "{way}, {state:?}, a member: {is_member}");
            if expected != pending {
                continue;
            }
            let not_in = match *way {
                "admitted by the policy" => Some("UserNotAllowed"),
                "included by the method" => Some("UserNotInScope"),
                _ => None,
            };
            let reason = match (state, not_in) {
                (GroupState::Hidden, _) => "GroupHidden",
                (_, Some(reason)) => reason,
                (_, None) => "GroupNotFound",
            };
            assert_eq!(life.reason(), reason, "{way}, {state:?}");
            life.group_states.clear();
            life.now += SignedDuration::from_secs(61);
            life.reconcile();
            if let Some(reason) = not_in {
                assert_eq!(life.reason(), reason, "{way}, afterwards");
            } else {
                assert_eq!(life.request.phase(), active, "{way}, afterwards");
            }
        }
    }
}

#[test]
fn a_group_that_cannot_be_read_is_not_gone() {
    let mut life = Life::new();
    life.edit_policy(&format!("{{users: {{excludeGroups: [{{group: {GROUP}}}]}}}}"));
    life.groups_read = Err(error(ErrorKind::Unavailable));
    life.reconcile();
    life.expect(Phase::Pending, "TenantUnreachable", &["status Pending"]);
}

/// A group that is hidden decides nothing where the domain does not admit the user anyway.
#[test]
fn what_a_hidden_group_could_not_change_is_decided_at_once() {
    let mut life = Life::new();
    life.edit_policy(&format!(
        "{{users: {{domains: [fabrikam.com], groups: [{{group: {GROUP}}}]}}}}"
    ));
    life.group_states.insert(GROUP.into(), GroupState::Hidden);
    life.reconcile();
    life.expect(Phase::Failed, "UserNotAllowed", &["status Failed"]);
}

fn target() -> GraphTarget {
    GraphTarget {
        id: GROUP.to_uppercase(),
        target_type: "group".into(),
        is_registration_required: None,
    }
}
