//! When a policy writes into the tenant, and what keeps it from that.

use super::*;

const CORRECTS: &str = "{tenant: default, enforcement: Enforce, method: {codeLength: 14}}";
const HELD: [&str; 1] = ["Policy.ReadWrite.AuthenticationMethod"];

/// Runs one pass, and answers whether it corrects the tenant, and what it says in the end.
fn outcome(mut pass: Pass) -> (bool, String) {
    for _ in 0..10 {
        match pass.next() {
            PolicyStep::WriteStatus(status) => pass.policy.status = Some(*status),
            PolicyStep::Correct(_) => return (true, String::new()),
            PolicyStep::Rest(_) => {
                let conditions = pass.policy.status.unwrap().conditions;
                let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
                return (false, ready.reason);
            }
            step => panic!("{step:?}"),
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
    type Change = fn(&mut Pass);
    let changes: &[(Change, &str)] = &[
        (|pass| pass.policy.spec.enforcement = Some(Enforcement::Observe), "Drifted"),
        (|pass| pass.policy.spec.enforcement = None, "Drifted"),
        (|pass| pass.rivals = vec!["another".into()], "Conflict"),
        (|pass| pass.stop = Stop::On, "Stopped"),
        (|pass| pass.policy.spec.method = None, "NothingManaged"),
        (
            |pass| {
                let Some(Ok(method)) = &mut pass.reads.method else { unreachable!() };
                method.default_length = Some(14);
            },
            "InSync",
        ),
        (
            |pass| {
                pass.policy.metadata.generation = Some(3);
                pass.correction = Some(correction(Some(3), true));
            },
            "NotTaken",
        ),
        (
            |pass| {
                pass.reads.patched = Some(Ok(()));
                pass.correction = Some(correction(None, false));
            },
            "Drifted",
        ),
        (
            |pass| {
                let refused = GraphError { kind: ErrorKind::BadRequest, ..refused() };
                pass.reads.patched = Some(Err(refused));
            },
            "NotTaken",
        ),
    ];
    assert_eq!(outcome(Pass::new(CORRECTS, &HELD)), (true, String::new()));
    for (change, reason) in changes {
        let mut pass = Pass::new(CORRECTS, &HELD);
        change(&mut pass);
        assert_eq!(outcome(pass), (false, (*reason).to_owned()));
    }
}

#[test]
fn what_was_found_is_kept_before_anything_is_written_over_it() {
    let mut pass = Pass::new(CORRECTS, &HELD);
    let PolicyStep::WriteStatus(status) = pass.next() else { panic!("{:?}", pass.next()) };
    assert_eq!(status.adopted.as_ref().and_then(|method| method.code_length), Some(8));
    pass.policy.status = Some(*status);
    let PolicyStep::Correct(difference) = pass.next() else { panic!("{:?}", pass.next()) };
    assert_eq!(difference.patch.default_length, Some(14));
}
