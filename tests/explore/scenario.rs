//! What is explored: which requests there are, and what may happen to them.

use super::mind::Mind;
use super::state::{Left, State};

/// Requests of one user, and what may happen to them.
pub struct Scenario {
    pub name: &'static str,
    /// What each request says about a pass that is there already.
    pub requests: &'static [&'static str],
    pub left: Left,
}

impl Scenario {
    /// The state in which it begins.
    pub fn start(&self, mind: &mut Mind) -> State {
        let existing = (0..).zip(self.requests);
        let requests: Vec<_> =
            existing.map(|(number, existing)| mind.request(number, existing)).collect();
        State::new(&requests, self.left)
    }
}

const ONE: &[&str] = &["Refuse"];
const TWO: &[&str] = &["Refuse", "Replace"];
const NOTHING: Left = Left {
    crashes: 0,
    lost: 0,
    late: 0,
    stale: 0,
    slow: 0,
    twins: 0,
    revocations: 0,
    deletions: 0,
    uses: 0,
};
const PEOPLE: Left = Left { twins: 1, revocations: 1, deletions: 1, uses: 1, ..NOTHING };

const fn one(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: ONE, left }
}

const fn two(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: TWO, left }
}

/// What every test run explores.
pub const SLICE: &[Scenario] = &[
    one("one request, nothing happens", NOTHING),
    one("one request, people", PEOPLE),
    one("one request, a crash and a late POST", Left { crashes: 1, late: 1, ..NOTHING }),
    one("one request, a lost answer and a stale read", Left { lost: 1, stale: 1, ..NOTHING }),
    two("two requests, nothing happens", NOTHING),
    two("two requests, a stale read", Left { stale: 1, ..NOTHING }),
];

/// What is explored beyond that, with optimizations.
pub const WHOLE: &[Scenario] = &[
    one("one request, a crash and people", Left { crashes: 1, ..PEOPLE }),
    one("one request, two crashes", Left { crashes: 2, ..NOTHING }),
    one("one request, two crashes, a late POST", Left { crashes: 2, late: 1, ..NOTHING }),
    one(
        "one request, a crash, lost, late, stale",
        Left { crashes: 1, lost: 1, late: 1, stale: 1, ..NOTHING },
    ),
    one(
        "one request, two crashes, lost, late, stale",
        Left { crashes: 2, lost: 1, late: 1, stale: 1, ..NOTHING },
    ),
    one(
        "one request, a crash, lost, late, a twin",
        Left { crashes: 1, lost: 1, late: 1, twins: 1, ..NOTHING },
    ),
    one(
        "one request, a crash, lost, slow, a revocation",
        Left { crashes: 1, lost: 1, slow: 1, revocations: 1, ..NOTHING },
    ),
    two("two requests, a lost answer", Left { lost: 1, ..NOTHING }),
    two("two requests, a crash", Left { crashes: 1, ..NOTHING }),
    two("two requests, a late POST and a stale read", Left { late: 1, stale: 1, ..NOTHING }),
    two("two requests, a crash and a late POST", Left { crashes: 1, late: 1, ..NOTHING }),
    two("two requests, a twin and a use", Left { twins: 1, uses: 1, ..NOTHING }),
    two(
        "two requests, a revocation and a deletion",
        Left { revocations: 1, deletions: 1, ..NOTHING },
    ),
    two("two requests, a crash and a stale read", Left { crashes: 1, stale: 1, ..NOTHING }),
];
