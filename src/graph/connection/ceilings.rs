//! What makes ceilings valid, wherever they were written.

use crate::api::{Ceilings, PASS_LIFETIMES};
use crate::configuration::Problem;
use crate::entra::guid;

/// The most approvals that a ceiling may demand: as many as a policy can.
const MOST_APPROVALS: usize = 5;

/// Returns the ceilings with ids and domains in the form in which they are compared, or what is wrong with them.
pub(super) fn check(mut ceilings: Ceilings) -> Result<Ceilings, Problem> {
    let (users, groups) = (&mut ceilings.exclude_users, &mut ceilings.exclude_groups);
    for (field, ids) in [("excludeUsers", users), ("excludeGroups", groups)] {
        for id in ids.iter_mut() {
            *id = guid(id).ok_or_else(|| {
                Problem::new(format!("{field}: {id:?} is not a GUID"), "name each by its object id")
            })?;
        }
    }
    for domain in ceilings.domains.iter_mut().flatten() {
        if domain.is_empty() || domain.contains(['@', '*', ' ']) {
            let what = format!("domains: {domain:?} is not a domain");
            return Err(Problem::new(what, "write domains such as contoso.com"));
        }
        domain.make_ascii_lowercase();
    }
    if let Some(lifetime) = &ceilings.lifetime
        && !lifetime.minutes().is_ok_and(|minutes| PASS_LIFETIMES.contains(&minutes))
    {
        let what = format!("lifetime: \"{lifetime}\" is not between 10m and 720h");
        return Err(Problem::new(what, "write hours and minutes, such as 90m or 8h"));
    }
    for (field, approvals) in [
        ("approvals", ceilings.approvals),
        ("directoryRoleHolderApprovals", ceilings.directory_role_holder_approvals),
    ] {
        if approvals.is_some_and(|approvals| approvals > MOST_APPROVALS) {
            let what = format!("{field}: a policy can ask for {MOST_APPROVALS} approvals at most");
            return Err(Problem::new(what, "ask for fewer"));
        }
    }
    Ok(ceilings)
}
