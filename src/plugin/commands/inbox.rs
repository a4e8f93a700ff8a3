//! `inbox`.

use std::collections::BTreeMap;

use super::status::told_by;
use crate::plugin::call_error::CallError;
use crate::plugin::calls::Right;
use crate::plugin::cli::Inbox;
use crate::plugin::failure::Failure;
use crate::plugin::output::{self, Format};
use crate::plugin::program;
use crate::plugin::record::Record;
use crate::plugin::session::{Connection, Session};
use crate::plugin::time::Clock;
use crate::plugin::view;

/// What selects the requests that await approval.
const AWAITING: [(&str, &str); 1] = [("status.phase", "AwaitingApproval")];

pub async fn run(
    arguments: &Inbox,
    session: &Session,
    connection: &Connection,
) -> Result<(), Failure> {
    let me = session.me().await?;
    let mut records = awaiting(session, connection).await?;
    records.retain(|record| view::inbox::awaits(record, me));
    let mut rights = Rights::new(session);
    let mut mine = Vec::new();
    for record in records {
        if rights.may_approve(&record).await? {
            mine.push(record);
        }
    }
    view::list::sort(&mut mine);
    match arguments.output {
        Some(Format::Json) => output::document(&super::list::objects(&mine), false),
        Some(Format::Yaml) => output::document(&super::list::objects(&mine), true),
        Some(Format::Name) => super::list::names(&mine),
        None if mine.is_empty() => {
            // Who may not read the policies does not learn of it.
            let policies = session.cluster.policies().await.unwrap_or_default();
            let stop = told_by(&policies);
            output::say(&nothing(&session.cluster.name().which(), stop.as_deref()));
            Ok(())
        }
        None => {
            output::data(&view::inbox::table(&mine, &Clock::system()))?;
            if let Some(first) = mine.first() {
                let which = format!("{} -n {}", first.name(), first.namespace());
                output::say(&format!(
                    "\nTo see more: {0} show {which}\nTo decide: {0} approve {which}",
                    program()
                ));
            }
            Ok(())
        }
    }
}

/// That nothing awaits approval, and that nothing will while a stop is set.
fn nothing(which: &str, stop: Option<&str>) -> String {
    let stopped = stop.map_or(String::new(), |stop| {
        format!(" Issuing is stopped, so no request comes as far as that: {stop}.")
    });
    format!("Nothing awaits your approval{which}.{stopped}")
}

/// The requests that await approval in the namespace that was named, or in all that the person may see.
async fn awaiting(session: &Session, connection: &Connection) -> Result<Vec<Record>, Failure> {
    let here = Some(session.namespace.as_str());
    if connection.namespace.is_some() {
        return Ok(session.cluster.list(here, &AWAITING).await?);
    }
    match session.cluster.list(None, &AWAITING).await {
        Err(CallError::Right(_)) => {}
        all => return Ok(all?),
    }
    let namespaces = match session.cluster.namespaces().await {
        Ok(namespaces) => namespaces,
        Err(CallError::Right(_)) => {
            output::say(&format!(
                "You may not list namespaces, so only {} is looked at.",
                session.place(&session.namespace)
            ));
            let records = session.cluster.list(here, &AWAITING).await;
            return records.map_err(|error| match error {
                error @ CallError::Right(_) => Failure::error(error.to_string())
                    .remedy("name the namespace in which you may approve with -n"),
                error => error.into(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let mut records = Vec::new();
    for namespace in namespaces {
        match session.cluster.list(Some(&namespace), &AWAITING).await {
            Ok(more) => records.extend(more),
            Err(CallError::Right(_) | CallError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(records)
}

/// What a person may approve, each policy asked for once in each namespace.
pub struct Rights<'a> {
    session: &'a Session,
    known: BTreeMap<(String, String), bool>,
}

impl<'a> Rights<'a> {
    /// Nothing is known yet.
    pub fn new(session: &'a Session) -> Self {
        Self { session, known: BTreeMap::new() }
    }

    /// Whether the person may approve this request.
    pub async fn may_approve(&mut self, record: &Record) -> Result<bool, Failure> {
        let key = (record.namespace(), record.policy().to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let right = Right::policy("approve", record.policy());
        let may = self.session.cluster.may(right, Some(&key.0)).await?;
        self.known.insert(key, may);
        Ok(may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_inbox_tells_of_the_stop() {
        assert_eq!(nothing("", None), "Nothing awaits your approval.");
        assert_eq!(
            nothing(" (context prod)", Some("active passes stay")),
            "Nothing awaits your approval (context prod). Issuing is stopped, so no request comes as far as that: active passes stay."
        );
    }
}
