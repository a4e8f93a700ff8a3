//! The TAP policy and users' passes.

use serde_json::{Value, json};

use super::call::Call;
use crate::{
    clock::seconds,
    passes::Telling,
    policy::PolicyValues,
    state::State,
    switches::PolicyWriteAnswer,
    wire::{Answer, Refusal},
};

impl State {
    pub(super) fn get_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        refuse_options(call)?;
        Ok(Answer::json(200, self.policy_as_read().wire(&call.incoming.base())))
    }

    pub(super) fn patch_policy(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let (by, id) = (call.caller.actor(), &call.ids.client_request);
        self.change_policy(&call.incoming.json()?, by, Some(id))?;
        Ok(match self.switches.policy_write_answer {
            PolicyWriteAnswer::NoContent => Answer::empty(204),
            PolicyWriteAnswer::Ok => {
                Answer::json(200, self.policy.current().wire(&call.incoming.base()))
            }
        })
    }

    pub(super) fn reset_policy(&mut self) -> Answer {
        self.set_policy(PolicyValues::reset(&self.switches));
        Answer::empty(204)
    }

    pub(super) fn get_parent_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        refuse_options(call)?;
        let base = call.incoming.base();
        let body = json!({
            "@odata.context": format!("{base}/v1.0/$metadata#authenticationMethodsPolicy"),
            "id": "authenticationMethodsPolicy",
            "displayName": "Authentication Methods Policy",
            "policyVersion": "1.5",
            "authenticationMethodConfigurations@odata.context":
                format!("{base}/v1.0/$metadata#policies/authenticationMethodsPolicy/authenticationMethodConfigurations"),
            "authenticationMethodConfigurations": [self.policy_as_read().inline(&base)],
        });
        Ok(Answer::json(200, body))
    }

    fn policy_as_read(&self) -> &PolicyValues {
        self.policy.seen(self.now(), seconds(self.switches.policy_read_lag_seconds))
    }

    pub(super) fn answer_pass_list(&self, call: &Call, user: &str) -> Result<Answer, Refusal> {
        refuse_options(call)?;
        let id = self.user_with_methods(user)?.id;
        let body = json!({
            "@odata.context": format!("{}/v1.0/$metadata#users('{id}')/authentication/temporaryAccessPassMethods", call.incoming.base()),
            "value": self.list_passes(user)?,
        });
        Ok(Answer::json(200, body))
    }

    /// All methods of a user, told apart by their type: the password is always one of them (known), and so is a pass.
    pub(super) fn sign_in_methods(&self, call: &Call, user: &str) -> Result<Answer, Refusal> {
        refuse_options(call)?;
        let found = self.user_with_methods(user)?;
        let method = |kind: &str, id: String| {
            json!({
                "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethod"),
                "id": id,
                "createdDateTime": "2024-01-01T00:00:00Z",
            })
        };
        let mut methods = vec![method("password", "28c10230-6103-485e-b985-444c60001490".into())];
        let registered = found.methods.iter().enumerate();
        methods.extend(registered.map(|(number, kind)| method(kind, format!("{kind}-{number}"))));
        for mut pass in self.list_passes(user)? {
            pass["@odata.type"] = "#microsoft.graph.temporaryAccessPassAuthenticationMethod".into();
            methods.push(pass);
        }
        let base = call.incoming.base();
        let body = json!({
            "@odata.context": format!("{base}/v1.0/$metadata#users('{}')/authentication/methods", found.id),
            "value": methods,
        });
        Ok(Answer::json(200, body))
    }

    pub(super) fn answer_pass(
        &self,
        call: &Call,
        user: &str,
        pass: &str,
    ) -> Result<Answer, Refusal> {
        refuse_options(call)?;
        let mut fields = self.get_pass(user, pass)?;
        fields.insert("@odata.context".into(), self.pass_context(call, user)?);
        Ok(Answer::json(200, Value::Object(fields)))
    }

    pub(super) fn answer_new_pass(&mut self, call: &Call, user: &str) -> Result<Answer, Refusal> {
        let body = call.incoming.json()?;
        let context = self.pass_context(call, user)?;
        let id =
            self.create_pass(user, &body, call.caller.actor(), Some(&call.ids.client_request))?;
        let mut fields = self.new_pass(id);
        if self.switches.context_in_post_answer {
            fields.insert("@odata.context".into(), context);
        }
        let at = self.now();
        if let Some(pass) = self.passes.get_mut(id) {
            // Lost, until the answer has left.
            pass.told.push(Telling { request: call.number, at, delivered: false });
        }
        let mut answer = Answer::json(201, Value::Object(fields));
        answer.tells.push(id);
        Ok(answer)
    }

    fn pass_context(&self, call: &Call, user: &str) -> Result<Value, Refusal> {
        let id = self.user_with_methods(user)?.id;
        let base = call.incoming.base();
        Ok(format!(
            "{base}/v1.0/$metadata#users('{id}')/authentication/temporaryAccessPassMethods/$entity"
        )
        .into())
    }
}

/// These resources support no query options (documented): a client that sends one is wrong about what it gets.
fn refuse_options(call: &Call) -> Result<(), Refusal> {
    if call.query.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(400, "badRequest", "Query options are not supported.").repeated())
}
