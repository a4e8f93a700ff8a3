//! What may happen, and how often.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::api::OnExistingPass;
use crate::decision::intent::Replaced;

/// A request as somebody made it, or as another process left it.
#[derive(Clone, Debug)]
pub(in super::super) struct Shape {
    pub place: usize,
    namespace: &'static str,
    requester: &'static str,
    policy: &'static str,
    user: usize,
    left: Left,
    finalizer: bool,
    pub phase: Phase,
    /// The pass that is recorded, and the one that it replaced.
    pass: usize,
    replaces: Option<usize>,
}

/// What another process left behind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Nothing,
    Open,
    Closed,
    Unreadable,
    OfAnother,
    Recorded,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A request is there in this shape, where none was in its place; and whether the watch shows it at once.
    Made(Shape, bool),
    /// Somebody decides about a request.
    Decided(usize, DecisionKind),
    /// Somebody deletes a request.
    Deleted(usize),
    /// Somebody takes the finalizer off.
    Released(usize),
    /// The watch shows a request, as it was so many versions ago.
    Shown(usize, usize),
    /// The watch shows that a request is gone.
    Vanished(usize),
    /// A list shows these.
    Listed(Vec<bool>),
    /// The next request that is due is reconciled.
    Claimed,
    /// One of the reconciles goes on: by so many steps that come out well, and one that comes out in some way. Each is said
    /// first, and performed later.
    Steps(usize, usize, u8),
    /// The next pass is looked at.
    LookBegins,
    /// One of the looks is answered.
    LookEnds(usize, u8),
    /// Time passes.
    Waited(i64),
    /// A policy has these bounds now.
    Bounds(usize, Option<(u8, u8)>),
    Stop(Stop),
    CaughtUp,
    Woken,
}

pub(in super::super) fn shape() -> impl Strategy<Value = Shape> {
    let left = select(vec![
        Left::Nothing,
        Left::Nothing,
        Left::Nothing,
        Left::Nothing,
        Left::Nothing,
        Left::Nothing,
        Left::Open,
        Left::Closed,
        Left::Unreadable,
        Left::OfAnother,
        Left::Recorded,
        Left::Recorded,
    ]);
    let phase = select(vec![
        Phase::Pending,
        Phase::AwaitingApproval,
        Phase::Active,
        Phase::Active,
        Phase::Used,
        Phase::Revoked,
        Phase::Unknown,
    ]);
    let who = (select(vec!["a", "b"]), select(vec!["rita", "sam"]), select(POLICIES.to_vec()));
    (0..SLOTS, who, 0_usize..2, left, prop::bool::weighted(0.8), phase, 0_usize..4, 0_usize..8)
        .prop_map(|(place, who, user, left, finalizer, phase, pass, replaces)| Shape {
            place,
            namespace: who.0,
            requester: who.1,
            policy: who.2,
            user,
            left,
            finalizer: finalizer && left != Left::Nothing,
            phase: if left == Left::Nothing { Phase::Pending } else { phase },
            pass,
            replaces: Some(replaces).filter(|pass| *pass < 4),
        })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let kind = select(vec![DecisionKind::Approve, DecisionKind::Deny, DecisionKind::Revoke]);
    let stop = select(vec![Stop::Off, Stop::Off, Stop::Off, Stop::On, Stop::RevokeActive]);
    let bounds = prop::option::of((0_u8..4, 0_u8..4));
    prop_oneof![
        5 => (shape(), prop::bool::weighted(0.8)).prop_map(|(shape, shown)| Event::Made(shape, shown)),
        1 => (0..SLOTS, kind).prop_map(|(place, kind)| Event::Decided(place, kind)),
        1 => (0..SLOTS).prop_map(Event::Deleted),
        1 => (0..SLOTS).prop_map(Event::Released),
        6 => (0..SLOTS, 0_usize..3).prop_map(|(place, ago)| Event::Shown(place, ago / 2 * ago)),
        2 => (0..SLOTS).prop_map(Event::Vanished),
        1 => prop::collection::vec(prop::bool::weighted(0.8), SLOTS).prop_map(Event::Listed),
        12 => Just(Event::Claimed),
        // Most steps come out well, so that reconciles get somewhere.
        20 => (0_usize..4, 0_usize..16, prop_oneof![2 => Just(0), 1 => 0_u8..8])
            .prop_map(|(which, steps, how)| Event::Steps(which, steps, how)),
        3 => Just(Event::LookBegins),
        3 => (0_usize..4, 0_u8..4).prop_map(|(which, how)| Event::LookEnds(which, how)),
        4 => select(vec![1_i64, 10, 70, 160, 700, 4000]).prop_map(Event::Waited),
        1 => (0_usize..2, bounds).prop_map(|(policy, bounds)| Event::Bounds(policy, bounds)),
        1 => stop.prop_map(Event::Stop),
        2 => Just(Event::CaughtUp),
        1 => Just(Event::Woken),
    ]
}

impl Shape {
    /// It, with this uid, made now.
    pub fn request(&self, uid: &str, now: Timestamp) -> TapRequest {
        let mut made = request(&format!("request-{}", self.place), uid);
        made.metadata.namespace = Some(self.namespace.into());
        made.metadata.creation_timestamp = Some(Time(now));
        made.spec.policy_ref.name = self.policy.into();
        made.spec.requested_by = Some(self.requester.into());
        made.spec.user = format!("user-{}", self.user);
        made.spec.on_existing_pass = Some(OnExistingPass::Replace);
        if self.left == Left::Nothing {
            return made;
        }
        if self.finalizer {
            made.metadata.finalizers = Some(vec![FINALIZER.into()]);
        }
        let mut intent = Intent {
            user_id: made.spec.user.clone(),
            replaces: self
                .replaces
                .map(|pass| Replaced { pass_id: format!("pass-{pass}"), request: None }),
            listed_at: now,
            latest_expiry: now + SignedDuration::from_secs(3600 + 180),
            ..intent_of(uid)
        };
        let pass = json!({
            "id": format!("pass-{}", self.pass), "clientRequestId": intent.attempt,
            "startTime": now, "expirationTime": now + SignedDuration::from_secs(3600),
        });
        let is_recorded = matches!(self.left, Left::Recorded | Left::Closed);
        let status =
            json!({"phase": self.phase, "decisions": [], "pass": is_recorded.then_some(pass)});
        made.status = Some(serde_json::from_value(status).unwrap());
        match self.left {
            Left::Closed => intent = intent.closed(),
            Left::OfAnother => intent.uid = "another".into(),
            _ => {}
        }
        annotate(&mut made, &intent);
        if self.left == Left::Unreadable {
            let text = format!("{{\"uid\":\"{uid}\",\"userId\":\"{}\"}}", intent.user_id);
            made.metadata
                .annotations
                .get_or_insert_default()
                .insert(INTENT_ANNOTATION.into(), text);
        }
        made
    }
}
