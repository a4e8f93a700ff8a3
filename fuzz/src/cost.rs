//! The cost of decisions about the largest and worst resources that the API server accepts, compared with honest ones.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{accepted, encryption, under, usual_policy, usual_request};
use super::decide;

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJKc89miDhQBCieg+zM/smyV3bIeyYYVbP0MKg8pypNw";
const RSA: &str = include_str!("../seeds/recipients/ssh-rsa");

/// A name for the case, and a policy and a request as the API server has them.
struct Case {
    name: String,
    policy: Vec<u8>,
    request: Vec<u8>,
}

impl Case {
    fn new(name: &str, issuance: Value, request: Value) -> Self {
        Self {
            name: name.to_owned(),
            policy: serde_json::to_vec(&usual_policy(issuance)).unwrap(),
            request: serde_json::to_vec(&usual_request(request)).unwrap(),
        }
    }

    /// How long the policy takes whenever it changes, and the request.
    fn times(&self) -> [Duration; 2] {
        let policy = serde_json::from_slice(&self.policy).expect("it is a policy");
        let terms = decide::terms(&policy);
        [took(|| accepted(&self.policy)), took(|| under(&policy, terms.as_ref(), &self.request))]
    }
}

fn took(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn id(number: usize) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

fn groups(count: usize) -> Value {
    (0..count).map(|n| json!({ "group": id(n), "displayName": "x".repeat(256) })).collect()
}

fn decisions(count: usize) -> Value {
    (0..count)
        .map(|n| {
            let by = format!("{n}{}", "b".repeat(1_000));
            json!({ "by": by, "decision": "Approve", "comment": "c".repeat(512) })
        })
        .collect()
}

/// Different RSA keys, each with the longest comment that the schema allows.
fn rsa_keys(count: usize, round: usize) -> Vec<String> {
    let key = RSA.trim();
    let (kind, rest) = key.split_once(' ').unwrap();
    let body = rest.split(' ').next().unwrap();
    // The end of the modulus without its last byte, which must stay odd.
    let at = body.len() - 24;
    (0..count)
        .map(|n| {
            let letter = char::from(b'A' + u8::try_from(n).unwrap());
            let key = format!("{kind} {}{letter}{} ", &body[..at], &body[at + 1..]);
            let comment = "c".repeat(4096 - 3 - key.len());
            format!("{key}{comment}{round:03}")
        })
        .collect()
}

fn honest(round: usize) -> Case {
    let issuance = json!({
        "users": { "domains": ["contoso.com"], "groups": [{ "group": id(1) }] },
        "reason": { "pattern": "^INC[0-9]+" }, "approval": { "required": 1 },
    });
    let request = json!({
        "spec": { "reason": format!("INC0012345 lost phone {round}"), "recipients": [format!("{ED25519} desk {round}")] },
        "status": { "phase": "AwaitingApproval", "decisions": [{ "by": "bob@contoso.com", "decision": "Approve" }] },
    });
    Case::new("honest", issuance, request)
}

fn hostile(round: usize) -> Vec<Case> {
    let reason = |pattern: &str| json!({ "reason": { "pattern": pattern } });
    let why = json!({ "spec": { "reason": format!("{}{round:03}", "a".repeat(509)) } });
    let nested = r"(?:(?:(?:\w{9}){9}){9}){9}";
    vec![
        Case::new("pattern: repetitions of classes", reason(nested), why.clone()),
        Case::new("pattern: repetitions that do not fit", reason(r"\w{30}"), why.clone()),
        Case::new("pattern: repetitions that fit", reason(r"\w{4}"), why.clone()),
        Case::new("pattern: many stars", reason(&format!("{}b", "(a*)*".repeat(50))), why.clone()),
        Case::new("pattern: all letters, no case", reason(&r"(?i)\pL".repeat(36)), why.clone()),
        Case::new(
            "lists of 100",
            json!({
                "namespaces": { "names": (0..99).map(|n| format!("{n}{}", "n".repeat(60))).chain(["helpdesk".into()]).collect::<Vec<_>>() },
                "users": {
                    "domains": (0..99).map(|n| format!("{n}.{}", "d".repeat(250))).chain(["contoso.com".into()]).collect::<Vec<_>>(),
                    "groups": groups(100), "excludeGroups": groups(100),
                },
            }),
            json!({}),
        ),
        Case::new(
            "32 decisions",
            json!({ "approval": { "required": 5 } }),
            json!({ "status": { "phase": "AwaitingApproval", "decisions": decisions(32) } }),
        ),
        Case::new(
            "3 RSA keys of 4096 bits",
            json!({}),
            json!({ "spec": { "recipients": rsa_keys(3, round) } }),
        ),
        Case::new(
            "annotations of 256 KiB",
            json!({}),
            json!({ "metadata": { "annotations": { "note": "n".repeat(256 * 1024 - 100) } } }),
        ),
        Case::new(
            "5000 labels",
            json!({}),
            json!({ "metadata": { "labels": (0..5_000).map(|n| (format!("label-{n}"), json!("x".repeat(63)))).collect::<serde_json::Map<_, _>>() } }),
        ),
    ]
}

/// What each case costs more than an honest one.
pub struct Cost {
    pub name: String,
    /// Once, whenever the policy changes. Only who may write policies can cause it.
    pub policy: Duration,
    /// The request.
    pub request: Duration,
}

/// What each case costs more than an honest one, which is the first, with the whole of its own cost. Each is the least of some
/// rounds, which excludes the other load of the machine. Every round has new requests, because verdicts are remembered.
pub fn costs(rounds: usize) -> Vec<Cost> {
    let mut least = Vec::new();
    let mut names = Vec::new();
    for round in 0..rounds {
        let cases: Vec<_> = std::iter::once(honest(round)).chain(hostile(round)).collect();
        least.resize(cases.len(), [Duration::MAX; 2]);
        for (case, least) in cases.iter().zip(&mut least) {
            let [policy, request] = case.times();
            *least = [policy.min(least[0]), request.min(least[1])];
        }
        names = cases.into_iter().map(|case| case.name).collect();
    }
    let honest = least[0];
    let more = least.into_iter().enumerate().map(|(place, times)| match place {
        0 => times,
        _ => [0, 1].map(|of| times[of].saturating_sub(honest[of])),
    });
    let costs = names.into_iter().zip(more);
    let costs = costs.map(|(name, [policy, request])| Cost { name, policy, request });
    costs.chain([encryption_to_three(rounds)]).collect()
}

/// The cost of encrypting a code to three RSA keys of 4096 bits, the most that are allowed. It occurs once for each
/// pass.
fn encryption_to_three(rounds: usize) -> Cost {
    let request = json!({ "spec": { "recipients": rsa_keys(3, 0) } });
    let request = serde_json::to_vec(&usual_request(request)).expect("a request can be written");
    let least = (0..rounds).map(|_| took(|| encryption(&request))).min();
    let name = "encryption to 3 RSA keys".into();
    Cost { name, policy: Duration::ZERO, request: least.unwrap_or_default() }
}
