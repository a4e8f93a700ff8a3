//! Reads a tenant's audit log for what others do to passes and to the method.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::{give_way, tell};
use crate::controller::operator::Operator;
use crate::decision::evidence::{OwnApps, Readings, What};
use crate::decision::ids::UserKey;
use crate::entra::{AuditRow, AuditRows, Call, Rest};

/// How often the log is read.
const EVERY: Duration = Duration::from_mins(1);

/// Reads the log of a tenant, for ever.
pub(super) async fn watch_audits(
    operator: &Operator,
    tenant_id: &str,
    policies: &UnboundedSender<()>,
) {
    let of_tenant = operator.tenants.values().filter(|t| t.connection.tenant_id == tenant_id);
    let own: OwnApps = of_tenant.map(|t| t.connection.client_id.to_ascii_lowercase()).collect();
    let (mut readings, mut was_whole) = (None, true);
    while let Some(tenant) = operator.log_reader(tenant_id).await {
        sleep(EVERY).await;
        if !operator.works() {
            continue;
        }
        let began = operator.began_in(tenant_id);
        let readings = readings.get_or_insert_with(|| Readings::since(began));
        give_way(tenant).await;
        let now = operator.time_in(tenant_id);
        let read = tenant.client.method_audits(readings.from(now)).await;
        let is_news = match &read {
            Err(error) | Ok(AuditRows { rest: Rest::Failed(error), .. }) => {
                operator.logs.failed(tenant, error)
            }
            Ok(_) => operator.logs.answered(tenant_id, Call::DirectoryAudits),
        };
        if is_news {
            let _ = policies.send(());
        }
        let Ok(read) = read else { continue };
        tell_whether_whole(&tenant.connection.name, &read, &mut was_whole);
        let whose = |row: &AuditRow| {
            let user = row.user_id.as_deref().map(|user| UserKey::new(tenant_id, user));
            operator.requests().whose_pass(row.pass_id.as_deref(), user.as_ref())
        };
        let found = readings.judge(read, now, operator.settings.settle, &own, whose);
        for finding in &found {
            if finding.what == What::MethodChanged {
                operator.logs.changed(tenant_id, finding.row.by.name(), finding.row.at);
            }
            tell::finding(operator, tenant, finding).await;
        }
        if found.iter().any(|finding| finding.what == What::MethodChanged) {
            // Whether it is a difference from a policy is known once the method is read.
            let _ = policies.send(());
        }
    }
}

/// Tells when rows of the log begin to go unread, and when that is over.
fn tell_whether_whole(connection: &str, read: &AuditRows, was_whole: &mut bool) {
    let unread =
        "passes that others make and changes of the method may go unseen: look for them in Entra";
    match (*was_whole, &read.rest) {
        (true, Rest::NotAsked) => tracing::warn!(
            connection,
            rows = read.rows.len(),
            "the tenant's audit log has more rows about authentication methods than the operator reads, so {unread}"
        ),
        (true, Rest::Failed(error)) => tracing::warn!(
            connection,
            %error,
            "a part of the tenant's audit log cannot be read; it is read again each minute. While that lasts, {unread}"
        ),
        (false, Rest::None) => {
            tracing::info!(connection, "the tenant's audit log is read whole again");
        }
        _ => {}
    }
    *was_whole = matches!(read.rest, Rest::None);
}
