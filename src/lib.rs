//! tap-operator: Microsoft Entra Temporary Access Passes the Kubernetes way.
//!
//! A pass signs somebody in, and its code is shown once. Everything here serves one aim: no pass is lost, leaked or left
//! behind, whatever crashes, lags or answers wrongly.
//!
//! # The flow
//!
//! ```text
//!   watches ──what they show──▶ decision::requests ──the next step──▶ controller ──┬──▶ cluster: the API server
//!                                 (pure)    ▲                                      └──▶ graph: Microsoft Graph
//!                                           └────────────its outcome───────────────────────────┘
//! ```
//!
//! One state machine in the pure core, [`decision::requests`], holds all that is known of all requests. It has four inputs:
//! what the watch shows, the outcome of every step, changes of policies and of the stop, and the time. It says which request
//! is due, and the next step for it: read the request, ask for all that is not known yet, do one thing, or rest. The
//! [`controller`] performs the steps and decides nothing.
//!
//! So every effect stands between two decisions. A process that dies anywhere leaves a state in the cluster and the tenant
//! from which the next one goes on. Questions about other requests (who is issuing for this user, whose pass is this, how
//! many passes count towards a quota) are look-ups in indexes, so the cost of a decision does not grow with the number of
//! requests.
//!
//! To issue a pass takes three writes to the API server and one POST to Graph. First the *intent*, with the finalizer, is
//! recorded on the request. Then the POST is sent, the code goes from Graph's answer into a Secret, and the status says so.
//! A process that finds an intent whose pass is not in the status knows that a POST may have been sent. It finds out the
//! outcome, and deletes what it finds.
//!
//! A policy is simpler, because nothing needs to be remembered between its reconciles but the last correction:
//! [`decision::policy`] decides from what was read in this reconcile.
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
//! | [`api`] | the resources: their specs, their statuses, and the names used in the cluster |
//! | [`entra`] | the vocabulary of a tenant: users, passes, the TAP method, how a call fails |
//! | [`graph`] | the client of Microsoft Graph: calls, exchange (sign-in, pacing, transport), tenant connections, wire formats |
//! | [`cluster`] | the calls to the API server: requests, Secrets, the lease, and the one place that writes |
//! | [`decision`] | the pure core. `requests`: the state machine of all requests. `checks`: who may have a pass. `policy`: what to do about a tenant |
//! | [`controller`] | the process: watches, reconcilers, leading, events, health, metrics |
//! | [`notice`] | what receivers outside of the cluster are told: kinds, formats, filters |
//! | [`plan`] | what manifests would do, before they are applied: the API server's rules, the difference from the tenant |
//! | [`seal`] | encryption of a code to the public keys of its readers |
//! | [`configuration`] | how the operator's own files and variables are found wrong |
//! | [`effect`] | the list of all changes that the program makes in the cluster and the tenant |
//! | [`secret_file`] | files with secrets |
//! | [`text`] | bounds of texts that others wrote |
//! | [`tls`] | the TLS of connections that share what they know of a server |
//! | [`version`] | version and commit of the program, and which Kubernetes it needs |
//! | [`plugin`] | `kubectl-tap`, the program of the people who ask and decide |
//!
//! Imports go one way. `controller` performs what `decision` says, through `cluster` and `graph`, and nothing imports
//! `controller`. `plan` uses `decision`, and only the commands use `plan`. `cluster` makes of `api`, `seal` and the types of `decision` what it sends. `graph` returns the types of
//! `entra`. `decision` imports only `api`, `entra` and `seal`, so it knows no client. `notice` tells what `decision` knows, by the transport of `graph`. `entra`, `graph` and `cluster` name
//! their writes by `effect`. `plugin` stands apart: it knows the resources, not how they are served.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod api;
pub mod cluster;
pub mod configuration;
// The operator runs in a container. kubectl-tap runs on Windows, too.
#[cfg(unix)]
pub mod controller;
pub mod decision;
pub mod effect;
pub mod entra;
pub mod graph;
pub mod notice;
pub mod plan;
pub mod plugin;
pub mod seal;
pub mod secret_file;
pub mod text;
pub mod tls;
pub mod version;
