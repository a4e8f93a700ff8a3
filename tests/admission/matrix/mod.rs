//! All rules at once: every caller of the [`cast`] makes every call of the tables, and each outcome is compared with
//! the one that the tables expect. The tables are a second and independent description of the admission policies.
//!
//! Each call is a dry run first. Most calls that the policies must refuse are then made for real: they change nothing.

mod cast;
mod changes;
mod creation;
mod edit;
mod objects;
mod secrets;
mod status;

use std::io::Write;

use anyhow::{Result, bail, ensure};
use futures::StreamExt;
use serde_json::Value;

use crate::call::{Call, Refusal};
use crate::cluster::Cluster;
use crate::office::Office;
use crate::support::run;
use cast::{Caller, Resource};
use objects::Objects;

/// How many calls are made at the same time.
const AT_ONCE: usize = 16;

/// What the server does depending on its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// It stamps the requester, and puts back what a replace left out.
    Current,
    /// It does neither; the policies refuse both.
    Older,
}

/// One call and its expected outcome.
struct Case<'a> {
    what: String,
    who: &'a Caller,
    call: Call,
    verdict: Verdict,
}

/// The expected outcome of a call.
#[derive(Clone, Debug)]
enum Verdict {
    /// The answer has these values at these paths.
    Allowed(Vec<(&'static str, Value)>),
    /// Refused by RBAC, or because there is no such call. The message contains this.
    Outside(u16, &'static str),
    /// Refused by the policies, with a message that contains one of these.
    Refused(u16, Vec<&'static str>),
}

impl Verdict {
    /// RBAC decides first, then the policies if anything is wrong. They refuse people with 403, and the operator with
    /// 422.
    fn of(
        who: &Caller,
        verb: &'static str,
        resource: Resource,
        wrong: Vec<&'static str>,
        answer: Vec<(&'static str, Value)>,
    ) -> Self {
        if !who.can(verb, resource) {
            Self::Outside(403, cannot(verb))
        } else if wrong.is_empty() {
            Self::Allowed(answer)
        } else {
            Self::Refused(if who.is_operator() { 422 } else { 403 }, wrong)
        }
    }

    /// How the outcome differs from the expected one, if it does.
    fn differs(&self, outcome: &Result<Value, Refusal>) -> Option<String> {
        match (self, outcome) {
            (Self::Allowed(places), Ok(answer)) => places
                .iter()
                .find(|(place, value)| answer.pointer(place).unwrap_or(&Value::Null) != value)
                .map(|(place, value)| {
                    let is = answer.pointer(place).unwrap_or(&Value::Null);
                    format!("{place} should be {value}, and is {is}")
                }),
            (Self::Allowed(_), Err(refusal)) => Some(format!("should be allowed: {refusal:?}")),
            (Self::Outside(code, message), Err(refusal))
                if *code == refusal.code && refusal.message.contains(message) =>
            {
                None
            }
            (Self::Refused(code, messages), Err(refusal))
                if *code == refusal.code
                    && messages.iter().any(|message| refusal.message.contains(message)) =>
            {
                None
            }
            (_, Err(refusal)) => Some(format!("should be {self:?}: {refusal:?}")),
            (_, Ok(_)) => Some(format!("should be {self:?}, and was allowed")),
        }
    }
}

/// RBAC's message.
fn cannot(verb: &str) -> &'static str {
    match verb {
        "create" => "cannot create resource",
        "update" => "cannot update resource",
        "patch" => "cannot patch resource",
        "delete" => "cannot delete resource",
        _ => "cannot",
    }
}

#[test]
fn everybody_everything_on_a_current_server() -> Result<()> {
    run(async { matrix(Cluster::shared().await?, Server::Current, |_| true, 4000).await })
}

#[test]
fn everybody_everything_on_an_older_server() -> Result<()> {
    run(async {
        let cluster = Cluster::older().await?;
        // An older server differs in what it makes of requests, and not in who is granted what, or in Secrets.
        let part = |who: &Caller| who.matters_to(None) && who.writes_requests();
        matrix(cluster, Server::Older, part, 2000).await
    })
}

/// Makes all calls. Fails with all unexpected outcomes.
async fn matrix(
    cluster: &Cluster,
    server: Server,
    part: impl Fn(&Caller) -> bool,
    at_least: usize,
) -> Result<()> {
    let office = Office::open(cluster, "matrix").await?;
    let mut everybody = cast::everybody(&office).await?;
    everybody.retain(part);
    let objects = Objects::make(&office, server, &everybody).await?;
    let mut cases = creation::cases(&office, server, &everybody);
    cases.extend(changes::cases(&office, server, &objects, &everybody)?);
    cases.extend(status::cases(&office, server, &objects, &everybody)?);
    if server == Server::Current {
        cases.extend(secrets::cases(&office, &objects, &everybody)?);
    }
    let number = cases.len();
    let outcomes: Vec<_> =
        futures::stream::iter(&cases).map(trial).buffer_unordered(AT_ONCE).collect().await;
    let wrong: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    writeln!(
        std::io::stderr(),
        "{number} calls by {} callers on the {server:?} server, {} of them wrong",
        everybody.len(),
        wrong.len(),
    )?;
    ensure!(number >= at_least, "only {number} cases");
    if wrong.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = wrong.iter().map(|wrong| format!("- {wrong:#}")).collect();
    bail!(
        "{} of {number} calls had another outcome than expected:\n{}",
        wrong.len(),
        lines.join("\n")
    )
}

async fn trial(case: &Case<'_>) -> Result<()> {
    let Case { what, who, call, verdict } = case;
    let mut calls = vec![("as a dry run", call.clone().dry_run())];
    if matches!(verdict, Verdict::Refused(..)) && who.matters_to(None) {
        calls.push(("in earnest", call.clone()));
    }
    for (how, call) in calls {
        let outcome = who.actor.outcome(call).await?;
        if let Some(difference) = verdict.differs(&outcome) {
            bail!("{}: {what}, {how}: {difference}", who.what);
        }
    }
    Ok(())
}
