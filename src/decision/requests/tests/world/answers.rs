//! What the tenant and the API server of a small world answer, and what comes of an action.

use super::*;

impl Life {
    pub fn answer(&mut self, question: &Question) -> Outcome {
        match question {
            Question::Method => {
                self.method_reads += 1;
                Outcome::Method(self.method.clone())
            }
            Question::User { key } => {
                self.user_read_by.clone_from(key);
                Outcome::User(self.user.clone())
            }
            Question::UserByMail { .. } => Outcome::UserByMail(self.user_by_mail.clone()),
            Question::People { names } => {
                let found = names.iter().map(|(name, entra)| {
                    let usual = || self.usually_found(entra);
                    (name.clone(), self.people.get(name).cloned().unwrap_or_else(usual))
                });
                let found = found.collect();
                Outcome::People(self.people_read.clone().map(|()| found))
            }
            Question::Groups { .. } => {
                Outcome::Groups(self.member_of.clone().map(|()| self.groups.clone()))
            }
            Question::GroupStates { ids } => {
                let state = |id: &String| {
                    let state = self.group_states.get(id).copied().unwrap_or(GroupState::Seen);
                    (id.clone(), state)
                };
                Outcome::GroupStates(
                    self.groups_read.clone().map(|()| ids.iter().map(state).collect()),
                )
            }
            Question::SignInMethods { .. } => Outcome::SignInMethods(self.sign_in_methods.clone()),
            Question::Roles { .. } => {
                Outcome::Roles(self.member_of.clone().map(|()| self.roles.clone()))
            }
            Question::Eligibility { .. } => Outcome::Eligibility(self.eligibility.clone()),
            Question::ListedRoles { .. } => Outcome::ListedRoles(self.listed_roles.clone()),
            Question::SignInRules { .. } => Outcome::SignInRules(self.sign_in_rules.clone()),
            Question::SignIn { .. } => Outcome::SignIn(self.sign_in.clone()),
            Question::Passes { user, .. } => {
                (self.before_a_list)(self);
                self.lists += 1;
                self.now += self.list_takes;
                let passes = self.passes.clone();
                Outcome::Passes(
                    user.clone(),
                    passes.map(|passes| Listed { passes, date: self.now }),
                )
            }
            Question::SecretDryRun => {
                Outcome::SecretDryRun(match (self.secret_refused, &self.secret) {
                    (Some(why), _) => SecretDryRun::Refused(why.into()),
                    (None, SecretFound::Ours(_) | SecretFound::Foreign) => SecretDryRun::NameTaken,
                    (None, _) => SecretDryRun::Accepted,
                })
            }
            Question::Secret => {
                Outcome::Secret { found: self.secret.clone(), unfenced_for: self.unfenced_for }
            }
            Question::Labels => Outcome::Labels(self.labels.clone()),
            Question::Brakes => Outcome::Brakes(self.brakes.clone()),
            Question::Permission { .. } => Outcome::Permitted(self.permitted.clone()),
        }
    }

    /// Everybody is in the tenant under their own name, and nobody under another's.
    fn usually_found(&self, name: &EntraName) -> Namesakes {
        let of_user = self.user.as_ref().ok().filter(|user| match name {
            EntraName::UserPrincipalName(upn) => folded(upn) == folded(&user.user_principal_name),
            EntraName::ObjectId(id) => *id == user.id,
        });
        let id = match (of_user, name) {
            (Some(user), _) => user.id.clone(),
            (None, EntraName::UserPrincipalName(upn)) => format!("id of {}", folded(upn)),
            (None, EntraName::ObjectId(id)) => id.clone(),
        };
        Namesakes { user_id: Some(id), others: vec![] }
    }

    pub(super) fn act(&mut self, uid: &Uid, action: Action) -> Outcome {
        match action {
            Action::WriteStatus(status) => {
                let done = format!("status {}", status.phase);
                self.write(uid, &done, |request| request.status = Some(*status))
            }
            Action::RecordIntent(intent, _) => {
                let issuing = intent.stage == Stage::Issuing;
                let outcome =
                    self.write(uid, if issuing { "intent" } else { "raise" }, |request| {
                        annotate(request, &intent);
                        request.metadata.finalizers = Some(vec![FINALIZER.into()]);
                    });
                self.guard = self.guard_at_post.take().unwrap_or_else(|| self.guard.clone());
                outcome
            }
            Action::Release(intent) => {
                let outcome = self.write(uid, "release", |request| {
                    if let Some(intent) = intent {
                        assert!(!intent.is_open(), "the finalizer goes only with a closed intent");
                        annotate(request, &intent);
                    }
                    request.metadata.finalizers = None;
                });
                if matches!(outcome, Outcome::Written(_)) && self.object_mut(uid).is_being_deleted()
                {
                    self.gone.insert(uid.clone());
                }
                outcome
            }
            Action::Post(intent) => {
                self.done.push("post".into());
                Outcome::Posted((self.post)(&intent, self.now))
            }
            Action::CreateSecret => {
                self.done.push("secret".into());
                self.lease_is_fresh &= !self.lease_lost_with_the_secret;
                if let SecretCreation::Yes(uid) = &self.create_secret {
                    self.secret = SecretFound::Ours(uid.clone());
                }
                Outcome::SecretCreated(self.create_secret.clone())
            }
            Action::DeleteSecret(secret) => {
                let ours = SecretFound::Ours(secret);
                assert_eq!(self.secret, ours, "only our own Secret is deleted, by its uid");
                if let Some(why) = self.stuck_secret {
                    return Outcome::SecretDeleted(Err(why.into()));
                }
                self.done.push("delete secret".into());
                self.secret = SecretFound::Absent;
                Outcome::SecretDeleted(Ok(true))
            }
            Action::DeletePass { pass_id, connections, .. } => {
                let through = match connections.first().map(String::as_str) {
                    Some("default") => String::new(),
                    other => format!(" through {}", other.expect("a connection")),
                };
                self.done.push(format!("delete pass {pass_id}{through}"));
                if let (Ok(passes), Ok(())) = (&mut self.passes, &self.delete_pass) {
                    passes.retain(|pass| pass.id != pass_id);
                }
                Outcome::PassDeleted(self.delete_pass.clone())
            }
            Action::DeleteRequest => {
                self.done.push("delete request".into());
                self.gone.insert(uid.clone());
                Outcome::RequestDeleted
            }
        }
    }

    /// A write that is conditional on the version that was read or written last.
    fn write(&mut self, uid: &Uid, done: &str, change: impl FnOnce(&mut TapRequest)) -> Outcome {
        self.number();
        let read = self.requests.request(uid).expect("it was read");
        let version = &self.object_mut(uid).metadata.resource_version;
        if read.metadata.resource_version != *version || self.gone.contains(uid) {
            return Outcome::Outdated;
        }
        if let Some(what) = self.refused.filter(|what| *what == kind_of(done)) {
            let why = "a webhook said no".into();
            return Outcome::Refused(RefusedWrite { what, why });
        }
        self.done.push(done.into());
        change(self.object_mut(uid));
        self.number();
        Outcome::Written(Arc::new(self.object_mut(uid).clone()))
    }
}

/// What is written by what a write is called.
fn kind_of(done: &str) -> Written {
    match done {
        "intent" | "raise" => Written::Intent,
        "release" => Written::Release,
        _ => Written::Status,
    }
}
