//! Tenants from files.

use super::*;

#[test]
fn contoso_survives_yaml_and_mistakes_are_reported() {
    let text = serde_yaml::to_string(&Tenant::contoso()).unwrap();
    let read = Tenant::from_yaml(&text).unwrap();
    assert_eq!(json!(read), json!(Tenant::contoso()));
    let mistaken = text.replacen("displayName", "dysplayName", 1);
    assert!(Tenant::from_yaml(&mistaken).unwrap_err().to_string().contains("dysplayName"));
}

#[test]
fn a_seed_may_be_short() {
    let seed = "{id: 7f2d6c1e-3b6a-4c64-9d0e-5a1c3e2b4f60, displayName: X, domains: [x.test], \
                users: [{id: a11ce000-0000-4000-8000-000000000001, userPrincipalName: a@x.test, displayName: A}]}";
    let tenant = Tenant::from_yaml(seed).unwrap();
    assert!(tenant.users[0].account_enabled);
    assert_eq!(tenant.policy.maximum_lifetime_in_minutes, 480);
}
