//! Every call when nothing fails.

use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::entra::{EntraName, Namesakes, Rest};
use graph_simulator::Actor;
use graph_simulator::switches::{PolicyWriteAnswer, UsabilityFields};
use graph_simulator::tenant::{
    ALICE, BOB, CAROL, DAVE, ERIN, FRANK, GLOBAL_ADMINISTRATOR_TEMPLATE, GRACE, Group, HEIDI,
    HELPDESK_ADMINISTRATOR_TEMPLATE, HELPDESK_ADMINS_GROUP, PILOT_GROUP, RoleEligibility,
    STAFF_GROUP,
};

#[tokio::test(start_paused = true)]
async fn the_life_of_a_pass() {
    let Bench { simulator, client, dates, .. } = &Bench::unpaced();
    let alice = ALICE.to_string();
    assert_eq!(client.passes(&alice, Priority::Issue).await.unwrap().passes, []);

    let created = create(client, &alice, &new_pass()).await.unwrap();
    assert_eq!(created.method.lifetime_minutes, Some(60));
    assert_eq!(created.method.one_time, Some(true));
    assert_eq!(created.method.reason, Some(UsabilityReason::EnabledByPolicy));
    assert_eq!(created.date, simulator.now());
    let entry = simulator.ledger().remove(0);
    assert_eq!(entry.id.to_string(), created.method.id);
    assert_eq!(entry.client_request_id.as_deref(), Some(REQUEST_ID));
    assert!(matches!(entry.made_by, Actor::App { client_id, .. } if client_id == OPERATOR));

    let listed = client.passes(&alice, Priority::Read).await.unwrap();
    assert_eq!(listed.passes, std::slice::from_ref(&created.method));
    assert_eq!(listed.date, simulator.now());

    simulator.sign_in("alice@contoso.com", created.code.expose()).unwrap();
    let used = client.pass(&alice, &created.method.id, Priority::Read).await.unwrap();
    assert_eq!(used.reason, Some(UsabilityReason::OneTimeUsed));
    assert_eq!(used.usable, Some(false));

    client.delete_pass(&alice, &created.method.id).await.unwrap();
    let gone = client.delete_pass(&alice, &created.method.id).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    let gone = client.pass(&alice, &created.method.id, Priority::Read).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    assert_eq!(client.passes(&alice, Priority::Read).await.unwrap().passes, []);
    let dates = dates.lock().unwrap();
    assert_eq!(dates.len(), 8, "one for each answer of Graph");
    assert!(
        dates.iter().all(|sample| sample.sent == sample.date && sample.received == sample.date)
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_with_a_start_is_not_yet_valid() {
    let Bench { simulator, client, .. } = &Bench::unpaced();
    let start = "2026-11-30T08:00:00Z".parse().unwrap();
    let new = NewPass { start: Some(start), lifetime_minutes: 90, one_time: false };
    let created = create(client, &BOB.to_string(), &new).await.unwrap();
    assert_eq!(created.method.start, Some(start));
    assert_eq!(created.method.reason, Some(UsabilityReason::NotYetValid));
    assert_eq!(simulator.ledger()[0].lifetime_in_minutes, 90);
    assert!(!simulator.ledger()[0].is_usable_once);
}

#[tokio::test(start_paused = true)]
async fn passes_without_usability_are_read() {
    let Bench { simulator, client, .. } = &Bench::unpaced();
    simulator.switch(|switches| switches.usability_fields = UsabilityFields::Neither);
    let created = create(client, &ALICE.to_string(), &new_pass()).await.unwrap();
    assert_eq!((created.method.usable, created.method.reason), (None, None));
}

#[tokio::test(start_paused = true)]
async fn the_method_is_read_and_changed_in_part() {
    for answer in [PolicyWriteAnswer::NoContent, PolicyWriteAnswer::Ok] {
        let Bench { simulator, client, .. } = &Bench::new();
        simulator.switch(|switches| switches.policy_write_answer = answer);
        let before = client.method(Priority::Read).await.unwrap();
        assert_eq!(before.state, MethodState::Enabled);
        let exclude = vec![GraphTarget {
            id: STAFF_GROUP.to_string(),
            target_type: "group".into(),
            is_registration_required: None,
        }];
        let patch = MethodPatch {
            minimum_lifetime_minutes: Some(10),
            default_length: Some(14),
            one_time_required: Some(true),
            exclude: Some(exclude.clone()),
            ..MethodPatch::default()
        };
        client.patch_method(&patch).await.unwrap();
        let after = client.method(Priority::Read).await.unwrap();
        let expected = MethodConfiguration {
            minimum_lifetime_minutes: Some(10),
            default_length: Some(14),
            one_time_required: Some(true),
            exclude,
            ..before
        };
        assert_eq!(after, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn users_of_every_kind() {
    let client = &Bench::new().client;
    for (id, kind, enabled) in [
        (ALICE, UserKind::Member, true),
        (DAVE, UserKind::Member, false),
        (ERIN, UserKind::ExternalGuest, true),
        (FRANK, UserKind::InternalGuest, true),
    ] {
        let user = client.user(&id.to_string(), Priority::Read).await.unwrap();
        assert_eq!((user.kind(), user.account_enabled), (kind, Some(enabled)), "{user:?}");
        let by_name = client.user(&user.user_principal_name, Priority::Read).await.unwrap();
        assert_eq!(by_name, user);
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_users_are_not_found() {
    let client = &Bench::unpaced().client;
    for name in
        ["nobody@contoso.com", "$nobody@contoso.com", "no#body@contoso.com", "a/b", "..", "."]
    {
        let error = client.user(name, Priority::Read).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{name}: {error}");
    }
    let error = client.passes("nobody@contoso.com", Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn groups_are_checked_twenty_at_a_time_and_returned_as_spelled() {
    let bench = Bench::new();
    let mut groups: Vec<String> = (0..45).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    let (pilot, staff) = (PILOT_GROUP.to_string().to_uppercase(), STAFF_GROUP.to_string());
    groups[3].clone_from(&pilot);
    groups[44].clone_from(&staff);
    let member = async |user: uuid::Uuid, groups: &[String]| {
        bench.client.member_groups(&user.to_string(), groups, Priority::Issue).await.unwrap()
    };
    assert_eq!(member(ALICE, &groups).await, [pilot, staff.clone()]);
    assert_eq!(bench.count(Operation::CheckMemberGroups), 3);
    assert_eq!(member(CAROL, &groups).await, [staff]);
    assert_eq!(member(CAROL, &[]).await, [""; 0]);
    assert_eq!(bench.count(Operation::CheckMemberGroups), 6, "no groups need no call");
}

#[tokio::test(start_paused = true)]
async fn roles_count_directly_and_through_groups_over_all_pages() {
    let Bench { simulator, client, .. } = &Bench::new();
    let roles = async |user: uuid::Uuid| {
        let roles = client.directory_roles(&user.to_string(), Priority::Read).await.unwrap();
        roles.into_iter().map(|role| role.template_id.unwrap()).collect::<Vec<_>>()
    };
    let (global, helpdesk) =
        (GLOBAL_ADMINISTRATOR_TEMPLATE.to_string(), HELPDESK_ADMINISTRATOR_TEMPLATE.to_string());
    assert_eq!(roles(ALICE).await, [""; 0]);
    assert_eq!(roles(GRACE).await, std::slice::from_ref(&global));
    assert_eq!(roles(HEIDI).await, std::slice::from_ref(&helpdesk));
    simulator.add_member(graph_simulator::tenant::GLOBAL_ADMINISTRATORS, HEIDI).unwrap();
    simulator.switch(|switches| switches.page_size = 1);
    simulator.clear_requests();
    let mut both = roles(HEIDI).await;
    both.sort();
    assert_eq!(both, [global, helpdesk]);
    assert_eq!(simulator.requests_for(Operation::TransitiveMemberOf).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_token_goes_to_no_other_host() {
    let Bench { simulator, client, .. } = &Bench::new();
    simulator.add_member(graph_simulator::tenant::GLOBAL_ADMINISTRATORS, HEIDI).unwrap();
    simulator.switch(|switches| {
        switches.page_size = 1;
        switches.foreign_next_link = true;
    });
    let error = client.directory_roles(&HEIDI.to_string(), Priority::Read).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.message.contains("another host"), "{error}");
    assert_eq!(simulator.requests_for(Operation::TransitiveMemberOf).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn groups_are_read_many_at_a_time_and_those_that_are_gone_are_missing() {
    let Bench { simulator, client, .. } = &Bench::new();
    let hidden = Uuid::from_u128(1);
    simulator.add_group(Group {
        id: hidden,
        display_name: "Choir".into(),
        visibility: Some("Hiddenmembership".into()),
        ..Group::default()
    });
    simulator.switch(|switches| switches.page_size = 2);
    let gone = (100..120).map(Uuid::from_u128);
    let ids: Vec<Uuid> = gone.chain([PILOT_GROUP, STAFF_GROUP, hidden]).collect();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let found = client.groups(&ids, Priority::Read).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|group| (group.display_name.as_str(), group.hides_members)).collect();
    assert_eq!(found, [("Helpdesk pilot", false), ("All staff", false), ("Choir", true)]);
    assert_eq!(
        simulator.requests_for(Operation::GroupList).len(),
        3,
        "two, of which one has two pages"
    );
}

#[tokio::test(start_paused = true)]
async fn the_permissions_in_the_token_are_returned() {
    let roles = Bench::new().client.token_roles().await.unwrap();
    assert!(roles.contains(&"UserAuthMethod-TAP.ReadWrite.All".to_owned()), "{roles:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recent_grant_needs_a_new_token_and_the_old_one_stays_if_there_is_none() {
    let bench = Bench::new();
    let granted = "RoleEligibilitySchedule.Read.Directory".to_owned();
    let holds = async || bench.client.new_token_roles().await.unwrap().contains(&granted);
    assert!(!holds().await);
    bench.simulator.edit_app(OPERATOR, |app| app.roles.push(granted.clone())).unwrap();
    assert!(!holds().await, "a young token is not renewed");
    assert_eq!(bench.count(Operation::Token), 1);

    sleep(Duration::from_mins(6)).await;
    let down =
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None };
    bench.fault(Operation::Token, down);
    assert!(!holds().await);
    assert_eq!(bench.count(Operation::Token), 2);
    bench.client.method(Priority::Read).await.expect("the old token stays in use");
    assert_eq!(bench.count(Operation::Token), 2);

    assert!(holds().await);
    assert!(bench.client.token_roles().await.unwrap().contains(&granted));
    assert_eq!(bench.count(Operation::Token), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_name_the_operator_and_have_ids_of_their_own() {
    let bench = Bench::new();
    let recorder = bench.simulator.record();
    bench.client.method(Priority::Read).await.unwrap();
    bench.client.method(Priority::Read).await.unwrap();
    let of_graph =
        |exchange: &graph_simulator::Exchange| exchange.operation == Operation::PolicyGet;
    let exchanges: Vec<_> = recorder.exchanges().into_iter().filter(of_graph).collect();
    let header = |index: usize, name: &str| {
        exchanges[index].request_headers[name].to_str().unwrap().to_owned()
    };
    let own = concat!("tap-operator/", env!("CARGO_PKG_VERSION"));
    assert_eq!(header(0, "user-agent"), own);
    assert_ne!(header(0, "client-request-id"), header(1, "client-request-id"));
    uuid::Uuid::parse_str(&header(0, "client-request-id")).unwrap();
    let calls = [("get_token", "ok"), ("get_method", "ok"), ("get_method", "ok")];
    assert_eq!(bench.reports(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_could_be_activated_is_found_through_groups_too() {
    let Bench { simulator, client, .. } = &Bench::new();
    let eligible = async |user: Uuid| {
        client.eligible_role(&user.to_string(), Priority::Read).await.map(|role| {
            role.map(|role| (role.definition_id.unwrap_or_default(), role.through_group))
        })
    };
    let helpdesk = HELPDESK_ADMINISTRATOR_TEMPLATE.to_string();
    for user in [ALICE, HEIDI] {
        assert_eq!(eligible(user).await.unwrap(), None);
    }
    for principal_id in [BOB, HELPDESK_ADMINS_GROUP] {
        simulator.make_eligible(RoleEligibility::of(principal_id, HELPDESK_ADMINISTRATOR_TEMPLATE));
    }
    assert_eq!(eligible(ALICE).await.unwrap(), None);
    assert_eq!(eligible(BOB).await.unwrap(), Some((helpdesk.clone(), None)));
    let group = Some(HELPDESK_ADMINS_GROUP.to_string());
    assert_eq!(eligible(HEIDI).await.unwrap(), Some((helpdesk.clone(), group.clone())));

    // Only groups that may hold roles are looked up. For Heidi that is one of three.
    simulator.clear_requests();
    eligible(HEIDI).await.unwrap();
    assert_eq!(simulator.requests_for(Operation::RoleEligibilities).len(), 2);
    assert_eq!(simulator.requests_for(Operation::TransitiveMemberOf).len(), 1);

    // A group whose properties cannot be read may hold roles.
    let edited = simulator.edit_app(OPERATOR, |app| {
        app.roles.retain(|role| role != "GroupMember.Read.All");
    });
    edited.unwrap();
    simulator.expire_tokens();
    assert_eq!(eligible(HEIDI).await.unwrap(), Some((helpdesk, group)));

    simulator.switch(|switches| switches.privileged_identity_management = false);
    assert_eq!(eligible(HEIDI).await.unwrap(), None, "without it, nothing can be activated");
    simulator.inject(Fault::on(
        Operation::RoleEligibilities,
        FaultKind::Status { status: 503, effect: false, code: None, retry_after_seconds: None },
    ));
    assert_eq!(eligible(HEIDI).await.unwrap_err().kind, ErrorKind::Unavailable);
    simulator.edit_app(OPERATOR, |app| app.roles.retain(|role| role == "User.Read.All")).unwrap();
    simulator.expire_tokens();
    let refused = eligible(HEIDI).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.to_string().contains("RoleEligibilitySchedule.Read.Directory"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_whatever_a_broker_may_use_as_their_name() {
    let Bench { simulator, client, .. } = &Bench::new();
    let edit = |user: &str, mail: &str, proxies: &[&str]| {
        let proxies = proxies.iter().map(ToString::to_string).collect();
        let edited = simulator.edit_user(user, |user| {
            (user.mail, user.proxy_addresses) = (Some(mail.into()), proxies);
        });
        edited.unwrap();
    };
    edit(
        "bob@contoso.com",
        "Bob.Brown@contoso.com",
        &["SMTP:Bob.Brown@contoso.com", "smtp:bb@contoso.com"],
    );
    edit("carol@contoso.com", "team@contoso.com", &["sip:cc@contoso.com", "smtp:team@contoso.com"]);
    edit("frank@contoso.com", "team@contoso.com", &[]);
    // An account for administration has the address of its owner.
    edit("grace@contoso.com", "alice@contoso.com", &[]);
    let [alice, bob, carol, frank, grace] =
        [ALICE, BOB, CAROL, FRANK, GRACE].map(|id| id.to_string());
    let upn = |name: &str| EntraName::UserPrincipalName(name.into());
    for any_case in [true, false] {
        simulator.switch(|switches| switches.addresses_any_case = any_case);
        for (name, user_id, others) in [
            (upn("Bob@Contoso.com"), Some(&bob), vec![]),
            (upn("bob.brown@contoso.com"), Some(&bob), vec![]),
            (upn("BB@contoso.com"), Some(&bob), vec![]),
            (upn("team@contoso.com"), None, vec![&carol, &frank]),
            (upn("cc@contoso.com"), None, vec![]),
            (upn("alice@contoso.com"), Some(&alice), vec![&grace]),
            (upn("o'neil@contoso.com"), None, vec![]),
            (upn("nobody@contoso.com' or id ne '"), None, vec![]),
            (EntraName::ObjectId(carol.clone()), Some(&carol), vec![]),
            (EntraName::ObjectId("00000000-0000-4000-8000-000000000000".into()), None, vec![]),
        ] {
            let expected = Namesakes {
                user_id: user_id.cloned(),
                others: others.into_iter().cloned().collect(),
            };
            let found = client.namesakes(&name, Priority::Issue).await.unwrap();
            assert_eq!(found, expected, "{name:?}, any case: {any_case}");
        }
        for (address, expected) in [
            ("bob.brown@contoso.com", Some("bob@contoso.com")),
            ("team@contoso.com", None),
            ("nobody@contoso.com", None),
        ] {
            let found = client.user_by_mail(address, Priority::Issue).await.unwrap();
            assert_eq!(found.as_deref(), expected, "{address}, any case: {any_case}");
        }
    }
    let refusal =
        FaultKind::Status { status: 400, effect: false, code: None, retry_after_seconds: None };
    simulator.inject(Fault::on(Operation::UserList, refusal));
    let refused = client.namesakes(&upn("bob@contoso.com"), Priority::Issue).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BadRequest, "a question that is refused is no answer");
}

#[tokio::test(start_paused = true)]
async fn all_pages_of_the_audit_log_are_read_up_to_a_bound() {
    let Bench { simulator, client, .. } = &Bench::unpaced();
    let grant = |app: &mut graph_simulator::tenant::App| {
        app.roles.push("AuditLog.Read.All".into());
    };
    simulator.edit_app(OPERATOR, grant).unwrap();
    let from = simulator.now();
    simulator.switch(|switches| {
        (switches.audit_lag_seconds, switches.log_limit) = (0, None);
    });
    for _ in 0..450 {
        simulator.portal_create_pass("bob@contoso.com", &serde_json::json!({})).unwrap();
    }
    let read = client.method_audits(from).await.unwrap();
    assert!(read.rows.len() >= 450 && read.rest == Rest::None, "{}", read.rows.len());
    simulator.switch(|switches| switches.page_size = 40);
    let read = client.method_audits(from).await.unwrap();
    assert_eq!((read.rows.len(), read.rest), (400, Rest::NotAsked), "the newest");
    let newest = |rows: &[crate::entra::AuditRow]| rows.is_sorted_by(|a, b| a.at >= b.at);
    assert!(newest(&read.rows));
    let page = FaultKind::Html { status: 502, effect: false };
    simulator.inject(Fault::on(Operation::DirectoryAudits, page).after(3));
    let read = client.method_audits(from).await.unwrap();
    assert_eq!(read.rows.len(), 120, "those before a page that failed");
    assert!(
        matches!(&read.rest, Rest::Failed(error) if error.status == Some(502)),
        "{:?}",
        read.rest
    );
    let of_user = client.audits_of_user(&BOB.to_string(), from).await.unwrap();
    assert_eq!(of_user.len(), 40);
}
