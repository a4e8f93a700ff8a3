//! What people type, and the files that they have planned.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tap_operator::decision::situation::Connection;
use tap_operator::entra::MethodConfiguration;
use tap_operator::plan::finding::Severity;
use tap_operator::plan::manifests::{File, Manifests};
use tap_operator::plan::rules::Rules;
use tap_operator::plan::tenant::{Tenant, Tenants};
use tap_operator::plan::{Outcome, Plan, render};
use tap_operator::plugin::naming;
use tap_operator::plugin::time::{Clock, duration};

use super::decide::{connection, method};

/// Where people sit who type times: with and without summer time, and at both ends of the world.
const ZONES: [&str; 5] =
    ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "<+14>-14", "<-12>12"];

/// A file with manifests: planned without a tenant, and with one.
pub fn plan(input: &[u8]) {
    static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::shipped().expect("they are shipped"));
    let Ok(text) = std::str::from_utf8(input) else { return };
    let now: Timestamp = "2027-01-15T08:00:00Z".parse().expect("a time");
    let files = [File { name: "a.yaml".into(), text: text.into() }];
    let tenants = Tenants::from([("default".to_owned(), Ok(tenant()))]);
    for tenants in [None, Some(&tenants)] {
        let plan = Plan::of(Manifests::read(&files, &RULES, now), tenants, now);
        is_a_plan(&plan, text);
    }
}

fn is_a_plan(plan: &Plan, text: &str) {
    let errors = plan.count(Severity::Error);
    let outcome = match (errors, plan.changes()) {
        (0, 0) => Outcome::NoChange,
        (0, _) => Outcome::Changes,
        _ => Outcome::Error,
    };
    assert_eq!(plan.outcome(), outcome);
    let nothing = plan.policies.is_empty() && plan.requests == 0;
    assert!(!nothing || errors > 0, "nothing was planned, and nobody was told: {plan:?}");
    let lines = text.lines().count() + 1;
    for finding in &plan.findings {
        assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)), "{finding:?}");
    }
    for shown in [render::text(plan), render::markdown(plan)] {
        let hidden = shown.lines().find(|line| line.contains(char::is_control));
        assert!(hidden.is_none(), "control characters in {hidden:?}");
    }
    assert_eq!(render::json(plan)["exitCode"], outcome.code());
}

/// A tenant of which all can be read.
fn tenant() -> Tenant {
    Tenant {
        connection: Connection {
            tenant_id: "7f2d6c1e-3b6a-4c64-9d0e-5a1c3e2b4f60".into(),
            ..connection()
        },
        permissions: vec!["Policy.Read.AuthenticationMethod".into()],
        method: MethodConfiguration {
            minimum_lifetime_minutes: Some(60),
            include: Vec::new(),
            ..method()
        },
        groups: Ok(Vec::new()),
        access_policies: Some(Ok(Arc::from([]))),
    }
}

/// Lifetimes, starts, durations and reasons as people type them to `kubectl tap`, in a time zone that the first byte chooses.
pub fn typed(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let zone = TimeZone::posix(ZONES[usize::from(*first) % ZONES.len()]).expect("a zone");
    // A Sunday on which the clocks of Europe change.
    let now: Timestamp = "2027-03-28T00:30:00Z".parse().expect("a time");
    let clock = Clock { now, zone };
    match Clock::lifetime(text) {
        Ok(lifetime) => {
            let minutes = lifetime.minutes().expect("a lifetime that was understood");
            assert!((10..=720 * 60).contains(&minutes), "{lifetime}");
            assert_eq!(Clock::lifetime(&lifetime.to_string()), Ok(lifetime));
        }
        Err(why) => super::is_a_message(&why, 200 + 10 * text.len()),
    }
    match clock.start(text) {
        Ok(start) => {
            assert!(start > now, "{text:?} is {start}");
            super::is_a_message(&clock.told(start), 100);
            // What people are told, they can type. It has no seconds.
            let again = clock.start(&start.to_string());
            assert_eq!(again, Ok(start), "{text:?}");
        }
        Err(why) => super::is_a_message(&why, 300 + 10 * text.len()),
    }
    if let Ok(duration) = duration(text) {
        assert!(duration.is_positive(), "{text:?} is {duration}");
    }
    let name = naming::name(text, Some(text), clock.now.to_zoned(clock.zone).date(), 12);
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(name.len() <= 63 && name.chars().all(is_plain), "{name:?}");
    assert!(!name.starts_with('-') && !name.ends_with('-'), "{name:?}");
}
