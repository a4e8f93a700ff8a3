//! `approve`, `deny` and `revoke`.

use std::collections::BTreeSet;

use crate::api::{DecisionKind, Phase};
use crate::plugin::call_error::CallError;
use crate::plugin::calls::Right;
use crate::plugin::cli::{Approve, Decide, Revoke};
use crate::plugin::decision::{Standing, changed, patch, standing, until_ended};
use crate::plugin::failure::{Exit, Failure};
use crate::plugin::output;
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::Session;
use crate::plugin::time::Clock;
use crate::plugin::view;

/// Whether somebody can confirm what must be confirmed.
pub fn validate(arguments: &Approve) -> Result<(), Failure> {
    if arguments.yes || output::can_ask() {
        return Ok(());
    }
    Err(Failure::usage("approve asks before it approves, and nobody can answer here")
        .remedy(format!("read the request ({} show NAME), then add --yes", program())))
}

/// The same for `revoke --all`.
pub fn validate_revoke(arguments: &Revoke) -> Result<(), Failure> {
    if !arguments.all || arguments.yes || output::can_ask() {
        return Ok(());
    }
    Err(Failure::usage("revoke --all asks before it revokes, and nobody can answer here")
        .remedy("add --yes, or name the requests"))
}

pub async fn approve(arguments: &Approve, session: &Session) -> Result<(), Failure> {
    let (open, bad) = sort_out(session, &arguments.names, DecisionKind::Approve).await?;
    if !open.is_empty() && !arguments.yes {
        for record in &open {
            output::say(&view::show::summary(record, &Clock::system()));
        }
        let which = if open.len() == 1 { "it" } else { "all of them" };
        let question = format!("Approve {which}{}?", session.cluster.name().which());
        if !output::confirm(&question)? {
            return Err(Failure::error("nothing was approved"));
        }
    }
    decide_all(session, &open, DecisionKind::Approve, arguments.comment.as_deref(), bad).await
}

pub async fn deny(arguments: &Decide, session: &Session) -> Result<(), Failure> {
    let (open, bad) = sort_out(session, &arguments.names, DecisionKind::Deny).await?;
    decide_all(session, &open, DecisionKind::Deny, arguments.comment.as_deref(), bad).await
}

pub async fn revoke(arguments: &Revoke, session: &Session) -> Result<(), Failure> {
    let (open, bad) = if arguments.all {
        let open = all_that_may_be_revoked(session).await?;
        if open.is_empty() {
            output::say(&format!(
                "There is nothing that you may revoke in {}.",
                session.place(&session.namespace)
            ));
            return Ok(());
        }
        if !arguments.yes {
            output::say(view::list::table(&open, false, true, &Clock::system()).trim_end());
            let which = session.cluster.name().which();
            if !output::confirm(&format!("Revoke all {} of them{which}?", open.len()))? {
                return Err(Failure::error("nothing was revoked"));
            }
        }
        (open, 0)
    } else {
        sort_out(session, &arguments.names, DecisionKind::Revoke).await?
    };
    decide_all(session, &open, DecisionKind::Revoke, arguments.comment.as_deref(), bad).await
}

/// Reads requests. Returns those about which the person can decide, and how many they cannot decide about.
async fn sort_out(
    session: &Session,
    names: &[String],
    decision: DecisionKind,
) -> Result<(Vec<Record>, usize), Failure> {
    let me = session.me().await?;
    let (mut open, mut bad): (Vec<Record>, usize) = (Vec::new(), 0);
    let mut done = Vec::new();
    for name in names {
        if open.iter().any(|record| record.name() == *name) {
            continue;
        }
        let failure = match session.cluster.request(&session.namespace, name).await {
            Ok(record) => match standing(&record, decision, me) {
                Standing::Open => {
                    open.push(record);
                    continue;
                }
                Standing::Done(how) => {
                    output::say(&how);
                    done.push(record);
                    continue;
                }
                Standing::Closed(why) => Failure::error(why),
            },
            Err(error @ (CallError::NoRequest { .. } | CallError::Right(_))) => error.into(),
            Err(error) => return Err(error.into()),
        };
        output::say(&failure.to_string());
        bad += 1;
    }
    if decision == DecisionKind::Revoke && !done.is_empty() {
        tell_others(session, &done, &open).await;
    }
    Ok((open, bad))
}

/// Tells of other requests that have not ended, for the users of those that were done before: whoever revokes a pass means that the
/// user has none. Those that are about to be revoked are none of them.
async fn tell_others(session: &Session, done: &[Record], open: &[Record]) {
    // Who may not list them has been told what was asked for.
    let Ok(all) = session.cluster.list(Some(&session.namespace), &[]).await else { return };
    let users: BTreeSet<String> = done.iter().map(|record| record.user().to_lowercase()).collect();
    let is_named =
        |other: &Record| done.iter().chain(open).any(|record| record.uid() == other.uid());
    for other in all.iter().filter(|other| !other.has_ended() && !is_named(other)) {
        if users.contains(&other.user().to_lowercase()) {
            let (name, namespace) = (other.name(), other.namespace());
            output::say(&format!(
                "{name}, for the same user, has not ended ({}); to revoke it: {} revoke {name} -n {namespace}",
                view::state(other),
                program()
            ));
        }
    }
}

async fn decide_all(
    session: &Session,
    records: &[Record],
    decision: DecisionKind,
    comment: Option<&str>,
    bad: usize,
) -> Result<(), Failure> {
    let (decided, printed) = decide_each(session, records, decision, comment, output::data).await;
    let all_are = if bad == 0 && decided.len() == records.len() {
        Ok(())
    } else {
        Err(Failure::said(Exit::Error))
    };
    let takes_a_pass_away = |record: &&Record| match decision {
        DecisionKind::Revoke => true,
        DecisionKind::Deny => !matches!(record.phase(), Phase::AwaitingApproval | Phase::Scheduled),
        DecisionKind::Approve | DecisionKind::Unknown => false,
    };
    let revoked: Vec<&Record> = decided.into_iter().filter(takes_a_pass_away).collect();
    if !revoked.is_empty() {
        output::say(&until_ended(&revoked));
    }
    all_are.and(printed)
}

/// Decides about each request, whether anybody reads what is printed about it or not. Returns those about which it could, and the
/// first failure to print.
async fn decide_each<'a>(
    session: &Session,
    records: &'a [Record],
    decision: DecisionKind,
    comment: Option<&str>,
    print: impl Fn(&str) -> Result<(), Failure>,
) -> (Vec<&'a Record>, Result<(), Failure>) {
    let (mut decided, mut printed) = (Vec::new(), Ok(()));
    for record in records {
        match decide(session, record, decision, comment).await {
            Ok(()) => {
                let line = print(&format!("{} {}", record.title(), done(decision)));
                printed = printed.and(line);
                decided.push(record);
            }
            Err(failure) => output::say(&failure.to_string()),
        }
    }
    (decided, printed)
}

fn done(decision: DecisionKind) -> &'static str {
    match decision {
        DecisionKind::Approve => "approved",
        DecisionKind::Deny => "denied",
        DecisionKind::Revoke | DecisionKind::Unknown => "revoked",
    }
}

/// Appends the decision to the request that was read, and to no other.
pub async fn decide(
    session: &Session,
    record: &Record,
    decision: DecisionKind,
    comment: Option<&str>,
) -> Result<(), Failure> {
    let (namespace, name) = (record.namespace(), record.name());
    let me = session.me().await?;
    let write = async |comment| {
        session.cluster.decide(&namespace, &name, patch(record, decision, me, comment)).await
    };
    let mut written = write(comment).await;
    // A pass must be taken away, whatever becomes of the words about it.
    if let (Err(CallError::UnknownFields { .. }), Some(_)) = (&written, comment)
        && decision != DecisionKind::Approve
    {
        output::say(&format!("{name}: the cluster knows no comments, so the comment is left out"));
        written = write(None).await;
    }
    let Err(error) = written else { return Ok(()) };
    // The API server does not say which test of a patch did not hold.
    if let CallError::Refused { .. } = error
        && let Ok(now) = session.cluster.request(&namespace, &name).await
        && let Some(why) = changed(record, &now)
    {
        return Err(Failure::error(why).remedy(format!("{} show {name} -n {namespace}", program())));
    }
    let unsure = error.is_unsure();
    let failure = Failure::from(error);
    let told = Failure { message: format!("{name}: {}", failure.message), ..failure };
    Err(if unsure {
        told.remedy(
            "it is not known whether the decision was written: the same command again does no harm",
        )
    } else {
        told
    })
}

async fn all_that_may_be_revoked(session: &Session) -> Result<Vec<Record>, Failure> {
    let me = session.me().await?;
    let mut rights = super::inbox::Rights::new(session);
    let mut open = Vec::new();
    for record in session.cluster.list(Some(&session.namespace), &[]).await? {
        let can =
            !record.has_ended() && standing(&record, DecisionKind::Revoke, me) == Standing::Open;
        if can && (record.requester() == me || rights.may_approve(&record).await?) {
            open.push(record);
        }
    }
    view::list::sort(&mut open);
    Ok(open)
}

/// Whether the person may read the Secret of a request.
pub async fn may_read(session: &Session, name: &str) -> Result<bool, Failure> {
    Ok(session.cluster.may(Right::secret("get", name), Some(&session.namespace)).await?)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::plugin::samples::{awaiting, served};

    #[tokio::test]
    async fn a_reader_that_goes_away_keeps_nothing_from_being_decided() {
        let (api, session) = served("heidi@contoso.com");
        let records = ["one", "two", "three"].map(|name| {
            let mut object = awaiting().printed();
            object["metadata"]["name"] = name.into();
            object["metadata"]["uid"] = name.into();
            crate::plugin::samples::record(api.put(object))
        });
        let closed = |_: &str| Err(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)));
        let (decided, printed) =
            decide_each(&session, &records, DecisionKind::Revoke, None, closed).await;
        assert_eq!((decided.len(), printed.unwrap_err().exit), (3, Exit::Closed));
        for name in ["one", "two", "three"] {
            let request = api.get("taprequests", "helpdesk", name).unwrap();
            assert_eq!(request["status"]["decisions"][0]["decision"], "Revoke", "{name}");
        }
    }
}
