//! Which call is admitted, and when.

use super::*;

#[test]
fn revocation_goes_first() {
    let order = [Priority::Revoke, Priority::Create, Priority::Issue, Priority::Read];
    assert!(order.is_sorted());
}

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn patiently() -> Instant {
    within(300)
}

fn pacer(calls: u32) -> Arc<Pacer> {
    Arc::new(Pacer::new(Some(Pace { calls, most: calls, window: Duration::from_secs(10) })))
}

/// Graph refuses a call, and says how long to wait.
fn pause(pacer: &Pacer, length: Duration) {
    pacer.queue().refuse((u64::MAX, Priority::Read), Some(length), Instant::now());
}

/// Lets all tasks that are ready run, without letting time pass.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lets these calls wait in this order, and returns in which order and second they were admitted.
async fn order(
    pacer: &Arc<Pacer>,
    arrivals: &[(&'static str, Priority)],
) -> Vec<(&'static str, u64)> {
    let began = Instant::now();
    let (done, mut admitted) = tokio::sync::mpsc::unbounded_channel();
    for (name, priority) in arrivals.iter().copied() {
        let (pacer, done) = (Arc::clone(pacer), done.clone());
        tokio::spawn(async move {
            pacer.admit(priority, &Share::default(), patiently()).await.unwrap();
            done.send((name, began.elapsed().as_secs())).unwrap();
        });
        settle().await;
    }
    drop(done);
    let mut order = Vec::new();
    while let Some(call) = admitted.recv().await {
        order.push(call);
    }
    order
}

#[tokio::test(start_paused = true)]
async fn no_window_holds_more_calls_than_the_pace() {
    let (pacer, began) = (pacer(5), Instant::now());
    let mut admitted = Vec::new();
    for _ in 0..23 {
        pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.unwrap();
        admitted.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    for (index, call) in admitted.iter().enumerate() {
        let later = admitted.get(index + 5).copied();
        assert!(later.is_none_or(|later| later >= *call + Duration::from_secs(10)), "{admitted:?}");
    }
    // And the pacer is no slower than that.
    assert!(admitted[22] < Duration::from_secs(44), "{admitted:?}");
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_go_first_and_equals_by_arrival() {
    let pacer = pacer(1);
    let admitted = order(
        &pacer,
        &[
            ("first", Priority::Read),
            ("read 1", Priority::Read),
            ("issue 1", Priority::Issue),
            ("read 2", Priority::Read),
            ("revoke 1", Priority::Revoke),
            ("issue 2", Priority::Issue),
            ("revoke 2", Priority::Revoke),
        ],
    )
    .await;
    let names = ["first", "revoke 1", "revoke 2", "issue 1", "issue 2", "read 1", "read 2"];
    let expected: Vec<_> = names.into_iter().zip((0..).step_by(10)).collect();
    assert_eq!(admitted, expected);
}

#[tokio::test(start_paused = true)]
async fn reads_leave_half_of_the_pace_to_other_calls() {
    let pacer = pacer(5);
    let admitted = order(
        &pacer,
        &[
            ("read 1", Priority::Read),
            ("read 2", Priority::Read),
            ("read 3", Priority::Read),
            ("revoke 1", Priority::Revoke),
            ("issue 1", Priority::Issue),
            ("revoke 2", Priority::Revoke),
            ("revoke 3", Priority::Revoke),
        ],
    )
    .await;
    let expected = [
        ("read 1", 0),
        ("read 2", 0),
        ("revoke 1", 0),
        ("issue 1", 0),
        ("revoke 2", 0),
        ("revoke 3", 10),
        ("read 3", 10),
    ];
    assert_eq!(admitted, expected);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_all_calls_and_keeps_their_order() {
    let (pacer, began) = (pacer(5), Instant::now());
    pause(&pacer, Duration::from_secs(30));
    pause(&pacer, Duration::from_secs(3));
    let waiting = order(&pacer, &[("read", Priority::Read), ("revoke", Priority::Revoke)]).await;
    assert_eq!(waiting, [("revoke", 30), ("read", 30)]);
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_calls_that_already_wait() {
    let pacer = pacer(1);
    pacer.admit(Priority::Issue, &Share::default(), patiently()).await.unwrap();
    let began = Instant::now();
    let waiting = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    pause(&pacer, Duration::from_secs(20));
    waiting.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_admitted_in_time_is_refused_at_once() {
    let (pacer, began) = (pacer(5), Instant::now());
    pause(&pacer, Duration::from_mins(2));
    let refused = pacer.admit(Priority::Revoke, &Share::default(), within(30)).await.map(drop);
    assert_eq!(refused, Err(NotAdmitted { retry_after: Duration::from_mins(2) }));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_behind_others_gives_up_in_time() {
    let pacer = pacer(1);
    pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.unwrap();
    let others: Vec<_> = (0..4)
        .map(|_| {
            let pacer = Arc::clone(&pacer);
            tokio::spawn(async move {
                pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.map(drop)
            })
        })
        .collect();
    settle().await;
    let began = Instant::now();
    let late = pacer.admit(Priority::Read, &Share::default(), within(30)).await.map(drop);
    assert_eq!(late, Err(NotAdmitted { retry_after: Duration::from_secs(10) }));
    assert_eq!(began.elapsed().as_secs(), 30);
    for other in others {
        other.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_lets_the_next_one_go() {
    let (pacer, began) = (pacer(1), Instant::now());
    pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.unwrap();
    let first = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.map(drop) }
    });
    settle().await;
    let second = tokio::spawn({
        let pacer = Arc::clone(&pacer);
        async move { pacer.admit(Priority::Read, &Share::default(), patiently()).await.map(drop) }
    });
    settle().await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(pacer.state().waiting.iter().all(|(_, calls)| *calls == 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_pace_only_a_pause_holds_calls() {
    let (pacer, began) = (Pacer::new(None), Instant::now());
    for _ in 0..1000 {
        pacer.admit(Priority::Read, &Share::default(), within(0)).await.unwrap();
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    pause(&pacer, Duration::from_secs(7));
    pacer.admit(Priority::Read, &Share::default(), patiently()).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 7);
}

/// Each is a call to create a pass, of a namespace and a requester.
async fn shared(pacer: &Arc<Pacer>, calls: &[(&'static str, &str, &str)]) -> Vec<&'static str> {
    pacer.admit(Priority::Revoke, &Share::default(), patiently()).await.unwrap();
    let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (name, namespace, requester) in calls.iter().copied() {
        let share = Share { namespace: namespace.into(), requester: requester.into() };
        let (pacer, sender) = (Arc::clone(pacer), sender.clone());
        tokio::spawn(async move {
            pacer.admit(Priority::Issue, &share, patiently()).await.unwrap();
            sender.send(name).unwrap();
        });
        settle().await;
    }
    drop(sender);
    let mut admitted = Vec::new();
    while let Some(name) = order.recv().await {
        admitted.push(name);
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_namespace_or_requester_makes_nobody_else_wait() {
    let calls = [
        ("flood 1", "a", "mallory"),
        ("flood 2", "a", "mallory"),
        ("flood 3", "a", "mallory"),
        ("flood 4", "a", "mallory"),
        ("beside it", "a", "bob"),
        ("elsewhere 1", "b", "carol"),
        ("elsewhere 2", "b", "carol"),
    ];
    let admitted = shared(&pacer(1), &calls).await;
    let expected =
        ["flood 1", "elsewhere 1", "beside it", "elsewhere 2", "flood 2", "flood 3", "flood 4"];
    assert_eq!(admitted, expected);
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_after_every_third_call_to_create_a_pass() {
    let calls: Vec<_> =
        ["1", "2", "3", "4", "5", "6", "7"].map(|name| (name, Priority::Issue)).into();
    let reads = [("read 1", Priority::Read), ("read 2", Priority::Read)];
    let all: Vec<_> = calls.into_iter().chain(reads).collect();
    let admitted = order(&pacer(1), &all).await;
    let names: Vec<_> = admitted.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["1", "2", "3", "read 1", "4", "5", "6", "read 2", "7"]);
}

/// What all of these tasks counted, once they have ended.
async fn counted(tasks: Vec<tokio::task::JoinHandle<usize>>) -> usize {
    futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).sum()
}

/// Passes for a namespace, one after the other: a list and the POST for each, as fast as they are admitted. Returns how many
/// were made in so many seconds.
fn flood(
    pacer: &Arc<Pacer>,
    namespace: &'static str,
    at_once: usize,
    seconds: u64,
) -> impl Future<Output = usize> + use<> {
    let share = Share { namespace: namespace.into(), requester: "mallory".into() };
    let end = within(seconds);
    let passes = |_| {
        let (pacer, share) = (Arc::clone(pacer), share.clone());
        tokio::spawn(async move {
            let mut passes = 0;
            while pacer.admit(Priority::Issue, &share, end).await.is_ok() {
                passes += usize::from(pacer.admit(Priority::Create, &share, end).await.is_ok());
            }
            passes
        })
    };
    counted((0..at_once).map(passes).collect())
}

/// Looks at passes, as many as are admitted in so many seconds.
fn looks(pacer: &Arc<Pacer>, at_once: usize, seconds: u64) -> impl Future<Output = usize> + use<> {
    let end = within(seconds);
    let looks = |_| {
        let pacer = Arc::clone(pacer);
        tokio::spawn(async move {
            let mut looks = 0;
            while pacer.admit(Priority::Read, &Share::default(), end).await.is_ok() {
                looks += 1;
            }
            looks
        })
    };
    counted((0..at_once).map(looks).collect())
}

/// How long each of so many passes of another namespace waits, if one is asked for from time to time.
async fn waits(pacer: &Pacer, namespace: &str, passes: u32, every: Duration) -> Vec<Duration> {
    let share = Share { namespace: namespace.into(), requester: "carol".into() };
    let began = Instant::now();
    let mut waits = Vec::new();
    for number in 0..passes {
        tokio::time::sleep_until(began + number * every).await;
        let asked = Instant::now();
        pacer.admit(Priority::Issue, &share, patiently()).await.unwrap();
        pacer.admit(Priority::Create, &share, patiently()).await.unwrap();
        waits.push(asked.elapsed());
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_another_namespace_waits_for_no_flood() {
    for (calls, phase) in [(40, 0), (50, 3), (200, 9)] {
        let pacer = pacer(calls);
        let floods = [flood(&pacer, "a", 16, 100), flood(&pacer, "b", 16, 100)];
        tokio::time::sleep(Duration::from_secs(30 + phase)).await;
        assert_eq!(waits(&pacer, "c", 1, Duration::ZERO).await, [Duration::ZERO], "{calls}");
        // Nor does the next of a namespace that asks now and then.
        let every = Duration::from_secs(15);
        tokio::time::sleep(every).await;
        assert_eq!(waits(&pacer, "c", 3, every).await, [Duration::ZERO; 3], "{calls}");
        for flood in floods {
            assert!(flood.await > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_namespace_asks_for_regularly_is_left_to_it() {
    // For how many calls it waits at most, by the pace, and by whether passes are looked at, too.
    // The share that it asks for is one of so many.
    for (calls, share, looks_at_once, places) in [
        (20, 3, 0, 2),
        (50, 3, 0, 0),
        (200, 3, 0, 0),
        (50, 3, 4, 2),
        (200, 3, 4, 2),
        (50, 5, 4, 0),
        (200, 5, 4, 0),
    ] {
        let pacer = pacer(calls);
        let flooding = flood(&pacer, "a", 16, 300);
        let looking = looks(&pacer, looks_at_once, 300);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let every = share * Duration::from_secs(20) / calls;
        let all = waits(&pacer, "b", 12 * calls / share, every).await;
        // At first until a place is free; soon it need not wait for one, or not for many.
        let (first, later) = all.split_at(all.len() / 2);
        assert!(first.iter().all(|wait| *wait <= Duration::from_secs(10)), "{calls}: {first:?}");
        let at_most = places * Duration::from_secs(10) / calls;
        assert!(later.iter().all(|wait| *wait <= at_most), "{calls}, {looks_at_once}: {later:?}");
        let (passes, looks) = (flooding.await, looking.await);
        assert!(passes > 0);
        // One after every third, or fourth where a POST was in line.
        let issued = 2 * (passes + all.len());
        assert!(looks_at_once == 0 || 5 * looks >= issued, "{looks} looks beside {issued} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_others_costs_a_flood_a_twentieth() {
    for calls in [5, 20, 200] {
        let passes = flood(&pacer(calls), "a", 16, 300).await;
        let at_most = 300 / 10 * calls as usize / 2;
        assert!(20 * passes >= 18 * at_most, "{calls}: {passes} of {at_most}");
    }
}

mod learning;
mod model;
mod tenants;
