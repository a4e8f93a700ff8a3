//! How a tenant's method differs from what a policy says, and the PATCH that corrects it.

use std::collections::BTreeSet;

use crate::api::{
    Drift, Lifetime, Method, MethodState, ObservedLifetime, ObservedMethod, ObservedTarget, Target,
};
use crate::entra::{self, ALL_USERS, GraphTarget, MethodConfiguration, MethodPatch};

/// `targetType` of a group, and of everybody (documented).
const GROUP: &str = "group";
/// `targetType` of a single user (in the schema; the portal offers only groups).
const USER: &str = "user";

/// The differences between a policy and a tenant, and the PATCH that corrects them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// Each managed field that differs.
    pub drift: Vec<Drift>,
    /// The PATCH. It has only fields that differ. If one lifetime differs, it has all that are managed, so that Graph never
    /// sees a default outside of the range.
    pub patch: MethodPatch,
}

impl Difference {
    /// The names of the fields that differ, or `None` as a word.
    pub fn fields(&self) -> String {
        if self.drift.is_empty() {
            return "None".into();
        }
        self.drift.iter().map(|d| d.field.as_str()).collect::<Vec<_>>().join(",")
    }

    /// A sentence with the differences.
    pub fn sentence(&self) -> String {
        self.each(Drift::to_string)
    }

    /// A sentence with the changes that correct the differences.
    pub fn correction(&self) -> String {
        self.each(|d| format!("{} from {} to {}", d.field, d.observed, d.desired))
    }

    fn each(&self, say: impl Fn(&Drift) -> String) -> String {
        self.drift.iter().map(say).collect::<Vec<_>>().join("; ")
    }
}

/// Compares field by field. A field that is left out of `desired` is not managed. Targets are compared as sets. Values that
/// this version does not know are left alone.
pub fn compare(desired: &Method, observed: &MethodConfiguration) -> Difference {
    let mut found = Difference::default();
    state(desired, observed, &mut found);
    lifetimes(desired, observed, &mut found);
    if let Some(length) = desired.code_length.and_then(|l| u32::try_from(l).ok())
        && observed.default_length != Some(length)
    {
        found.note("codeLength", &length, observed.default_length.as_ref());
        found.patch.default_length = Some(length);
    }
    if let Some(once) = desired.require_one_time_use
        && observed.one_time_required != Some(once)
    {
        found.note("requireOneTimeUse", &once, observed.one_time_required.as_ref());
        found.patch.one_time_required = Some(once);
    }
    if let Some(include) = &desired.include {
        let wanted: BTreeSet<String> = include.iter().filter_map(target_id).collect();
        if wanted != ids(&observed.include) {
            found.note("include", &set(&wanted), Some(&set(&ids(&observed.include))));
            found.patch.include = Some(targets(&wanted, &observed.include));
        }
    }
    if let Some(exclude) = &desired.exclude {
        let wanted: BTreeSet<String> = exclude.iter().map(|g| g.group.to_lowercase()).collect();
        if wanted != ids(&observed.exclude) {
            found.note("exclude", &set(&wanted), Some(&set(&ids(&observed.exclude))));
            found.patch.exclude = Some(targets(&wanted, &observed.exclude));
        }
    }
    found
}

impl Difference {
    fn note<T: ToString>(&mut self, field: &str, desired: &T, observed: Option<&T>) {
        self.drift.push(Drift {
            field: field.into(),
            desired: desired.to_string(),
            observed: observed.map_or_else(|| "not set".into(), ToString::to_string),
        });
    }
}

fn state(desired: &Method, observed: &MethodConfiguration, found: &mut Difference) {
    let wanted = match desired.state {
        Some(MethodState::Enabled) => entra::MethodState::Enabled,
        Some(MethodState::Disabled) => entra::MethodState::Disabled,
        Some(MethodState::Unknown) | None => return,
    };
    if observed.state != wanted {
        found.note("state", &state_name(&wanted), Some(&state_name(&observed.state)));
        found.patch.state = Some(wanted);
    }
}

fn state_name(state: &entra::MethodState) -> String {
    match state {
        entra::MethodState::Enabled => "Enabled".into(),
        entra::MethodState::Disabled => "Disabled".into(),
        entra::MethodState::Other(word) => word.clone(),
    }
}

fn lifetimes(desired: &Method, observed: &MethodConfiguration, found: &mut Difference) {
    let Some(lifetime) = &desired.lifetime else { return };
    let read = |l: Option<&Lifetime>| l.and_then(|l| l.minutes().ok());
    let minimum = read(lifetime.minimum.as_ref());
    let default = read(lifetime.default.as_ref());
    let maximum = read(lifetime.maximum.as_ref());
    let before = found.drift.len();
    for (field, wanted, has) in [
        ("lifetime.minimum", minimum, observed.minimum_lifetime_minutes),
        ("lifetime.default", default, observed.default_lifetime_minutes),
        ("lifetime.maximum", maximum, observed.maximum_lifetime_minutes),
    ] {
        if let Some(wanted) = wanted
            && has != Some(wanted)
        {
            found.note(
                field,
                &Lifetime::from_minutes(wanted),
                has.map(Lifetime::from_minutes).as_ref(),
            );
        }
    }
    if found.drift.len() > before {
        found.patch.minimum_lifetime_minutes = minimum;
        found.patch.default_lifetime_minutes = default;
        found.patch.maximum_lifetime_minutes = maximum;
    }
}

fn target_id(target: &Target) -> Option<String> {
    if target.all_users == Some(true) {
        Some(ALL_USERS.into())
    } else {
        target.group.as_ref().map(|g| g.to_lowercase())
    }
}

fn ids(targets: &[GraphTarget]) -> BTreeSet<String> {
    targets.iter().map(|t| t.id.to_lowercase()).collect()
}

fn set(ids: &BTreeSet<String>) -> String {
    if ids.is_empty() {
        "nobody".into()
    } else {
        ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// The wanted targets in the form of Graph. A target that the tenant already has is sent unchanged.
fn targets(wanted: &BTreeSet<String>, observed: &[GraphTarget]) -> Vec<GraphTarget> {
    let one = |id: &String| {
        observed.iter().find(|t| t.id.eq_ignore_ascii_case(id)).cloned().unwrap_or_else(|| {
            GraphTarget {
                id: id.clone(),
                target_type: GROUP.into(),
                is_registration_required: None,
            }
        })
    };
    wanted.iter().map(one).collect()
}

/// The method as it was read, in the form of `spec.method`.
pub fn as_method(observed: &MethodConfiguration) -> ObservedMethod {
    let lifetime = |minutes: Option<u32>| minutes.map(Lifetime::from_minutes);
    ObservedMethod {
        state: Some(state_name(&observed.state)),
        lifetime: Some(ObservedLifetime {
            minimum: lifetime(observed.minimum_lifetime_minutes),
            default: lifetime(observed.default_lifetime_minutes),
            maximum: lifetime(observed.maximum_lifetime_minutes),
        }),
        code_length: observed.default_length.map(i64::from),
        require_one_time_use: observed.one_time_required,
        include: observed.include.iter().map(as_target).collect(),
        exclude: observed.exclude.iter().map(as_target).collect(),
    }
}

fn as_target(target: &GraphTarget) -> ObservedTarget {
    let id = target.id.to_lowercase();
    match (id.as_str(), target.target_type.as_str()) {
        (ALL_USERS, _) => ObservedTarget { all_users: Some(true), ..ObservedTarget::default() },
        (_, USER) => ObservedTarget { user: Some(id), ..ObservedTarget::default() },
        _ => ObservedTarget { group: Some(id), ..ObservedTarget::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> MethodConfiguration {
        MethodConfiguration {
            state: entra::MethodState::Enabled,
            default_lifetime_minutes: Some(60),
            minimum_lifetime_minutes: Some(60),
            maximum_lifetime_minutes: Some(480),
            default_length: Some(8),
            one_time_required: Some(false),
            include: vec![GraphTarget {
                id: ALL_USERS.into(),
                target_type: GROUP.into(),
                is_registration_required: Some(false),
            }],
            exclude: vec![],
        }
    }

    fn method(yaml: &str) -> Method {
        crate::api::yaml::read(yaml).unwrap()
    }

    #[test]
    fn fields_left_out_are_not_managed() {
        assert_eq!(compare(&Method::default(), &tenant()), Difference::default());
        assert_eq!(compare(&Method::default(), &tenant()).fields(), "None");
    }

    #[test]
    fn what_was_adopted_differs_in_nothing() {
        let adopted = serde_json::to_value(as_method(&tenant())).unwrap();
        let applied: Method = serde_json::from_value(adopted).unwrap();
        assert_eq!(compare(&applied, &tenant()).drift, vec![]);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = compare(
            &method("{state: Enabled, codeLength: 14, requireOneTimeUse: false}"),
            &tenant(),
        );
        assert_eq!(found.fields(), "codeLength");
        assert_eq!(found.patch, MethodPatch { default_length: Some(14), ..MethodPatch::default() });
    }

    #[test]
    fn lifetimes_go_together() {
        let found =
            compare(&method("{lifetime: {minimum: 10m, default: 30m, maximum: 8h}}"), &tenant());
        assert_eq!(found.fields(), "lifetime.minimum,lifetime.default");
        assert_eq!(
            found.patch.maximum_lifetime_minutes,
            Some(480),
            "so that Graph sees the whole range at once"
        );
    }

    #[test]
    fn targets_are_sets_whatever_their_order_and_case() {
        let a = "aaaaaaaa-0000-4000-8000-000000000000";
        let b = "bbbbbbbb-0000-4000-8000-000000000000";
        let mut tenant = tenant();
        let group = |id: &str| GraphTarget {
            id: id.into(),
            target_type: GROUP.into(),
            is_registration_required: Some(true),
        };
        tenant.include = vec![group(b), group(&a.to_uppercase())];
        assert_eq!(
            compare(&method(&format!("{{include: [{{group: {a}}}, {{group: {b}}}]}}")), &tenant)
                .drift,
            vec![]
        );
        let found = compare(&method(&format!("{{include: [{{group: {a}}}]}}")), &tenant);
        assert_eq!(found.fields(), "include");
        let sent = found.patch.include.unwrap();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            sent[0].is_registration_required,
            Some(true),
            "a field that the policy cannot set is kept"
        );
    }

    #[test]
    fn an_empty_list_clears_exclusions() {
        let mut tenant = tenant();
        tenant.exclude = vec![GraphTarget {
            id: "x".into(),
            target_type: GROUP.into(),
            is_registration_required: None,
        }];
        let found = compare(&method("{exclude: []}"), &tenant);
        assert_eq!(found.patch.exclude, Some(vec![]));
    }

    #[test]
    fn each_difference_reads_as_a_sentence() {
        let found = compare(&method("{state: Disabled, codeLength: 14}"), &tenant());
        assert_eq!(found.sentence(), "state is Enabled, not Disabled; codeLength is 8, not 14");
        assert_eq!(found.correction(), "state from Enabled to Disabled; codeLength from 8 to 14");
    }
}
