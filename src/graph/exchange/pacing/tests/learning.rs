//! What the pace learns from what a tenant takes and refuses.

use std::collections::VecDeque;

use super::super::learned::Learned;
use super::*;

/// A tenant that takes so many calls in ten seconds, and refuses what comes beyond.
struct Tenant {
    takes: usize,
    /// Whether it says for how long the client is to wait.
    says_how_long: bool,
    recent: VecDeque<Instant>,
    refused: usize,
}

impl Tenant {
    fn taking(takes: usize) -> Self {
        Self { takes, says_how_long: true, recent: VecDeque::new(), refused: 0 }
    }

    /// Whether it takes a call.
    fn call(&mut self, turn: Turn<'_>) -> bool {
        let now = Instant::now();
        let window = Duration::from_secs(10);
        self.recent.retain(|at| *at + window > now);
        if self.recent.len() < self.takes {
            self.recent.push_back(now);
            turn.taken();
            return true;
        }
        self.refused += 1;
        let until_one_is_free = self.recent.front().map_or(window, |at| *at + window - now);
        turn.refused(self.says_how_long.then_some(until_one_is_free));
        false
    }
}

fn adaptive(least: u32, most: u32) -> Pacer {
    Pacer::new(Some(Pace { calls: least, most, window: Duration::from_secs(10) }))
}

/// Makes calls until the tenant has taken so many; how long it took.
async fn make(pacer: &Pacer, tenant: &mut Tenant, calls: usize, priority: Priority) -> Duration {
    let began = Instant::now();
    let mut taken = 0;
    while taken < calls {
        let latest = within(24 * 3600);
        let turn = pacer.admit(priority, &Share::default(), latest).await.unwrap();
        taken += usize::from(tenant.call(turn));
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_takes_more_is_asked_more() {
    let (pacer, mut tenant) = (adaptive(5, 200), Tenant::taking(200));
    let settling = make(&pacer, &mut tenant, 1500, Priority::Issue).await;
    assert!(settling < Duration::from_mins(6), "{settling:?}");
    // 1,000 calls, 200 in each ten seconds.
    let took = make(&pacer, &mut tenant, 1000, Priority::Issue).await;
    assert!(took <= Duration::from_secs(55), "{took:?}");
    assert_eq!(tenant.refused, 0);
    assert!((19.0..=20.0).contains(&pacer.state().calls_per_second), "{:?}", pacer.state());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_the_documented_limit_refuses_next_to_nothing() {
    let (pacer, mut tenant) = (adaptive(5, 200), Tenant::taking(5));
    let took = make(&pacer, &mut tenant, 5000, Priority::Issue).await;
    let best = Duration::from_secs(5000 / 5 * 10);
    assert!(took < best + best / 10, "{took:?} beside {best:?}");
    assert!(tenant.refused <= 10, "{} of 5000", tenant.refused);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_changes_its_mind_is_followed() {
    let (pacer, mut tenant) = (adaptive(5, 200), Tenant::taking(60));
    make(&pacer, &mut tenant, 3000, Priority::Issue).await;
    assert!((4.0..=6.0).contains(&pacer.state().calls_per_second), "{:?}", pacer.state());
    tenant.takes = 10;
    make(&pacer, &mut tenant, 500, Priority::Issue).await;
    assert!((0.5..=1.0).contains(&pacer.state().calls_per_second), "{:?}", pacer.state());
    // In time it finds that more is taken again.
    (tenant.takes, tenant.refused) = (60, 0);
    make(&pacer, &mut tenant, 20_000, Priority::Issue).await;
    assert!((4.0..=6.0).contains(&pacer.state().calls_per_second), "{:?}", pacer.state());
    assert!(tenant.refused <= 200, "{} of 20,000", tenant.refused);

    // One that refuses all without saying for how long.
    (tenant.takes, tenant.says_how_long) = (0, false);
    for _ in 0..100 {
        let turn = pacer.admit(Priority::Issue, &Share::default(), within(3600)).await.unwrap();
        tenant.call(turn);
    }
    assert!((0.4..=0.5).contains(&pacer.state().calls_per_second));
}

#[tokio::test(start_paused = true)]
async fn what_creates_or_revokes_tries_nothing_and_no_read_does_while_a_revocation_waits() {
    for priority in [Priority::Create, Priority::Revoke] {
        let (pacer, mut tenant) = (adaptive(5, 200), Tenant::taking(usize::MAX));
        make(&pacer, &mut tenant, 500, priority).await;
        assert!((0.4..=0.5).contains(&pacer.state().calls_per_second), "{priority:?}");
    }
    let pacer = Arc::new(adaptive(1, 200));
    pacer.admit(Priority::Issue, &Share::default(), patiently()).await.unwrap();
    // A read would be tried now.
    let admitted = order(&pacer, &[("revoke", Priority::Revoke), ("read", Priority::Issue)]).await;
    assert_eq!(admitted, [("revoke", 10), ("read", 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_pace_that_is_fixed_stays() {
    let (pacer, mut tenant) = (adaptive(20, 5), Tenant::taking(usize::MAX));
    make(&pacer, &mut tenant, 1000, Priority::Issue).await;
    assert!((1.9..=2.0).contains(&pacer.state().calls_per_second));
}

/// How long after a refusal more is tried again.
fn not_again(learned: &Learned, refused: Instant) -> Duration {
    let minutes = (0..).map(Duration::from_mins);
    let tries =
        |after: &Duration| learned.limit(Priority::Read, false, refused + *after) > learned.calls();
    minutes.take(600).find(tries).unwrap()
}

#[test]
fn what_is_refused_again_is_tried_later_each_time_and_what_was_never_refused_soon() {
    let pace = Pace { calls: 5, most: 200, window: Duration::from_secs(10) };
    let (mut learned, mut now) = (Learned::new(pace), Instant::now());
    for minutes in [10, 20, 40, 60, 60] {
        learned.refuse(false, now);
        assert_eq!(not_again(&learned, now), Duration::from_mins(minutes));
    }
    now += Duration::from_hours(1);
    while learned.calls() < 200 {
        learned.admitted(learned.limit(Priority::Read, false, now), now);
        now += pace.window;
        learned.settle(now);
    }
    // It has changed its mind: each time it refuses far fewer.
    while learned.calls() > 5 {
        learned.refuse(false, now);
    }
    assert_eq!(not_again(&learned, now), Duration::from_mins(10));
}
