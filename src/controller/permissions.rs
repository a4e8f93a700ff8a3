//! The Graph permissions of the apps of the tenant connections.

use std::sync::PoisonError;

use super::operator::{Operator, Tenant};
use crate::api::TapPolicy;
use crate::decision::checks::reads_roles;
use crate::decision::permissions::{self, Comparison, Need, Uses};
use crate::decision::policy::manages;
use crate::decision::situation::Eligibility;
use crate::entra::GraphError;
use crate::graph::{Client, Priority};

impl Operator {
    /// The permissions in the token of a connection's app. The first time, and whenever that changes, the log says which
    /// permissions are missing for all policies of the connection together, and which are not needed.
    pub(super) async fn permissions(&self, tenant: &Tenant) -> Result<Vec<String>, GraphError> {
        let mut held = tenant.client.token_roles().await?;
        let ceilings = &tenant.connection.ceilings;
        let wants = |policy: &TapPolicy| {
            policy.spec.issuance.as_ref().is_some_and(|issuance| reads_roles(issuance, ceilings))
        };
        let unseen = !permissions::role_gaps(&held).is_empty() && self.any_policy_of(tenant, wants);
        if unseen || !self.compare(tenant, &held).fit() {
            // Somebody may have granted or removed permissions since that token was issued.
            held = tenant.client.new_token_roles().await?;
        }
        self.logs.learn_permissions(&tenant.connection.name, &held);
        self.log_findings(tenant, self.compare(tenant, &held));
        Ok(held)
    }

    /// Whether the app of this connection has the permission to create passes, after Graph refused to create one.
    pub(super) async fn may_create_passes(&self, connection: &str) -> Result<bool, GraphError> {
        let Some(tenant) = self.tenants.get(connection) else { return Ok(false) };
        let held = tenant.client.new_token_roles().await?;
        Ok(Need::Passes.is_covered_by(&held))
    }

    /// What all policies that use the app of this connection do with it.
    pub(super) fn uses_of(&self, tenant: &Tenant) -> Uses {
        let corrects = |p: &TapPolicy| manages(p) && permissions::enforces(&p.spec);
        let reads = |p: &TapPolicy| permissions::reads_sign_in_methods(&p.spec);
        Uses {
            corrects: self.any_policy_of(tenant, corrects),
            reads_sign_in_methods: self.any_policy_of(tenant, reads),
        }
    }

    fn any_policy_of(&self, tenant: &Tenant, so: impl Fn(&TapPolicy) -> bool) -> bool {
        self.policies().iter().filter_map(|p| p.0.as_ref().ok()).any(|p| {
            let uses_its_app = self.tenants.get(&p.spec.tenant).is_some_and(|other| {
                let (one, other) = (&tenant.connection, &other.connection);
                (&one.tenant_id, &one.client_id) == (&other.tenant_id, &other.client_id)
            });
            uses_its_app && so(p)
        })
    }

    fn compare(&self, tenant: &Tenant, held: &[String]) -> Comparison {
        let policies = self.policies();
        let readable = policies.iter().filter_map(|policy| policy.0.as_ref().ok());
        let ours = readable.filter(|policy| policy.spec.tenant == tenant.connection.name);
        let needs = permissions::needs_of_all(ours);
        permissions::compare(&needs, held, tenant.connection.cloud, self.uses_of(tenant))
    }

    fn log_findings(&self, tenant: &Tenant, found: Comparison) {
        let connection = &tenant.connection;
        let mut logged = self.logged_permissions.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.get(&connection.name) == Some(&found) {
            return;
        }
        let (name, tenant_id) = (connection.name.as_str(), connection.tenant_id.as_str());
        if let Some(sentence) = found.sentence(connection) {
            tracing::warn!(connection = name, tenant_id, "{sentence}");
        } else {
            let app = &connection.client_id;
            tracing::info!(
                connection = name,
                tenant_id,
                "the app {app} has the permissions that the policies of this connection need, and no more"
            );
        }
        logged.insert(connection.name.clone(), found);
    }
}

/// Whether a user could activate a directory role. Graph is not asked if the app has no permission to see that.
pub(super) async fn eligibility(client: &Client, user_id: &str) -> Result<Eligibility, GraphError> {
    let held = client.token_roles().await;
    if held.is_ok_and(|held| !Need::EligibleRoles.is_covered_by(&held)) {
        return Ok(Eligibility::NotSeen);
    }
    match client.eligible_role(user_id, Priority::Issue).await {
        Ok(None) => Ok(Eligibility::None),
        Ok(Some(role)) => Ok(Eligibility::Of(role)),
        Err(error) if error.is_for_lack_of_permission() => Ok(Eligibility::NotSeen),
        Err(error) => Err(error),
    }
}
