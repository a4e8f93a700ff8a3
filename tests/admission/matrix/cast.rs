//! The callers: people, service accounts and the operator, with their roles and verbs.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::call::{Actor, Call};
use crate::office::{EDITOR, Office, POLICY};
use crate::support::wait;

/// A second policy. No object of the matrix belongs to it.
pub const OTHER_POLICY: &str = "fabrikam";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Rights by RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Requester,
    Approver,
    Viewer,
    PolicyAdmin,
    /// Kubernetes' own role `admin`, in the namespace.
    NamespaceAdmin,
    /// May write everything that the admission policies are about.
    Editor,
    ClusterAdmin,
    /// The group `system:masters`, which needs no binding.
    Master,
    /// Kubernetes' own garbage collector, which deletes dependents with their owner.
    GarbageCollector,
    Operator,
}

/// What a call writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Requests,
    Status,
    Secrets,
}

impl Role {
    /// The verbs for writing. With these roles `update` implies `patch`, but not the other way round.
    fn verbs(self, resource: Resource) -> &'static [&'static str] {
        use Resource::{Requests, Secrets, Status};
        match (self, resource) {
            (Self::Requester, Requests) => &["create"],
            (Self::Operator, Secrets) => &["create", "delete"],
            (Self::Requester | Self::Approver | Self::Operator, Status) => &["patch"],
            (Self::Editor | Self::ClusterAdmin | Self::Master, _)
            | (Self::NamespaceAdmin, Secrets) => &["create", "update", "patch", "delete"],
            (Self::GarbageCollector, _) => &["update", "patch", "delete"],
            (Self::Operator, Requests) => &["patch", "delete"],
            _ => &[],
        }
    }

    /// The cluster roles to be bound, and whether they are bound in the namespace only.
    fn bindings(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Requester => &[("tap-requester", true)],
            Self::Approver => &[("tap-approver", true)],
            Self::Viewer => &[("tap-viewer", true)],
            Self::PolicyAdmin => &[("tap-policy-admin", false)],
            // A controller aggregates the second into the first, if it runs.
            Self::NamespaceAdmin => &[("admin", true), ("system:aggregate-to-edit", true)],
            Self::Editor => &[(EDITOR, true)],
            Self::ClusterAdmin => &[("cluster-admin", false)],
            Self::Master | Self::GarbageCollector | Self::Operator => &[],
        }
    }
}

/// A verb on a `TapPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Use,
    Approve,
    Release,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Approve => "approve",
            Self::Release => "release",
        }
    }

    /// The group that has the verb if it is granted to a group.
    fn group(self) -> &'static str {
        match self {
            Self::Use => "askers",
            Self::Approve => "deciders",
            Self::Release => "releasers",
        }
    }
}

/// How a verb was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// By a `RoleBinding` in the namespace of the requests.
    Here,
    /// By a `RoleBinding` in another namespace.
    Elsewhere,
    /// By a `ClusterRoleBinding`.
    Everywhere,
    /// By a `RoleBinding` in the namespace, on another policy.
    OtherPolicy,
    /// By a `RoleBinding` in the namespace, for a group.
    ByGroup,
}

const GRANTS: [Option<Grant>; 6] = [
    None,
    Some(Grant::Here),
    Some(Grant::Elsewhere),
    Some(Grant::Everywhere),
    Some(Grant::OtherPolicy),
    Some(Grant::ByGroup),
];

/// A caller.
pub struct Caller {
    pub what: String,
    pub actor: Actor,
    roles: Vec<Role>,
    grants: Vec<(Verb, Grant)>,
    /// The verb that this caller is there for, and how it is granted, if at all.
    varies: Option<(Verb, Option<Grant>)>,
}

impl Caller {
    /// Whether this caller is worth testing if this verb decides (`None`: if no verb decides).
    pub fn matters_to(&self, verb: Option<Verb>) -> bool {
        self.varies.is_none_or(|(varied, grant)| {
            Some(varied) == verb || matches!(grant, None | Some(Grant::Here))
        })
    }

    /// Whether RBAC lets them make this kind of write.
    pub fn can(&self, verb: &str, resource: Resource) -> bool {
        self.roles.iter().any(|role| role.verbs(resource).contains(&verb))
    }

    /// Whether they have the verb on this policy, in the namespace of the requests.
    pub fn has(&self, verb: Verb, policy: &str) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::ClusterAdmin | Role::Master))
            || self.grants.iter().any(|&(granted, grant)| {
                granted == verb
                    && match grant {
                        Grant::Here | Grant::Everywhere | Grant::ByGroup => policy == POLICY,
                        Grant::OtherPolicy => policy == OTHER_POLICY,
                        Grant::Elsewhere => false,
                    }
            })
    }

    /// Whether RBAC lets them write requests or their status in any way.
    pub fn writes_requests(&self) -> bool {
        ["create", "patch"].iter().any(|verb| self.can(verb, Resource::Requests))
            || self.can("patch", Resource::Status)
    }

    pub fn is_operator(&self) -> bool {
        self.roles.contains(&Role::Operator)
    }

    pub fn is_garbage_collector(&self) -> bool {
        self.roles.contains(&Role::GarbageCollector)
    }

    pub fn is_service_account(&self) -> bool {
        self.actor.name().starts_with("system:serviceaccount:")
    }
}

/// All callers, in the namespace of the office.
pub async fn everybody(office: &Office<'_>) -> Result<Vec<Caller>> {
    let mut cast = Vec::new();
    for grant in GRANTS {
        let how = grant.map_or("nobody granted".to_owned(), |grant| format!("{grant:?}"));
        for (who, verb, roles, more) in [
            ("requester", Verb::Use, vec![Role::Requester], None),
            (
                "requester and approver",
                Verb::Approve,
                vec![Role::Requester, Role::Approver],
                Some((Verb::Use, Grant::Here)),
            ),
            ("editor", Verb::Release, vec![Role::Editor], None),
        ] {
            let what = format!("{who}, {} {how}", verb.name());
            let grants = grant.map(|grant| (verb, grant)).into_iter().chain(more).collect();
            let user = format!("{}@matrix.contoso.com", what.replace([' ', ','], "-"));
            let control_plane = &office.cluster.control_plane;
            let identity = match grant {
                Some(Grant::ByGroup) => control_plane.member(&user, verb.group())?,
                _ => control_plane.person(&user)?,
            };
            let actor = Actor::new(identity).await?;
            let varies = Some((verb, grant));
            cast.push(Caller { what, actor, roles, grants, varies });
        }
    }
    cast.extend(others(office).await?);
    grant(office, &cast).await?;
    Ok(cast)
}

/// Callers whose rights do not vary.
async fn others(office: &Office<'_>) -> Result<Vec<Caller>> {
    use Grant::Here;
    let control_plane = &office.cluster.control_plane;
    let every_verb = || vec![(Verb::Use, Here), (Verb::Approve, Here), (Verb::Release, Here)];
    let mut cast = Vec::new();
    for (what, roles, grants) in [
        ("stranger", vec![], vec![]),
        ("stranger with every verb", vec![], every_verb()),
        ("viewer with every verb", vec![Role::Viewer], every_verb()),
        ("policy admin", vec![Role::PolicyAdmin], vec![]),
        ("namespace admin", vec![Role::NamespaceAdmin], vec![]),
        ("editor with every verb", vec![Role::Editor], every_verb()),
        ("cluster admin", vec![Role::ClusterAdmin], vec![]),
    ] {
        let user = format!("{}@matrix.contoso.com", what.replace(' ', "-"));
        let actor = Actor::new(control_plane.person(&user)?).await?;
        let what = what.to_owned();
        cast.push(Caller { what, actor, roles, grants, varies: None });
    }
    let accounts = format!("/api/v1/namespaces/{}/serviceaccounts", office.namespace);
    for (name, grants) in [("robot", vec![]), ("mighty-robot", every_verb())] {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        office.cluster.admin.call(Call::create(&accounts, account)).await?;
        let identity = control_plane.service_account(&office.namespace, name).await?;
        cast.push(Caller {
            what: format!("service account {name}"),
            actor: Actor::new(identity).await?,
            roles: vec![Role::Editor],
            grants,
            varies: None,
        });
    }
    let masters = Actor::new(control_plane.admin().clone()).await?;
    let manager = Actor::new(control_plane.person("system:kube-controller-manager")?).await?;
    let operator = control_plane.service_account("tap-operator-system", "tap-operator").await?;
    let operator = Actor::new(operator).await?;
    // Its role exists in every cluster. Its account is usually created by the controller manager, which need not run
    // here.
    let account = "/api/v1/namespaces/kube-system/serviceaccounts/generic-garbage-collector";
    let empty = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "generic-garbage-collector"},
    });
    office.cluster.admin.call(Call::apply(account, empty)).await?;
    let collector =
        control_plane.service_account("kube-system", "generic-garbage-collector").await?;
    let collector = Actor::new(collector).await?;
    for (what, actor, roles) in [
        ("garbage collector", collector, vec![Role::GarbageCollector]),
        ("controller manager", manager, vec![Role::GarbageCollector, Role::Editor]),
        ("system:masters", masters, vec![Role::Master]),
        ("operator", operator, vec![Role::Operator]),
    ] {
        let what = what.to_owned();
        cast.push(Caller { what, actor, roles, grants: Vec::new(), varies: None });
    }
    Ok(cast)
}

/// Binds the rights of the callers and waits until they are in force, even those that the calls cannot use.
async fn grant(office: &Office<'_>, cast: &[Caller]) -> Result<()> {
    let admin = &office.cluster.admin;
    for policy in [POLICY, OTHER_POLICY] {
        for verb in [Verb::Use, Verb::Approve, Verb::Release].map(Verb::name) {
            let name = format!("matrix-{verb}-{policy}");
            let role = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": name},
                "rules": [{
                    "apiGroups": ["tap-operator.io"], "resources": ["tappolicies"],
                    "resourceNames": [policy], "verbs": [verb],
                }],
            });
            admin.call(Call::apply(&format!("{RBAC}/clusterroles/{name}"), role)).await?;
        }
    }
    let elsewhere = &office.cluster.control_plane.new_namespace("elsewhere").await?;
    try_join_all(cast.iter().map(|caller| async move {
        let user = json!({"kind": "User", "name": caller.actor.name()});
        for &(name, in_namespace) in caller.roles.iter().flat_map(|role| role.bindings()) {
            let namespace = in_namespace.then_some(&*office.namespace);
            bind(admin, name, &user, namespace).await?;
        }
        for &(verb, grant) in &caller.grants {
            let group = json!({"kind": "Group", "name": verb.group()});
            let (policy, namespace, subject) = match grant {
                Grant::Here => (POLICY, Some(&*office.namespace), &user),
                Grant::Elsewhere => (POLICY, Some(&**elsewhere), &user),
                Grant::Everywhere => (POLICY, None, &user),
                Grant::OtherPolicy => (OTHER_POLICY, Some(&*office.namespace), &user),
                Grant::ByGroup => (POLICY, Some(&*office.namespace), &group),
            };
            bind(admin, &format!("matrix-{}-{policy}", verb.name()), subject, namespace).await?;
            let asked = json!({
                "group": "tap-operator.io", "resource": "tappolicies", "verb": verb.name(),
                "name": policy, "namespace": namespace,
            });
            in_force(&caller.actor, asked).await?;
        }
        for (resource, group, name, subresource) in [
            (Resource::Requests, "tap-operator.io", "taprequests", ""),
            (Resource::Status, "tap-operator.io", "taprequests", "status"),
            (Resource::Secrets, "", "secrets", ""),
        ] {
            for verb in caller.roles.iter().flat_map(|role| role.verbs(resource)) {
                let asked = json!({
                    "group": group, "resource": name, "subresource": subresource, "verb": verb,
                    "namespace": office.namespace,
                });
                in_force(&caller.actor, asked).await?;
            }
        }
        Ok(())
    }))
    .await
    .map(drop)
}

async fn bind(admin: &Actor, role: &str, to: &Value, namespace: Option<&str>) -> Result<()> {
    let (kind, path) = match namespace {
        Some(namespace) => ("RoleBinding", format!("{RBAC}/namespaces/{namespace}/rolebindings")),
        None => ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings")),
    };
    let mut subject = to.clone();
    subject["apiGroup"] = json!("rbac.authorization.k8s.io");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": {"generateName": "matrix-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    });
    admin.call(Call::create(&path, binding)).await.map(drop)
}

/// Waits until the authorizer knows of a binding, which happens a moment after it was written.
async fn in_force(who: &Actor, asked: Value) -> Result<()> {
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    });
    wait::until(wait::PATIENCE, "a right is in force", || async {
        let answer = who.call(Call::create(reviews, review.clone())).await?;
        let allowed = answer["status"]["allowed"].as_bool().context("an answer")?;
        ensure!(allowed, "{} has not yet {asked}", who.name());
        Ok(())
    })
    .await
}
