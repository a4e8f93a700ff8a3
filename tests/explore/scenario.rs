//! What is explored: which requests there are, and what may happen to them.

use super::machine::Core;
use super::state::{Left, State};

/// Requests of one user, and what may happen to them.
pub struct Scenario {
    pub name: &'static str,
    /// What each request says about a pass that is there already.
    pub requests: &'static [&'static str],
    pub left: Left,
}

impl Scenario {
    /// The state in which it begins: the requests were just created, and a process begins to lead.
    pub fn start(&self, core: &mut Core) -> State {
        let existing = (0..).zip(self.requests);
        let requests: Vec<_> = existing
            .map(|(number, existing)| core.objects.keep(core.world.request(number, existing)))
            .collect();
        let there: Vec<_> = requests.iter().copied().map(Some).collect();
        let leader = core.leads(0, &there, &there, 0);
        State::new(&requests, leader, self.left)
    }
}

const ONE: &[&str] = &["Refuse"];
const TWO: &[&str] = &["Refuse", "Replace"];
const REPLACE: &[&str] = &["Replace", "Replace"];
const WAIT: &[&str] = &["Refuse", "Wait"];
const NOTHING: Left = Left {
    deaths: 0,
    leases: 0,
    lost: 0,
    late: 0,
    stale: 0,
    refused: 0,
    slow: 0,
    twins: 0,
    revocations: 0,
    deletions: 0,
    uses: 0,
    enablings: 0,
};
const PEOPLE: Left = Left { twins: 1, revocations: 1, deletions: 1, uses: 1, ..NOTHING };

const fn one(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: ONE, left }
}

const fn two(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: TWO, left }
}

const fn replace(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: REPLACE, left }
}

const fn wait(name: &'static str, left: Left) -> Scenario {
    Scenario { name, requests: WAIT, left }
}

/// What every test run explores.
pub const SLICE: &[Scenario] = &[
    one("one request, nothing happens", NOTHING),
    one("one request, people", PEOPLE),
    one("one request, a death, late", Left { deaths: 1, late: 1, ..NOTHING }),
    one("one request, a lost lease, late", Left { leases: 1, late: 1, ..NOTHING }),
    one("one request, a disabled account", Left { enablings: 1, ..NOTHING }),
    one("one request, refused", Left { refused: 1, ..NOTHING }),
    one("one request, lost, stale", Left { lost: 1, stale: 1, ..NOTHING }),
    one(
        "one request, a lost lease, slow, a revocation",
        Left { leases: 1, slow: 1, revocations: 1, ..NOTHING },
    ),
    one(
        "one request, a death, late, a deletion",
        Left { deaths: 1, late: 1, deletions: 1, ..NOTHING },
    ),
    two("two requests, nothing happens", NOTHING),
    two("two requests, stale", Left { stale: 1, ..NOTHING }),
    two("two requests, late, stale", Left { late: 1, stale: 1, ..NOTHING }),
    two("two requests, lost", Left { lost: 1, ..NOTHING }),
];

/// What is explored beyond that, with optimizations: what ends within minutes.
///
/// Left out, because the numbers of states multiply:
/// - for one request, more than two deaths or two lost leases, or a second lost answer, late call, stale read or slow
///   process; both a death and a lost lease together with a lost answer or a stale read; two lost leases together with
///   anything else; a slow process but beside a revocation; people together with a lost answer, a late call or a
///   stale read, but for one twin, one revocation, one deletion or one use;
/// - for two requests, a lost lease or two deaths together with anything else, but for two deaths with a late call; a death
///   together with what people do, or with two of lost, late and stale; a slow process; two of the same fault; people
///   together with a fault, but for a stale read where the second waits;
/// - an answer to a read that is on its way while something else happens, more than one watch that lags, and an event for a
///   process's own write that comes before the answer, but for the one that tells that the request is gone;
/// - a process that is stopped between its decision and the call (a call that is on its way takes effect within a tick), and a
///   request that has the name of one that is gone;
/// - more than two requests for one user, and what no scenario changes: policy, quota, stop, approvals, groups and roles
///   (they are always as the request needs them); of what a request waits for in the tenant, only an account is enabled late.
pub const WHOLE: &[Scenario] = &[
    one(
        "one request, a disabled account, a death, lost, people",
        Left { enablings: 1, deaths: 1, lost: 1, revocations: 1, deletions: 1, ..NOTHING },
    ),
    two("two requests, a disabled account, a death", Left { enablings: 1, deaths: 1, ..NOTHING }),
    one("one request, a death, people", Left { deaths: 1, ..PEOPLE }),
    one("one request, a lost lease, people", Left { leases: 1, ..PEOPLE }),
    one(
        "one request, a death, lost, late, stale",
        Left { deaths: 1, lost: 1, late: 1, stale: 1, ..NOTHING },
    ),
    one(
        "one request, two deaths, lost, late, stale",
        Left { deaths: 2, lost: 1, late: 1, stale: 1, ..NOTHING },
    ),
    one(
        "one request, a death, a lost lease, late",
        Left { deaths: 1, leases: 1, late: 1, ..NOTHING },
    ),
    one(
        "one request, a lost lease, lost, late, stale",
        Left { leases: 1, lost: 1, late: 1, stale: 1, ..NOTHING },
    ),
    one("one request, two deaths, a lost lease", Left { deaths: 2, leases: 1, ..NOTHING }),
    one("one request, two lost leases", Left { leases: 2, ..NOTHING }),
    one("one request, a lost lease, lost, stale", Left { leases: 1, lost: 1, stale: 1, ..NOTHING }),
    one(
        "one request, a death, lost, late, a twin",
        Left { deaths: 1, lost: 1, late: 1, twins: 1, ..NOTHING },
    ),
    one(
        "one request, a death, lost, slow, a revocation",
        Left { deaths: 1, lost: 1, slow: 1, revocations: 1, ..NOTHING },
    ),
    one(
        "one request, a death, lost, late, a use",
        Left { deaths: 1, lost: 1, late: 1, uses: 1, ..NOTHING },
    ),
    one(
        "one request, a lost lease, late, a revocation",
        Left { leases: 1, late: 1, revocations: 1, ..NOTHING },
    ),
    one(
        "one request, a death, late, slow, a revocation",
        Left { deaths: 1, late: 1, slow: 1, revocations: 1, ..NOTHING },
    ),
    one(
        "one request, a death, refused twice, a revocation",
        Left { deaths: 1, refused: 2, revocations: 1, ..NOTHING },
    ),
    one("one request, refused twice, a deletion", Left { refused: 2, deletions: 1, ..NOTHING }),
    one("one request, refused, lost, late", Left { refused: 1, lost: 1, late: 1, ..NOTHING }),
    one("one request, refused, a lost lease", Left { refused: 1, leases: 1, ..NOTHING }),
    two("two requests, refused twice", Left { refused: 2, ..NOTHING }),
    two("two requests, a death", Left { deaths: 1, ..NOTHING }),
    two("two requests, a lost lease", Left { leases: 1, ..NOTHING }),
    two("two requests, a death, late", Left { deaths: 1, late: 1, ..NOTHING }),
    two("two requests, a death, stale", Left { deaths: 1, stale: 1, ..NOTHING }),
    two("two requests, two deaths, late", Left { deaths: 2, late: 1, ..NOTHING }),
    two("two requests, a death, lost", Left { deaths: 1, lost: 1, ..NOTHING }),
    two("two requests, lost, late, stale", Left { lost: 1, late: 1, stale: 1, ..NOTHING }),
    two("two requests, people", PEOPLE),
    replace("two that replace, nothing happens", NOTHING),
    replace("two that replace, a death", Left { deaths: 1, ..NOTHING }),
    replace("two that replace, late, stale", Left { late: 1, stale: 1, ..NOTHING }),
    wait("one that waits, a death, late", Left { deaths: 1, late: 1, ..NOTHING }),
    wait("one that waits, stale, people", Left { stale: 1, ..PEOPLE }),
    two("two requests, lost, stale", Left { lost: 1, stale: 1, ..NOTHING }),
    two("two requests, a twin, a use", Left { twins: 1, uses: 1, ..NOTHING }),
    two("two requests, a revocation, a deletion", Left { revocations: 1, deletions: 1, ..NOTHING }),
];
