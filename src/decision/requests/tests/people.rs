//! Who is who.

use super::*;

fn approvals(life: &Life) -> &str {
    life.request.status.as_ref().unwrap().approvals.as_deref().unwrap()
}

#[test]
fn one_person_is_one_however_their_name_is_written() {
    for maps_names in [true, false] {
        let mut life = Life::new();
        if !maps_names {
            life.connection.as_mut().unwrap().users = None;
        }
        life.edit_policy("{approval: {required: 2}}");
        life.edit_spec("{requestedBy: Bob@contoso.com}");
        for name in ["bob@contoso.com", "BOB@CONTOSO.COM", "\u{ff42}ob@contoso.com"] {
            life.decide(name, "Approve");
        }
        life.reconcile();
        assert_eq!(approvals(&life), "0/2", "the requester's own, mapped: {maps_names}");
        for name in ["carol@contoso.com", "Carol@Contoso.com", "CAROL@contoso.com"] {
            life.decide(name, "Approve");
        }
        life.reconcile();
        assert_eq!(approvals(&life), "1/2", "one person's, mapped: {maps_names}");
        life.decide("Alice@Contoso.com", "Approve");
        life.reconcile();
        assert_eq!(approvals(&life), "1/2", "the user's, mapped: {maps_names}");
        life.decide("dave@contoso.com", "Approve");
        life.reconcile();
        assert_eq!((life.request.phase(), life.reason()), (Phase::Active, "Issued"));
        assert_eq!(approvals(&life), "2/2");
    }
}

#[test]
fn nobody_asks_for_themselves_however_they_write_their_name() {
    for maps_names in [true, false] {
        let mut life = Life::new();
        if !maps_names {
            life.connection.as_mut().unwrap().users = None;
        }
        life.edit_spec("{requestedBy: ALICE@contoso.com}");
        life.reconcile();
        life.expect(Phase::Failed, "SelfService", &["status Failed"]);
    }
}

#[test]
fn a_user_who_is_renamed_gets_the_pass_that_was_approved_under_the_new_name() {
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.edit_spec("{requestedBy: bob@contoso.com}");
    life.reconcile();
    assert_eq!(life.user_read_by, "alice@contoso.com");
    life.user.as_mut().unwrap().user_principal_name = "alice.smith@contoso.com".into();
    life.decide("carol@contoso.com", "Approve");
    life.reconcile();
    assert_eq!((life.request.phase(), life.user_read_by.as_str()), (Phase::Active, USER_ID));
    let status = life.request.status.clone().unwrap();
    assert_eq!(status.resolved.unwrap().user_principal_name, "alice@contoso.com");
    let intent = Intent::of(&life.request).unwrap();
    assert_eq!(intent.user_principal_name, "alice.smith@contoso.com", "for the Secret");
    let says = status.checks.into_iter().find(|check| check.name == "User").unwrap().message;
    assert!(says.unwrap().contains("alice.smith@contoso.com"));
}

#[test]
fn the_name_of_a_renamed_user_is_still_theirs() {
    let mut life = Life::new();
    life.edit_policy("{approval: {required: 1}}");
    life.edit_spec("{requestedBy: bob@contoso.com}");
    life.reconcile();
    life.user.as_mut().unwrap().user_principal_name = "alice.smith@contoso.com".into();
    for name in ["alice@contoso.com", "Alice.Smith@contoso.com"] {
        life.decide(name, "Approve");
    }
    life.reconcile();
    assert_eq!(approvals(&life), "0/1");
}

/// Who is behind a name may not be told: of people whom another broker, a certificate or a cloud's own login named.
#[test]
fn people_who_are_not_mapped_neither_ask_nor_approve_unless_the_policy_lets_them() {
    let unmapped =
        ["u-7xk2q", "kubernetes-admin", "system:admin", "arn:aws:sts::1:assumed-role/x/y"];
    for name in unmapped {
        for (says, ceilings, denied) in [
            ("null", "{}", true),
            ("Deny", "{}", true),
            ("Never", "{}", true),
            ("Allow", "{}", false),
            ("Allow", "{unmappedPeople: Deny}", true),
        ] {
            let policy = format!("{{unmappedPeople: {says}}}");
            let mut life = Life::new();
            life.edit_policy(&policy);
            life.set_ceilings(ceilings);
            life.edit_spec(&format!("{{requestedBy: '{name}'}}"));
            life.reconcile();
            let expected = if denied {
                (Phase::Failed, "RequesterNotMapped")
            } else {
                (Phase::Active, "Issued")
            };
            assert_eq!((life.request.phase(), life.reason()), expected, "{name} {says}");

            let mut life = Life::new();
            life.edit_policy(&policy);
            life.edit_policy("{approval: {required: 1}}");
            life.set_ceilings(ceilings);
            life.edit_spec("{requestedBy: rita@contoso.com}");
            life.decide(name, "Approve");
            life.reconcile();
            let expected = if denied { Phase::AwaitingApproval } else { Phase::Active };
            assert_eq!(life.request.phase(), expected, "{name} {says}");
            let is_told = life.ready().message.contains(&format!("unmappedPeople): {name} ("));
            assert_eq!(is_told, denied, "{}", life.ready().message);
        }
    }
}

#[test]
fn a_service_account_asks_whatever_the_policy_says_of_people() {
    for policy in ["{unmappedPeople: Deny}", "{unmappedPeople: Allow}", "{unmappedPeople: null}"] {
        for maps_names in [true, false] {
            let mut life = Life::new();
            if !maps_names {
                life.connection.as_mut().unwrap().users = None;
            }
            life.edit_policy(policy);
            life.edit_spec("{requestedBy: 'system:serviceaccount:flux:kustomize-controller'}");
            life.reconcile();
            assert_eq!(life.request.phase(), Phase::Active, "{policy}");
            let checks = life.request.status.clone().unwrap().checks;
            let check = checks.into_iter().find(|check| check.name == "NotForSelf").unwrap();
            assert_eq!(check.result, crate::api::CheckResult::Passed);
        }
    }
}

#[test]
fn without_a_mapping_people_are_not_told_apart_unless_the_policy_demands_it() {
    for (policy, phase) in [
        ("{unmappedPeople: null}", Phase::Active),
        ("{unmappedPeople: Allow}", Phase::Active),
        ("{unmappedPeople: Deny}", Phase::Failed),
    ] {
        let mut life = Life::new();
        life.connection.as_mut().unwrap().users = None;
        life.edit_policy(policy);
        life.edit_spec("{requestedBy: rita@contoso.com}");
        life.reconcile();
        assert_eq!(life.request.phase(), phase, "{policy}");
    }
}

fn found(user_id: Option<&str>, others: &[&str]) -> Namesakes {
    let others = others.iter().map(ToString::to_string).collect();
    Namesakes { user_id: user_id.map(Into::into), others }
}

/// A policy that demands certainty, and one approval.
fn certain() -> Life {
    let mut life = Life::new();
    life.edit_policy("{unmappedPeople: Deny, approval: {required: 1}}");
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life
}

/// One person has several names: a mail address, an alias, a sign-in name of before. The tenant knows them.
#[test]
fn one_person_is_one_under_each_of_their_names() {
    for policy in ["{unmappedPeople: Deny}", "{unmappedPeople: Allow}"] {
        let mut life = certain();
        life.edit_policy(policy);
        life.edit_spec("{requestedBy: a.adams@contoso.com}");
        life.people.insert("a.adams@contoso.com".into(), found(Some(USER_ID), &[]));
        life.reconcile();
        life.expect(Phase::Failed, "SelfService", &["status Failed"]);

        // Somebody else has the name by now, but it is an address of the user.
        let mut life = certain();
        life.edit_policy(policy);
        life.edit_spec("{requestedBy: shared@contoso.com}");
        life.people.insert("shared@contoso.com".into(), found(Some("carol"), &[USER_ID]));
        life.reconcile();
        life.expect(Phase::Failed, "SelfService", &["status Failed"]);

        let mut life = certain();
        life.edit_policy(policy);
        life.user.as_mut().unwrap().mail_addresses = vec!["Alice.Adams@contoso.com".into()];
        life.edit_spec("{requestedBy: alice.adams@contoso.com}");
        life.people.insert("alice.adams@contoso.com".into(), found(None, &[]));
        life.reconcile();
        life.expect(Phase::Failed, "SelfService", &["status Failed"]);

        let mut life = certain();
        life.edit_policy(policy);
        life.edit_policy("{approval: {required: 2}}");
        for (name, user_id) in [
            ("rita.moved@contoso.com", "id of rita@contoso.com"),
            ("a.adams@contoso.com", USER_ID),
            ("carol@contoso.com", "carol"),
            ("carol.moved@contoso.com", "CAROL"),
        ] {
            life.people.insert(name.into(), found(Some(user_id), &[]));
            life.decide(name, "Approve");
        }
        life.reconcile();
        assert_eq!(approvals(&life), "1/2", "{policy}");
    }
}

#[test]
fn the_same_person_by_name_and_by_object_id_is_one() {
    let mut life = certain();
    let rule = |form| UserNameRule { prefix: String::new(), form };
    let both = [UserNameForm::UserPrincipalName, UserNameForm::ObjectId].map(rule);
    life.connection.as_mut().unwrap().users = Some(UserNames::new(both));
    let carol = "22222222-0000-4000-8000-000000000002";
    life.edit_policy("{approval: {required: 2}}");
    life.people.insert("carol@contoso.com".into(), found(Some(carol), &[]));
    for name in ["carol@contoso.com", carol, USER_ID] {
        life.decide(name, "Approve");
    }
    life.reconcile();
    assert_eq!(approvals(&life), "1/2");
}

#[test]
fn who_is_not_certain_neither_asks_nor_approves() {
    for (doubtful, words) in [
        (found(None, &[]), "no user of the tenant has that name"),
        (found(None, &["one", "two"]), "several users"),
    ] {
        let mut life = certain();
        life.people.insert("rita@contoso.com".into(), doubtful.clone());
        life.reconcile();
        life.expect(Phase::Pending, "RequesterNotFound", &["status Pending"]);
        assert!(life.ready().message.contains(words), "{}", life.ready().message);
        // It may be put in order.
        life.people.clear();
        life.now += SignedDuration::from_secs(61);
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::AwaitingApproval);

        life.people.insert("bob@contoso.com".into(), doubtful.clone());
        life.decide("bob@contoso.com", "Approve");
        life.reconcile();
        assert_eq!(approvals(&life), "0/1");
        assert!(life.ready().message.contains(words), "{}", life.ready().message);

        let mut life = certain();
        life.edit_policy("{unmappedPeople: Allow}");
        life.people.insert("rita@contoso.com".into(), doubtful.clone());
        life.people.insert("bob@contoso.com".into(), found(None, &["three", "four"]));
        life.decide("bob@contoso.com", "Approve");
        life.reconcile();
        assert_eq!(life.request.phase(), Phase::Active);
        let checks = life.request.status.clone().unwrap().checks;
        let check = checks.into_iter().find(|check| check.name == "NotForSelf").unwrap();
        assert_eq!(check.result, crate::api::CheckResult::Unknown);
        assert!(check.message.unwrap().contains(words));
    }
}

/// Names are given to successors. Who approved is who had the name then.
#[test]
fn a_name_that_means_another_user_by_now_is_not_certain() {
    let mut life = certain();
    life.edit_policy("{approval: {required: 2}}");
    life.decide("bob@contoso.com", "Approve");
    life.reconcile();
    assert_eq!(approvals(&life), "1/2");
    let people = life.request.status.clone().unwrap().people;
    let names: Vec<_> = people.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["bob@contoso.com", "rita@contoso.com"]);
    life.people.insert("bob@contoso.com".into(), found(Some("successor"), &[]));
    life.decide("carol@contoso.com", "Approve");
    life.reconcile();
    assert_eq!(approvals(&life), "1/2", "what was found first stays");
    assert!(life.ready().message.contains("another user of the tenant before"));
    // The successor is one person with the one who had the name before, where it is about who may approve.
    life.people.insert("moved@contoso.com".into(), found(Some("id of bob@contoso.com"), &[]));
    life.decide("moved@contoso.com", "Approve");
    life.reconcile();
    assert_eq!(life.request.phase(), Phase::Active, "bob under his new name");
}

#[test]
fn a_failed_look_up_is_no_answer() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::Forbidden] {
        for policy in ["{unmappedPeople: Deny}", "{unmappedPeople: Allow}"] {
            let mut life = certain();
            life.edit_policy(policy);
            life.people_read = Err(error(kind));
            life.decide("bob@contoso.com", "Approve");
            life.reconcile();
            assert_eq!(life.request.phase(), Phase::Pending, "{kind:?}");
            life.people_read = Ok(());
            life.now += SignedDuration::from_secs(300);
            life.reconcile();
            assert_eq!(life.request.phase(), Phase::Active, "{kind:?}");
        }
    }
}

#[test]
fn what_was_found_is_recorded_with_the_pass_without_a_write_of_its_own() {
    let mut life = Life::new();
    life.edit_spec("{requestedBy: rita@contoso.com}");
    life.reconcile();
    life.expect(Phase::Active, "Issued", &["intent", "post", "secret", "status Active"]);
    let people = life.request.status.clone().unwrap().people;
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].user_id.as_deref(), Some("id of rita@contoso.com"));
}

/// A table of names and of whom they mean, which the API server is tested with, too.
#[derive(serde::Deserialize)]
struct Names {
    rules: Vec<UserNameRule>,
    tenant: Vec<InTenant>,
    pairs: Vec<Pair>,
}

#[derive(serde::Deserialize)]
struct InTenant {
    id: String,
    upn: String,
    addresses: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Pair {
    one: String,
    other: String,
    admission: String,
    operator: String,
}

impl Names {
    /// As the client finds users.
    fn found(&self, users: &UserNames, name: &str) -> Option<Namesakes> {
        let Behind::User(entra) = users.behind(name) else { return None };
        let name = match entra {
            EntraName::ObjectId(id) => {
                let user = self.tenant.iter().find(|user| user.id == id);
                return Some(found(user.map(|user| user.id.as_str()), &[]));
            }
            EntraName::UserPrincipalName(name) => folded(&name),
        };
        let has_address = |user: &&InTenant| user.addresses.iter().any(|one| folded(one) == name);
        let with_address: Vec<&str> =
            self.tenant.iter().filter(has_address).map(|user| user.id.as_str()).collect();
        let named = self.tenant.iter().find(|user| folded(&user.upn) == name);
        Some(match (named, &with_address[..]) {
            (Some(user), others) => found(Some(&user.id), others),
            (None, [only]) => found(Some(only), &[]),
            (None, several) => found(None, several),
        })
    }

    /// How many approvals count, of the one that the other gives.
    fn counted(&self, pair: &Pair, policy: &str) -> bool {
        let mut life = Life::new();
        let users = UserNames::new(self.rules.iter().cloned());
        for name in [&pair.one, &pair.other] {
            if let Some(found) = self.found(&users, name) {
                life.people.insert(name.clone(), found);
            }
        }
        life.connection.as_mut().unwrap().users = Some(users);
        life.edit_policy("{approval: {required: 1}, unmappedPeople: Allow}");
        life.request.spec.requested_by = Some(pair.one.clone());
        life.reconcile();
        life.edit_policy(policy);
        life.decide(&pair.other, "Approve");
        life.reconcile();
        life.request.phase() == Phase::Active
    }
}

#[test]
fn names_mean_whom_the_table_says_and_the_operator_is_never_laxer_than_admission() {
    let names: Names = yaml::read(include_str!("../../../../tests/names.yaml")).unwrap();
    assert!(names.pairs.len() >= 60, "{}", names.pairs.len());
    for pair in &names.pairs {
        let what = format!("{} and {}", pair.one, pair.other);
        let allowed = names.counted(pair, "{unmappedPeople: Allow}");
        let certain = names.counted(pair, "{unmappedPeople: Deny}");
        let verdict = match (allowed, certain) {
            _ if is_service_account(&pair.other) && !allowed => "robot",
            (false, false) => "same",
            (true, true) => "different",
            // Where the requester is not certain, the request waits for that, whoever approves.
            (true, false) | (false, true) => "unknown",
        };
        assert_eq!(verdict, pair.operator, "{what}");
        if pair.admission == "same" {
            assert_eq!(pair.operator, "same", "{what}: laxer than admission");
        }
    }
}
