//! What a decision costs: counted in look-ups, changes and visited elements, and the same however many requests there are.

use super::*;
use crate::decision::situation::Slot;

type Happens = fn(&mut Life);

const FEW: usize = 10;
const MANY: usize = 10_000;

const ONE: Bounds = Bounds { per_namespace: Some(1), per_requester: None };

/// A request waits for a place of a policy's quota, and rests for long.
fn in_line(life: &mut Life, request: &TapRequest) {
    let (uid, observed) = (life.see(request), Observed::of(request));
    let taken = life.requests.holders.take(&uid, &observed.party, at(0), false, ONE);
    assert!(matches!(taken, (Slot::Taken(_), _)));
    life.rest(&uid, LONG);
}

const LONG: Rest = Rest::For(SignedDuration::from_hours(12));

impl Life {
    /// The watch shows a request, and its reconcile begins.
    fn see(&mut self, request: &TapRequest) -> Uid {
        let uid = Uid::from(request.metadata.uid.as_deref().unwrap());
        self.apply(Seen::Applied(uid.clone(), Observed::of(request)));
        self.requests.begin(&uid);
        uid
    }
}

/// What is known of other requests, of other users, as they are in a cluster: with passes, waiting, finished, in line for a
/// place of a quota, and of unknown outcome.
fn others(count: usize) -> Requests {
    let mut life = Life::alone();
    life.edit_policy("{quota: {activePerNamespace: 100000}}");
    life.show();
    life.with_moment(|requests, moment| requests.set_policy("full", Some(ONE), moment));
    let of_full = |mut request: TapRequest| {
        request.spec.policy_ref.name = "full".into();
        request
    };
    life.now = at(0);
    let uid = life.see(&of_full(holder("holder of full")));
    life.rest(&uid, LONG);
    for n in 0..count {
        let name = format!("other-{n:05}");
        let mut other = holder(&name);
        match n % 10 {
            0..4 => {}
            4..7 => {
                let status = other.status.as_mut().unwrap();
                (status.phase, other.metadata.finalizers) = (Phase::Expired, None);
            }
            7 => other.status = None,
            8 => other = request(&name, &name),
            _ => {
                in_line(&mut life, &of_full(request(&name, &name)));
                continue;
            }
        }
        let uid = life.see(&other);
        life.rest(&uid, LONG);
    }
    // Their passes were looked at, and are looked at again later.
    life.now = at(3000);
    life.look();
    life.requests
}

/// What each thing costs that the machine is asked and told in what happens, beside others.
fn costs(others: &Requests, happens: Happens) -> Vec<u64> {
    let mut life = Life::new();
    life.edit_policy("{quota: {activePerNamespace: 100000}, replaceExistingPass: Allowed}");
    // That policy is known to the others as well.
    life.show();
    life.requests = others.clone();
    life.costs.clear();
    happens(&mut life);
    life.costs
}

fn expect(life: &Life, phase: Phase) {
    assert_eq!(life.request.phase(), phase, "{:?}", life.done);
}

#[test]
fn a_decision_costs_the_same_beside_ten_and_ten_thousand_requests() {
    let happens: &[(&str, Happens)] = &[
        ("a pass is issued, seen, and used", |life| {
            life.show();
            assert_eq!(life.claim(), Some(life.uid()));
            life.reconcile_only(&life.uid());
            expect(life, Phase::Active);
            life.show();
            for second in [70, 130] {
                life.now = at(second);
                life.go_on();
            }
            life.seen = Ok(used(pass("ours", at(10), 60, true)));
            life.now = at(190);
            assert_eq!(life.go_on(), [life.uid()]);
            expect(life, Phase::Used);
        }),
        ("a pass expires, and its request is deleted", |life| {
            life.reconcile();
            life.now = at(2900);
            life.reconcile();
            life.request.metadata.deletion_timestamp = Some(Time(at(2900)));
            life.reconcile();
            life.show();
            assert_eq!(life.requests.observed(&life.uid()), None);
        }),
        ("an answer is lost, and its pass found", |life| {
            life.post = lost;
            life.reconcile();
            life.passes = Ok(vec![pass("ours", at(11), 60, true)]);
            for second in [30, 200] {
                life.now = at(second);
                life.reconcile();
            }
            assert!(life.done.contains(&"delete pass ours".to_owned()));
        }),
        ("a pass is replaced", |life| {
            life.beside(recording("replaced", "theirs", &intent_of("replaced")));
            life.edit_spec("{onExistingPass: Replace}");
            life.passes = Ok(vec![pass("theirs", at(0), 60, true)]);
            life.reconcile();
            expect(life, Phase::Active);
            assert_eq!(life.go_on(), ["replaced".into()]);
        }),
        ("a request waits for a place, and for its turn", |life| {
            life.beside(unresolved("first"));
            life.show();
            life.edit_policy("{quota: {activePerNamespace: 1}}");
            life.reconcile_only(&life.uid());
            assert_eq!(life.reason(), "QuotaReached");
            life.edit_policy("{quota: {activePerNamespace: 100000}}");
            for _ in 0..2 {
                life.reconcile_only(&life.uid());
                assert_eq!(life.reason(), "AnotherRequest");
            }
        }),
        ("a policy that nobody names changes", |life| {
            let bounds = Some(Bounds::default());
            life.with_moment(|requests, moment| requests.set_policy("new", bounds, moment));
        }),
    ];
    let (beside_few, beside_many) = (others(FEW), others(MANY));
    for (what, happens) in happens {
        let few = costs(&beside_few, *happens);
        assert_eq!(few, costs(&beside_many, *happens), "{what}");
        let most = few.iter().max().copied().unwrap_or_default();
        assert!((1..150).contains(&most), "{what}: {most} at once");
    }
}

/// Many things that happen at once cost as much as each of them.
#[test]
fn what_concerns_many_requests_costs_so_much_for_each() {
    let (few, many) = (others(100), others(MANY));
    let each = |others: &Requests, happens: Happens| {
        let total: u64 = costs(others, happens).iter().sum();
        total * 100 / u64::try_from(others.entries.iter().count()).unwrap()
    };
    let happens: [(&str, Happens); 3] = [
        ("all passes are looked at", |life| {
            life.now = at(3060);
            life.look();
        }),
        ("all are woken", |life| life.with_moment(Requests::wake_all)),
        ("all requests are gone", |life| {
            life.apply(Seen::ListBegins);
            life.apply(Seen::ListEnds);
        }),
    ];
    for (what, happens) in happens {
        let (few, many) = (each(&few, happens), each(&many, happens));
        // A little is for all of them together, or for as many as go at once.
        assert!(
            many <= few + few / 100 && few <= many + many / 5 + 100,
            "{what}: {few} and {many} for 100"
        );
    }
}

/// The first of a long line is called, and the others are not asked.
#[test]
fn a_place_that_is_free_costs_the_same_however_many_wait_for_it() {
    let line = |waiting: usize| {
        let mut life = Life::alone();
        life.edit_policy("{quota: {activePerNamespace: 1}}");
        life.beside(holder("holds"));
        life.show();
        for n in 0..waiting {
            let name = format!("waits-{n:05}");
            in_line(&mut life, &request(&name, &name));
        }
        life.costs.clear();
        life.revoke("holds");
        life.show();
        assert_eq!(life.claim(), Some("holds".into()));
        life.reconcile_only(&"holds".into());
        assert_eq!(life.claim(), Some("waits-00000".into()));
        assert_eq!(life.claim(), None);
        life.costs
    };
    assert_eq!(line(FEW), line(MANY));
}

#[test]
fn a_scan_would_be_seen() {
    let costs = costs(&others(1000), |life| {
        life.with_moment(|requests, _| requests.entries.values().filter(|e| e.is_gone).count());
    });
    assert!(costs[0] >= 1000, "{costs:?}");
}
