//! `status`.

use crate::api::{ConditionType, TapPolicy, find_condition};
use crate::decision::stop::StopOrder;
use crate::plugin::call_error::CallError;
use crate::plugin::cli::Status;
use crate::plugin::failure::Failure;
use crate::plugin::operator::{self, Whereabouts};
use crate::plugin::output::{self, ReportFormat};
use crate::plugin::session::{Connection, Session};
use crate::plugin::view::policies::{self, PolicyStatus};

pub async fn run(
    arguments: &Status,
    session: &Session,
    connection: &Connection,
) -> Result<(), Failure> {
    let named = connection.namespace.is_some();
    let status = gather(session, named, &arguments.operator.operator_namespace).await?;
    if let Some(format) = arguments.output {
        return output::document(&status, format == ReportFormat::Yaml);
    }
    output::data(&policies::text(&status))?;
    for hidden in &status.hidden {
        output::say(hidden);
    }
    Ok(())
}

/// What the person may see. `named`: whether they named a namespace, and mean the requests in it.
async fn gather(
    session: &Session,
    named: bool,
    operator_namespace: &str,
) -> Result<policies::Status, Failure> {
    let mut status = policies::Status::default();
    let found = match session.cluster.policies().await {
        Ok(found) => found,
        Err(error @ CallError::Right(_)) => {
            status.hidden.push(format!("Policies cannot be seen: {error}"));
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    status.policies = found.iter().map(PolicyStatus::of).collect();
    let mut records = Err(CallError::Right(String::new()));
    if !named {
        records = session.cluster.list(None, &[]).await;
    }
    if matches!(records, Err(CallError::Right(_))) {
        status.namespace = Some(session.namespace.clone());
        records = session.cluster.list(Some(&session.namespace), &[]).await;
    }
    match records {
        Ok(records) => status.requests = Some(policies::count(&records)),
        Err(error @ CallError::Right(_)) => {
            status.hidden.push(format!("Requests cannot be seen: {error}"));
        }
        Err(error) => return Err(error.into()),
    }
    status.stop = match session.cluster.stop(operator_namespace).await {
        Ok(None) if operator::look(session, operator_namespace).await == Whereabouts::Nowhere => {
            let none = operator::none(&session.place(operator_namespace));
            let hidden = format!("The stop was not looked for: {none}; {}", operator::REMEDY);
            status.hidden.push(hidden);
            told_by(&found)
        }
        Ok(stop) => StopOrder::of(stop.as_ref()).sentence(),
        // The policies tell of it, too.
        Err(CallError::Right(_)) => told_by(&found),
        Err(error) => return Err(error.into()),
    };
    Ok(status)
}

/// What the policies say of the stop.
pub fn told_by(policies: &[TapPolicy]) -> Option<String> {
    policies.iter().find_map(|policy| {
        let conditions = &policy.status.as_ref()?.conditions;
        let stopped = find_condition(conditions, ConditionType::Stopped)?;
        (stopped.status == "True").then(|| stopped.message.clone())
    })
}
