//! Asks a tenant's logs how passes were used that ended.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::{give_way, tell};
use crate::api::{ConditionType, TapRequest};
use crate::cluster::{ApiError, requests};
use crate::controller::operator::{Operator, Tenant};
use crate::decision::evidence::{Ended, Found, Inquiry, News, registered_since};
use crate::entra::{Advice, Call, GraphError};

/// How often to look whether an inquiry is due.
const LOOKS: Duration = Duration::from_secs(15);
/// How often a status is written again that somebody else changed meanwhile.
const WRITES: usize = 3;

/// Asks the logs of a tenant about passes as that comes due, for ever: one pass at a time.
pub(super) async fn inquire(operator: &Operator, tenant_id: &str, policies: &UnboundedSender<()>) {
    while let Some(tenant) = operator.log_reader(tenant_id).await {
        let now = operator.time_in(tenant_id);
        let claimed =
            if operator.works() { operator.logs.inquiries().claim(tenant_id, now) } else { None };
        let Some(inquiry) = claimed else {
            sleep(LOOKS).await;
            continue;
        };
        give_way(tenant).await;
        if let Err(problem) = answer(operator, tenant, &inquiry, policies).await {
            let after = match &problem {
                Problem::Graph(error) => {
                    if operator.logs.failed(tenant, error) {
                        let _ = policies.send(());
                    }
                    match error.advice() {
                        Advice::Retry { after } => after,
                        Advice::Wait | Advice::Stop => None,
                    }
                }
                Problem::Cluster(error) => {
                    let request = operator.name_of(&inquiry.uid).map(|name| name.to_string());
                    tracing::debug!(request, %error, "the use of a pass cannot be told");
                    None
                }
            };
            let after = after.and_then(|after| SignedDuration::try_from(after).ok());
            let now = operator.time_in(tenant_id);
            operator.logs.inquiries().failed(&inquiry, after, now);
        }
    }
}

enum Problem {
    Graph(GraphError),
    Cluster(ApiError),
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self::Cluster(error)
    }
}

/// Asks, and tells what is new.
async fn answer(
    operator: &Operator,
    tenant: &Tenant,
    inquiry: &Inquiry,
    policies: &UnboundedSender<()>,
) -> Result<(), Problem> {
    let Some(request) = its_request(operator, inquiry).await? else {
        operator.logs.inquiries().forget(&inquiry.uid);
        return Ok(());
    };
    let Some(pass) = Ended::of(&request) else {
        operator.logs.inquiries().forget(&inquiry.uid);
        return Ok(());
    };
    let found = ask(operator, tenant, &pass, inquiry.is_last, &request).await?;
    if found.sign_ins.is_some() && operator.logs.answered(&inquiry.tenant_id, Call::SignIns) {
        let _ = policies.send(());
    }
    let Some((written, news)) = write(operator, inquiry, request, &found).await? else {
        operator.logs.inquiries().forget(&inquiry.uid);
        return Ok(());
    };
    let sign_ins = found.sign_ins.as_ref().map_or(0, Vec::len);
    let now = operator.time_in(&inquiry.tenant_id);
    let more = operator.logs.inquiries().answered(inquiry, sign_ins, now);
    tell::use_of_pass(operator, &written, &found, &news, more).await;
    Ok(())
}

/// The request, unless it is gone, or another one has its name.
async fn its_request(
    operator: &Operator,
    inquiry: &Inquiry,
) -> Result<Option<TapRequest>, ApiError> {
    let Some(name) = operator.name_of(&inquiry.uid) else { return Ok(None) };
    let found = requests::get(&operator.client, &name).await?;
    Ok(found.filter(|found| found.metadata.uid.as_deref() == Some(inquiry.uid.as_str())))
}

async fn ask(
    operator: &Operator,
    tenant: &Tenant,
    pass: &Ended,
    is_last: bool,
    request: &TapRequest,
) -> Result<Found, GraphError> {
    let client = &tenant.client;
    let mut found = Found { is_last, ..Found::default() };
    if operator.logs.gives_sign_ins(&pass.tenant_id) {
        match client.sign_ins(&pass.user_id, pass.start, pass.expires).await {
            Ok(rows) => found.sign_ins = Some(rows),
            Err(error) if error.is_for_lack_of_licence() => {
                operator.logs.has_no_licence(&pass.tenant_id);
            }
            Err(error) => return Err(error),
        }
    }
    if request.condition(ConditionType::Registered).is_none() {
        let rows = client.audits_of_user(&pass.user_id, pass.start).await?;
        found.registered = Some(registered_since(&rows, pass.start));
    }
    Ok(found)
}

/// Writes what was found into the status, if it is new. The request has ended, so nothing else writes it but to let it go.
/// `None`: it is gone.
async fn write(
    operator: &Operator,
    inquiry: &Inquiry,
    mut request: TapRequest,
    found: &Found,
) -> Result<Option<(TapRequest, News)>, ApiError> {
    let now = operator.time_in(&inquiry.tenant_id);
    let mut left = WRITES;
    loop {
        let (status, news) = found.added_to(&request, now);
        if request.status.as_ref() == Some(&status) {
            return Ok(Some((request, news)));
        }
        match requests::write_status(&operator.client, &request, &status).await {
            Ok(written) => return Ok(Some((written, news))),
            Err(ApiError::Conflict { .. }) if left > 0 => left -= 1,
            Err(ApiError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        match its_request(operator, inquiry).await? {
            Some(newer) => request = newer,
            None => return Ok(None),
        }
    }
}
