//! Tells what the logs say: events, lines of the audit trail, counters.

use kube::runtime::events::EventType;
use kube::{Resource, ResourceExt};

use crate::api::{TapPolicy, TapRequest};
use crate::cluster::requests::{name_of, named};
use crate::controller::announce::{audit, publish};
use crate::controller::operator::{Operator, Tenant};
use crate::decision::Reason;
use crate::decision::audit::Line;
use crate::decision::evidence::lines::{Evidence, MethodChange, OthersPass};
use crate::decision::evidence::{Finding, Found, News, What};
use crate::entra::SignInRow;
use crate::notice::{ForeignPass, Notice};

/// Tells what a row of the audit log says of others.
pub(super) async fn finding(operator: &Operator, tenant: &Tenant, finding: &Finding) {
    let (tenant_id, connection) = (&tenant.connection.tenant_id, &tenant.connection.name);
    let (by, at) = (finding.row.by.name(), finding.row.at);
    let about_pass = || Box::new(OthersPass::of(finding, tenant_id, connection));
    let known_user = finding.row.user_name.as_ref().or(finding.row.user_id.as_ref());
    let user = known_user.map_or("an unknown user", String::as_str);
    match &finding.what {
        What::ForeignPass { own_app } => {
            operator.metrics.foreign_pass(connection);
            let whose = if *own_app {
                "another installation of this app made it"
            } else {
                "somebody made it beside the operator"
            };
            let note = format!(
                "{by} made a pass for {user} at {at} that no TapRequest records: {whose}; if that was not meant, delete the pass in Entra and revoke the user's sessions"
            );
            audit(&Line::Foreign(about_pass()), &note);
            let policies = policies_of(operator, tenant_id);
            let pass = ForeignPass {
                row: finding.row.id.clone(),
                pass_id: finding.row.pass_id.clone(),
                tenant_id: tenant_id.clone(),
                policies: policies.iter().map(ResourceExt::name_any).collect(),
                user: known_user.cloned(),
                made_by: Some(by.to_owned()),
            };
            let notice = Notice::of_foreign_pass(pass, &note, at);
            operator.tell(Notice { again: finding.again, ..notice });
            for policy in policies {
                event(operator, &policy, EventType::Warning, Reason::ForeignPass, &note).await;
            }
        }
        What::PassDeleted(uid, name) => {
            let note = format!("{by} deleted the pass of {user} in Entra at {at}");
            audit(&Line::Removal(about_pass()), &format!("{note}: that of request {name}"));
            let request = named(name, uid);
            event(operator, &request, EventType::Warning, Reason::PassDeleted, &note).await;
        }
        What::MethodChanged => {
            let note = format!(
                "{by} changed the tenant's policy of authentication methods at {at}; the operator compares the TAP method now"
            );
            let line = Line::Change(MethodChange::of(finding, tenant_id, connection));
            audit(&line, &note);
            let managing = policies_of(operator, tenant_id).into_iter();
            for policy in managing.filter(|policy| policy.spec.method.is_some()) {
                event(operator, &policy, EventType::Normal, Reason::MethodChanged, &note).await;
            }
        }
    }
}

/// The policies of a tenant, whatever their connection.
fn policies_of(operator: &Operator, tenant_id: &str) -> Vec<TapPolicy> {
    let all = operator.policies();
    let readable = all.iter().filter_map(|policy| policy.0.as_ref().ok());
    let of_tenant = readable.filter(|policy| {
        let tenant = operator.tenants.get(&policy.spec.tenant);
        tenant.is_some_and(|tenant| tenant.connection.tenant_id == tenant_id)
    });
    of_tenant.cloned().collect()
}

/// Tells what the logs say of the use of a pass. `more`: there are sign-ins that no line told.
pub(super) async fn use_of_pass(
    operator: &Operator,
    request: &TapRequest,
    found: &Found,
    news: &News,
    more: bool,
) {
    let name = name_of(request);
    let failed: u32 = news.failed.values().sum();
    for (code, count) in &news.failed {
        operator.metrics.pass_sign_ins_failed(*code, *count);
    }
    if more || news.registered.is_some() {
        let generation = operator.policy_generation(&request.spec.policy_ref.name);
        let line = Evidence::of(request, found, generation);
        audit(
            &Line::Evidence(Box::new(line)),
            &format!("the tenant's logs tell of the pass of request {name}"),
        );
    }
    if failed > 0 || news.used {
        let type_ = if failed > 0 { EventType::Warning } else { EventType::Normal };
        let note = note(found.sign_ins.as_deref().unwrap_or_default());
        event(operator, request, type_, Reason::UseSeen, &note).await;
    }
    if let Some((registered, reason, message)) = &news.registered {
        let type_ = if *registered { EventType::Normal } else { EventType::Warning };
        event(operator, request, type_, *reason, message).await;
    }
}

async fn event<K: Resource<DynamicType = ()>>(
    operator: &Operator,
    object: &K,
    type_: EventType,
    reason: Reason,
    note: &str,
) {
    publish(&operator.recorder(), object, type_, reason.as_str(), "ReadLogs", note).await;
}

/// What the sign-ins of a user during the life of a pass were, in a sentence.
fn note(rows: &[SignInRow]) -> String {
    let mut parts = Vec::new();
    if let Some(first) = rows.iter().filter(|row| row.error_code == 0).min_by_key(|row| row.at) {
        let to = first.application.as_deref().unwrap_or("an application");
        let from = first.ip_address.as_deref().unwrap_or("an unknown address");
        parts.push(format!("the user first signed in at {} to {to} from {from}", first.at));
    }
    for (code, count) in crate::decision::evidence::failed_by_code(rows) {
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        parts.push(format!("a pass was refused {times} with AADSTS{code} ({})", meaning(code)));
    }
    let told = parts.join("; ");
    format!("during the life of the pass {told} (Entra's log does not say by which method)")
}

fn meaning(code: i32) -> &'static str {
    match code {
        130_502 => "blocked by the tenant's method",
        130_503 => "wrong code",
        130_504 => "expired",
        130_505 => "used already",
        130_506 => "only for sign-ins on the web",
        _ => "not found",
    }
}
