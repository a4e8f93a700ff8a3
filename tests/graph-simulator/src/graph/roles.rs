//! Who holds which role, and who could activate one.

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use crate::{
    clock::graph_time,
    odata::Filter,
    state::State,
    tenant::{GroupAccess, RoleEligibility},
    wire::{Answer, Refusal},
};

const ASSIGNMENT_PROPERTIES: [&str; 4] =
    ["id", "principalId", "directoryScopeId", "roleDefinitionId"];
const INSTANCE_PROPERTIES: [&str; 8] = [
    "id",
    "principalId",
    "directoryScopeId",
    "roleDefinitionId",
    "memberType",
    "startDateTime",
    "endDateTime",
    "roleEligibilityScheduleId",
];
const SCHEDULE_PROPERTIES: [&str; 9] = [
    "id",
    "principalId",
    "directoryScopeId",
    "roleDefinitionId",
    "memberType",
    "status",
    "scheduleInfo",
    "createdDateTime",
    "modifiedDateTime",
];
const GROUP_SCHEDULE_PROPERTIES: [&str; 9] = [
    "id",
    "accessId",
    "groupId",
    "principalId",
    "memberType",
    "status",
    "scheduleInfo",
    "createdDateTime",
    "modifiedDateTime",
];
const LONG_AGO: &str = "2024-01-01T00:00:00Z";
const UNLICENSED: &str =
    "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";

impl State {
    /// Direct assignments only, of any scope (documented).
    pub(super) fn role_assignments(&self, call: &Call) -> Result<Answer, Refusal> {
        let directory = self.read(call);
        let of_roles = directory.roles.iter().flat_map(|role| {
            let scope = "/".to_owned();
            role.members.iter().map(move |member| (*member, role.role_template_id, scope.clone()))
        });
        let others = directory.assignments.iter().map(|assigned| {
            (
                assigned.principal_id,
                assigned.role_definition_id,
                assigned.directory_scope_id.clone(),
            )
        });
        let items = of_roles.chain(others).map(|(principal, role, scope)| {
            json!({
                "id": format!("{}-1", made_id(&[role, principal], &scope)),
                "principalId": principal,
                "directoryScopeId": scope,
                "roleDefinitionId": role,
            })
        });
        let (kind, context) =
            ("microsoft.graph.unifiedRoleAssignment", "roleManagement/directory/roleAssignments");
        self.collection(call, items.collect(), kind, &ASSIGNMENT_PROPERTIES, context)
    }

    /// What can be activated now.
    pub(super) fn role_eligibility_instances(&self, call: &Call) -> Result<Answer, Refusal> {
        let now = self.now();
        let items = self.eligibilities(call)?.into_iter();
        let begun = items.filter(|(e, _)| e.start_date_time.is_none_or(|start| start <= now));
        let items = begun.map(|(eligible, member_type)| {
            let mut item = eligibility(&eligible, member_type);
            item["startDateTime"] = starts(&eligible).into();
            item["endDateTime"] = Value::Null;
            item["roleEligibilityScheduleId"] = item["id"].clone();
            item
        });
        let kind = "microsoft.graph.unifiedRoleEligibilityScheduleInstance";
        let context = "roleManagement/directory/roleEligibilityScheduleInstances";
        self.collection(call, items.collect(), kind, &INSTANCE_PROPERTIES, context)
    }

    /// What can be activated now or later.
    pub(super) fn role_eligibility_schedules(&self, call: &Call) -> Result<Answer, Refusal> {
        let items = self.eligibilities(call)?.into_iter().map(|(eligible, member_type)| {
            let mut item = eligibility(&eligible, member_type);
            schedule(&mut item, &starts(&eligible));
            item
        });
        let kind = "microsoft.graph.unifiedRoleEligibilitySchedule";
        let context = "roleManagement/directory/roleEligibilitySchedules";
        self.collection(call, items.collect(), kind, &SCHEDULE_PROPERTIES, context)
    }

    /// Only for a named group or principal (documented).
    pub(super) fn group_eligibility_schedules(&self, call: &Call) -> Result<Answer, Refusal> {
        if !self.switches.privileged_identity_management {
            // This surface has the code in its text (reported).
            let message = format!("ErrorCode: AadPremiumLicenseRequired, Message: {UNLICENSED}");
            return Err(Refusal::new(400, "BadRequest", message));
        }
        let filter = call.query.get("$filter").map(Filter::parse).transpose()?;
        let names_one =
            |filter: &Filter| filter.names().any(|name| ["groupId", "principalId"].contains(&name));
        if !filter.as_ref().is_some_and(names_one) {
            let message = "The required filter by groupId or principalId is missing.";
            return Err(Refusal::new(400, "MissingParameters", message.to_owned()));
        }
        let items = self.read(call).group_eligibilities.iter().map(|eligible| {
            let access = match eligible.access_id {
                GroupAccess::Member => "member",
                GroupAccess::Owner => "owner",
            };
            let made = made_id(&[eligible.group_id, eligible.principal_id], access);
            let mut item = json!({
                "id": format!("{}_{access}_{made}", eligible.group_id),
                "accessId": access,
                "groupId": eligible.group_id,
                "principalId": eligible.principal_id,
                "memberType": "direct",
            });
            schedule(&mut item, LONG_AGO);
            item
        });
        let kind = "microsoft.graph.privilegedAccessGroupEligibilitySchedule";
        let context = "identityGovernance/privilegedAccess/group/eligibilitySchedules";
        self.collection(call, items.collect(), kind, &GROUP_SCHEDULE_PROPERTIES, context)
    }

    /// Eligibilities with their `memberType`.
    fn eligibilities(&self, call: &Call) -> Result<Vec<(RoleEligibility, &'static str)>, Refusal> {
        if !self.switches.privileged_identity_management {
            return Err(Refusal::new(400, "AadPremiumLicenseRequired", UNLICENSED.to_owned()));
        }
        if let Some(filter) = call.query.get("$filter")
            && Filter::parse(filter)?.lists("principalId")
        {
            let message = "The filter operator 'in' is not supported for 'principalId'.";
            return Err(Refusal::new(400, "BadRequest", message.to_owned()));
        }
        let directory = self.read(call);
        let direct = directory.eligibilities.iter().map(|eligible| (eligible.clone(), "Direct"));
        let mut all: Vec<_> = direct.collect();
        if self.switches.eligibility_of_members {
            for user in &directory.users {
                let groups = directory.group_ids_of(user.id);
                let of_groups = directory.eligibilities.iter();
                let of_groups = of_groups.filter(|e| groups.contains(&e.principal_id));
                all.extend(of_groups.map(|eligible| {
                    (RoleEligibility { principal_id: user.id, ..eligible.clone() }, "Group")
                }));
            }
        }
        Ok(all)
    }
}

fn eligibility(eligible: &RoleEligibility, member_type: &str) -> Value {
    let ids = [eligible.role_definition_id, eligible.principal_id];
    json!({
        "id": made_id(&ids, &eligible.directory_scope_id),
        "principalId": eligible.principal_id,
        "directoryScopeId": eligible.directory_scope_id,
        "roleDefinitionId": eligible.role_definition_id,
        "memberType": member_type,
    })
}

fn schedule(item: &mut Value, starts: &str) {
    item["status"] = "Provisioned".into();
    item["createdDateTime"] = LONG_AGO.into();
    item["modifiedDateTime"] = LONG_AGO.into();
    item["scheduleInfo"] = json!({
        "startDateTime": starts,
        "recurrence": null,
        "expiration": {"type": "noExpiration", "endDateTime": null, "duration": null},
    });
}

fn starts(eligible: &RoleEligibility) -> String {
    eligible.start_date_time.map_or_else(|| LONG_AGO.into(), graph_time)
}

/// The same id for the same objects each time.
fn made_id(of: &[Uuid], what: &str) -> String {
    let ids = of.iter().fold(0u128, |made, id| made.rotate_left(1) ^ id.as_u128());
    let text = what.bytes().fold(0u128, |made, byte| made.rotate_left(7) ^ u128::from(byte));
    Uuid::from_u128(ids ^ text).simple().to_string()
}
