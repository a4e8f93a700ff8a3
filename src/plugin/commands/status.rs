//! `status`.

use crate::api::{ConditionType, TapPolicy, find_condition};
use crate::decision::stop::StopOrder;
use crate::plugin::call_error::CallError;
use crate::plugin::cli::Status;
use crate::plugin::failure::Failure;
use crate::plugin::output::{self, ReportFormat};
use crate::plugin::session::Session;
use crate::plugin::view::policies::{self, PolicyStatus};

pub async fn run(arguments: &Status, session: &Session) -> Result<(), Failure> {
    let status = gather(session, &arguments.operator.operator_namespace).await?;
    if let Some(format) = arguments.output {
        return output::document(&status, format == ReportFormat::Yaml);
    }
    output::data(&policies::text(&status))?;
    for hidden in &status.hidden {
        output::say(hidden);
    }
    Ok(())
}

async fn gather(session: &Session, operator_namespace: &str) -> Result<policies::Status, Failure> {
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
    let records = match session.cluster.list(None, &[]).await {
        Err(CallError::Right(_)) => {
            status.namespace = Some(session.namespace.clone());
            session.cluster.list(Some(&session.namespace), &[]).await?
        }
        all => all?,
    };
    status.requests = policies::count(&records);
    status.stop = match session.cluster.stop(operator_namespace).await {
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
