//! What a cluster's administrator does for the people of a test: namespaces and rights.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::control_plane::ControlPlane;
use super::identity::Identity;
use super::wait;

impl ControlPlane {
    /// Creates a namespace of this test's own, and returns its name, which begins with `prefix`.
    pub async fn new_namespace(&self, prefix: &str) -> Result<String> {
        let metadata =
            ObjectMeta { generate_name: Some(format!("{prefix}-")), ..Default::default() };
        let namespaces: Api<Namespace> = Api::all(self.admin().client().await?);
        let namespace = Namespace { metadata, ..Default::default() };
        let created = namespaces.create(&PostParams::default(), &namespace).await?;
        created.metadata.name.context("a namespace without a name")
    }

    /// Binds a user to a cluster role in one namespace. The right is in force when this returns.
    pub async fn grant(&self, who: &Identity, cluster_role: &str, namespace: &str) -> Result<()> {
        let client = self.admin().client().await?;
        let binding: RoleBinding =
            serde_json::from_value(binding(who, "ClusterRole", cluster_role))?;
        let bindings = Api::namespaced(client.clone(), namespace);
        bindings
            .create(&PostParams::default(), &binding)
            .await
            .with_context(|| cluster_role.to_owned())?;
        let role = Api::<ClusterRole>::all(client.clone()).get(cluster_role).await?;
        in_force(&client, who, role.rules.unwrap_or_default(), Some(namespace)).await
    }

    /// Binds a user to a cluster role in the whole cluster. The right is in force when this returns.
    pub async fn grant_everywhere(&self, who: &Identity, cluster_role: &str) -> Result<()> {
        let client = self.admin().client().await?;
        let binding: ClusterRoleBinding =
            serde_json::from_value(binding(who, "ClusterRole", cluster_role))?;
        let bindings = Api::all(client.clone());
        bindings
            .create(&PostParams::default(), &binding)
            .await
            .with_context(|| cluster_role.to_owned())?;
        let role = Api::<ClusterRole>::all(client.clone()).get(cluster_role).await?;
        in_force(&client, who, role.rules.unwrap_or_default(), None).await
    }

    /// Grants a user a verb (`use`, `approve`, `release`) on one `TapPolicy`, for the requests of one
    /// namespace. The right is in force when this returns.
    pub async fn grant_policy(
        &self,
        who: &Identity,
        verb: &str,
        policy: &str,
        namespace: &str,
    ) -> Result<()> {
        let client = self.admin().client().await?;
        let role: Role = serde_json::from_value(json!({
            "metadata": { "generateName": format!("{verb}-") },
            "rules": [{
                "apiGroups": ["tap-operator.io"], "resources": ["tappolicies"],
                "resourceNames": [policy], "verbs": [verb],
            }],
        }))?;
        let role = Api::namespaced(client.clone(), namespace)
            .create(&PostParams::default(), &role)
            .await?;
        let name = role.metadata.name.context("a role without a name")?;
        let binding: RoleBinding = serde_json::from_value(binding(who, "Role", &name))?;
        Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &binding).await?;
        in_force(&client, who, role.rules.unwrap_or_default(), Some(namespace)).await
    }
}

fn binding(who: &Identity, kind: &str, role: &str) -> serde_json::Value {
    json!({
        "metadata": { "generateName": "test-" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": who.user() }],
    })
}

/// Waits until the authorizer knows of a binding, which happens a moment after it was written.
async fn in_force(
    client: &Client,
    who: &Identity,
    rules: Vec<PolicyRule>,
    namespace: Option<&str>,
) -> Result<()> {
    let first = |values: Option<Vec<String>>| values.and_then(|values| values.into_iter().next());
    let rule =
        rules.into_iter().find(|rule| rule.resources.is_some()).context("a role without rules")?;
    let resource = first(rule.resources).unwrap_or_default();
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
        None => (resource, None),
    };
    let attributes = ResourceAttributes {
        group: first(rule.api_groups),
        resource: Some(resource),
        subresource,
        name: first(rule.resource_names),
        verb: rule.verbs.into_iter().next(),
        namespace: namespace.map(ToOwned::to_owned),
        ..Default::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(who.user().to_owned()),
        resource_attributes: Some(attributes),
        ..Default::default()
    };
    let review = SubjectAccessReview { spec, ..Default::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    wait::until(wait::PATIENCE, "the role is in force", || async {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        ensure!(
            answer.status.is_some_and(|status| status.allowed),
            "{} is not allowed yet",
            who.user()
        );
        Ok(())
    })
    .await
}
