//! From a request to an answer, in the order in which Graph refuses: path, token, throttle, permission.

use super::{
    batch::{self, Answers},
    call::Call,
    permissions,
};
use crate::{
    login::caller::Caller,
    odata::Query,
    operation::{Operation, Route},
    state::State,
    wire::{Answer, Content, Ids, Incoming, Refusal, retry_after},
};

impl State {
    /// Does what a request asks and says what is answered. One step: nobody sees half of it.
    pub(crate) fn act(&mut self, incoming: &Incoming, number: u64) -> Answer {
        let ids = Ids::of(incoming);
        let now = self.now();
        if let Some(record) = self.requests.get_mut(number) {
            record.acted_at = Some(now);
        }
        let route = match Route::parse(&incoming.method, &incoming.path, &self.switches) {
            Ok(route) => route,
            Err(refusal) => return signed(refusal.answer(&ids, now, &self.switches), &ids),
        };
        match &route {
            Route::Token { tenant } => {
                let (app, answer) = self.token(tenant, incoming, &ids);
                if let Some(record) = self.requests.get_mut(number) {
                    record.app = app;
                }
                answer.with("x-ms-request-id", &ids.request.to_string())
            }
            Route::Discovery { tenant } => self.discovery(tenant, incoming, &ids),
            Route::InstanceDiscovery => self.instance_discovery(incoming),
            Route::Keys => Answer::json(200, serde_json::json!({"keys": []})),
            _ => {
                let outcome = self.answer_graph(&route, incoming, &ids, number);
                let answer = outcome
                    .unwrap_or_else(|refusal| refusal.answer(&ids, self.now(), &self.switches));
                signed(answer, &ids)
            }
        }
    }

    /// What the faults answer in Graph's name.
    pub(crate) fn refuse(&self, incoming: &Incoming, refusal: &Refusal) -> Answer {
        let ids = Ids::of(incoming);
        signed(refusal.answer(&ids, self.now(), &self.switches), &ids)
    }

    fn answer_graph(
        &mut self,
        route: &Route,
        incoming: &Incoming,
        ids: &Ids,
        number: u64,
    ) -> Result<Answer, Refusal> {
        let caller = self.caller(incoming)?;
        if let Some(record) = self.requests.get_mut(number) {
            record.app = Some(caller.client_id);
        }
        let query = Query::read(incoming)?;
        let operation = route.operation();
        self.admit(&caller, operation, &query)?;
        permissions::check(operation, &caller)?;
        let call = Call { incoming, caller: &caller, query, ids, number };
        match route {
            Route::PolicyGet => self.get_policy(&call),
            Route::PolicyPatch => self.patch_policy(&call),
            Route::PolicyReset => Ok(self.reset_policy()),
            Route::ParentPolicyGet => self.get_parent_policy(&call),
            Route::PassList { user } => self.answer_pass_list(&call, user),
            Route::PassCreate { user } => self.answer_new_pass(&call, user),
            Route::PassGet { user, pass } => self.answer_pass(&call, user, pass),
            Route::PassDelete { user, pass } => {
                self.delete_pass(user, pass, caller.actor(), Some(&ids.client_request))?;
                Ok(Answer::empty(204))
            }
            Route::UserGet { user } => self.get_user(&call, user),
            Route::UserList => self.list_users(&call),
            Route::SignInMethods { user } => self.sign_in_methods(&call, user),
            Route::CheckMemberGroups { user } => self.check_member_groups(&call, user),
            Route::TransitiveMemberOf { user, cast } => {
                self.transitive_member_of(&call, user, *cast)
            }
            Route::GroupList => self.list_groups(&call),
            Route::GroupGet { group } => self.get_group(&call, group),
            Route::RoleAssignments => self.role_assignments(&call),
            Route::RoleEligibilities => self.role_eligibility_instances(&call),
            Route::RoleEligibilitySchedules => self.role_eligibility_schedules(&call),
            Route::GroupEligibilitySchedules => self.group_eligibility_schedules(&call),
            Route::AccessPolicies => self.access_policies(&call),
            Route::AuthenticationStrengths => self.authentication_strengths(&call),
            Route::Evaluate => self.evaluate(&call),
            Route::Organization => self.organization(&call),
            Route::DirectoryAudits => self.directory_audits(&call),
            Route::SignIns => self.sign_in_rows(&call),
            Route::Batch => self.answer_batch(&call),
            Route::Token { .. }
            | Route::Discovery { .. }
            | Route::InstanceDiscovery
            | Route::Keys => Err(Refusal::new(404, "ResourceNotFound", "Not Graph.")),
        }
    }

    fn answer_batch(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let items = batch::read(call.incoming)?;
        let (mut answers, mut whole) = (Answers::default(), Answer::empty(200));
        for item in items {
            let answer = if answers.allow(&item) {
                self.act_in_batch(call.number, &item.incoming, &mut whole)
            } else {
                self.refuse(&item.incoming, &batch::failed_dependency())
            };
            answers.add(item, answer);
        }
        whole.status = answers.status(self.switches.batch_throttled);
        whole.content = answers.content();
        Ok(whole)
    }

    fn act_in_batch(&mut self, batch: u64, incoming: &Incoming, whole: &mut Answer) -> Answer {
        let operation = Operation::of(incoming, &self.switches);
        let number = self.requests.begin(self.now(), operation, incoming, Some(batch), None);
        let answer = self.act(incoming, number);
        whole.tells.extend(&answer.tells);
        whole.items.push((number, incoming.clone(), answer.clone()));
        answer
    }

    fn admit(
        &mut self,
        caller: &Caller,
        operation: Operation,
        query: &Query,
    ) -> Result<(), Refusal> {
        let cost = match operation {
            Operation::CheckMemberGroups => 4,
            Operation::TransitiveMemberOf | Operation::UserList => 2,
            _ => 1,
        };
        let now = self.now();
        let admitted = self.throttle.admit(
            caller.client_id,
            operation,
            query.units(cost),
            now,
            &self.switches,
        );
        admitted.map_err(|wait| {
            // Conditional Access does not say how long to wait (documented).
            if operation.is_conditional_access() {
                return Refusal::throttled(None);
            }
            let scope = format!("Tenant_Application/ReadWrite/{}/{}", caller.client_id, self.id);
            Refusal::throttled(retry_after(wait, self.switches.retry_after, now))
                .header("x-ms-throttle-scope", scope)
                .header("x-ms-throttle-information", "ResourceUnitLimitExceeded")
        })
    }
}

/// With the headers of every answer of Graph's.
fn signed(answer: Answer, ids: &Ids) -> Answer {
    let diagnostics = r#"{"ServerInfo":{"DataCenter":"Simulator","Slice":"E","Ring":"1","ScaleUnit":"001","RoleInstance":"SIM000001"}}"#;
    let answer = answer
        .with("request-id", &ids.request.to_string())
        .with("client-request-id", &ids.client_request)
        .with("x-ms-ags-diagnostic", diagnostics)
        .with("strict-transport-security", "max-age=31536000");
    match answer.content {
        Content::Json(_) => answer.with("odata-version", "4.0"),
        _ => answer,
    }
}
