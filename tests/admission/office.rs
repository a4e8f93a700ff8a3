//! A namespace with people who have the shipped roles, and the operator's writes about their requests.

use anyhow::Result;
use serde_json::{Value, json};

use crate::call::{Actor, Call};
use crate::cluster::{Cluster, text};

/// The policy of all requests. It need not exist, because nothing here reads it.
pub const POLICY: &str = "contoso";
/// A role that may edit everything the admission policies are about, as far as RBAC decides.
pub const EDITOR: &str = "test-editor";

/// A namespace of one test.
pub struct Office<'a> {
    pub cluster: &'a Cluster,
    pub namespace: String,
    /// tap-requester and tap-deleter, and the verb `use`.
    pub alice: Actor,
    /// tap-requester and tap-approver, and the verbs `use` and `approve`.
    pub bob: Actor,
    /// May write requests, their status and Secrets, and has none of the verbs on policies.
    pub carol: Actor,
    /// The same, and the verb `release`.
    pub dave: Actor,
    /// tap-approver, without any verb on the policy.
    pub erin: Actor,
    /// A service account with the same rights as Carol, and the verbs `use` and `approve`.
    pub pipeline: Actor,
}

impl<'a> Office<'a> {
    /// A new office in the cluster that all tests share.
    pub async fn new(name: &str) -> Result<Office<'static>> {
        Office::open(Cluster::shared().await?, name).await
    }

    /// A new office in this cluster.
    pub async fn open(cluster: &'a Cluster, name: &str) -> Result<Self> {
        let control_plane = &cluster.control_plane;
        let namespace = control_plane.new_namespace(name).await?;
        let editor = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": EDITOR},
            "rules": [
                {"apiGroups": ["tap-operator.io"], "resources": ["taprequests", "taprequests/status"],
                    "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
            ],
        });
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{EDITOR}");
        cluster.admin.call(Call::apply(&path, editor)).await?;
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "pipeline"},
        });
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        cluster.admin.call(Call::create(&accounts, account)).await?;
        let person = |name: &str| control_plane.person(&format!("{name}@contoso.com"));
        let office = Self {
            cluster,
            alice: Actor::new(person("alice")?).await?,
            bob: Actor::new(person("bob")?).await?,
            carol: Actor::new(person("carol")?).await?,
            dave: Actor::new(person("dave")?).await?,
            erin: Actor::new(person("erin")?).await?,
            pipeline: Actor::new(control_plane.service_account(&namespace, "pipeline").await?)
                .await?,
            namespace,
        };
        for (who, roles, verbs) in [
            (&office.alice, &["tap-requester", "tap-deleter"][..], &["use"][..]),
            (&office.bob, &["tap-requester", "tap-approver"], &["use", "approve"]),
            (&office.carol, &[EDITOR], &[]),
            (&office.dave, &[EDITOR], &["release"]),
            (&office.erin, &["tap-approver"], &[]),
            (&office.pipeline, &[EDITOR], &["use", "approve"]),
        ] {
            for role in roles {
                control_plane.grant(&who.identity, role, &office.namespace).await?;
            }
            for verb in verbs {
                control_plane.grant_policy(&who.identity, verb, POLICY, &office.namespace).await?;
            }
        }
        Ok(office)
    }

    /// The operator.
    pub fn operator(&self) -> &Actor {
        &self.cluster.operator
    }

    pub fn requests(&self) -> String {
        format!("/apis/tap-operator.io/v1alpha1/namespaces/{}/taprequests", self.namespace)
    }

    pub fn request(&self, name: &str) -> String {
        format!("{}/{name}", self.requests())
    }

    pub fn status(&self, name: &str) -> String {
        format!("{}/status", self.request(name))
    }

    pub fn secrets(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    pub fn secret(&self, name: &str) -> String {
        format!("{}/{name}", self.secrets())
    }

    /// Creates a request as Alice, and resolves it as the operator does.
    pub async fn ask(&self, name: &str) -> Result<Value> {
        self.alice.call(Call::create(&self.requests(), request(name))).await?;
        self.resolve(name).await
    }

    /// Writes what the operator writes before anybody is asked to approve.
    pub async fn resolve(&self, name: &str) -> Result<Value> {
        let resolved = json!({
            "tenantId": "1", "userId": "2", "userPrincipalName": "nora@contoso.com",
            "lifetime": "1h", "oneTimeUse": true,
        });
        let status = json!({"phase": "AwaitingApproval", "resolved": resolved});
        self.write_status(name, status).await
    }

    /// The first write of an issue: intent and finalizer, conditional on the version that was read.
    pub async fn write_intent(&self, name: &str) -> Result<Value> {
        let seen = self.operator().call(Call::get(&self.request(name))).await?;
        let intent = json!({"uid": text(&seen, "/metadata/uid")?, "attempt": "1"}).to_string();
        let patch = json!({"metadata": {
            "resourceVersion": text(&seen, "/metadata/resourceVersion")?,
            "annotations": {"tap-operator.io/intent": intent},
            "finalizers": ["tap-operator.io/pass"],
        }});
        self.operator().call(Call::merge(&self.request(name), patch)).await
    }

    /// A write of the status: a merge patch without decisions, conditional on the version that was read.
    pub async fn write_status(&self, name: &str, status: Value) -> Result<Value> {
        let seen = self.operator().call(Call::get(&self.request(name))).await?;
        let version = text(&seen, "/metadata/resourceVersion")?;
        let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
        self.operator().call(Call::merge(&self.status(name), patch)).await
    }

    /// Takes the finalizer off and closes the intent.
    pub async fn finish(&self, name: &str) -> Result<Value> {
        let seen = self.operator().call(Call::get(&self.request(name))).await?;
        let patch = json!({"metadata": {
            "resourceVersion": text(&seen, "/metadata/resourceVersion")?,
            "annotations": {"tap-operator.io/intent": r#"{"closed":true}"#},
            "finalizers": null,
        }});
        self.operator().call(Call::merge(&self.request(name), patch)).await
    }

    /// The writes of a whole issue: metadata, Secret and status. Returns the request after them.
    pub async fn issue(&self, name: &str) -> Result<Value> {
        let seen = self.write_intent(name).await?;
        let secret = secret(name, text(&seen, "/metadata/uid")?);
        self.operator().call(Call::create(&self.secrets(), secret.clone()).dry_run()).await?;
        self.operator().call(Call::create(&self.secrets(), secret)).await?;
        let status = json!({
            "phase": "Active", "observedGeneration": 1, "approvals": "1/1", "secretName": name,
            "checks": [{"name": "Tenant", "result": "Passed"}],
        });
        self.write_status(name, status).await
    }

    /// The uid of a Secret, which is all that the operator can learn without reading it.
    pub async fn secret_uid(&self, name: &str) -> Result<String> {
        let learn = Call::delete(&self.secret(name), json!({})).dry_run();
        let answer = self.operator().call(learn).await?;
        anyhow::ensure!(answer.get("data").is_none(), "the answer has content: {answer:#}");
        Ok(text(&answer, "/details/uid")?.to_owned())
    }

    /// Deletes a Secret as the operator does.
    pub async fn delete_secret(&self, name: &str) -> Result<()> {
        let options = json!({"preconditions": {"uid": self.secret_uid(name).await?}});
        let answer = self.operator().call(Call::delete(&self.secret(name), options)).await?;
        anyhow::ensure!(answer.get("data").is_none(), "the answer has content: {answer:#}");
        Ok(())
    }
}

/// A request as people write it.
pub fn request(name: &str) -> Value {
    json!({
        "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest",
        "metadata": {"name": name},
        "spec": {"policyRef": {"name": POLICY}, "user": "nora@contoso.com", "reason": "INC0012345"},
    })
}

/// A Secret with a pass as the operator writes it.
pub fn secret(name: &str, owner: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "tap-operator"},
            "ownerReferences": [{
                "apiVersion": "tap-operator.io/v1alpha1", "kind": "TapRequest", "name": name,
                "uid": owner, "controller": true,
            }],
        },
        "type": "tap-operator.io/temporary-access-pass",
        "immutable": true,
        "stringData": {"temporaryAccessPass": "not a pass"},
    })
}

/// The JSON patch by which people decide.
pub fn decide(by: &str, decision: &str) -> Value {
    json!([{"op": "add", "path": "/status/decisions/-", "value": {"by": by, "decision": decision}}])
}
