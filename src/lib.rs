//! tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way.
//!
//! A pass is a way into somebody's account, told once. Everything here serves one aim: that no pass is lost, leaked or
//! left behind, whatever crashes, lags or lies.
//!
//! # The flow
//!
//! ```text
//!   TapRequest ──observe──▶ decision ──one step──▶ controller ──act──▶ Kubernetes, Graph
//!   TapPolicy        ▲       (pure)                  (shell)                   │
//!                    └────────────────────what came of it───────────────────────┘
//! ```
//!
//! A reconcile is a loop: the shell says what it knows, the core says the one next thing to look at or to do, the shell
//! does it, until there is nothing to do now. So every effect stands between two decisions, and a crash anywhere leaves
//! something that the next decision understands.
//!
//! An issue is three writes and one POST: the *intent* (with the finalizer) is recorded on the request before the POST is
//! sent; the code goes from Graph's answer into a Secret; the status says so. Whoever finds an intent without its pass in
//! the status knows that a POST may have been sent, finds out what became of it, and takes it back.
//!
//! # The promises
//!
//! 1. Every usable pass that the operator made is recorded by one live request, or is deleted.
//! 2. One POST for each attempt, recorded before it is sent; no human step after a crash.
//! 3. The code is in one place, the Secret.
//! 4. The Secret goes when the pass expires by Graph's clock, never early; what is to be revoked goes first.
//! 5. What is not ours stays: passes, Secrets, and fields of the tenant's policy.
//! 6. Deletion always ends.
//! 7. The operator may not read Secrets.
//! 8. When nothing changes, nothing is written.
//! 9. A failed read is not absence.
//!
//! # The rooms
//!
//! | room | what is in it |
//! |---|---|
//! | [`api`] | the resources as people write them |
//! | [`decision`] | the pure core: the life of a request, who may have a pass, how a tenant differs from its policy |
//! | [`controller`] | the shell: watches, reconcilers, effects, lease, health |
//! | [`graph`] | the Graph client: sign-in, typed calls and errors, pacing |
//! | [`effect`] | everything that is changed in the cluster and the tenant, in one list |
//! | [`seal`] | encryption of a code to the public keys of those who are to read it |
//! | `simulator` | a tenant with Graph's behaviour, for tests and trying out (feature `simulator`) |
//!
//! Arrows go one way: `controller` uses `decision`, `graph`, `seal` and `api`; `decision` uses what `graph` returns, reads
//! keys with `seal`, and uses `api`; `controller` and `graph` name what they change by `effect`; nobody uses `controller`.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod api;
pub mod controller;
pub mod decision;
pub mod effect;
pub mod graph;
pub mod seal;
#[cfg(feature = "simulator")]
pub mod simulator;
