//! Many passes are taken away at once, in a tenant that does not answer.

use super::*;

const MANY: usize = 20;
const AT_ONCE: usize = 16;

fn name(number: usize) -> String {
    format!("active-{number:02}")
}

/// So many requests with live passes, all of which are revoked.
fn revoked() -> (Life, Vec<Uid>) {
    let mut life = Life::alone();
    for number in 0..MANY {
        let name = name(number);
        let intent = Intent { user_id: format!("user of {name}"), ..intent_of(&name) };
        life.beside(recording(&name, &format!("pass of {name}"), &intent));
    }
    life.stop = Stop::RevokeActive;
    life.show();
    (life, (0..MANY).map(|number| Uid::from(name(number).as_str())).collect())
}

fn is_delete(step: &Step) -> bool {
    matches!(step, Step::Act(Action::DeletePass { .. }))
}

/// The reconciles that are claimed go on until their pass is being deleted, or they rest.
fn go_on_to_the_deletes(life: &mut Life) {
    while let Some(uid) = life.claim() {
        loop {
            let step = life.next(&uid);
            let deletes = is_delete(&step);
            life.put_off(&uid, step);
            if deletes || life.step(&uid).is_some() {
                break;
            }
        }
    }
}

fn reason<'a>(life: &'a Life, uid: &Uid) -> &'a str {
    life.others[uid].ready().map_or("", |ready| &ready.reason)
}

#[test]
fn few_passes_of_a_tenant_are_deleted_at_once_and_the_others_lose_their_secret_meanwhile() {
    let (mut life, uids) = revoked();
    go_on_to_the_deletes(&mut life);
    let (under_way, waiting) = uids.split_at(AT_ONCE);
    assert!(under_way.iter().all(|uid| reason(&life, uid).is_empty()));
    for uid in waiting {
        assert_eq!(reason(&life, uid), "Revoking");
        let message = &life.others[uid].ready().unwrap().message;
        assert!(message.contains("passes of other requests are being deleted first"), "{message}");
    }
    // They wait for Graph, and hold up nobody else.
    assert_eq!(life.requests.schedule.going_on_now(), (0, 0));
}

#[test]
fn whoever_waits_is_called_as_soon_as_there_is_room() {
    let (mut life, uids) = revoked();
    go_on_to_the_deletes(&mut life);
    assert_eq!(life.claim(), None);
    life.reconcile_only(&uids[3]);
    assert_eq!(life.others[&uids[3]].phase(), Phase::Revoked);
    go_on_to_the_deletes(&mut life);
    // One whose deletion fails makes room, too.
    life.delete_pass = Err(error(ErrorKind::Unavailable));
    life.reconcile_only(&uids[4]);
    assert_eq!(reason(&life, &uids[4]), "Revoking");
    life.delete_pass = Ok(());
    go_on_to_the_deletes(&mut life);
    for uid in uids
        .iter()
        .filter(|uid| life.others[*uid].phase() != Phase::Revoked)
        .cloned()
        .collect::<Vec<_>>()
    {
        if uid != uids[4] {
            life.reconcile_only(&uid);
        }
        go_on_to_the_deletes(&mut life);
    }
    let left: Vec<_> =
        uids.iter().filter(|uid| life.others[*uid].phase() != Phase::Revoked).collect();
    assert_eq!(left, [&uids[4]], "{:?}", life.done);
}

/// One that is called, and has nothing to delete any more, calls the next one.
#[test]
fn one_that_is_called_and_deletes_nothing_holds_up_nobody() {
    let (mut life, uids) = revoked();
    go_on_to_the_deletes(&mut life);
    let next = &uids[AT_ONCE];
    let pass = life.others.get_mut(next).unwrap().status.as_mut().unwrap().pass.as_mut().unwrap();
    pass.expiration_time = Time(at(5));
    life.reconcile_only(&uids[0]);
    life.show();
    assert_eq!(life.claim().as_ref(), Some(next));
    life.reconcile_only(next);
    assert_eq!(life.others[next].phase(), Phase::Expired);
    assert_eq!(life.claim().as_ref(), Some(&uids[AT_ONCE + 1]));
}

#[test]
fn one_that_is_gone_makes_room() {
    let (mut life, uids) = revoked();
    go_on_to_the_deletes(&mut life);
    let (first, waits) = (uids[0].clone(), uids[AT_ONCE].clone());
    life.gone.extend([first.clone(), waits.clone()]);
    life.show();
    life.reconcile_only(&first);
    assert_eq!(life.claim().as_ref(), Some(&uids[AT_ONCE + 1]));
    assert!(life.requests.observed(&waits).is_none());
}
