//! When a policy writes to the tenant, and what keeps it from writing.

use super::*;
use crate::api::Enforcement;

const CORRECTS: &str = "{tenant: default, enforcement: Enforce, method: {codeLength: 14}}";
const HELD: [&str; 1] = ["Policy.ReadWrite.AuthenticationMethod"];

/// Runs one reconcile, and returns whether it corrects the tenant, and the reason of Ready if it does not.
fn outcome(mut reconcile: Reconcile) -> (bool, String) {
    for _ in 0..10 {
        match reconcile.next() {
            PolicyStep::WriteStatus(status) => reconcile.policy.status = Some(*status),
            PolicyStep::Correct { .. } => return (true, String::new()),
            PolicyStep::Rest(_) => {
                let conditions = reconcile.policy.status.unwrap().conditions;
                let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
                return (false, ready.reason);
            }
            step @ PolicyStep::Ask(_) => panic!("{step:?}"),
        }
    }
    panic!("it goes in circles")
}

fn correction(generation: Option<i64>, refused: bool) -> Correction {
    let patch = MethodPatch { default_length: Some(14), ..MethodPatch::default() };
    Correction { generation, patch, at: Timestamp::UNIX_EPOCH, refused }
}

#[test]
fn only_one_policy_that_is_told_to_corrects_a_difference_and_only_once() {
    type Change = fn(&mut Reconcile);
    let changes: &[(Change, &str)] = &[
        (|reconcile| reconcile.policy.spec.enforcement = Some(Enforcement::Observe), "Drifted"),
        (|reconcile| reconcile.policy.spec.enforcement = None, "Drifted"),
        (|reconcile| reconcile.rivals = vec!["another".into()], "Conflict"),
        (|reconcile| reconcile.stop.stop = Stop::On, "Stopped"),
        (|reconcile| reconcile.policy.spec.method = None, "NothingManaged"),
        (
            |reconcile| {
                let Some(Ok(method)) = &mut reconcile.reads.method else { unreachable!() };
                method.default_length = Some(14);
            },
            "InSync",
        ),
        (
            |reconcile| {
                reconcile.policy.metadata.generation = Some(3);
                reconcile.correction = Some(correction(Some(3), true));
            },
            "NotTaken",
        ),
        (
            |reconcile| {
                reconcile.reads.patched = Some(Ok(()));
                reconcile.correction = Some(correction(None, false));
            },
            "Drifted",
        ),
        (
            |reconcile| {
                let refused = GraphError { kind: ErrorKind::BadRequest, ..refused() };
                reconcile.reads.patched = Some(Err(refused));
            },
            "NotTaken",
        ),
    ];
    assert_eq!(outcome(Reconcile::new(CORRECTS, &HELD)), (true, String::new()));
    for (change, reason) in changes {
        let mut reconcile = Reconcile::new(CORRECTS, &HELD);
        change(&mut reconcile);
        assert_eq!(outcome(reconcile), (false, (*reason).to_owned()));
    }
}

#[test]
fn what_was_found_is_kept_before_anything_is_written_over_it() {
    let mut reconcile = Reconcile::new(CORRECTS, &HELD);
    let PolicyStep::WriteStatus(status) = reconcile.next() else {
        panic!("{:?}", reconcile.next())
    };
    assert_eq!(status.adopted.as_ref().and_then(|method| method.code_length), Some(8));
    reconcile.policy.status = Some(*status);
    let PolicyStep::Correct { difference, .. } = reconcile.next() else {
        panic!("{:?}", reconcile.next())
    };
    assert_eq!(difference.patch.default_length, Some(14));
}
