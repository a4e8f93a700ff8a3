//! The ceilings of the operator's configuration, which no policy lifts. They are checked after the policy.

use super::membership::{Memberships, domain_of, is_of_one_of};
use super::{Checked, Run};
use crate::api::{
    Ceilings, CompleteChecks, Delivery, DirectoryRoleHolders, Issuance, Lifetime, OnExistingPass,
    ReplaceExistingPass, UnmappedPeople,
};
use crate::decision::Reason;
use crate::decision::situation::Connection;
use crate::decision::terms::Terms;
use crate::entra::User;

impl<'a> Run<'a> {
    pub(super) fn ceilings_on_request(
        &mut self,
        connection: &'a Connection,
        lifetime: u32,
    ) -> Checked<'a> {
        let ceilings = &*connection.ceilings;
        let request = self.s.request;
        let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
        if ceilings.namespaces.as_ref().is_some_and(|all| all.iter().all(|n| n != namespace)) {
            return self.exceeds("namespaces", format!("namespace {namespace} is none of those from which passes may be asked for: ask from one of them"));
        }
        if let Some(longest) = ceilings.longest().filter(|longest| lifetime > *longest) {
            let (lifetime, longest) =
                (Lifetime::from_minutes(lifetime), Lifetime::from_minutes(longest));
            return self.exceeds("lifetime", format!("the lifetime {lifetime} is longer than {longest}: make another request with a shorter one"));
        }
        if ceilings.delivery.is_some() && request.spec.recipients.is_none() {
            return self.exceeds("delivery", "codes are delivered only encrypted: make another request with spec.recipients, the age or SSH public keys of the people who are to read the code");
        }
        let replaces = request.spec.on_existing_pass == Some(OnExistingPass::Replace);
        if ceilings.replace_existing_pass.is_some() && replaces {
            return self.exceeds("replaceExistingPass", "no request may replace a pass: make another request with onExistingPass Refuse or Wait");
        }
        Ok(())
    }

    pub(super) fn ceilings_on_user(
        &mut self,
        connection: &'a Connection,
        user: &User,
        groups: Memberships,
    ) -> Checked<'a> {
        let ceilings = &*connection.ceilings;
        let name = &user.user_principal_name;
        if ceilings.exclude_users.iter().any(|id| id.eq_ignore_ascii_case(&user.id)) {
            return self
                .exceeds("excludeUsers", format!("{name} gets no pass through this operator"));
        }
        for group in &ceilings.exclude_groups {
            self.certain("Ceilings", groups.doubt(group), || {
                format!(
                    "ceilings.excludeGroups of the operator's configuration names group {group}"
                )
            })?;
        }
        if let Some(group) = ceilings.exclude_groups.iter().find(|group| groups.include(group)) {
            return self.exceeds(
                "excludeGroups",
                format!("members of group {group} get no pass through this operator"),
            );
        }
        let domain = domain_of(name);
        if ceilings.domains.as_ref().is_some_and(|domains| !is_of_one_of(name, domains)) {
            return self.exceeds(
                "domains",
                format!("users of the domain {domain:?} get no pass through this operator"),
            );
        }
        if ceilings.is_empty() {
            return Ok(());
        }
        self.pass("Ceilings", "within the ceilings of the operator's configuration")
    }

    /// The request exceeds a ceiling, which only another configuration lifts.
    pub(super) fn exceeds<T>(&mut self, field: &str, message: impl Into<String>) -> Checked<'a, T> {
        let message = message.into();
        self.fail(
            "Ceilings",
            Reason::CeilingExceeded,
            format!("{message} (ceilings.{field} of the operator's configuration)"),
        )
    }
}

/// What a policy asks for beyond the ceilings, each in words.
pub fn asks_beyond(issuance: &Issuance, terms: &Terms, ceilings: &Ceilings) -> Vec<String> {
    let mut found = Vec::new();
    let mut beyond = |is_beyond: bool, field: &str, ceiling: String| {
        if is_beyond {
            found.push(format!("issuance.{field} (the ceiling is {ceiling})"));
        }
    };
    if let (Some(longest), Some((_, maximum))) = (ceilings.longest(), terms.lifetime) {
        beyond(maximum > longest, "lifetime.maximum", Lifetime::from_minutes(longest).to_string());
    }
    if let Some(approvals) = ceilings.approvals {
        beyond(terms.approvals < approvals, "approval.required", format!("at least {approvals}"));
    }
    let admits_role_holders = issuance.directory_role_holders == Some(DirectoryRoleHolders::Allow);
    if ceilings.directory_role_holders.is_some() {
        beyond(admits_role_holders, "directoryRoleHolders", "Deny".into());
    } else if let Some(approvals) = ceilings.directory_role_holder_approvals {
        let fewer = admits_role_holders && terms.approvals < approvals;
        beyond(fewer, "directoryRoleHolders", format!("at least {approvals} approvals for them"));
    }
    let others = |named: Option<&Vec<String>>, ceiling: Option<&Vec<String>>| {
        let ceiling = ceiling?;
        let is_other =
            |name: &&String| ceiling.iter().all(|known| !known.eq_ignore_ascii_case(name));
        named
            .is_some_and(|named| named.iter().any(|name| is_other(&name)))
            .then(|| ceiling.join(", "))
    };
    let domains = issuance.users.as_ref().and_then(|users| users.domains.as_ref());
    if let Some(ceiling) = others(domains, ceilings.domains.as_ref()) {
        beyond(true, "users.domains", ceiling);
    }
    let namespaces = issuance.namespaces.as_ref().and_then(|namespaces| namespaces.names.as_ref());
    if let Some(ceiling) = others(namespaces, ceilings.namespaces.as_ref()) {
        beyond(true, "namespaces.names", ceiling);
    }
    let unsealed = issuance.delivery.unwrap_or_default() == Delivery::Any;
    beyond(ceilings.delivery.is_some() && unsealed, "delivery", "Sealed".into());
    let replaces = issuance.replace_existing_pass == Some(ReplaceExistingPass::Allowed);
    beyond(
        ceilings.replace_existing_pass.is_some() && replaces,
        "replaceExistingPass",
        "Forbidden".into(),
    );
    let admits_unmapped = issuance.unmapped_people == Some(UnmappedPeople::Allow);
    beyond(ceilings.unmapped_people.is_some() && admits_unmapped, "unmappedPeople", "Deny".into());
    let optional = issuance.complete_checks == Some(CompleteChecks::Optional);
    beyond(ceilings.complete_checks.is_some() && optional, "completeChecks", "Required".into());
    found
}

/// Whether nothing is issued while a check cannot be made completely.
pub fn completeness_is_required(issuance: &Issuance, ceilings: &Ceilings) -> bool {
    ceilings.complete_checks.is_some()
        || issuance.complete_checks.unwrap_or_default() != CompleteChecks::Optional
}
